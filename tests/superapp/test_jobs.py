"""The register of jobs: what falls due when, in which order, and what beat is told."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superapp import jobs
from superapp.jobs import ByPolicy, Daily, Every, Job

instants = st.datetimes(
    min_value=datetime(2013, 1, 1),  # noqa: DTZ001  Hypothesis takes naive bounds
    max_value=datetime(2014, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """A register of this test's own."""
    jobs.all()  # the product's own are declared at the first look, and must not land in this register
    monkeypatch.setattr(jobs, "_jobs", {})


def a_job(name: str, schedule: Every | Daily | ByPolicy, order: int = 1) -> Job:
    return jobs.declare(Job(name=name, task=f"test.{name}", schedule=schedule, order=order))


@pytest.mark.usefixtures("register")
def test_jobs_of_one_instant_come_in_their_declared_order() -> None:
    a_job("income", Daily(time(0, 0)), order=3)
    a_job("confirm", Daily(time(0, 0)), order=1)
    a_job("leave", Daily(time(0, 0)), order=2)
    a_job("cut_off", Daily(time(15, 0)), order=0)
    a_job("sweep", Every(5))
    due = jobs.due_instants(datetime(2013, 9, 18, 15, 59, tzinfo=UTC), datetime(2013, 9, 19, 8, 0, tzinfo=UTC))
    assert [(instant, [job.name for job in some]) for instant, some in due] == [
        (datetime(2013, 9, 18, 16, 0, tzinfo=UTC), ["confirm", "leave", "income"]),
        (datetime(2013, 9, 19, 7, 0, tzinfo=UTC), ["cut_off"]),
    ]


@pytest.mark.usefixtures("register")
def test_the_beginning_is_left_out_and_the_end_belongs() -> None:
    a_job("midnight", Daily(time(0, 0), zone=ZoneInfo("UTC")))
    midnight = datetime(2013, 9, 19, tzinfo=UTC)
    assert [at for at, _ in jobs.due_instants(midnight, midnight + timedelta(days=1))] == [midnight + timedelta(days=1)]
    assert jobs.due_instants(midnight, midnight) == []


@pytest.mark.usefixtures("register")
def test_instants_that_a_policy_rules_fall_due_among_the_others() -> None:
    asked: list[tuple[datetime, datetime]] = []
    opening = datetime(2013, 9, 19, 3, tzinfo=UTC)

    def openings(after: datetime, until: datetime) -> list[datetime]:
        asked.append((after, until))
        return [opening, datetime(2013, 9, 19, tzinfo=UTC)]

    a_job("midnight", Daily(time(0, 0), zone=ZoneInfo("UTC")), order=1)
    settle = a_job("settle", ByPolicy(openings), order=2)
    span = datetime(2013, 9, 18, 12, tzinfo=UTC), datetime(2013, 9, 19, 12, tzinfo=UTC)
    assert [(at, [job.name for job in some]) for at, some in jobs.due_instants(*span)] == [
        (datetime(2013, 9, 19, tzinfo=UTC), ["midnight", "settle"]),
        (opening, ["settle"]),
    ]
    assert asked == [span]
    assert settle not in jobs.sweeps()
    assert jobs.beat_schedule()["settle"]["schedule"] == jobs.DAILY_POKE_SECONDS


@given(a=instants, b=instants, c=instants)
def test_a_span_falls_due_alike_whole_or_in_two_parts(a: datetime, b: datetime, c: datetime) -> None:
    first, middle, last = sorted((a, b, c))
    daily = Daily(time(15, 0), zone=ZoneInfo("Asia/Shanghai"))
    whole = list(daily.instants(first, last))
    assert whole == [*daily.instants(first, middle), *daily.instants(middle, last)]
    assert whole == sorted(set(whole))
    assert abs(len(whole) - (last - first) / timedelta(days=1)) < 1


def test_a_day_with_a_change_of_clocks_has_its_instant_once() -> None:
    daily = Daily(time(2, 30), zone=ZoneInfo("Europe/Rome"))
    spring = list(daily.instants(datetime(2013, 3, 30, 12, tzinfo=UTC), datetime(2013, 4, 1, 12, tzinfo=UTC)))
    autumn = list(daily.instants(datetime(2013, 10, 26, 12, tzinfo=UTC), datetime(2013, 10, 28, 12, tzinfo=UTC)))
    assert len(spring) == len(autumn) == 2


@pytest.mark.usefixtures("register")
def test_a_job_is_declared_once() -> None:
    job = a_job("sweep", Every(5))
    assert jobs.declare(job) is job
    with pytest.raises(ValueError, match="twice"):
        a_job("sweep", Every(6))


@pytest.mark.usefixtures("register")
def test_beat_pokes_sweeps_at_their_pace_and_daily_jobs_every_minute() -> None:
    a_job("sweep", Every(5))
    a_job("income", Daily(time(0, 0)))
    assert jobs.beat_schedule() == {
        "sweep": {"task": "test.sweep", "schedule": 5, "kwargs": {}, "options": {"expires": 5}},
        "income": {"task": "test.income", "schedule": 60.0, "kwargs": {}, "options": {"expires": 60.0}},
    }


def test_every_job_of_the_product_names_a_task_that_exists() -> None:
    from celery import current_app

    assert "outbox" in {job.name for job in jobs.all()}
    for job in jobs.all():
        assert job.task in current_app.tasks, job
