"""The WSGI application of `config.benchmarks.bare_views`: the site's settings without its middleware and addresses."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SUPERAPP_PROCESS", "web")

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from config.admission import Gate

get_wsgi_application()  # sets up; some apps insist on their middleware then
settings.MIDDLEWARE = []
settings.ROOT_URLCONF = "config.benchmarks.bare_views"
get_resolver().check()
# as `config.wsgi` does
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)
application = Gate(WSGIHandler())
