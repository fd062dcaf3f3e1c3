"""The ledger's second door: `post_set` writes what a query yields, in a constant number of statements.

phase    what it does                                                             cost, for n legs
lock     every inline account the set touches, in id order, FOR NO KEY UPDATE    one statement, n row locks
decide   only where something can be refused: accounts that lose or are closed   one statement over those at risk
write    entries, postings, balances and the caller's own rows                   one statement

Bounds: at most about 20,000 accounts and a quarter of a second per commit; longer work is more batches. The result is the
same as posting the items one by one in the order of their positions (invariant I14).

The query (`legs`) yields one row per leg:

    item uuid         which thing this is a leg of; one entry per item, unless the whole set is one entry
    position bigint   the order of items, and of legs on one account; unique in the set
    account_id uuid
    amount numeric    signed, exact to the asset's minor unit
    subject uuid      what the posting is for; the same for all legs of an item

and, where holds are captured (`captures`), a second query yields

    item, hold_id, account_id, amount
    final boolean     this ends the hold and frees what the capture leaves over; else the rest stays set aside

Usage, where the kind's row of the flow table declares some, is written by the same statement (`wallet.usage`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction

from superapp.sql_files import SqlParameters
from wallet.accounts import asset_by_id
from wallet.errors import AccountClosed, HoldLapsed, LedgerFault, insufficient_funds
from wallet.flows import EntryKind
from wallet.freezes import account_frozen
from wallet.ledger import recording_time
from wallet.usage import day_of, statement_of_set

LOCK_SQL = """
    WITH locked AS MATERIALIZED (
        SELECT a.last_recorded_at, a.closed
        FROM wallet_account a
        WHERE a.id IN ({accounts}) AND NOT a.folded
        ORDER BY a.id
        FOR NO KEY UPDATE
    )
    SELECT count(*), max(last_recorded_at), coalesce(bool_or(closed), false) FROM locked
"""

RISK_SQL = """
    WITH legs AS MATERIALIZED ({legs}), captures AS MATERIALIZED ({captures}), at_risk AS (
        SELECT a.id, a.balance - a.held + a.credit_limit AS available, a.closed, a.frozen AND l.lost < 0 AS frozen, a.asset_id
        FROM wallet_account a
        JOIN (SELECT account_id, sum(least(amount, 0)) AS lost FROM legs GROUP BY account_id) l ON l.account_id = a.id
        WHERE NOT a.folded AND (a.closed OR (a.frozen AND l.lost < 0) OR a.balance - a.held + a.credit_limit + l.lost < 0)
    )
    SELECT l.item, l.account_id, l.amount, coalesce(c.freed, 0), r.available, r.closed, r.frozen, r.asset_id
    FROM legs l
    JOIN at_risk r ON r.id = l.account_id
    LEFT JOIN (
        SELECT s.item, s.account_id, sum(CASE WHEN s.final THEN h.remaining ELSE s.amount END) AS freed
        FROM captures s JOIN wallet_hold h ON h.id = s.hold_id AND h.state = 'open'
        GROUP BY s.item, s.account_id
    ) c ON c.item = l.item AND c.account_id = l.account_id
    ORDER BY l.position
"""

LAPSED_SQL = """
    SELECT s.item, h.lapses_at FROM ({captures}) s JOIN wallet_hold h ON h.id = s.hold_id
    WHERE h.state = 'lapsed' OR (h.state = 'open' AND h.lapses_at <= %(set_recorded_at)s)
"""

# One leg per inline account (income under locks): the UPDATE itself hands out the sequence and the balance.
MOVED_ONCE = """
    updated AS (
        UPDATE wallet_account a
        SET balance = a.balance + l.amount, held = a.held - coalesce(c.amount, 0),
            last_sequence = a.last_sequence + 1, last_recorded_at = %(set_recorded_at)s
        FROM legs l LEFT JOIN captured c ON c.account_id = l.account_id
        WHERE a.id = l.account_id AND NOT a.folded
        RETURNING a.id, a.kind, a.asset_id, a.balance, a.last_sequence, l.entry_id, l.amount, l.subject
    ), moved AS (
        SELECT entry_id, id AS account_id, kind, asset_id, amount, subject, last_sequence AS sequence,
               balance AS balance_after
        FROM updated
        {folded_legs}
    )
