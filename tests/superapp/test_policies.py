"""Dated policy: which version rules when, and what its type refuses."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from superapp import clock, policies
from superapp.errors import PolicyRefused
from superapp.models import PolicyVersion
from superapp.policies import Choice, Count, DurationSeconds, Flag, MoneyAmounts, Rate, TimeOfDay

pytestmark = pytest.mark.django_db

TODAY = datetime(2013, 9, 19, 4, 0, tzinfo=UTC)
TOMORROW = TODAY + timedelta(days=1)
NEXT_WEEK = TODAY + timedelta(days=7)

CAP = policies.define("test.cap", type=Count(), default=3, doc="How many there may be.")
LIMIT = policies.define("test.limit", type=MoneyAmounts(), default={"CNY": Decimal(1000)}, doc="How much.")


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    clock.forget()
    with clock.stopped_at(TODAY):
        yield
    clock.forget()


def test_the_default_rules_until_an_operator_says_otherwise() -> None:
    ruling = CAP.now()
    assert (ruling.value, ruling.version, ruling.effective_from, ruling.until) == (3, 0, None, None)
    assert LIMIT.now().value == {"CNY": Decimal("1000.00")}


def test_a_version_rules_from_its_instant_until_the_next_one() -> None:
    first = policies.change(policy="test.cap", value=5, effective_from=TOMORROW)
    second = policies.change(policy="test.cap", value=8, effective_from=NEXT_WEEK)
    just_before = timedelta(microseconds=1)
    assert CAP.at(TOMORROW - just_before).value == 3
    assert (CAP.at(TOMORROW).value, CAP.at(TOMORROW).version) == (5, first.pk)
    assert CAP.at(TOMORROW).until == NEXT_WEEK
    assert CAP.at(NEXT_WEEK - just_before).value == 5
    assert (CAP.at(NEXT_WEEK).value, CAP.at(NEXT_WEEK).version) == (8, second.pk)
    assert CAP.at(NEXT_WEEK).until is None


def test_a_scopes_own_version_wins_over_the_general_one() -> None:
    policies.change(policy="test.cap", value=5)
    policies.change(policy="test.cap", scope="MIFUND", value=7)
    assert CAP.now().value == 5
    assert CAP.now("OTHER").value == 5
    assert (CAP.now("MIFUND").value, CAP.now("MIFUND").scope) == (7, "MIFUND")


def test_before_a_scopes_first_version_the_general_one_rules() -> None:
    policies.change(policy="test.cap", value=5)
    policies.change(policy="test.cap", scope="MIFUND", value=7, effective_from=NEXT_WEEK)
    assert CAP.now("MIFUND").value == 5


def test_the_past_is_never_rewritten() -> None:
    with pytest.raises(PolicyRefused, match="history"):
        policies.change(policy="test.cap", value=5, effective_from=TODAY - timedelta(seconds=1))
    assert not PolicyVersion.objects.exists()


def test_two_versions_never_begin_at_one_instant() -> None:
    policies.change(policy="test.cap", value=5, effective_from=TOMORROW)
    with pytest.raises(PolicyRefused, match="same instant"):
        policies.change(policy="test.cap", value=6, effective_from=TOMORROW)
    policies.change(policy="test.cap", value=6, effective_from=TOMORROW, scope="MIFUND")
    assert CAP.at(TOMORROW).value == 5


def test_a_value_that_the_type_does_not_allow_is_refused_and_not_stored() -> None:
    with pytest.raises(PolicyRefused, match="whole number"):
        policies.change(policy="test.cap", value="five")
    with pytest.raises(PolicyRefused, match="no installed app"):
        policies.validate("test.unheard_of", 5)
    assert not PolicyVersion.objects.exists()


def test_all_policies_are_read_in_one_query_per_unit_of_work(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(1):
        CAP.now()
        CAP.now("MIFUND")
        LIMIT.at(NEXT_WEEK)


def test_a_change_made_elsewhere_rules_from_the_next_unit_of_work_on() -> None:
    assert CAP.now().value == 3
    PolicyVersion.objects.create(policy="test.cap", effective_from=TODAY, value=9)
    assert CAP.now().value == 3
    clock.forget()
    assert CAP.now().value == 9


def test_a_policy_is_defined_once_and_its_default_must_fit() -> None:
    with pytest.raises(ValueError, match="twice"):
        policies.define("test.cap", type=Count(), default=4, doc="")
    with pytest.raises(ValueError, match="between"):
        policies.define("test.too_many", type=Count(maximum=3), default=4, doc="")
    assert CAP in policies.all()
    assert policies.named("test.cap") is CAP


@pytest.mark.parametrize(
    ("policy_type", "written", "value"),
    [
        (MoneyAmounts(), {"CNY": "1000.00", "JPY": "5"}, {"CNY": Decimal(1000), "JPY": Decimal(5)}),
        (Count(), 5, 5),
        (DurationSeconds(), 86_400, timedelta(days=1)),
        (TimeOfDay(), "15:00", time(15)),
        (TimeOfDay(), "15:00:30", time(15, 0, 30)),
        (Rate(), "0.006", Decimal("0.006")),
        (Flag(), False, False),
        (Choice(("carry", "hand_out")), "carry", "carry"),
    ],
)
def test_each_type_reads_what_is_written_for_it(policy_type: Any, written: object, value: object) -> None:
    assert policy_type.parse(written) == value
    assert policy_type.hint


@pytest.mark.parametrize(
    ("policy_type", "written"),
    [
        (MoneyAmounts(), {}),
        (MoneyAmounts(), "1000.00"),
        (MoneyAmounts(), {"CNY": 1000}),
        (MoneyAmounts(), {"CNY": 1000.5}),
        (MoneyAmounts(), {"CNY": "1.005"}),
        (MoneyAmounts(), {"CNY": "-1.00"}),
        (MoneyAmounts(), {"XXX": "1.00"}),
        (Count(), 1.0),
        (Count(), True),
        (Count(), -1),
        (Count(maximum=10), 11),
        (DurationSeconds(), "86400"),
        (DurationSeconds(), 1.5),
        (TimeOfDay(), "25:00"),
        (TimeOfDay(), "3pm"),
        (TimeOfDay(), 15),
        (Rate(), 0.006),
        (Rate(), "1.01"),
        (Rate(), "NaN"),
        (Rate(), "0.0000000001"),
        (Flag(), 1),
        (Flag(), "true"),
        (Choice(("carry",)), "hand_out"),
        (Choice(("carry",)), 1),
    ],
)
def test_each_type_refuses_what_it_cannot_mean(policy_type: Any, written: object) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  each has its own sentence
        policy_type.parse(written)
    assert str(refused.value)
