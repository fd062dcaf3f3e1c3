"""What every test stands on: real PostgreSQL and Valkey, a database of its own, the site's role."""

from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest
from django.db import connections
from django.utils import timezone
from hypothesis import HealthCheck, settings
from pytest_django import DjangoDbBlocker

from tests.databases import TestDatabase, cloned
from tests.valkey_pairs import SESSION_PAIRS, claimed_pair
from tests.waiting import PATIENCE_SECONDS

settings.register_profile(
    "suite", deadline=None, derandomize=True, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.register_profile("search", settings.get_profile("suite"), derandomize=False, max_examples=1_000)
settings.load_profile("suite")
"""The suite tries the same examples each time, and none fails for being slow on a busy machine. `--hypothesis-profile search`
looks for new ones (`make soak`).
"""


@pytest.fixture(scope="session", autouse=True)
def _broker_and_cache_of_their_own() -> Iterator[None]:
    """Bells that tests ring are heard by no worker of `make run`, and caches are not shared with it."""
    from django.conf import settings
    from django.core.cache import caches

    from config import celery_app, engines

    if not settings.EMBEDDED_VALKEY:
        yield
        return
    engines.ensure_running()
    local = engines.home()
    with claimed_pair(SESSION_PAIRS) as (broker, cache):
        celery_app.conf.broker_url = settings.CELERY_BROKER_URL = local.broker_url(broker)
        settings.CACHES["default"]["LOCATION"] = settings.REDIS_URL = local.redis_url(cache)
        with suppress(AttributeError):  # nobody has asked for it yet
            del caches["default"]
        yield


@pytest.fixture(scope="session", autouse=True)
def _time_to_connect() -> None:
    """Fifty connections begun at once on a busy machine take longer than a person at a terminal would wait."""
    connections.settings["default"]["OPTIONS"]["connect_timeout"] = int(PATIENCE_SECONDS)


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Puts pytest-django's `db`, whose tests are rolled back, into a clone of the template."""
    with django_db_blocker.unblock():
        database = cloned()
        database.__enter__()
    yield
    with django_db_blocker.unblock():
        database.__exit__(None, None, None)


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[TestDatabase]:
    """A fresh clone for one test that commits, or that has several connections, threads or processes."""
    with django_db_blocker.unblock(), cloned() as database:
        yield database


@pytest.fixture
def transactional_db() -> None:
    """Refused: flushing would truncate the ledger, which its triggers forbid."""
    pytest.fail("Use committed_db: transactional_db would flush by TRUNCATE.")


@pytest.fixture(autouse=True)
def _one_window_for_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted by windows of the machine's time is counted in one of them, whenever a test begins."""
    from superapp import rate_limits

    began = timezone.now()
    monkeypatch.setattr(rate_limits, "timezone", SimpleNamespace(now=lambda: began))


@pytest.fixture(autouse=True)
def _new_unit_of_work() -> Iterator[None]:
    """No test inherits the clock's distance, policies or calendars that another has read, nor what its log lines bear."""
    import structlog

    from superapp import clock

    structlog.contextvars.clear_contextvars()
    clock.forget()
    yield
    clock.forget()