"""

# Several legs on one account: its totals are written once, each posting's own place is counted back from the end.
MOVED_OFTEN = """
    totals AS (
        SELECT account_id, sum(amount) AS amount, count(*) AS legs FROM legs GROUP BY account_id
    ), updated AS (
        UPDATE wallet_account a
        SET balance = a.balance + t.amount, held = a.held - coalesce(c.amount, 0),
            last_sequence = a.last_sequence + t.legs, last_recorded_at = %(set_recorded_at)s
        FROM totals t LEFT JOIN captured c ON c.account_id = t.account_id
        WHERE a.id = t.account_id AND NOT a.folded
        RETURNING a.id, a.kind, a.asset_id, a.balance, a.last_sequence
    ), moved AS (
        SELECT l.entry_id, l.account_id, u.kind, u.asset_id, l.amount, l.subject,
               u.last_sequence + 1 - row_number() OVER later AS sequence,
               u.balance - (sum(l.amount) OVER later - l.amount) AS balance_after
        FROM legs l JOIN updated u ON u.id = l.account_id
        WINDOW later AS (PARTITION BY l.account_id ORDER BY l.position DESC ROWS UNBOUNDED PRECEDING)
        {folded_legs}
    )
"""

FOLDED_LEGS = """
        UNION ALL
        SELECT l.entry_id, l.account_id, f.kind, f.asset_id, l.amount, l.subject, nextval('wallet_folded_sequence'), NULL
        FROM legs l JOIN folded f ON f.id = l.account_id
"""

OPPOSITE_LEGS = """
        UNION ALL
        SELECT l.entry_id, l.against, f.kind, f.asset_id, -l.amount, l.subject, nextval('wallet_folded_sequence'), NULL
        FROM legs l JOIN folded f ON f.id = l.against
"""

# Which entry each leg belongs to. Ids of entries ascend in the order of their items.
ONE_ENTRY = """
    legs AS MATERIALIZED (
        SELECT s.item, s.position, s.account_id, s.amount, s.subject, %(set_entry)s::uuid AS entry_id
        FROM ({legs}) s
    ),
    posted AS MATERIALIZED (
        SELECT NULL::uuid AS item, %(set_subject)s::uuid AS subject, %(set_entry)s::uuid AS entry_id
        WHERE EXISTS (SELECT FROM legs)
    )
"""

ENTRY_PER_PAIR = """
    legs AS MATERIALIZED (
        SELECT s.item, s.position, s.account_id, s.amount, s.subject, s.against, uuidv7() AS entry_id
        FROM (SELECT s.* FROM ({legs}) s {but_refused} ORDER BY s.position) s
    ),
    posted AS (SELECT item, subject, entry_id FROM legs)
"""

ENTRY_PER_ITEM = """
    planned AS MATERIALIZED (
        SELECT s.item, s.position, s.account_id, s.amount, s.subject FROM ({legs}) s {but_refused}
    ),
    posted AS MATERIALIZED (
        SELECT item, subject, uuidv7() AS entry_id FROM planned GROUP BY item, subject ORDER BY min(position)
    ),
    legs AS MATERIALIZED (SELECT l.*, p.entry_id FROM planned l JOIN posted p ON p.item = l.item AND p.subject = l.subject)
"""

WRITE_SQL = """
    WITH this AS MATERIALIZED (SELECT pg_current_xact_id()::text::bigint AS tx),
    {legs_and_posted},
    captures AS MATERIALIZED (
        SELECT s.item, s.hold_id, s.account_id, s.amount, s.final FROM ({captures}) s {but_refused}
    ),
    holds AS (
        UPDATE wallet_hold h
        SET captured = h.captured + s.amount,
            released = h.released + CASE WHEN s.final THEN h.remaining - s.amount ELSE 0 END,
            remaining = CASE WHEN s.final THEN 0 ELSE h.remaining - s.amount END,
            state = CASE WHEN s.final OR h.remaining = s.amount THEN 'captured' ELSE h.state END,
            ended_at = CASE WHEN s.final OR h.remaining = s.amount THEN %(set_recorded_at)s::timestamptz END
        FROM captures s
        WHERE h.id = s.hold_id AND h.account_id = s.account_id AND h.state = 'open' AND s.amount > 0
          AND s.amount <= h.remaining AND (h.lapses_at IS NULL OR h.lapses_at > %(set_recorded_at)s)
        RETURNING h.id, h.account_id, old.remaining - new.remaining AS freed
    ),
    captured AS (SELECT account_id, sum(freed) AS amount FROM holds GROUP BY account_id),
    folded AS MATERIALIZED (SELECT id, kind, asset_id FROM wallet_account WHERE folded),
    {moved},
    entries AS (
        INSERT INTO wallet_journalentry (id, kind, subject, effective_at, recorded_at, tx)
        SELECT entry_id, %(set_kind)s, subject, %(set_effective_at)s, %(set_recorded_at)s, this.tx
        FROM posted, this
    ),
    postings AS (
        INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject,
                                    effective_at, recorded_at, tx)
        SELECT m.account_id, m.sequence, m.entry_id, m.asset_id, m.amount, m.balance_after, m.subject,
               %(set_effective_at)s, %(set_recorded_at)s, this.tx
        FROM moved m, this
    )
    {then}
    SELECT (SELECT {legs_an_item} * count(*) FROM {planned}), (SELECT count(*) FROM moved), (SELECT count(*) FROM posted),
           (SELECT count(*) FROM captures), (SELECT count(*) FROM holds),
           (SELECT array_agg(kind || ' ' || asset_id || ' ' || direction || ' ' || decimals)
            FROM (SELECT kind, asset_id, sign(amount)::int AS direction, max(min_scale(amount)) AS decimals
                  FROM moved GROUP BY 1, 2, 3) flows)
