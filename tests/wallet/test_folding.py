from decimal import Decimal
from uuid import UUID

import psycopg
from django.db import connection

from tests.waiting import wait_until
from tests.wallet.ledger_world import a_ledger, faults
from wallet.balances import balance_of
from wallet.folding import fold
from wallet.models import Account


def _fold_until(account: UUID, checkpoint: str) -> None:
    """Folds until the account's checkpoint has come there: other transactions of the server may hold the horizon back."""

    def folded() -> bool:
        fold()
        return Account.objects.get(id=account).balance == Decimal(checkpoint)

    wait_until(folded, what=f"a checkpoint of {checkpoint}")


def test_folding_moves_the_checkpoint_and_not_the_balance(committed_db: None) -> None:
    world = a_ledger(balances=["100.00", "50.00"])
    world.send(0, "30.00")

    _fold_until(world.bank, "-150")

    _fold_until(world.in_transit, "30")
    assert (balance_of(world.bank), balance_of(world.in_transit)) == (Decimal(-150), Decimal(30))
    world.send(1, "5.00")
    assert Account.objects.get(id=world.in_transit).balance == Decimal(30)
    assert balance_of(world.in_transit) == Decimal(35)
    assert faults() == []


def test_folding_again_changes_nothing(committed_db: None) -> None:
    world = a_ledger(balances=["100.00"])
    _fold_until(world.bank, "-100")

    assert fold() == 0
    assert faults() == []


def test_what_commits_after_a_fold_but_began_before_it_is_not_lost(committed_db: None) -> None:
    world = a_ledger(balances=["100.00", "100.00"])
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    with psycopg.connect(**parameters) as late:
        late.execute("SELECT pg_current_xact_id()")
        late.execute(
            """
            WITH e AS (
                INSERT INTO wallet_journalentry (id, kind, subject, effective_at, recorded_at, tx)
                VALUES (uuidv7(), 'transfer_sent', uuidv7(), now(), now(), pg_current_xact_id()::text::bigint) RETURNING *
            ), a AS (
                UPDATE wallet_account
                SET balance = balance - 7, last_sequence = 2, last_recorded_at = greatest(now(), last_recorded_at)
                WHERE id = %(wallet)s RETURNING asset_id
            ), used AS (
                INSERT INTO wallet_usage (account_id, usage_class, day, amount, count)
                VALUES (%(wallet)s, 'transfer', (now() AT TIME ZONE 'Asia/Shanghai')::date, 7, 1)
            )
            INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject,
                                        effective_at, recorded_at, tx)
            SELECT l.account, l.sequence, e.id, a.asset_id, l.amount, l.after, e.subject, e.effective_at, e.recorded_at, e.tx
            FROM e, a, (VALUES (%(wallet)s::uuid, 2, -7, 93), (%(transit)s::uuid, nextval('wallet_folded_sequence'), 7, NULL))
                       AS l (account, sequence, amount, after)
            """,
            {"wallet": world.wallets[0], "transit": world.in_transit},
        )
        world.send(1, "10.00")
        fold()
        late.commit()

    assert balance_of(world.in_transit) == Decimal(17)
    _fold_until(world.in_transit, "17")
    assert faults() == []
