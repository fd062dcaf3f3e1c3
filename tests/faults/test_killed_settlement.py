"""Workers killed with kill -9 in the middle of a settlement, a set written but not committed: everyone is credited once."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection, transaction

from payments.flows import TRANSFER_SENT
from payments.models import Thread, Transfer
from payments.settlement import BATCH
from superapp import clock
from superapp.models import User
from tests.databases import TestDatabase
from tests.factories import a_payer
from tests.faults import gate
from tests.site import a_site
from tests.waiting import wait_until
from wallet import accounts, flows
from wallet.ledger_sets import post_set
from wallet.models import Account
from wallet.verification import verify

RECIPIENTS, TRANSFERS = 400, 2 * BATCH + 4_000
"""A set for each of two workers, and some more."""

A_SET_IS_WRITTEN = "AFTER INSERT ON wallet_posting FOR EACH STATEMENT"
FIRST_SETS = f"(SELECT count(*) FROM payments_transfer WHERE state = 'settled') <= {BATCH}"
"""Sets are let through until one has been committed: a worker sees its own besides."""

pytestmark = pytest.mark.processes


def _authorise_many(sender: User) -> None:
    """What `sendMoney` does for each of many transfers, as one set: the debit and the row that waits."""
    asset = accounts.currency_asset("CNY")
    people = User.objects.bulk_create([User(phone=f"+86137{n:08d}", password="!") for n in range(RECIPIENTS)])
    Account.objects.bulk_create(
        [Account(owner=who, kind=flows.WALLET.code, asset=asset, created_at=clock.now()) for who in people]
    )
    sender_account = accounts.open_account(owner_id=sender.pk, kind=flows.WALLET, asset=asset)
    pairs = [sorted([sender.pk, who.pk]) for who in people]
    threads = Thread.objects.bulk_create(
        [Thread(low_id=low, high_id=high, created_at=clock.now()) for low, high in pairs]
    )
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE asked (id uuid, place bigint) ON COMMIT DROP")
            cursor.execute("INSERT INTO asked SELECT uuidv7(), n FROM generate_series(1, %s) n", [TRANSFERS])
        post_set(
            kind=TRANSFER_SENT,
            legs="SELECT id AS item, 2 * place AS position, %(sender)s::uuid AS account_id, -0.01 AS amount, id AS subject "
            "FROM asked UNION ALL SELECT id, 2 * place + 1, %(transit)s::uuid, 0.01, id FROM asked",
            params={
                "sender": sender_account.id,
                "transit": accounts.system_account(flows.IN_TRANSIT, asset),
                "sender_person": sender.pk,
                "recipients": [who.pk for who in people],
                "threads": [thread.pk for thread in threads],
                "now": clock.now(),
            },
            then=[
                """
                INSERT INTO payments_transfer (id, thread_id, sender_id, recipient_id, sender_account_id,
                    recipient_account_id, amount, currency, note, state, return_reason, authorised_at, due_at, sent_entry_id)
                SELECT k.id, r.thread, %(sender_person)s, a.owner_id, %(sender)s, a.id, 0.01, 'CNY', '', 'authorised', '',
                       %(now)s, %(now)s, p.entry_id
                FROM asked k JOIN posted p ON p.item = k.id
                JOIN unnest(%(recipients)s::uuid[], %(threads)s::uuid[]) WITH ORDINALITY AS r (person, thread, place)
                    ON r.place = 1 + k.place %% cardinality(%(recipients)s::uuid[])
                JOIN wallet_account a ON a.owner_id = r.person AND a.kind = 'wallet'
                """
            ],
        )


def _settled() -> int:
    return Transfer.objects.filter(state=Transfer.State.SETTLED).count()


def test_workers_killed_in_the_middle_of_settlement_credit_everyone_once(
    committed_db: TestDatabase, tmp_path: Path
) -> None:
    sender = a_payer(str(TRANSFERS / 100))
    _authorise_many(sender)

    with a_site(committed_db, tmp_path) as site:
        site.start_beat()
        gate.kill_two_workers_at(site, A_SET_IS_WRITTEN)
        assert _settled() == 0, "both had written a set, and none was committed"
        gate.kill_two_workers_at(site, A_SET_IS_WRITTEN, waiting=1, lets_through=FIRST_SETS)
        assert 0 < _settled() < TRANSFERS
        site.start_worker("one", processes=1)
        site.start_worker("two", processes=1)
        wait_until(lambda: _settled() == TRANSFERS, what="everything settled")

    each = Decimal(TRANSFERS // RECIPIENTS) / 100
    wallets = Account.objects.filter(kind="wallet").exclude(owner=sender)
    assert set(wallets.values_list("balance", "last_sequence")) == {(each, TRANSFERS // RECIPIENTS)}
    assert [found for found in verify().values() if found] == []
    assert not re.search("Traceback", site.log("one") + site.log("two"))