"""

NO_CAPTURES = (
    "SELECT NULL::uuid AS item, NULL::uuid AS hold_id, NULL::uuid AS account_id, 0::numeric AS amount, true AS final "
    "WHERE false"
)


@dataclass(frozen=True, slots=True)
class SetResult:
    """What a set wrote. `posted`: entries written; `legs`: postings; `refused`: item → code of the rule that refused it."""

    posted: int
    legs: int
    refused: dict[UUID, str]
    recorded_at: datetime


def post_set(
    *,
    kind: EntryKind,
    legs: str,
    params: SqlParameters,
    accounts: str | None = None,
    one_entry: UUID | None = None,
    subject: UUID | None = None,
    effective_at: datetime | None = None,
    captures: str | None = None,
    one_leg_per_account: bool = False,
    paired: bool = False,
    then: Sequence[str] = (),
    counted_on: str | None = None,
) -> SetResult:
    """Writes the legs that a query yields, item by item or (`one_entry`) as one entry with that id and `subject`.

    `accounts`: a query of the account ids to lock, for legs that are worked out from the locked rows themselves.
    `captures`: a query of the holds that items take from (see the module's head); an item whose hold has lapsed is refused.
    `counted_on`: for a kind that gives usage back, a query of (item, day): the business day on which it was counted.
    `one_leg_per_account`: the caller's word that no inline account has two legs, which spares a sort; a broken word fails
    on a count and writes nothing.
    `paired`: each row is an item of its own, and names in a sixth column, `against`, the folded account that takes the
    opposite of its amount: half the rows, and nothing to group.
    `then`: data-modifying statements that join the writing statement and may read `posted(item, entry_id)`.

    The caller has locked its business rows. Items that a rule refuses write nothing and are named in the result; in one
    entry a refusal is raised (InsufficientFunds, AccountClosed, AccountFrozen), since all its legs stand or fall together.
    Raises LedgerFault for legs that do not fit, TransactionManagementError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "Postings are written inside the transaction of what they are for."
        )
    if one_entry is not None and (subject is None or paired):
        raise LedgerFault("A set that is one entry names its subject, and is not made of pairs.")
    recorded_at, any_closed = _lock(accounts or f"SELECT account_id FROM ({legs}) legs", params)
    if effective_at is not None and effective_at > recorded_at:
        raise LedgerFault(f"{kind.code} would count from {effective_at}, before it is known; post it then.")
    refused: dict[UUID, str] = {}
    if captures:
        refused = _lapsed(captures, {**params, "set_recorded_at": recorded_at}, raise_first=one_entry is not None)
    if any_closed or kind.may_debit_owners:
        refused |= _refused(legs, captures or NO_CAPTURES, params, but=refused, raise_first=one_entry is not None)
    if kind.uses:
        then = [*then, statement_of_set(kind.uses, counted_on=counted_on)]
    statement = _write_statement(
        legs=legs,
        captures=captures or NO_CAPTURES,
        one_entry=one_entry is not None,
        once=one_leg_per_account,
        paired=paired,
        but_refused=bool(refused),
        then=then,
    )
    own: SqlParameters = {
        "set_kind": kind.code,
        "set_effective_at": effective_at or recorded_at,
        "set_recorded_at": recorded_at,
        "set_entry": one_entry,
        "set_subject": subject,
        "set_refused": list(refused),
        "set_usage": kind.uses.usage_class.code if kind.uses else None,
        "set_day": day_of(recorded_at),
    }
    posted, moved = _write(kind, statement, {**params, **own})
    return SetResult(posted=posted, legs=moved, refused=refused, recorded_at=recorded_at)


