"""The ledger's first door: `post` writes a few planned entries, all of them or none, in the caller's transaction.

phase    what it does                                                       cost
pair     two legs, an owner's and the system's: `wallet.ledger_pairs`       one round trip, and nothing of what follows
lock     the inline accounts, in id order, FOR NO KEY UPDATE                one round trip, one row lock per inline account
decide   flow, closed, frozen, available — on the rows as locked                    none
write    entries, postings, usage and balances                              one round trip for all plans
holds    only when a plan names some                                        one round trip to read, one to write

Call it once per transaction: work that needs more first locks the union (`lock_accounts`). Order of locks everywhere: key,
business row, accounts by id, capacity. Without the lock two spenders read the same balance; without its order two
transfers in opposite directions wait for each other.

Folded accounts take no lock and no update; see `wallet.folding`. The second door, for sets, is `wallet.ledger_sets`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from superapp import clock
from superapp.errors import NotFound
from superapp.ids import uuid7
from superapp.logs import note_entries
from superapp.prepared import array, run
from wallet import holds
from wallet.accounts import asset_by_id, known_system_account
from wallet.errors import AccountClosed, AlreadyReversed, EntryNotReversible, LedgerFault, insufficient_funds
from wallet.flows import REVERSAL, EntryKind, find_entry_kind
from wallet.freezes import account_frozen
from wallet.holds import HoldStep
from wallet.ledger_pairs import post_pair
from wallet.models import JournalEntry
from wallet.usage import Tally

LOCK_SQL = """
    SELECT id, kind, asset_id, balance, held, credit_limit, last_sequence, last_recorded_at, closed, frozen
    FROM wallet_account
    WHERE id = ANY(%s::uuid[]) AND NOT folded
    ORDER BY id
    FOR NO KEY UPDATE
"""

WRITE_SQL = """
    WITH this AS MATERIALIZED (SELECT %s::timestamptz AS recorded_at, pg_current_xact_id()::text::bigint AS tx),
    entries AS (
        INSERT INTO wallet_journalentry (id, kind, subject, effective_at, reverses_id, recorded_at, tx)
        SELECT e.*, this.recorded_at, this.tx
        FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::timestamptz[], %s::uuid[]) AS e, this
    ), postings AS (
        INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject,
                                    effective_at, recorded_at, tx)
        SELECT p.account_id, coalesce(p.sequence, nextval('wallet_folded_sequence')), p.entry_id, p.asset_id, p.amount,
               p.balance_after, p.subject, p.effective_at, this.recorded_at, this.tx
        FROM unnest(%s::uuid[], %s::bigint[], %s::uuid[], %s::smallint[], %s::numeric[], %s::numeric[], %s::uuid[],
                    %s::timestamptz[])
             AS p (account_id, sequence, entry_id, asset_id, amount, balance_after, subject, effective_at), this
    )
"""

BALANCES_SQL = """
    UPDATE wallet_account a
    SET balance = u.balance, held = u.held, last_sequence = u.last_sequence, last_recorded_at = this.recorded_at
    FROM unnest(%s::uuid[], %s::numeric[], %s::numeric[], %s::bigint[]) AS u (id, balance, held, last_sequence), this
    WHERE a.id = u.id
"""


@dataclass(frozen=True, slots=True)
class Leg:
    """A signed amount on one account, in the minor units' decimals of the account's asset."""

    account: UUID
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """One entry to be written. `effective_at` None: as of the moment it is recorded; never later than that.

    `counted_on`: for a kind that gives usage back, and for no other, the business day on which it was counted.
    """

    kind: EntryKind
    subject: UUID
    legs: Sequence[Leg]
    effective_at: datetime | None = None
    holds: Sequence[HoldStep] = ()
    reverses: UUID | None = None
    counted_on: date | None = None
    entry_id: UUID = field(default_factory=uuid7)


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """What was written. `balances`: the inline accounts' balances after this entry."""

    entry_id: UUID
    recorded_at: datetime
    effective_at: datetime
    balances: dict[UUID, Decimal]


@dataclass(slots=True)
class LockedAccount:
    """An inline account under this transaction's lock, with what this call has planned so far."""

    id: UUID
    kind: str
    asset_id: int
    balance: Decimal
    held: Decimal
    credit_limit: Decimal
    last_sequence: int
    last_recorded_at: datetime | None
    closed: bool
    frozen: bool

    @property
    def available(self) -> Decimal:
        """What may still be taken."""
        return self.balance - self.held + self.credit_limit


