"""Kinds of entry of the tests' own, in the flow table for as long as a block runs: moves no product makes.

They carry no business row, no usage and no meaning but the move itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from wallet import flows
from wallet.flows import (
    BANK,
    FUND,
    FUND_CASH,
    FUND_ISSUED,
    FUND_ORDERS,
    IN_TRANSIT,
    REDEMPTIONS,
    SHARES,
    WALLET,
    EntryKind,
    FlowLeg,
    credit,
    debit,
    either,
)


def _kind(code: str, *legs: FlowLeg) -> EntryKind:
    return EntryKind(code=code, legs=legs, description="A test's own move.", reversible=True)


BROUGHT_IN = _kind("own_brought_in", debit(BANK), credit(WALLET))
PUT_IN_TRANSIT = _kind("own_put_in_transit", debit(WALLET), credit(IN_TRANSIT))
HANDED_OUT = _kind("own_handed_out", debit(IN_TRANSIT), credit(WALLET))
MOVED = _kind("own_moved", either(WALLET), either(FUND, SHARES))
SHARES_BOUGHT = _kind(
    "own_shares_bought", debit(FUND_ORDERS), credit(FUND_CASH), debit(FUND_ISSUED, SHARES), credit(FUND, SHARES)
)
SHARES_SOLD = _kind(
    "own_shares_sold", debit(FUND, SHARES), credit(FUND_ISSUED, SHARES), debit(FUND_CASH), credit(REDEMPTIONS)
)
SHARES_GIVEN = _kind("own_shares_given", debit(FUND_ISSUED, SHARES), credit(FUND, SHARES))

OWN_KINDS = (BROUGHT_IN, PUT_IN_TRANSIT, HANDED_OUT, MOVED, SHARES_BOUGHT, SHARES_SOLD, SHARES_GIVEN)


@contextmanager
def own_flows() -> Iterator[None]:
    """Has the kinds above in the flow table, where verification looks for them."""
    flows._entry_kinds.update({kind.code: kind for kind in OWN_KINDS})
    try:
        yield
    finally:
        for kind in OWN_KINDS:
            del flows._entry_kinds[kind.code]