def _write(kind: EntryKind, statement: str, params: SqlParameters) -> tuple[int, int]:
    """Writes the set, and answers how many entries and legs; raises LedgerFault when it is not what was planned."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        planned, moved, posted, captured, holds, flows = cursor.fetchone()
    if planned != moved or captured != holds:
        raise LedgerFault(
            f"{kind.code}: {planned} legs and {captured} captures were planned, {moved} and {holds} written; a leg names "
            "an unknown account, an account has two legs against the caller's word, or a hold has not that much left."
        )
    check_flows(kind, flows or [])
    return posted, moved


def _lock(accounts: str, params: SqlParameters) -> tuple[datetime, bool]:
    with connection.cursor() as cursor:
        cursor.execute(LOCK_SQL.format(accounts=accounts), params)
        _, last_recorded_at, any_closed = cursor.fetchone()
    return recording_time([last_recorded_at]), any_closed


def _lapsed(captures: str, params: SqlParameters, *, raise_first: bool) -> dict[UUID, str]:
    with connection.cursor() as cursor:
        cursor.execute(LAPSED_SQL.format(captures=captures), params)
        rows = cursor.fetchall()
    if rows and raise_first:
        raise HoldLapsed(lapsed_at=rows[0][1])
    return {item: HoldLapsed.code for item, _ in rows}


def _refused(
    legs: str, captures: str, params: SqlParameters, *, but: Mapping[UUID, str], raise_first: bool
) -> dict[UUID, str]:
    """Goes through the items that touch an account at risk, in order, as if they were posted one by one.

    An account is at risk when it is closed, when it is frozen and loses, or when all that the set takes from it, without
    what it adds, is more than is available; every other account can bear its legs in any order, so only these need looking at.
    """
    with connection.cursor() as cursor:
        cursor.execute(RISK_SQL.format(legs=legs, captures=captures), params)
        rows = cursor.fetchall()
    by_item: dict[UUID, list[tuple[UUID, Decimal, Decimal, Decimal, bool, bool, int]]] = {}
    for item, *leg in rows:
        if item in but:
            continue
        by_item.setdefault(item, []).append(tuple(leg))
    available: dict[UUID, Decimal] = {}
    refused: dict[UUID, str] = {}
    for item, item_legs in by_item.items():
        after = dict(available)
        freed_for: set[UUID] = set()
        for account, amount, freed, at_first, closed, frozen, asset_id in item_legs:
            left = after.get(account, at_first) + (freed if account not in freed_for else 0)
            freed_for.add(account)
            if closed or (amount < 0 and (frozen or left + amount < 0)):
                error = (
                    AccountClosed()
                    if closed
                    else account_frozen(account)
                    if frozen
                    else insufficient_funds(left, -amount, asset_by_id(asset_id))
                )
                if raise_first:
                    raise error
                refused[item] = error.code
                break
            after[account] = left + amount
        else:
            available = after
    return refused


def _write_statement(
    *, legs: str, captures: str, one_entry: bool, once: bool, paired: bool, but_refused: bool, then: Sequence[str]
) -> str:
    without = "WHERE s.item <> ALL(%(set_refused)s::uuid[])" if but_refused else ""
    entries = ONE_ENTRY if one_entry else ENTRY_PER_PAIR if paired else ENTRY_PER_ITEM
    folded_legs = OPPOSITE_LEGS if paired else FOLDED_LEGS
    return WRITE_SQL.format(
        legs_and_posted=entries.format(legs=legs, but_refused=without),
        captures=captures,
        but_refused=without,
        moved=(MOVED_ONCE if once else MOVED_OFTEN).format(folded_legs=folded_legs),
        legs_an_item=2 if paired else 1,
        planned="legs" if one_entry or paired else "planned",
        then="".join(f", then_{number} AS ({statement})" for number, statement in enumerate(then)),
    )


def check_flows(kind: EntryKind, flows: Sequence[str]) -> None:
    """Compares what was written ("account kind, asset id, sign, most decimals") with the flow. Raises LedgerFault."""
    for flow in flows:
        account_kind, asset_id, sign, decimals = flow.split(" ")
        asset = asset_by_id(int(asset_id))
        if int(decimals) > asset.decimals:
            raise LedgerFault(f"{kind.code} has an amount of {decimals} decimals; {asset.code} has {asset.decimals}.")
        if not kind.allows(account_kind, asset.type, int(sign)):
            raise LedgerFault(f"{kind.code} may not move {account_kind} in the direction {sign}: see its flow.")
