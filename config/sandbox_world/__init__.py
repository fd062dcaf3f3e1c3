"""A small world for a new sandbox: two funds with real days ahead of them, three people with money, two operators.

Everything is done through the functions that the API calls, money included: it arrives over the sandbox rail and is
settled by the tasks that workers run. Each step is safe to repeat, so a seed that was interrupted is simply run again.
Sign-in names, passwords and the PIN below are no secrets: they exist in sandboxes alone, whose database production refuses.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings

from funds import catalogue, orders, yields
from funds.models import Fund, TermsAcceptance
from payments import transfers
from payments.models import Transfer
from payments.payees import Payee
from superapp import clock, people
from superapp.errors import NotFound
from superapp.models import IdempotencyKey, User
from superapp.travel import travel
from wallet import pins, top_ups, wallets
from wallet.errors import PinAlreadySet

BEGINS_AT = datetime(2013, 7, 1, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
"""A Monday, a trading day, before the cut-off."""

OPERATOR = "operator@superapp.test"
SECOND_OPERATOR = "second@superapp.test"
"""Taking an entry back needs two: one asks, the other decides."""

PASSWORD = "harvest-moon-2013"  # noqa: S105 - of the sandbox alone, see above
PIN = "730519"

CURRENCY = "CNY"
BANK_TAKES = timedelta(seconds=5)
"""Longer than the sandbox bank needs for an ordinary top-up."""

YIELDS = Path(__file__).parent / "yields"


class NotEmpty(Exception):
    """The database is no sandbox's, or holds people whom this seed did not make."""


@dataclass(frozen=True, slots=True)
class Person:
    """Someone of the sandbox, and what they bring from their bank."""

    name: str
    phone: str
    handle: str
    brings: Decimal


PEOPLE = (
    Person(name="Lin", phone="+8613900000001", handle="lin", brings=Decimal("20000.00")),
    Person(name="Wei", phone="+8613900000002", handle="wei", brings=Decimal("5000.00")),
    Person(name="Mei", phone="+8613900000003", handle="mei", brings=Decimal("500.00")),
)

TERMS = (
    "{name} is a money-market fund: its share is always worth 1.0000 CNY, and each day's income is added as shares. "
    "Income may fall below zero, and past income promises nothing. An order before 15:00 of a trading day belongs to that "
    "day; it is confirmed, and earns, from the next trading day on. Shares given back leave on the next trading day and earn "
    "until then."
)

LAST_STEP = "seed-wei-lin"
"""Key of the last thing the seed does; once it is there the world is complete."""


def is_wanted() -> bool:
    """Whether this site is an empty sandbox, or one whose seed was interrupted."""
    if not settings.SUPERAPP_SANDBOX:
        return False
    return not User.objects.exists() or (_is_ours() and not is_complete())


def is_complete() -> bool:
    """Whether the seed has come to its end here."""
    return IdempotencyKey.objects.filter(key=LAST_STEP, operation="sendMoney").exists()


def who_can_sign_in() -> list[str]:
    """The people of this world and how they sign in, a line each; nobody when this is another world."""
    if not (settings.SUPERAPP_SANDBOX and is_complete()):
        return []
    return [
        f"Password of everyone here: {PASSWORD}",
        f"  Operator  {OPERATOR}",
        f"  Second    {SECOND_OPERATOR}",
        *(f"  {person.name:<8}  {person.phone}   handle {person.handle}, payment PIN {PIN}" for person in PEOPLE),
    ]


def build(tell: Callable[[str], None] = lambda _line: None) -> None:
    """Makes the world, or what is missing of it. `tell` hears of each step. Raises NotEmpty."""
    if not settings.SUPERAPP_SANDBOX:
        raise NotEmpty("There is nothing to seed in production.")
    if is_complete():
        return
    if not User.objects.exists():
        clock.start_at(BEGINS_AT)
    elif not _is_ours():
        raise NotEmpty("This database holds people already; the seed only fills an empty one.")
    clock.forget()
    operators = [_operator("Operator", OPERATOR), _operator("Second operator", SECOND_OPERATOR)]
    names = " and ".join(str(each) for each in operators)
    tell(f"the clock reads {clock.now().astimezone(clock.business_zone()):%A %Y-%m-%d %H:%M}; {names} can sign in")
    _found("HARVEST", "Harvest money market", Fund.Leftover.LEAVE_IN_FUND)
    _found("ORCHARD", "Orchard cash fund", Fund.Leftover.HAND_OUT)
    tell("two funds, with their yields of July 2013")
    known = {person.handle: _person(person) for person in PEOPLE}
    _let_the_bank_answer()
    tell("three people, whose money has come from the bank")
    _buy(known["wei"], "HARVEST", Decimal("1000.00"), key="seed-wei-harvest")
    _send(known["wei"], "lin", Decimal("66.00"), "Noodles on Sunday", key=LAST_STEP)
    _let_the_bank_answer()
    tell("Wei has bought a fund, and paid Lin back for the noodles")


def _is_ours() -> bool:
    return User.objects.filter(email=OPERATOR).exists()


def _found(code: str, name: str, leftover: Fund.Leftover) -> None:
    try:
        fund = catalogue.fund_named(code)
    except NotFound:
        fund = catalogue.found_fund(
            code=code,
            name=name,
            currency=CURRENCY,
            first_day=date(2013, 7, 1),
            terms=TERMS.format(name=name),
            leftover=leftover,
        )
    with (YIELDS / f"{code}.csv").open() as lines:
        yields.import_file(fund=fund, lines=lines)


def _operator(name: str, email: str) -> User:
    there = User.objects.filter(email=email).first()
    return there or people.register_operator(email=email, password=PASSWORD, display_name=name)


def _person(person: Person) -> User:
    user = User.objects.filter(handle=person.handle).first() or people.register(
        display_name=person.name, phone=person.phone, handle=person.handle, password=PASSWORD
    )
    wallets.open_wallet(owner_id=user.pk, currency=CURRENCY)
    with suppress(PinAlreadySet):
        pins.set_pin(user_id=user.pk, pin=PIN)
    top_ups.top_up(owner_id=user.pk, amount=person.brings, currency=CURRENCY, key=f"seed-{person.handle}")
    return user


def _let_the_bank_answer() -> None:
    """Lives through a few seconds of the business clock: the rail is instructed and answers, transfers are settled."""
    travel(to=clock.now() + BANK_TAKES)


def _buy(person: User, fund_code: str, amount: Decimal, *, key: str) -> None:
    if not TermsAcceptance.objects.filter(person=person, terms__fund__code=fund_code).exists():
        terms = catalogue.current_terms(catalogue.fund_named(fund_code))
        catalogue.accept_terms(person_id=person.pk, fund_code=fund_code, version=terms.version)
    orders.subscribe(person_id=person.pk, fund_code=fund_code, amount=amount, currency=CURRENCY, key=key)


def _send(person: User, handle: str, amount: Decimal, note: str, *, key: str) -> Transfer:
    sent = transfers.send_money(
        sender_id=person.pk, to=Payee(handle=handle), amount=amount, currency=CURRENCY, note=note, pin=PIN, key=key
    )
    return Transfer.objects.get(pk=sent.transfer_id)
