"""The WSGI application, for any WSGI server. `make run` and production serve it by granian."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SUPERAPP_PROCESS", "web")

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from config.engines import ensure_running

ensure_running()
site = get_wsgi_application()
# Reads the addresses now, and with them the schema: the first request has no more time than any other.
get_resolver().check()

from config.admission import Gate  # noqa: E402  these two stand behind the settings, which say where counters are kept
from superapp import counters, doorbell  # noqa: E402

doorbell.get_ready()
counters.begin()
# What is loaded by now stays: looking through it again and again for what may go would find nothing. A request leaves
# little behind that counting references does not free, so it is looked for less often.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)
application = Gate(site)
