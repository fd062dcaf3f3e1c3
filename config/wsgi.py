"""The WSGI application, for any WSGI server. `make run` and production serve it by granian."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SUPERAPP_PROCESS", "web")

from django.core.wsgi import get_wsgi_application

from config.engines import ensure_running

ensure_running()
application = get_wsgi_application()

from superapp import doorbell  # noqa: E402  behind the settings, which say where counters are kept

doorbell.get_ready()
