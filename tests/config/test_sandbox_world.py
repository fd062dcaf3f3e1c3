"""The world of a new sandbox: made through the product's own functions, once, and nowhere but in an empty sandbox."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from config import sandbox_world
from funds.models import Fund, FundOrder, Yield
from payments.models import Transfer
from superapp import clock
from superapp.errors import ClockCannotTravel
from superapp.models import User
from tests.databases import TestDatabase
from tests.factories import a_person
from tests.picture import assert_ledger_is_sound, picture
from wallet import pins
from wallet.models import Account, TopUp


def balances() -> dict[str | None, Decimal]:
    return dict(Account.objects.filter(kind="wallet").values_list("owner__handle", "balance"))


def test_the_seed_makes_people_with_money_and_funds_with_days_ahead(committed_db: TestDatabase) -> None:
    assert sandbox_world.is_wanted()
    call_command("seed")

    assert balances() == {"lin": Decimal("20066.00"), "wei": Decimal("3934.00"), "mei": Decimal("500.00")}
    assert set(TopUp.objects.values_list("state", flat=True)) == {"confirmed"}
    assert Transfer.objects.get().state == "settled"
    assert FundOrder.objects.get().trade_day == sandbox_world.BEGINS_AT.date()
    assert set(Fund.objects.values_list("code", "leftover")) == {("HARVEST", "leave_in_fund"), ("ORCHARD", "hand_out")}
    assert Yield.objects.filter(fund__code="HARVEST").count() == 31
    assert timedelta() <= clock.now() - sandbox_world.BEGINS_AT < timedelta(minutes=5)
    assert not sandbox_world.is_wanted()
    assert_ledger_is_sound()


def test_everyone_can_sign_in_and_pay_as_the_seed_says(
    committed_db: TestDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("seed")
    said = capsys.readouterr().out
    for person in sandbox_world.PEOPLE:
        user = User.objects.get(phone=person.phone)
        assert user.check_password(sandbox_world.PASSWORD)
        pins.verify(user_id=user.pk, pin=sandbox_world.PIN)
        assert person.phone in said
    operator = User.objects.get(email=sandbox_world.OPERATOR)
    assert operator.is_superuser
    assert operator.check_password(sandbox_world.PASSWORD)
    assert sandbox_world.PASSWORD in said


def test_seeding_again_changes_nothing(committed_db: TestDatabase) -> None:
    sandbox_world.build()
    before = picture()
    sandbox_world.build()
    assert picture() == before


def test_a_seed_that_was_interrupted_is_finished(committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_args: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(sandbox_world, "_buy", killed)
        with pytest.raises(KeyboardInterrupt):
            sandbox_world.build()
    assert sandbox_world.is_wanted()

    sandbox_world.build()

    assert not sandbox_world.is_wanted()
    assert balances() == {"lin": Decimal("20066.00"), "wei": Decimal("3934.00"), "mei": Decimal("500.00")}


@pytest.mark.django_db
def test_a_database_that_holds_people_is_left_alone() -> None:
    a_person()
    before = picture("superapp_user", "funds_fund", "superapp_installation")
    with pytest.raises(CommandError, match="only fills an empty one"):
        call_command("seed")
    assert not sandbox_world.is_wanted()
    assert picture("superapp_user", "funds_fund", "superapp_installation") == before


@pytest.mark.django_db
def test_production_is_not_seeded(settings: LazySettings) -> None:
    settings.SUPERAPP_SANDBOX = False
    assert not sandbox_world.is_wanted()
    with pytest.raises(CommandError):
        call_command("seed")
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_new_sandboxs_clock_may_be_set_back_only_while_nobody_is_known(settings: LazySettings) -> None:
    clock.start_at(sandbox_world.BEGINS_AT)
    assert clock.now() - sandbox_world.BEGINS_AT < timedelta(minutes=1)
    a_person()
    for instant in (sandbox_world.BEGINS_AT, sandbox_world.BEGINS_AT + timedelta(days=9)):
        with pytest.raises(ClockCannotTravel):
            clock.start_at(instant)


@pytest.mark.django_db
def test_a_clock_is_not_set_without_a_zone_or_in_production(settings: LazySettings) -> None:
    with pytest.raises(ClockCannotTravel):
        clock.start_at(datetime(2013, 7, 1))  # noqa: DTZ001 - on purpose
    settings.SUPERAPP_SANDBOX = False
    with pytest.raises(ClockCannotTravel):
        clock.start_at(sandbox_world.BEGINS_AT)
