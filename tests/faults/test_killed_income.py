"""Workers, or PostgreSQL, killed with kill -9 in the middle of a fund's income: all are paid once, as if nothing had happened.

A gate (`tests.faults.gate`) keeps the workers where they are to be killed: they have counted or posted a batch and not
committed it. What becomes of the ledger is compared, posting by posting, with what one process makes of the same data when
nobody disturbs it.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from config.engines import Home, lifetime
from config.engines.lifetime import Needed
from funds import catalogue, income, order_sets
from funds.flows import SUBSCRIPTION_PLACED
from funds.models import Fund, FundOrder
from superapp import clock, policies
from superapp.ids import uuid7
from superapp.models import Run, RunBatch
from tests import factories
from tests.databases import TestDatabase, cloned, led_to
from tests.faults import gate
from tests.funds import scenes
from tests.many import at_once
from tests.site import Site, a_site
from tests.waiting import PATIENCE_SECONDS, wait_until
from wallet import accounts, flows
from wallet.ledger import Leg, Plan, post
from wallet.models import Account, Posting

HOLDERS, BATCH = 2_000, 100
HALF = HOLDERS // BATCH // 2
ONE_DAY = {"2013-07-02": "1.5461"}
POSTGRES = Needed(postgres=True, valkey=False)
LEAVERS, LEAVERS_CASH = 3, "1000.07"

pytestmark = pytest.mark.processes

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
# Many an amount comes twice, so that equal fractions are decided by the account's id.
ORDERS_SQL = """
    INSERT INTO funds_fundorder (id, fund_id, owner_id, side, state, whole, amount, placed_at, trade_day, effective_day,
                                 cash_account_id, share_account_id, placed_entry_id)
    SELECT uuidv7(), %(fund)s, a.owner_id, 'subscribe', 'placed', false, 1 + (n * 7919 %% (%(holders)s * 3 / 4)) * 0.02,
           %(now)s, '2013-07-01', '2013-07-02', %(payer)s, a.id, %(entry)s
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


def _middle(state: RunBatch.State) -> str:
    """A gate for batches from the middle of the run on: they come to that state, but not to their commit."""
    return (
        "BEFORE UPDATE OF state ON superapp_runbatch FOR EACH ROW"
        f" WHEN (NEW.state = '{state.value}' AND NEW.position >= {HALF})"
    )


def _kill_between_batches(site: Site) -> None:
    """The last batches are kept back, as if another worker held them, until all others are posted."""
    kept = HOLDERS // BATCH - 3
    with psycopg.connect(site.database.url) as keeper:
        keeper.execute("SELECT FROM superapp_runbatch WHERE position >= %s FOR UPDATE", [kept])
        site.start_worker("one", processes=2)
        wait_until(lambda: _batches(RunBatch.State.POSTED) == kept, what="every batch but those kept back")
        site.kill("one")
    gate.wait_until_gone(site.database)


def _batches(*states: RunBatch.State) -> int:
    return RunBatch.objects.filter(state__in=states).count()


def _incomes() -> int:
    return Posting.objects.filter(subject__in=Run.objects.values("pk"), account__kind=flows.FUND.code).count()


_of_one_process: dict[str, list[tuple[Any, ...]]] = {}


def _undisturbed(figures: Mapping[str, str], **size: int) -> list[tuple[Any, ...]]:
    """What one process, alone, makes of the same data; made once for all tests of the same."""
    asked = repr((figures, size))
    if asked not in _of_one_process:
        _of_one_process[asked] = _make_undisturbed(figures, **size)
    return _of_one_process[asked]


