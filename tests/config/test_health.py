"""Whether a process lives and may serve, while what it leans on hangs."""

import time
from collections.abc import Iterator

import httpx
import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import Settings

from config import health
from superapp import jobs
from tests.blackhole import BlackHole, a_black_hole
from tests.databases import TestDatabase
from tests.site import Site, a_site
from tests.waiting import wait_until

HANGS_SECONDS = 60
"""Longer than each limit on the way together, on a busy machine too; the servers behind never answer."""

ASKED = 20


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, BlackHole]]:
    """A web server whose database, cache and broker take connections and never answer."""
    folder = tmp_path_factory.mktemp("hanging")
    with a_black_hole() as hole:
        nowhere = TestDatabase(name="nowhere", url=f"postgresql://nobody:secret@127.0.0.1:{hole.port}/nowhere")
        with a_site(nowhere, folder) as site:
            site.environment |= {
                "REDIS_URL": f"redis://127.0.0.1:{hole.port}/0",
                "CELERY_BROKER_URL": f"redis://127.0.0.1:{hole.port}/1",
                "METRICS_DIR": str(folder / "metrics"),
            }
            site.start_web()
            yield site, hole


@pytest.mark.processes
def test_a_process_lives_although_nothing_it_leans_on_answers_and_asks_none_of_it(
    hanging: tuple[Site, BlackHole],
) -> None:
    site, hole = hanging
    before = wait_until(lambda: hole.visitors, what="the doorbell, which knocks when the process starts")
    for _ in range(ASKED):
        answer = httpx.get(f"{site.url}/livez", timeout=HANGS_SECONDS)
        assert (answer.status_code, answer.json()) == (200, {"live": True})
    assert hole.visitors < before + ASKED, "nobody but the doorbell, which may try again"


@pytest.mark.processes
def test_it_is_not_ready_then_and_says_so_in_time(hanging: tuple[Site, BlackHole]) -> None:
    site, hole = hanging
    answer = httpx.get(f"{site.url}/readyz", timeout=HANGS_SECONDS)
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "database": "down",
        "migrations": "down",
        "broker": "down",
        "beat": {"age_seconds": None, "late": True},
    }
    assert hole.visitors >= 3, "database, broker and cache were each asked"


@pytest.mark.processes
def test_its_figures_are_told_then_too_without_those_of_the_database(hanging: tuple[Site, BlackHole]) -> None:
    site, _ = hanging
    answer = httpx.get(f"{site.url}/metrics", timeout=HANGS_SECONDS)
    assert answer.status_code == 200
    assert 'superapp_scrape_ok{source="database"} 0.0' in answer.text
    assert 'superapp_database_faults_total{kind="unreachable"}' in answer.text
    assert 'superapp_http_responses_total{area="health",status="200"}' in answer.text


@pytest.mark.django_db
def test_ready_is_whoever_reaches_a_migrated_database_and_the_broker() -> None:
    cache.set(health.BEAT_KEY, time.time())
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["ready"], told["database"], told["migrations"], told["broker"]) == (True, "ok", "ok", "ok")
    assert told["beat"]["late"] is False


@pytest.mark.django_db
def test_a_migration_that_was_not_applied_takes_a_process_out_of_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_settled", [])
    monkeypatch.setattr(
        "django.db.migrations.executor.MigrationExecutor.migration_plan", lambda *_: [("superapp", False)]
    )
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["migrations"], answer.json()["database"]) == (503, "down", "ok")


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "late"), [(40, False), (61, True), (None, True)])
def test_a_late_beat_is_shown_and_takes_nobody_out_of_service(age: int | None, late: bool) -> None:
    cache.delete(health.BEAT_KEY)
    if age is not None:
        cache.set(health.BEAT_KEY, time.time() - age)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["beat"]["late"]) == (200, late)


@pytest.mark.django_db
def test_a_worker_that_is_poked_renews_beats_age() -> None:
    cache.delete(health.BEAT_KEY)
    jobs.run_here(next(job for job in jobs.all() if job.name == "heartbeat"))
    assert Client().get("/readyz").json()["beat"]["late"] is False
    assert b"superapp_beat_age_seconds" in Client().get("/metrics").content


@pytest.mark.parametrize("address", ["/livez", "/readyz", "/metrics"])
def test_these_pages_are_only_read(address: str) -> None:
    assert Client().post(address).status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token", "sandbox", "headers", "address", "status"),
    [
        ("", True, {}, "127.0.0.1", 200),
        ("", True, {}, "::1", 200),
        ("", True, {}, "192.0.2.7", 404),
        ("", True, {}, "", 404),
        ("", True, {"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1", 404),
        ("", False, {}, "127.0.0.1", 404),
        ("", False, {"Authorization": "Bearer "}, "127.0.0.1", 404),
        ("a token", False, {"Authorization": "Bearer a token"}, "192.0.2.7", 200),
        ("a token", False, {"Authorization": "Bearer another"}, "192.0.2.7", 404),
        ("a token", False, {"Authorization": "Bearer ü"}, "192.0.2.7", 404),
        ("a token", False, {}, "127.0.0.1", 404),
        ("a token", True, {}, "127.0.0.1", 404),
    ],
)
def test_figures_are_for_whoever_shows_the_token_or_sits_at_the_sandbox(
    *, token: str, sandbox: bool, headers: dict[str, str], address: str, status: int, settings: Settings
) -> None:
    settings.METRICS_TOKEN, settings.SUPERAPP_SANDBOX = token, sandbox
    assert Client().get("/metrics", headers=headers, REMOTE_ADDR=address).status_code == status
