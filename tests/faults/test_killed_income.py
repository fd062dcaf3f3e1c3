"""Workers killed with kill -9 in the middle of a fund's income: every holder is paid once, as if nothing had happened.

A gate, which is a trigger that waits for a lock of the test's, keeps the workers where they are to be killed: they have counted
or posted a batch and not committed it. What becomes of the ledger is compared, posting by posting, with what one process makes
of the same data when nobody disturbs it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction

from funds import catalogue, income, order_sets
from funds.flows import SUBSCRIPTION_PLACED
from funds.models import Fund, FundOrder
from superapp import clock, policies
from superapp.ids import uuid7
from superapp.models import Run, RunBatch
from tests import factories
from tests.databases import TestDatabase, cloned
from tests.funds import scenes
from tests.many import at_once
from tests.site import Site, a_site
from tests.waiting import wait_until
from wallet import accounts, flows
from wallet.ledger import Leg, Plan, post
from wallet.models import Account, Posting

HOLDERS, BATCH = 20_000, 1_000
LEAVERS, LEAVERS_CASH = 3, "1000.07"
GATE = 0x6A7E
"""Number of the advisory lock that keeps a gate shut."""

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

PEOPLE_SQL = """
    INSERT INTO superapp_user (id, phone, password, is_superuser, pending_phone, display_name, findable_by_phone, is_active,
                               is_staff)
    SELECT lpad(to_hex(n), 32, '0')::uuid, '+86137' || lpad(n::text, 8, '0'), '!', false, '', 'holder ' || n, true, true, false
    FROM generate_series(1, %(holders)s) n
"""
ACCOUNTS_SQL = """
    INSERT INTO wallet_account (id, owner_id, kind, asset_id, scope, slot, folded, balance, held, credit_limit, last_sequence,
                                closed, created_at)
    SELECT u.id, u.id, 'fund', %(shares)s, '', 0, false, 0, 0, 0, 0, false, %(now)s
    FROM superapp_user u WHERE u.display_name LIKE 'holder %%'
"""
# Each amount comes twice, so that equal fractions are decided by the account's id.
ORDERS_SQL = """
    INSERT INTO funds_fundorder (id, fund_id, owner_id, side, state, whole, amount, placed_at, trade_day, effective_day,
                                 cash_account_id, share_account_id, placed_entry_id)
    SELECT uuidv7(), %(fund)s, a.owner_id, 'subscribe', 'placed', false, 1 + (n * 7919 %% 15000) * 0.02, %(now)s,
           '2013-07-01', '2013-07-02', %(payer)s, a.id, %(entry)s
    FROM generate_series(1, %(holders)s) n JOIN wallet_account a ON a.id = lpad(to_hex(n), 32, '0')::uuid
    RETURNING amount
