"""Travelling: every daily job at its instant and in order, the sweeps after each, the clock at its goal."""

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest
from celery import shared_task
from django.core.management import CommandError, call_command
from pytest_django import Settings

from superapp import clock, installation, jobs, runs, travel
from superapp.errors import ClockCannotTravel
from superapp.jobs import Daily, Every, Job
from superapp.models import Installation, Run

pytestmark = pytest.mark.django_db

NEW_YEAR = datetime(2039, 12, 31, 16, 0, tzinfo=UTC)
"""2040-01-01 00:00 in Shanghai."""

log: list[tuple[str, datetime]] = []
due_work: list[str] = []


def confirm() -> int:
    log.append(("confirm", clock.now()))
    due_work.append("paper work")
    return 1


def income() -> int:
    log.append(("income", clock.now()))
    return 1


def cut_off() -> None:
    log.append(("cut_off", clock.now()))


def sweep() -> int:
    if not due_work:
        return 0
    log.append(("sweep", clock.now()))
    due_work.pop()
    return 1


for task in (confirm, income, cut_off, sweep):
    shared_task(name=f"test.{task.__name__}")(task)


@pytest.fixture(autouse=True)
def _a_sandbox_on_new_years_day(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    installation.settle()
    clock.forget()
    clock.travel(NEW_YEAR + timedelta(hours=1))
    jobs.all()  # the product's own are declared at the first look, and must not land in this register
    monkeypatch.setattr(jobs, "_jobs", {})
    for job in (
        Job(name="income", task="test.income", schedule=Daily(time(0, 0)), order=2),
        Job(name="confirm", task="test.confirm", schedule=Daily(time(0, 0)), order=1),
        Job(name="cut_off", task="test.cut_off", schedule=Daily(time(15, 0)), order=1),
        Job(name="sweep", task="test.sweep", schedule=Every(5), order=9),
    ):
        jobs.declare(job)
    log.clear()
    due_work.clear()
    yield
    clock.forget()


def what_happened() -> list[tuple[str, str]]:
    zone = clock.business_zone()
    return [(name, f"{at.astimezone(zone):%m-%d %H:%M}") for name, at in log]


def test_everything_due_on_the_way_happens_at_its_instant_and_in_order() -> None:
    days: list[date] = []
    journey = travel.travel(to=NEW_YEAR + timedelta(days=2), tell=lambda day, _: days.append(day))
    assert what_happened() == [
        ("cut_off", "01-01 15:00"),
        ("confirm", "01-02 00:00"),
        ("sweep", "01-02 00:00"),
        ("income", "01-02 00:00"),
        ("cut_off", "01-02 15:00"),
        ("confirm", "01-03 00:00"),
        ("sweep", "01-03 00:00"),
        ("income", "01-03 00:00"),
    ]
    assert days == [date(2040, 1, 1), date(2040, 1, 2), date(2040, 1, 3)]
    assert journey.daily_jobs == 6
    assert journey.done == {"cut_off": 0, "confirm": 2, "income": 2, "sweep": 2}
    clock.forget()
    assert timedelta() <= clock.now() - (NEW_YEAR + timedelta(days=2)) < timedelta(seconds=30)


def test_what_is_due_at_the_start_is_done_before_anything_else() -> None:
    due_work.append("left over")
    travel.travel(to=NEW_YEAR + timedelta(hours=16))
    assert what_happened() == [("sweep", "01-01 01:00"), ("cut_off", "01-01 15:00")]


def test_the_journey_waits_for_open_runs() -> None:
    runs.open_run("test.income", "MIFUND", date(2040, 1, 1))
    Run.objects.update(state=Run.State.POSTING)
    with pytest.raises(runs.RunsStuck, match="MIFUND"):
        travel.travel(to=NEW_YEAR + timedelta(hours=2), patience_seconds=0.1)
    assert clock.now() < NEW_YEAR + timedelta(hours=2), "the clock waits too"
    Run.objects.update(state=Run.State.CLOSED)
    travel.travel(to=NEW_YEAR + timedelta(hours=2), patience_seconds=0.1)


def test_only_a_run_that_stopped_on_the_way_is_reported() -> None:
    runs.stop(runs.open_run("test.income", "MIFUND", date(2039, 12, 30)), "long ago")
    going = runs.open_run("test.income", "MIFUND", date(2039, 12, 31))

    def check() -> int:
        return int(runs.stop(going, "counts differ"))

    shared_task(name="test.check")(check)
    jobs.declare(Job(name="check", task="test.check", schedule=Every(5), order=9))
    assert travel.travel(to=NEW_YEAR + timedelta(hours=2)).stopped_runs == [going]


def test_sweeps_that_find_the_same_work_for_ever_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(travel, "MOST_ROUNDS", 10)
    due_work.extend(["again and again"] * 1_000)
    with pytest.raises(travel.NeverQuiet, match="sweep"):
        travel.travel(to=NEW_YEAR + timedelta(hours=2))


def test_nobody_travels_back_nor_in_production(settings: Settings) -> None:
    with pytest.raises(ClockCannotTravel, match="forward"):
        travel.travel(to=NEW_YEAR)
    settings.SUPERAPP_SANDBOX = False
    offset = Installation.objects.get().clock_offset
    with pytest.raises(ClockCannotTravel, match="production"):
        travel.travel(to=NEW_YEAR + timedelta(days=2))
    assert Installation.objects.get().clock_offset == offset
    assert log == []


def run_command(to: str) -> str:
    out = io.StringIO()
    call_command("travel", to=to, stdout=out)
    return out.getvalue()


def test_the_command_takes_a_day_as_its_beginning_in_the_business_zone() -> None:
    out = run_command("2040-01-02")
    assert what_happened()[-1] == ("income", "01-02 00:00")
    assert out.splitlines() == [
        "2040-01-01  1 daily jobs, 0 things done",
        "2040-01-02  3 daily jobs, 3 things done",
        "From 2040-01-01 01:00 to 2040-01-02 00:00 (Asia/Shanghai).",
        "  confirm: 1",
        "  income: 1",
        "  sweep: 1",
    ]


@pytest.mark.parametrize("to", ["2040-01-01T15:00", "2040-01-01 15:00:00", "2040-01-01T07:00+00:00"])
def test_the_command_takes_an_instant_in_the_business_zone_or_its_own(to: str) -> None:
    run_command(to)
    assert what_happened() == [("cut_off", "01-01 15:00")]


@pytest.mark.parametrize("to", ["tomorrow", "2040-13-01", "2013", "2013-01-01"])
def test_the_command_says_in_one_sentence_what_it_cannot_do(to: str) -> None:
    with pytest.raises(CommandError) as refused:
        run_command(to)
    assert str(refused.value).count("\n") == 0
    assert log == []
