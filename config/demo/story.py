"""The story: Lin pays Wei, buys a fund, earns on it for ten days, and every cent can be found in the ledger.

What people do goes over HTTP. What the ledger did is read from the journal afterwards, entry by entry. Time passes as in any
sandbox: it is lived through, and the workers do what falls due.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from config import sandbox_world
from config.demo.front_end import FrontEnd, done, money, new_key
from config.demo.stage import Stage, amount
from superapp import clock
from superapp.travel import travel
from wallet import verification
from wallet.flows import entry_kind
from wallet.journal import postings_of_entry
from wallet.models import JournalEntry, Posting
from wallet.trial_balance import trial_balance

FUND = "HARVEST"
BOUGHT_AT = datetime(2013, 7, 2, 10, 0, tzinfo=clock.business_zone())
SOLD_AT = datetime(2013, 7, 13, 9, 0, tzinfo=clock.business_zone())
SETTLED_WITHIN_SECONDS = 90


class NotSettled(Exception):
    """A transfer is still on its way after a time in which any worker would have come by."""


class Story:
    """Tells it once, to the end; raises what went wrong."""

    def __init__(self, url: str, stage: Stage) -> None:
        self.url = url
        self.stage = stage
        self.told: set[UUID] = set(JournalEntry.objects.values_list("id", flat=True))

    def tell(self) -> bool:
        """The whole story; whether every invariant of the ledger held in the end."""
        with self._people() as (lin, wei, mei):
            self._what_they_have(lin, wei, mei)
            self._a_transfer(lin, wei)
            self._a_refusal(mei)
            self._a_purchase(lin)
            self._ten_days(lin)
            self._money_back(lin)
        return self._the_books()

    @contextmanager
    def _people(self) -> Iterator[list[FrontEnd]]:
        people = [
            FrontEnd(self.url, name=each.name, phone=each.phone, password=sandbox_world.PASSWORD)
            for each in sandbox_world.PEOPLE
        ]
        try:
            yield people
        finally:
            for person in people:
                person.close()

    def _what_they_have(self, *people: FrontEnd) -> None:
        self.stage.act("Three people with a wallet")
        self.stage.tell(f"It is {_here():%A, %-d %B %Y, %H:%M} in Shanghai. What the app shows each of them:")
        rows = []
        for person in people:
            for wallet in person.example("03-wallets")["viewer"]["wallets"]:
                parts = [wallet[part]["amount"] for part in ("balance", "available", "held", "pending")]
                rows.append((person.name, *(amount(Decimal(part)) for part in parts), wallet["balance"]["currency"]))
        self.stage.table(["", "balance", "available", "held", "pending", ""], rows, figures=(1, 2, 3, 4))

    def _a_transfer(self, lin: FrontEnd, wei: FrontEnd) -> None:
        self.stage.act("Lin pays Wei 88.00 for the tickets")
        wanted = {
            "to": {"handle": "wei"},
            "amount": money("88.00"),
            "note": "For the tickets",
            "pin": sandbox_world.PIN,
            "idempotencyKey": new_key(),
        }
        dry = done(lin.do("05-send-money", "sendMoney", **wanted, dryRun=True))
        self.stage.asked("Lin", "sendMoney(dryRun: true)", f"would arrive {dry['arrival']}, fee {dry['fee']['amount']}")
        sent = done(lin.do("05-send-money", "sendMoney", **wanted, dryRun=False))
        self.stage.asked("Lin", "sendMoney", f"{sent['__typename']}, arrival {sent['arrival']}")
        self.stage.tell("The answer comes when Lin's side is written; a worker hands the money to Wei a moment later:")
        transfer = sent["transfer"]["id"]
        state = _until_settled(lambda: lin.ask(STATE_OF_TRANSFER, id=transfer)["node"]["state"])
        self._what_the_ledger_did()
        again = done(lin.do("05-send-money", "sendMoney", **wanted, dryRun=False))
        same = "the same transfer" if again["transfer"]["id"] == transfer else "ANOTHER transfer"
        self.stage.asked("Lin", "sendMoney with the same key, as after a lost answer", f"{same}, now {state}")
        newest = wei.example("06-activity", first=1)["viewer"]["activity"]["edges"][0]["node"]
        payer = newest["counterparty"]["displayName"]
        self.stage.asked("Wei", "activity", f"+{newest['amount']} from {payer}: “{newest['note']}”")

    def _a_refusal(self, mei: FrontEnd) -> None:
        self.stage.act("Mei tries to spend what she has not got")
        refused = mei.do(
            "05-send-money",
            "sendMoney",
            to={"handle": "lin"},
            amount=money("900.00"),
            note="",
            pin=sandbox_world.PIN,
            idempotencyKey=new_key(),
            dryRun=False,
        )
        self.stage.asked("Mei", "sendMoney 900.00", f"{refused['code']}: {refused['message']}", refused=True)
        self._what_the_ledger_did()

    def _a_purchase(self, lin: FrontEnd) -> None:
        self.stage.act("Lin buys a money-market fund for 10,000.00")
        self._live_until(BOUGHT_AT)
        accepted = done(lin.do("08-accept-terms", "acceptFundTerms", fund=FUND, version=1))
        self.stage.asked("Lin", "acceptFundTerms", f"version {accepted['terms']['version']}")
        bought = done(
            lin.do("09-buy-fund", "subscribeFund", fund=FUND, amount=money("10000.00"), idempotencyKey=new_key())
        )
        self.stage.asked(
            "Lin", "subscribeFund", f"belongs to {bought['tradeDay']}, earns from {bought['firstIncomeDay']} on"
        )
        self._what_the_ledger_did()

    def _ten_days(self, lin: FrontEnd) -> None:
        self.stage.act("Ten days of income, as they were paid in July 2013")
        first, last = BOUGHT_AT.date() + timedelta(days=1), SOLD_AT.date() - timedelta(days=1)
        self._live_until(SOLD_AT)
        earned = lin.example("10-income", fund=FUND, **{"from": str(first), "to": str(last)})["viewer"]
        published = lin.ask(YIELDS_OF_FUND, code=FUND, **{"from": str(first), "to": str(last)})["fund"]["yields"]
        self._income(earned["income"], published)
        holding = earned["holdings"][0]
        self.stage.asked(
            "Lin",
            "holdings",
            f"{amount(Decimal(holding['value']['amount']))} CNY, {holding['totalIncome']['amount']} of it earned",
        )
        self.stage.tell("The entries of the last day; one entry holds every holder of a batch:")
        self._what_the_ledger_did(of_the_last=2)

    def _income(self, income: list[dict[str, Any]], published: list[dict[str, Any]]) -> None:
        paid = {each["day"]: Decimal(each["amount"]["amount"]) for each in income}
        value, rows = Decimal("10000.00"), []
        for each in published:
            value += paid[each["day"]]
            rows.append(
                (
                    f"{date.fromisoformat(each['day']):%a %d %b}",
                    each["incomePer10k"],
                    amount(paid[each["day"]]),
                    amount(value),
                    each["sevenDayYield"] or "",
                )
            )
        self.stage.table(
            ["day", "income of 10,000 shares", "Lin's income", "Lin's shares", "7-day yield, %"],
            rows,
            figures=(1, 2, 3, 4),
        )
        self.stage.chart("income of 10,000 shares", [Decimal(each["incomePer10k"]) for each in published])
        yields = [Decimal(each["sevenDayYield"]) for each in published if each["sevenDayYield"]]
        if yields:
            self.stage.chart("7-day yield, % a year ", yields)

    def _money_back(self, lin: FrontEnd) -> None:
        self.stage.act("Lin asks what giving 1,000.00 back would mean")
        dry = done(
            lin.do(
                "11-redeem-fund",
                "redeemFund",
                fund=FUND,
                amount=money("1000.00"),
                idempotencyKey=new_key(),
                dryRun=True,
            )
        )
        self.stage.asked(
            "Lin", "redeemFund(dryRun: true)", f"leaves on {dry['leaveDay']}, earns until {dry['lastIncomeDay']}"
        )

    def _the_books(self) -> bool:
        self.stage.act("Where every cent is")
        for asset in trial_balance().assets:
            self.stage.trial(asset)
        results = verification.verify()
        findings = [finding for found in results.values() for finding in found]
        self.stage.tell(
            f"verify_ledger: {len(results)} checks over {Posting.objects.count()} postings, "
            f"{len(findings) or 'no'} rows that break one."
        )
        for finding in findings:
            self.stage.tell(f"{finding.invariant} {finding.row}: {finding.fault}")
        return not findings

    def _live_until(self, instant: datetime) -> None:
        journey = travel(to=instant)
        self.stage.tell(
            f"Time passes until {instant:%A, %-d %B, %H:%M}: {journey.daily_jobs} daily jobs fall due and are done."
        )
        clock.forget()

    def _what_the_ledger_did(self, *, of_the_last: int | None = None) -> None:
        """The entries written since the last time, or the latest few of them."""
        new = JournalEntry.objects.exclude(id__in=self.told).order_by("tx", "id")
        entries = list(new)
        self.told.update(entry.pk for entry in entries)
        if not entries:
            self.stage.tell("The ledger: nothing was written.")
        for entry in entries[-of_the_last:] if of_the_last else entries:
            self.stage.tell(
                f"[dim]entry[/dim] [bold]{entry.kind}[/bold] [dim]{entry_kind(entry.kind).description}[/dim]"
            )
            self.stage.table(
                ["account", "amount", "balance after", ""],
                [_posting(posting) for posting in postings_of_entry(entry.pk, limit=6).postings],
                figures=(1, 2),
            )


STATE_OF_TRANSFER = "query StateOfTransfer($id: ID!) { node(id: $id) { ... on Transfer { state } } }"

YIELDS_OF_FUND = """
query YieldsOfFund($code: String!, $from: Date!, $to: Date!) {
  fund(code: $code) { yields(from: $from, to: $to) { day incomePer10k sevenDayYield } }
}
"""


def _posting(posting: Posting) -> tuple[str, str, str, str]:
    account = posting.account
    name = f"{account.owner.display_name}'s {account.kind}" if account.owner else account.kind
    after = "" if posting.balance_after is None else amount(posting.balance_after)
    return name, f"{posting.amount:+,.2f}", after, posting.asset.code


def _here() -> datetime:
    return clock.now().astimezone(clock.business_zone())


def _until_settled(state: Callable[[], str]) -> str:
    """Asks until the transfer has ended, as an app does that shows it. Raises NotSettled."""
    gives_up = time.monotonic() + SETTLED_WITHIN_SECONDS
    while (found := state()) not in {"SETTLED", "RETURNED"}:
        if time.monotonic() > gives_up:
            raise NotSettled(f"It is still {found} after {SETTLED_WITHIN_SECONDS} s.")
        time.sleep(0.05)
    return found