"""


def _a_fund_with_days_to_pay(figures: Mapping[str, str], *, holders: int = HOLDERS, batch: int = BATCH) -> Fund:
    """Shares that count from 2013-07-02; some holders have redeemed all, and left at the end of that day, before it is paid.

    Made the same each time, down to the ids of the accounts. The site's clock shows 01:00 when the last figure's day is over.
    """
    clock.start_at(scenes.at("2013-07-01"))
    fund = scenes.a_fund("2013-07-02")
    with scenes.on("2013-06-01"):
        policies.change(policy="funds.income_batch_accounts", value=batch)
    leavers = [scenes.a_saver(fund, LEAVERS_CASH, name=f"leaver {number}") for number in range(LEAVERS)]
    with scenes.on("2013-07-01"):
        _buy_for_many(fund, holders)
        for number, leaver in enumerate(leavers, start=holders + 1):
            asset = catalogue.share_asset(fund)
            Account.objects.create(id=UUID(int=number), owner=leaver, kind="fund", asset=asset, created_at=clock.now())
            scenes.buy(leaver, fund, LEAVERS_CASH)
    with scenes.on("2013-07-02", "10:30"):
        _sweep_orders()
        for leaver in leavers:
            scenes.sell(leaver, fund, None)
    with scenes.on("2013-07-03", "00:00"):
        _sweep_orders()
        scenes.publish(fund, figures)
    clock.travel(_morning_after(figures))
    return fund


def _morning_after(figures: Mapping[str, str]) -> datetime:
    return scenes.at(max(figures), "01:00") + timedelta(days=1)


def _buy_for_many(fund: Fund, holders: int) -> None:
    """What `subscribe` does for each holder, as a set: one payer pays for all."""
    payer = factories.a_payer("5000000.00", pin=None, display_name="payer")
    wallet = accounts.open_account(owner_id=payer.pk, kind=flows.WALLET, asset=catalogue.cash_asset(fund))
    entry = uuid7()
    params: dict[str, Any] = {
        "holders": holders,
        "shares": catalogue.share_asset(fund).id,
        "fund": fund.id,
        "payer": wallet.id,
        "entry": entry,
        "now": clock.now(),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PEOPLE_SQL, params)
        cursor.execute(ACCOUNTS_SQL, params)
        cursor.execute(ORDERS_SQL, params)
        paid = sum((row[0] for row in cursor.fetchall()), Decimal(0))
        waiting = accounts.system_account(flows.FUND_ORDERS, catalogue.cash_asset(fund), scope=fund.code)
        legs = [Leg(wallet.id, -paid), Leg(waiting, paid)]
        post(Plan(kind=SUBSCRIPTION_PLACED, subject=fund.id, legs=legs, entry_id=entry))


def _sweep_orders() -> None:
    while order_sets.confirm_due() or order_sets.leave_due() or order_sets.settle_with_manager():
        pass


@contextmanager
def _a_gate(database: TestDatabase, *, state: RunBatch.State) -> Iterator[psycopg.Connection[Any]]:
    """Until the end of the block batches from the middle of a run on come to that state, but not to their commit."""
    with psycopg.connect(database.url, autocommit=True) as keeper:
        keeper.execute("SELECT pg_advisory_lock(%s)", [GATE])
        keeper.execute(
            f"""
            CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
                BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END $$;
            CREATE TRIGGER gate BEFORE UPDATE OF state ON superapp_runbatch FOR EACH ROW
                WHEN (NEW.state = '{state.value}' AND NEW.position >= {HOLDERS // BATCH // 2}) EXECUTE FUNCTION wait_at_gate()
            """
        )
        yield keeper
        keeper.execute("SELECT pg_advisory_unlock(%s)", [GATE])
        keeper.execute("DROP TRIGGER gate ON superapp_runbatch; DROP FUNCTION wait_at_gate()")


def _kill_both_at_the_gate(site: Site, state: RunBatch.State) -> None:
    waiting = "SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s"
    with _a_gate(site.database, state=state) as keeper:
        site.start_worker("one", processes=1)
        site.start_worker("two", processes=1)
        wait_until(lambda: _one(keeper, waiting, GATE), 90, what=f"two batches about to be {state}")
        site.kill("one", "two")
    wait_until(lambda: _nobody_is_connected(site.database), what="the end of the killed workers' sessions")


def _kill_between_batches(site: Site) -> None:
    """The last batches are kept back, as if another worker held them, until all others are posted."""
    kept = HOLDERS // BATCH - 3
    with psycopg.connect(site.database.url) as keeper:
        keeper.execute("SELECT FROM superapp_runbatch WHERE position >= %s FOR UPDATE", [kept])
        site.start_worker("one", processes=2)
        wait_until(lambda: _batches(RunBatch.State.POSTED) == kept, 90, what="every batch but those kept back")
        site.kill("one")
    wait_until(lambda: _nobody_is_connected(site.database), what="the end of the killed workers' sessions")


def _one(session: "psycopg.Connection[Any]", statement: str, *values: object) -> Any:
    row = session.execute(statement, values).fetchone()
    assert row is not None
    return row[0]


def _nobody_is_connected(database: TestDatabase) -> bool:
    connection.close()
    others = "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(database.url, autocommit=True) as session:
        return bool(_one(session, f"{others} AND backend_type = 'client backend'"))


def _batches(*states: RunBatch.State) -> int:
    return RunBatch.objects.filter(state__in=states).count()


def _incomes() -> int:
    return Posting.objects.filter(subject__in=Run.objects.values("pk"), account__kind=flows.FUND.code).count()


def _undisturbed(figures: Mapping[str, str], **size: int) -> list[tuple[Any, ...]]:
    """What one process, alone, makes of the same data."""
    with cloned():
        fund = _a_fund_with_days_to_pay(figures, **size)
        clock.forget()
        scenes.pay_income()
        assert scenes.is_paid(fund, max(figures))
        dump = scenes.canonical_dump()
    clock.forget()
    return dump


def _ended_as(undisturbed: list[tuple[Any, ...]]) -> None:
    """The ledger is as if nothing had happened, is sound, and stays so when everything is tried again."""
    dump = scenes.canonical_dump()
    assert next((pair for pair in zip_longest(dump, undisturbed) if pair[0] != pair[1]), None) is None
    scenes.nothing_is_wrong()
    clock.forget()
    scenes.pay_income()
    assert Posting.objects.count() == len(dump)


def test_workers_killed_while_counting_posting_and_between_batches_pay_everyone_once(
    committed_db: TestDatabase, tmp_path: Path
) -> None:
    figures = {"2013-07-02": "1.5461"}
    fund = _a_fund_with_days_to_pay(figures)
    half = HOLDERS // BATCH // 2

    with a_site(committed_db, tmp_path) as site:
        site.start_beat()
        _kill_both_at_the_gate(site, RunBatch.State.COUNTED)
        # A worker counts several batches in one transaction: those beside one that lies behind the gate are not counted.
        assert 0 < _batches(RunBatch.State.COUNTED) <= half
        _kill_both_at_the_gate(site, RunBatch.State.POSTED)
        assert _batches(RunBatch.State.POSTED) == half
        assert 0 < _incomes() <= half * BATCH
        _kill_between_batches(site)
        assert not scenes.is_paid(fund, "2013-07-02")
        site.start_worker("one", processes=2)
        wait_until(lambda: scenes.is_paid(fund, "2013-07-02"), 90, what="the income of the day")
        said = site.log("one") + site.log("two")

    assert Run.objects.count() == 1
    assert FundOrder.objects.filter(follows__isnull=False).count() == LEAVERS
    _ended_as(_undisturbed(figures))
    assert not re.search("Traceback", said)


def test_three_days_missed_are_caught_up_once_by_two_beats_and_many_starters(
    committed_db: TestDatabase, tmp_path: Path
) -> None:
    figures = {"2013-07-02": "1.5461", "2013-07-03": "1.4670", "2013-07-04": "-0.3223"}
    size = {"holders": 3_000, "batch": 400}
    fund = _a_fund_with_days_to_pay(figures, **size)

    with a_site(committed_db, tmp_path) as site:
        site.start_beat()
        site.start_beat("second beat")
        site.start_worker("one", processes=2)
        clock.forget()
        started = at_once([income.open_due_runs] * 4)
        wait_until(lambda: scenes.is_paid(fund, "2013-07-04"), 90, what="the income of the last day")
        said = site.log("one") + site.log("beat") + site.log("second beat")

    assert not [one for one in started if isinstance(one, Exception)]
    assert list(Run.objects.order_by("day").values_list("day", "revision", "state")) == [
        (date.fromisoformat(day), 0, "closed") for day in figures
    ]
    _ended_as(_undisturbed(figures, **size))
    assert not re.search("Traceback", said)
