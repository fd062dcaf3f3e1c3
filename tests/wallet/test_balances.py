"""Both times: what was known stays known, whatever is back-dated later, and as of now is the balance (I19)."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superapp import clock
from tests.interleaving import actors
from tests.waiting import wait_until
from tests.wallet.ledger_world import World, a_ledger, balance, faults
from wallet import folding, ledger
from wallet.balances import CLOCKS_AGREE_WITHIN, BalanceAsOf, as_of, balance_as_of, balance_of
from wallet.ledger import Plan
from wallet.models import FoldCheckpoint, JournalEntry

NOON = datetime(2030, 3, 1, 12, 0, tzinfo=clock.business_zone())
MINUTE = timedelta(minutes=1)

minutes = st.integers(min_value=0, max_value=120)
moves = st.lists(st.tuples(minutes, minutes, st.integers(min_value=1, max_value=500)), min_size=1, max_size=8)


def _after_everything() -> datetime:
    return (JournalEntry.objects.aggregate(last=Max("recorded_at"))["last"] or NOON) + MINUTE


def _send_back_dated(world: World, amount: Decimal, effective_at: datetime) -> None:
    plan = world.sending(0, str(amount))
    with transaction.atomic():
        ledger.post(Plan(kind=plan.kind, subject=plan.subject, legs=plan.legs, effective_at=effective_at))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=moves)
def test_back_dating_never_changes_what_was_called_final(committed_db: None, moves: list[tuple[int, int, int]]) -> None:
    # Every example goes on where the last one ended: they share a ledger, and its system accounts.
    begin = now = _after_everything()
    with clock.stopped_at(begin):
        world = a_ledger(balances=["100.00"])
        folding.fold()
    told: list[tuple[UUID, BalanceAsOf]] = []
    for wait, back, cents in moves:
        now += wait * MINUTE
        with clock.stopped_at(now):
            _send_back_dated(world, Decimal(cents) / 100, now - back * MINUTE)
        with clock.stopped_at(now + CLOCKS_AGREE_WITHIN):
            for account in (world.wallets[0], world.in_transit):
                told += [
                    (account, as_of(account, effective=effective, recorded=recorded))
                    for effective in (None, begin, now - back * MINUTE, now)
                    for recorded in (begin, now)
                ]
                assert (
                    as_of(account).balance == as_of(account, effective=now, recorded=now).balance == balance_of(account)
                )
            folding.fold()

    for account, before in told:
        if before.is_final:
            again = balance_as_of(account, effective=before.effective, recorded=before.recorded)
            assert again == before.balance
    assert faults() == []


def test_an_answer_is_not_called_final_while_somebody_may_still_change_it(committed_db: None) -> None:
    """Recorded at noon, committed after the question: the answer was not final, and says so; later it is."""
    before = NOON - MINUTE
    with clock.stopped_at(before):
        world = a_ledger(balances=["100.00"])
    wallet = world.wallets[0]

    def asked(at: datetime, *, recorded: datetime = NOON) -> BalanceAsOf:
        with clock.stopped_at(at):
            return as_of(wallet, recorded=recorded)

    def fold(at: datetime) -> None:
        with clock.stopped_at(at):
            folding.fold()

    def send() -> None:
        with clock.stopped_at(NOON):
            world.send(0, "10.00")

    def known_for_good(at: datetime) -> bool:
        fold(at)
        return asked(at, recorded=before).is_final

    # Other databases of the server have transactions too: what is recorded is known once those of now have ended.
    wait_until(lambda: known_for_good(NOON), what="the top-up being known for good")
    with actors(1) as (sender,):
        sender.begin(send, stop_after="INSERT INTO wallet_journalentry")
        in_flight = asked(NOON + MINUTE)
        fold(NOON + MINUTE)
        fold(NOON + 2 * MINUTE)
        assert (in_flight.balance, in_flight.is_final) == (Decimal(100), False)
        assert not asked(NOON + 3 * MINUTE).is_final
        sender.go_on()
        sender.answer()

    def payment_known() -> bool:
        fold(NOON + 3 * MINUTE)
        return asked(NOON + 3 * MINUTE).is_final

    wait_until(payment_known, what="the payment being known for good")
    assert asked(NOON + 3 * MINUTE).balance == Decimal(90) == balance(wallet)
    assert asked(NOON + 3 * MINUTE, recorded=before).balance == Decimal(100)


def test_folds_move_along_until_when_all_is_known(committed_db: None) -> None:
    def known_until() -> datetime | None:
        return FoldCheckpoint.objects.get().known_until

    with clock.stopped_at(NOON):
        folding.fold()
    assert known_until() is None

    def folded_at(at: datetime) -> bool:
        with clock.stopped_at(at):
            folding.fold()
        return known_until() is not None

    wait_until(lambda: folded_at(NOON + MINUTE), what="the first pair being known")
    assert known_until() == NOON - CLOCKS_AGREE_WITHIN
