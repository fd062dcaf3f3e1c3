"""The first and last day of all, sums beyond any single amount, and text that would show as something else."""

from typing import Any

import pytest

from tests.asking import ask, data_of
from tests.factories import PIN, a_payer, a_person, a_top_up
from tests.funds.scenes import a_fund, a_saver, buy

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("days", ['from: "0001-01-01", to: "0001-01-07"', 'from: "9999-12-25", to: "9999-12-31"'])
def test_ranges_at_the_ends_of_the_calendar_are_empty(days: str) -> None:
    code = a_fund().code
    asked = f'{{ fund(code: "{code}") {{ yields({days}) {{ day }} }} viewer {{ income(fund: "{code}", {days}) {{ day }} }} }}'
    assert data_of(a_person(), asked) == {"fund": {"yields": []}, "viewer": {"income": []}}


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_an_income_at_the_ends_of_the_calendar_has_no_explanation(day: str) -> None:
    fund = a_fund()
    saver = a_saver(fund, "100.00")
    buy(saver, fund, "10.00")
    asked = f'{{ viewer {{ incomeExplained(fund: "{fund.code}", day: "{day}") {{ day }} }} }}'
    assert data_of(saver, asked) == {"viewer": {"incomeExplained": None}}


def test_a_balance_is_read_however_large_it_has_become() -> None:
    person = a_payer("1000000000000000.00", currency="USD")
    a_top_up(person, "1000000000000000.00", currency="USD")
    answer = data_of(
        person,
        "{ viewer { wallets { balance { amount } } accounts { available } "
        "activity(first: 1) { edges { node { balanceAfter } } } } }",
    )
    assert answer["viewer"]["wallets"] == [{"balance": {"amount": "2000000000000000.00"}}]
    assert answer["viewer"]["accounts"] == [{"available": "2000000000000000.00"}]
    assert answer["viewer"]["activity"]["edges"][0]["node"]["balanceAfter"] == "2000000000000000.00"


@pytest.mark.parametrize("note", ["\u202eecin", "bell\u0007", "\u001b[31mred", "a\u2067b", "a\u0085b"])
def test_a_note_with_what_cannot_be_shown_is_refused(note: str) -> None:
    assert _send(note)["__typename"] == "NoteTooLong"


@pytest.mark.parametrize("note", ["two\nlines", "\ttab", "👨‍👩‍👧", "ניקוד", "注", "=1+1"])
def test_a_note_in_any_script_is_kept(note: str) -> None:
    assert _send(note)["transfer"]["note"] == note.strip()


def _send(note: str) -> dict[str, Any]:
    person, other = a_payer("10.00"), a_person()
    answer = ask(
        person,
        "mutation Do($input: SendMoneyInput!) { sendMoney(input: $input) { __typename "
        "... on SendMoneySuccess { transfer { note } } } }",
        input={
            "to": {"phone": other.phone},
            "amount": {"amount": "1.00", "currency": "CNY"},
            "note": note,
            "pin": PIN,
            "idempotencyKey": "extremes",
        },
    )
    sent: dict[str, Any] = answer["data"]["sendMoney"]
    return sent
