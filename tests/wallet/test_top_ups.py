"""W07: money from a bank that answers late, twice, not at all, or about something else."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID, uuid4

import pytest
from django.conf import LazySettings

from config.settings.environment import BASE_DIR
from superapp import clock, outbox
from superapp.errors import IdempotencyKeyReused, InvalidAmount, Unavailable
from superapp.models import IdempotencyKey, OutboxEvent, User
from superapp.policies import change
from tests.factories import a_payer, a_person
from tests.many import at_once
from tests.owners_hand import the_owners_hand
from tests.picture import assert_ledger_is_sound, nothing_changes, picture
from wallet import bank_callbacks, top_ups, wallets
from wallet.errors import LimitExceeded, WalletNotOpen
from wallet.models import Account, BankCallback, JournalEntry, Posting, TopUp
from wallet.rails import sandbox

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


CHOSEN_AMOUNTS: list[tuple[str, str, list[str]]] = [
    ("100.00", "confirmed", ["applied"]),
    ("4001.00", "failed", ["applied"]),
    ("4002.00", "failed", ["applied"]),
    ("4003.00", "failed", []),
    ("4101.00", "confirmed", ["applied", "repeated"]),
    ("4102.00", "confirmed", ["applied"]),
    ("4103.00", "confirmed", ["applied", "repeated"]),
    ("4104.00", "confirmed", ["applied"]),
    ("4105.00", "failed", ["applied"]),
    ("4106.00", "confirmed", ["applied", "unknown"]),
    ("4107.00", "confirmed", ["applied", "conflict"]),
    ("4108.00", "confirmed", ["applied", "mismatch"]),
    ("4109.00", "instructed", []),
]


def asked(person: User, amount: str = "100.00", *, key: str | None = None, dry_run: bool = False) -> TopUp:
    done = top_ups.top_up(
        owner_id=person.pk, amount=Decimal(amount), currency="CNY", key=key or str(uuid4()), dry_run=dry_run
    )
    return TopUp.objects.get(id=done.top_up_id)


def the_bank_says(
    top_up: TopUp, status: str = "confirmed", *, reference: str = "M1", amount: str | None = None, instruction: str = ""
) -> BankCallback:
    return bank_callbacks.record_callback(
        rail="sandbox",
        reference=reference,
        instruction=instruction or str(top_up.id),
        status=status,
        amount=Decimal(amount) if amount else top_up.amount,
        currency="CNY",
        reason="insufficient_funds" if status == "declined" else "",
    )


def state_of(top_up: TopUp) -> str:
    return TopUp.objects.get(id=top_up.id).state


def balance_of(person: User) -> Decimal:
    return Account.objects.get(owner=person).balance


def let_the_bank_talk(*, until: datetime) -> None:
    """Delivers what is due, as workers would, step by step until the instant."""
    instant = NOON
    while instant <= until:
        with clock.stopped_at(instant):
            outbox.deliver_due()
            bank_callbacks.inquire_unanswered()
        instant += timedelta(seconds=1) if instant < NOON + timedelta(seconds=5) else timedelta(seconds=20)


def test_a_request_moves_no_money_and_leaves_an_instruction_for_the_bank(db: None) -> None:
    person = a_payer("0")
    row = asked(person)
    assert (row.state, row.rail, row.amount) == ("requested", "sandbox", Decimal("100.00"))
    assert OutboxEvent.objects.get().payload == {"top_up": str(row.id)}
    assert balance_of(person) == 0
    assert not Posting.objects.exists()


def test_the_banks_confirmation_raises_the_balance(db: None) -> None:
    person = a_payer("0")
    row = asked(person)
    message = the_bank_says(row)
    row.refresh_from_db()
    entry = JournalEntry.objects.get()
    assert (message.outcome, row.state, row.entry_id) == ("applied", "confirmed", entry.id)
    assert (entry.kind, entry.subject) == ("top_up", row.id)
    assert sorted(Posting.objects.values_list("amount", flat=True)) == [Decimal("-100"), Decimal("100")]
    assert balance_of(person) == Decimal("100.00")
    assert_ledger_is_sound()


def test_the_banks_refusal_leaves_the_balance_and_says_why(db: None) -> None:
    person = a_payer("0")
    row = asked(person)
    assert the_bank_says(row, "declined").outcome == "applied"
    row.refresh_from_db()
    assert (row.state, row.failure, row.entry_id) == ("failed", "insufficient_funds", None)
    assert balance_of(person) == 0
    assert not JournalEntry.objects.exists()
    assert_ledger_is_sound()


def test_the_same_message_twice_is_one_row_and_one_credit(db: None) -> None:
    person = a_payer("0")
    row = asked(person)
    first = the_bank_says(row)
    with nothing_changes():
        assert the_bank_says(row).id == first.id
    assert balance_of(person) == Decimal("100.00")


@pytest.mark.parametrize(
    ("end", "then", "outcome"),
    [
        ("confirmed", "confirmed", "repeated"),
        ("confirmed", "declined", "conflict"),
        ("declined", "declined", "repeated"),
        ("declined", "confirmed", "conflict"),
    ],
)
def test_a_further_message_about_an_ended_top_up_is_kept_and_changes_nothing(
    db: None, end: str, then: str, outcome: str
) -> None:
    person = a_payer("0")
    row = asked(person)
    the_bank_says(row, end)
    before = picture("wallet_account", "wallet_posting", "wallet_topup")
    assert the_bank_says(row, then, reference="M2").outcome == outcome
    assert picture("wallet_account", "wallet_posting", "wallet_topup") == before
    assert_ledger_is_sound()


@pytest.mark.parametrize("instruction", ["0b9d3c52-7a41-4d0e-8f6b-2c1e5a7d9f30", "not even an id", "SBX-9"])
def test_a_message_about_nothing_of_ours_is_kept_and_changes_nothing(db: None, instruction: str) -> None:
    row = asked(a_payer("0"))
    message = the_bank_says(row, instruction=instruction)
    assert (message.outcome, message.top_up) == ("unknown", None)
    assert state_of(row) == "requested"
    assert not JournalEntry.objects.exists()


def test_a_message_from_another_rail_is_about_nothing_of_ours(db: None) -> None:
    row = asked(a_payer("0"))
    message = bank_callbacks.record_callback(
        rail="other",
        reference="M1",
        instruction=str(row.id),
        status="confirmed",
        amount=row.amount,
        currency=row.currency,
    )
    assert message.outcome == "unknown"
    assert state_of(row) == "requested"


def test_a_message_with_another_amount_is_kept_and_changes_nothing(db: None) -> None:
    person = a_payer("0")
    row = asked(person)
    assert the_bank_says(row, amount="99.99").outcome == "mismatch"
    assert state_of(row) == "requested"
    assert balance_of(person) == 0
    assert the_bank_says(row, reference="M2").outcome == "applied"


def test_what_the_ledger_refuses_is_kept_for_an_operator(db: None) -> None:
    person = a_payer("0")
    row = asked(person)
    Account.objects.filter(owner=person).update(closed=True)
    assert the_bank_says(row).outcome == "refused"
    assert state_of(row) == "requested"
    assert not JournalEntry.objects.exists()
    assert_ledger_is_sound()


def test_what_was_refused_while_the_wallet_was_closed_comes_in_once_when_the_bank_says_it_again(db: None) -> None:
    person = a_payer("0")
    with clock.stopped_at(NOON):
        row = asked(person, "4104.00")
        outbox.deliver_due()
    Account.objects.filter(owner=person).update(closed=True)
    with clock.stopped_at(NOON + timedelta(minutes=1)):
        assert bank_callbacks.inquire_unanswered() == 1
    assert BankCallback.objects.get().outcome == "refused"
    Account.objects.filter(owner=person).update(closed=False)
    for minutes in (2, 3):
        with clock.stopped_at(NOON + timedelta(minutes=minutes)):
            bank_callbacks.inquire_unanswered()
    assert (state_of(row), balance_of(person)) == ("confirmed", Decimal("4104.00"))
    assert BankCallback.objects.get().outcome == "applied"
    assert_ledger_is_sound()


def test_an_amount_finer_than_the_ledger_can_hold_is_another_amount(db: None) -> None:
    person = a_payer("0")
    row = asked(person)
    assert the_bank_says(row, amount="100.00001").outcome == "mismatch"
    assert balance_of(person) == 0


@pytest.mark.parametrize(("amount", "state", "outcomes"), CHOSEN_AMOUNTS)
def test_each_chosen_amount_of_the_sandbox_bank_ends_as_its_table_says(
    db: None, amount: str, state: str, outcomes: list[str]
) -> None:
    with clock.stopped_at(NOON):
        person = a_payer("0")
        row = asked(person, amount)
    let_the_bank_talk(until=NOON + timedelta(minutes=11))
    assert state_of(row) == state
    assert sorted(BankCallback.objects.values_list("outcome", flat=True)) == outcomes
    assert balance_of(person) == (Decimal(amount) if state == "confirmed" else 0)
    assert_ledger_is_sound()


def test_every_chosen_amount_has_its_case_above() -> None:
    chosen = {str(amount) for amount in (*sandbox.BEHAVIOURS, *sandbox.REFUSED)}
    assert {amount.removesuffix(".00") for amount, _, _ in CHOSEN_AMOUNTS} - {"100"} == chosen


def test_the_documentation_has_every_chosen_amount() -> None:
    documented = re.findall(r"^\| (\d{4}) \|", (BASE_DIR / "docs" / "sandbox-bank.md").read_text(), re.MULTILINE)
    assert set(documented) == {str(amount) for amount in (*sandbox.BEHAVIOURS, *sandbox.REFUSED)}


def test_a_lost_message_is_found_by_asking_the_bank_but_not_before_its_time(db: None) -> None:
    with clock.stopped_at(NOON):
        row = asked(a_payer("0"), "4104.00")
        outbox.deliver_due()
    with clock.stopped_at(NOON + timedelta(seconds=29)):
        assert bank_callbacks.inquire_unanswered() == 0
    with clock.stopped_at(NOON + timedelta(seconds=30)):
        assert bank_callbacks.inquire_unanswered() == 1
        assert bank_callbacks.inquire_unanswered() == 0
    assert state_of(row) == "confirmed"


def test_a_bank_that_has_not_decided_is_asked_again_only_after_a_while(db: None) -> None:
    with clock.stopped_at(NOON):
        asked(a_payer("0"), "4109.00")
        outbox.deliver_due()
    asked_at = []
    for seconds in range(0, 100, 10):
        with clock.stopped_at(NOON + timedelta(seconds=seconds)):
            asked_at += [seconds] * bank_callbacks.inquire_unanswered()
    assert asked_at == [30, 60, 90]


def test_an_instruction_the_bank_never_got_is_given_again(db: None) -> None:
    from wallet.models import SandboxBankOrder

    with clock.stopped_at(NOON):
        row = asked(a_payer("0"))
        outbox.deliver_due()
    with the_owners_hand():
        SandboxBankOrder.objects.all().delete()
    OutboxEvent.objects.filter(topic=sandbox.SAYS).delete()
    let_the_bank_talk(until=NOON + timedelta(minutes=2))
    assert state_of(row) == "confirmed"


def test_an_instruction_delivered_twice_is_taken_once(db: None) -> None:
    person = a_payer("0")
    row = asked(person)
    top_ups.instruct({"top_up": str(row.id)})
    with nothing_changes():
        top_ups.instruct({"top_up": str(row.id)})


@pytest.mark.parametrize("state", TopUp.State)
@pytest.mark.parametrize("to", TopUp.State)
def test_a_top_up_moves_only_as_the_table_allows(db: None, state: TopUp.State, to: TopUp.State) -> None:
    person = a_payer("0")
    row = asked(person)
    final = {TopUp.State.CONFIRMED, TopUp.State.FAILED}
    entry = {TopUp.State.CONFIRMED: uuid4()}
    TopUp.objects.filter(id=row.id).update(
        state=state, ended_at=NOON if state in final else None, entry_id=entry.get(state)
    )
    moved = top_ups.move(row.id, to, ended_at=NOON if to in final else None, entry_id=entry.get(to))
    assert moved == (to in top_ups.MOVES[state])
    assert state_of(row) == (to if moved else state)


def test_the_same_key_is_one_top_up(db: None) -> None:
    person = a_payer("0")
    first = asked(person, key="k")
    with nothing_changes():
        assert asked(person, key="k").id == first.id
        with pytest.raises(IdempotencyKeyReused):
            asked(person, "100.01", key="k")


def test_a_dry_run_gives_the_figures_and_leaves_nothing(db: None) -> None:
    person = a_payer("0")
    with nothing_changes():
        dry = top_ups.top_up(owner_id=person.pk, amount=Decimal(100), currency="CNY", key="k", dry_run=True)
    assert not IdempotencyKey.objects.exists()
    wet = top_ups.top_up(owner_id=person.pk, amount=Decimal(100), currency="CNY", key="k")
    assert (dry.account_id, dry.amount, dry.fee) == (wet.account_id, wet.amount, wet.fee)
    assert not TopUp.objects.filter(id=dry.top_up_id).exists()


def test_refusals_change_nothing(db: None) -> None:
    person = a_payer("0")
    change(policy="wallet.top_up.maximum", value={"CNY": "500.00"})
    with nothing_changes():
        with pytest.raises(WalletNotOpen):
            top_ups.top_up(owner_id=person.pk, amount=Decimal(1), currency="USD", key="a")
        with pytest.raises(LimitExceeded) as limited:
            asked(person, "500.01")
        for amount in ("0", "-1", "0.001", "NaN", "1e20"):
            with pytest.raises(InvalidAmount):
                asked(person, amount)
    assert (limited.value.limit, limited.value.remaining) == (Decimal("500.00"), Decimal("500.00"))
    assert limited.value.rule_version > 0
    asked(person, "500.00")


def test_without_a_bank_connection_nothing_is_asked_for_and_the_key_stays_free(
    db: None, settings: LazySettings
) -> None:
    person = a_payer("0")
    settings.TOP_UP_RAIL = "closed"
    with nothing_changes(), pytest.raises(Unavailable):
        asked(person, key="k")
    settings.TOP_UP_RAIL = "sandbox"
    asked(person, key="k")


def test_two_copies_of_a_message_at_once_credit_once(committed_db: object) -> None:
    person = a_payer("0")
    row = asked(person)
    answers = at_once([lambda: the_bank_says(row)] * 8)
    assert len({answer.id for answer in answers if isinstance(answer, BankCallback)}) == 1
    assert balance_of(person) == Decimal("100.00")
    assert_ledger_is_sound()


def test_different_messages_about_one_top_up_at_once_credit_once(committed_db: object) -> None:
    person = a_payer("0")
    row = asked(person)
    answers = at_once([partial(the_bank_says, row, reference=f"M{number}") for number in range(8)])
    outcomes = sorted(answer.outcome for answer in answers if isinstance(answer, BankCallback))
    assert outcomes == ["applied"] + ["repeated"] * 7
    assert balance_of(person) == Decimal("100.00")
    assert_ledger_is_sound()


def test_opening_a_wallet_again_gives_the_same_one(db: None) -> None:
    person = a_person()
    first = wallets.open_wallet(owner_id=person.pk, currency="CNY")
    assert wallets.open_wallet(owner_id=person.pk, currency="CNY").id == first.id
    assert wallets.open_wallet(owner_id=person.pk, currency="JPY").id != first.id
    with pytest.raises(InvalidAmount):
        wallets.open_wallet(owner_id=person.pk, currency="XXX")


def test_many_who_open_one_wallet_at_once_get_the_same(committed_db: object) -> None:
    person = a_person()
    answers = at_once([lambda: wallets.open_wallet(owner_id=person.pk, currency="CNY").id] * 10)
    assert {type(answer) for answer in answers} == {UUID}
    assert len(set(answers)) == 1