def lock_accounts(account_ids: Iterable[UUID]) -> dict[UUID, LockedAccount]:
    """Locks the inline accounts among the ids, in id order, until the transaction ends, and reads them as locked.

    A row that was waited for is returned as its last writer left it (PostgreSQL re-reads the locked row itself).
    """
    return {row[0]: LockedAccount(*row) for row in run(LOCK_SQL, (array(set(account_ids)),))}


def post(*plans: Plan) -> list[PostedEntry]:
    """Writes the planned entries, all or none, and answers with what was written, in order.

    Raises InsufficientFunds, AccountClosed and AccountFrozen as refusals; LedgerFault when a plan does not balance, does not
    fit its row of the flow table, names an unknown account, or counts before it is known; TransactionManagementError outside a
    transaction. After a refusal nothing has been written.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "Postings are written inside the transaction of what they are for."
        )
    _check_shape(plans)
    pair = _post_as_pair(plans[0]) if len(plans) == 1 else None
    if pair is not None:
        note_entries([pair.entry_id])
        return [pair]
    locked = lock_accounts(
        [leg.account for plan in plans for leg in plan.legs] + [step.account for plan in plans for step in plan.holds]
    )
    recorded_at = recording_time(account.last_recorded_at for account in locked.values())
    writing = _Writing(recorded_at=recorded_at, locked=locked)
    open_holds = holds.read(step for plan in plans for step in plan.holds)
    posted = [writing.add(plan, open_holds) for plan in plans]
    writing.execute()
    holds.write(open_holds)
    note_entries(entry.entry_id for entry in posted)
    return posted


def _post_as_pair(plan: Plan) -> PostedEntry | None:
    if len(plan.legs) != 2 or plan.effective_at or plan.holds or plan.reverses or plan.counted_on:
        return None
    debit, credit = sorted(plan.legs, key=lambda leg: leg.amount)
    posted = post_pair(
        kind=plan.kind,
        entry=plan.entry_id,
        subject=plan.subject,
        debit=(debit.account, debit.amount),
        credit=(credit.account, credit.amount),
    )
    if posted is None:
        return None
    return PostedEntry(plan.entry_id, posted.recorded_at, posted.recorded_at, {posted.account: posted.balance})


def reverse(entry_id: UUID, *, subject: UUID, effective_at: datetime | None = None) -> PostedEntry:
    """Takes back one entry, whole and once: each posting with its sign turned, in a new entry that names the old one.

    Only postings turn round: a hold or usage that came with the entry stays, which is why the flow table lets no kind with
    usage be reversed. What the accounts' state refuses is refused here too: what is held or spent cannot be taken back, a
    closed account takes nothing, a frozen one gives nothing. Raises NotFound, EntryNotReversible (also for a reversal, and
    where a product's row tells what became of it), AlreadyReversed, and as `post`.
    """
    kind = JournalEntry.objects.filter(pk=entry_id).values_list("kind", flat=True).first()
    if kind is None:
        raise NotFound(what="entry")
    declared = find_entry_kind(kind)
    if declared is None or not declared.reversible:
        raise EntryNotReversible(kind=kind)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.account_id, -p.amount FROM wallet_posting p WHERE p.entry_id = %s ORDER BY p.account_id, p.sequence",
            [entry_id],
        )
        legs = [Leg(account=account, amount=amount) for account, amount in cursor.fetchall()]
    plan = Plan(kind=REVERSAL, subject=subject, legs=legs, effective_at=effective_at, reverses=entry_id)
    if JournalEntry.objects.filter(reverses=entry_id).exists():
        raise AlreadyReversed(entry=entry_id)
    try:
        with transaction.atomic():
            return post(plan)[0]
    except IntegrityError as fault:
        # Of two at the same moment the second waits for the first on the unique key.
        if getattr(getattr(fault.__cause__, "diag", None), "constraint_name", None) != "an_entry_is_reversed_once":
            raise
        raise AlreadyReversed(entry=entry_id) from None


def recording_time(last_times: Iterable[datetime | None]) -> datetime:
    """The time these postings are known from: taken after the locks, and never before an account's last."""
    return max([clock.now(), *(time for time in last_times if time is not None)])


def _check_shape(plans: Sequence[Plan]) -> None:
    for plan in plans:
        if not plan.legs and not plan.holds:
            raise LedgerFault(f"An entry of kind {plan.kind.code} moves nothing; plan at least two legs, or a hold.")
        if any(leg.amount == 0 or not leg.amount.is_finite() for leg in plan.legs):
            raise LedgerFault(f"An entry of kind {plan.kind.code} has a leg of zero; leave such a leg out.")


class _Writing:
    """The rows of one call, put together plan by plan while the locked accounts are moved along in memory."""

    def __init__(self, *, recorded_at: datetime, locked: dict[UUID, LockedAccount]) -> None:
        self.recorded_at = recorded_at
        self.locked = locked
        self.touched: set[UUID] = set()
        self.entries: list[tuple[str, str, str, str, UUID | None]] = []
        self.postings: list[tuple[UUID, int | None, str, int, Decimal, Decimal | None, str, str]] = []
        self.tally = Tally()

    def add(self, plan: Plan, open_holds: holds.OpenHolds) -> PostedEntry:
        """Decides one plan: raises its refusal, or adds its rows."""
        effective_at = plan.effective_at or self.recorded_at
        if effective_at > self.recorded_at:
            raise LedgerFault(f"{plan.kind.code} would count from {effective_at}, before it is known; post it then.")
        for step in plan.holds:
            account = self.locked.get(step.account)
            if account is None:
                raise LedgerFault(f"A hold names account {step.account}, which is no inline account.")
            open_holds.apply(step, account, at=self.recorded_at)
            self.touched.add(account.id)
        totals: dict[int, Decimal] = {}
        balances: dict[UUID, Decimal] = {}
        entry, subject, effective = str(plan.entry_id), str(plan.subject), str(effective_at)
        for leg in plan.legs:
            asset_id, sequence, balance = self._move(leg, plan, balances)
            self.postings.append((leg.account, sequence, entry, asset_id, leg.amount, balance, subject, effective))
            totals[asset_id] = totals.get(asset_id, Decimal(0)) + leg.amount
        if any(totals.values()):
            raise LedgerFault(f"The legs of {plan.kind.code} do not sum to zero in each asset: {totals}.")
        if plan.kind.uses:
            moved = [(leg.account, leg.amount) for leg in plan.legs if leg.account in balances]
            self.tally.add(plan.kind.uses, moved, recorded_at=self.recorded_at, counted_on=plan.counted_on)
        elif plan.counted_on:
            raise LedgerFault(f"{plan.kind.code} gives no usage back, and names a day to give it back to.")
        if plan.legs:
            self.entries.append((entry, plan.kind.code, subject, effective, plan.reverses))
        return PostedEntry(plan.entry_id, self.recorded_at, effective_at, balances)

    def _move(self, leg: Leg, plan: Plan, balances: dict[UUID, Decimal]) -> tuple[int, int | None, Decimal | None]:
        """Moves the account along: its asset and, of an inline one, the posting's sequence and the balance after it."""
        account = self.locked.get(leg.account)
        if account is None:
            system = known_system_account(leg.account)
            if system is None:
                raise LedgerFault(f"A leg of {plan.kind.code} names account {leg.account}, which does not exist.")
            self._check_flow(plan, system.kind, system.asset_id, leg.amount)
            return system.asset_id, None, None
        self._check_flow(plan, account.kind, account.asset_id, leg.amount)
        if account.closed:
            raise AccountClosed
        if leg.amount < 0 and account.frozen:
            raise account_frozen(account.id)
        if leg.amount < 0 and account.available + leg.amount < 0:
            raise insufficient_funds(account.available, -leg.amount, asset_by_id(account.asset_id))
        account.balance += leg.amount
        account.last_sequence += 1
        balances[account.id] = account.balance
        self.touched.add(account.id)
        return account.asset_id, account.last_sequence, account.balance

    def _check_flow(self, plan: Plan, account_kind: str, asset_id: int, amount: Decimal) -> None:
        asset = asset_by_id(asset_id)
        if amount != round(amount, asset.decimals):
            raise LedgerFault(f"{amount} is not exact to the minor unit of {asset.code}.")
        if not plan.kind.allows(account_kind, asset.type, 1 if amount > 0 else -1):
            raise LedgerFault(f"{plan.kind.code} may not move {account_kind} by {amount} {asset.code}: see its flow.")

    def execute(self) -> None:
        """Writes everything in one statement."""
        touched = [self.locked[account_id] for account_id in self.touched]
        before = (*_columns(self.entries, width=5), *_columns(self.postings, width=8))
        after = _columns([(each.id, each.balance, each.held, each.last_sequence) for each in touched], width=4)
        used = self.tally.statements()
        statement = _write_statement(*(sql for sql, _ in used))
        counted = [column for _, columns in used for column in columns]
        run(statement, (self.recorded_at, *before, *counted, *after), answers=False)


@cache
def _write_statement(*usage: str) -> str:
    """The writing statement with these parts that count usage: one and the same text each time, so that it is known again."""
    return "".join([WRITE_SQL, *(f", usage_{number} AS ({sql})" for number, sql in enumerate(usage)), BALANCES_SQL])


def _columns(rows: Sequence[tuple[object, ...]], *, width: int) -> list[str]:
    """The rows turned into columns: one array literal for each."""
    return [array(column) for column in zip(*rows, strict=True)] if rows else [array(())] * width
