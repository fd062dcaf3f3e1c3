"""The whole path, as two people with phones walk it: over HTTP, against real web, worker and beat processes."""

import json
from datetime import date, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from django.core.management import call_command

from superapp import clock
from superapp.models import Run
from tests.databases import TestDatabase
from tests.site import Client, a_site
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

SHANGHAI = ZoneInfo("Asia/Shanghai")
PIN = "730519"

# F08: 10,000.00 bought on Tuesday 2013-07-02 before the cut-off; what Yu'e Bao paid from 07-03 on.
DAILY_INCOME = ["1.46", "1.42", "1.38", "1.36", "1.36", "1.31", "1.31", "1.28", "1.26", "1.25"]

HOLDING = "{ viewer { holdings { fund { code } shares { amount } pending { amount } totalIncome { amount } } } }"
WALLET = "{ viewer { wallets { currency available { amount } pending { amount } } } }"
INCOME = """query ($from: Date!, $to: Date!) {
  viewer { income(fund: "HARVEST", from: $from, to: $to) { day amount { amount } } } }"""
ACTIVITY = (
    """{ viewer { activity(first: 50) { edges { node { kind amount asset note counterparty { displayName } } } } } }"""
)


def _yuan(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


def _available(client: Client) -> str:
    [wallet] = client.ask(WALLET)["viewer"]["wallets"]
    available: str = wallet["available"]["amount"]
    return available


def _shares(client: Client) -> str:
    holdings = client.ask(HOLDING)["viewer"]["holdings"]
    return str(holdings[0]["shares"]["amount"]) if holdings else "0.00"


def _kinds(client: Client) -> list[str]:
    return [edge["node"]["kind"] for edge in client.ask(ACTIVITY)["viewer"]["activity"]["edges"]]


def _move_clock(*instant: int) -> None:
    """Moves the clock and runs nothing: what falls due is left to the workers."""
    clock.travel(datetime(*instant, tzinfo=SHANGHAI))  # type: ignore[misc, arg-type]


def _paid_through() -> date | None:
    run = Run.objects.filter(kind="fund_income", scope="HARVEST", state=Run.State.CLOSED).order_by("-day").first()
    return run.day if run else None


def _a_person_with_money(client: Client, *, phone: str, name: str, handle: str, top_up: str) -> None:
    client.sign_up(phone=phone, name=name, handle=handle)
    client.do("openWallet", "wallet { currency }", currency="CNY")
    assert client.do("setPaymentPin", "hasPaymentPin", pin=PIN)["__typename"] == "SetPaymentPinSuccess"
    client.do("topUp", "topUp { state }", amount=_yuan(top_up), idempotencyKey=str(uuid4()))
    wait_until(lambda: _available(client) == top_up, what="the bank's answer")


def test_two_people_sign_up_pay_each_other_and_earn_in_a_fund(committed_db: TestDatabase, tmp_path: Path) -> None:
    with a_site(committed_db, tmp_path) as site:
        call_command("seed", stdout=StringIO())
        site.begin_web()
        site.start_worker()
        site.start_beat()
        site.wait_for_web()
        wait_until(lambda: httpx.get(f"{site.url}/readyz", timeout=60).is_success, what="/readyz")

        # Two people, each with a wallet, a PIN and money from the bank.
        ann, ben = Client(site), Client(site)
        _a_person_with_money(ann, phone="+8613912345001", name="Ann", handle="ann", top_up="20000.00")
        _a_person_with_money(ben, phone="+8613912345002", name="Ben", handle="ben", top_up="100.00")

        # Money from one to the other: asked first what it would do, then done, then asked again with the same key.
        key = str(uuid4())
        asked = {"to": {"handle": "ben"}, "amount": _yuan("123.45"), "note": "Rent", "pin": PIN, "idempotencyKey": key}
        dry = ann.do("sendMoney", "transfer { id } amount { amount } fee { amount } arrival", **asked, dryRun=True)
        assert (dry["transfer"], dry["amount"]["amount"], dry["fee"]["amount"]) == (None, "123.45", "0.00")
        assert _available(ann) == "20000.00"
        sent = ann.do("sendMoney", "transfer { id } amount { amount }", **asked)
        again = ann.do("sendMoney", "transfer { id } amount { amount }", **asked)
        assert sent == again
        assert _available(ann) == "19876.55"
        wait_until(lambda: _available(ben) == "223.45", what="the settlement worker")
        assert "TRANSFER_SETTLED" in _kinds(ben)
        other = ann.do("sendMoney", "transfer { id }", **{**asked, "amount": _yuan("123.46")})
        assert other["code"] == "IDEMPOTENCY_KEY_REUSED"
        poor = ben.do("sendMoney", "transfer { id }", **{**asked, "to": {"handle": "ann"}, "amount": _yuan("223.46")})
        assert poor["code"] == "INSUFFICIENT_FUNDS"

        # 10,000.00 into the fund on Tuesday at 10:00; the worker confirms on Wednesday, and pays Wednesday on Thursday.
        _move_clock(2013, 7, 2, 10, 0)
        order = {"fund": "HARVEST", "amount": _yuan("10000.00")}
        refused = ann.do("subscribeFund", "order { id }", **order, idempotencyKey=str(uuid4()))
        assert refused["code"] == "TERMS_NOT_ACCEPTED"
        ann.do("acceptFundTerms", "terms { version }", fund="HARVEST", version=1)
        bought = ann.do("subscribeFund", "tradeDay firstIncomeDay", **order, idempotencyKey=str(uuid4()))
        assert (bought["tradeDay"], bought["firstIncomeDay"]) == ("2013-07-02", "2013-07-03")
        assert (_available(ann), _shares(ann)) == ("9876.55", "0.00")
        _move_clock(2013, 7, 3, 0, 1)
        wait_until(lambda: _shares(ann) == "10000.00", what="the confirmation by a worker")
        _move_clock(2013, 7, 4, 0, 1)
        wait_until(lambda: _shares(ann) == "10001.46", what="the first day's income by a worker")

        # The rest of the ten days, with the workers still about; then all of it is given back.
        call_command("travel", to="2013-07-13", patience=600.0, stdout=StringIO())
        points = ann.ask(INCOME, **{"from": "2013-07-01", "to": "2013-07-12"})["viewer"]["income"]
        assert [
            (point["day"], point["amount"]["amount"]) for point in points if point["amount"]["amount"] != "0.00"
        ] == [(f"2013-07-{day:02}", income) for day, income in enumerate(DAILY_INCOME, start=3)]
        assert _shares(ann) == "10013.39"
        out = ann.do(
            "redeemFund", "tradeDay leaveDay lastIncomeDay", fund="HARVEST", all=True, idempotencyKey=str(uuid4())
        )
        assert (out["tradeDay"], out["leaveDay"], out["lastIncomeDay"]) == ("2013-07-15", "2013-07-16", "2013-07-15")
        call_command("travel", to="2013-07-16T12:00", patience=600.0, stdout=StringIO())

        # Every cent is back in the wallet, with the income of the last days, and the ledger agrees with itself.
        income = sum(
            Decimal(point["amount"]["amount"])
            for point in ann.ask(INCOME, **{"from": "2013-07-01", "to": "2013-07-16"})["viewer"]["income"]
        )
        assert income > Decimal("13.39")
        wait_until(lambda: Decimal(_available(ann)) == Decimal("19876.55") + income, what="the cash in the wallet")
        assert _shares(ann) == "0.00"
        assert _paid_through() == date(2013, 7, 15)
        said = StringIO()
        call_command("verify_ledger", "--json", stdout=said)
        checked = json.loads(said.getvalue())
        assert (checked["ok"], checked["findings"]) == (True, [])
        for name in ("web", "worker", "beat"):
            assert "Traceback" not in site.log(name)
            assert PIN not in site.log(name)
