"""The WSGI application, for any WSGI server. `make run` and production serve it by granian."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SUPERAPP_PROCESS", "web")

from django.core.wsgi import get_wsgi_application

from config.engines import ensure_running

ensure_running()
site = get_wsgi_application()

from config.admission import Gate  # noqa: E402  these two stand behind the settings, which say where counters are kept
from superapp import doorbell  # noqa: E402

doorbell.get_ready()
application = Gate(site)