def _make_undisturbed(figures: Mapping[str, str], **size: int) -> list[tuple[Any, ...]]:
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
    fund = _a_fund_with_days_to_pay(ONE_DAY)

    with a_site(committed_db, tmp_path) as site:
        site.start_beat()
        gate.kill_two_workers_at(site, _middle(RunBatch.State.COUNTED))
        # A worker counts several batches in one transaction: those beside one that lies behind the gate are not counted.
        assert 0 < _batches(RunBatch.State.COUNTED) <= HALF
        gate.kill_two_workers_at(site, _middle(RunBatch.State.POSTED))
        assert _batches(RunBatch.State.POSTED) == HALF
        assert 0 < _incomes() <= HALF * BATCH
        _kill_between_batches(site)
        assert not scenes.is_paid(fund, "2013-07-02")
        site.start_worker("one", processes=2)
        wait_until(lambda: scenes.is_paid(fund, "2013-07-02"), what="the income of the day")
        said = site.log("one") + site.log("two")

    assert Run.objects.count() == 1
    assert FundOrder.objects.filter(follows__isnull=False).count() == LEAVERS
    _ended_as(_undisturbed(ONE_DAY))
    assert not re.search("Traceback", said)


@pytest.fixture
def own_postgres(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Home]:
    """A PostgreSQL that nobody else uses, migrated; this process's default connection leads there."""
    folder = Path(tempfile.mkdtemp(prefix="income-"))
    folder.chmod(0o755)
    home = Home(folder / "l")
    try:
        lifetime.ensure_running(home, POSTGRES)
        with django_db_blocker.unblock(), led_to(home.database_url()):
            call_command("migrate", verbosity=0, interactive=False)
            yield home
    finally:
        lifetime.stop(home)
        lifetime.leave(home)
        shutil.rmtree(folder, ignore_errors=True)


def _kill_postgres(home: Home) -> None:
    postmaster = psutil.Process(int((home.data / "postmaster.pid").read_text().split()[0]))
    postmaster.kill()
    postmaster.wait(PATIENCE_SECONDS)
    connection.close()


def test_postgres_killed_while_its_workers_count_and_while_they_post_pays_everyone_once(
    own_postgres: Home, tmp_path: Path
) -> None:
    fund = _a_fund_with_days_to_pay(ONE_DAY)
    database = TestDatabase(name="superapp", url=own_postgres.database_url())

    with a_site(database, tmp_path) as site:
        site.start_beat()
        with gate.two_workers_at(site, _middle(RunBatch.State.COUNTED)) as keeper:
            site.kill("one", "two")
            _kill_postgres(own_postgres)
            keeper.close()
        lifetime.ensure_running(own_postgres, POSTGRES)
        gate.remove(database)
        assert 0 < _batches(RunBatch.State.COUNTED) <= HALF
        with gate.two_workers_at(site, _middle(RunBatch.State.POSTED)) as keeper:
            assert _batches(RunBatch.State.POSTED) == HALF
            _kill_postgres(own_postgres)
            keeper.close()
        lifetime.ensure_running(own_postgres, POSTGRES)  # and the workers go on by themselves
        wait_until(lambda: scenes.is_paid(fund, "2013-07-02"), what="the income of the day")
        assert [site.processes[name].poll() for name in ("one", "two")] == [None, None]
        gate.remove(database)

    assert Run.objects.count() == 1
    with led_to(None):
        undisturbed = _undisturbed(ONE_DAY)
    _ended_as(undisturbed)


def test_three_days_missed_are_caught_up_once_by_two_beats_and_many_starters(
    committed_db: TestDatabase, tmp_path: Path
) -> None:
    figures = {"2013-07-02": "1.5461", "2013-07-03": "1.4670", "2013-07-04": "-0.3223"}
    size = {"holders": 1_500, "batch": 200}
    fund = _a_fund_with_days_to_pay(figures, **size)

    with a_site(committed_db, tmp_path) as site:
        site.start_beat()
        site.start_beat("second beat")
        site.start_worker("one", processes=2)
        clock.forget()
        started = at_once([income.open_due_runs] * 4)
        wait_until(lambda: scenes.is_paid(fund, "2013-07-04"), what="the income of the last day")
        said = site.log("one") + site.log("beat") + site.log("second beat")

    assert not [one for one in started if isinstance(one, Exception)]
    assert list(Run.objects.order_by("day").values_list("day", "revision", "state")) == [
        (date.fromisoformat(day), 0, "closed") for day in figures
    ]
    _ended_as(_undisturbed(figures, **size))
    assert not re.search("Traceback", said)
