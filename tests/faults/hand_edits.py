"""Random edits of sealed rows by hand, with the triggers off: each must be named. And worlds left alone: no finding.

    python -m tests.faults.hand_edits --edits 200 --clean-runs 20 [--seed 7]

The hand is that of the tables' owner: it changes any column, deletes, inserts, swaps values, whole rows and keys, and changes
what hangs together so that sums, sequences and balances still agree. Each edit is made, verified in full and taken back in
one transaction. An edit counts as named when each row it touched is named by its key, also one that is gone.
"""

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, connection, transaction

Row = dict[str, Any]
Edit = Callable[["Hand"], set[str]]

ENTRY_COLUMNS = ("kind", "subject", "effective_at", "recorded_at", "tx", "reverses_id", "id")
POSTING_COLUMNS = (
    "account_id", "sequence", "entry_id", "asset_id", "amount", "balance_after", "subject", "effective_at", "recorded_at",
    "tx",
)  # fmt: skip


DRAWS = 100
"""How often an edit is drawn anew that the database itself refuses, by a CHECK or a key."""


class NothingToEdit(Exception):
    """The draw does not fit: two rows that are alike, a value that a CHECK refuses. Another is drawn."""


@dataclass
class Hand:
    """Somebody with the means of the tables' owner, inside one transaction."""

    dice: random.Random

    def rows(self, statement: str, *values: Any) -> list[Row]:
        """Runs a statement and answers what it yields."""
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            if cursor.description is None:
                return []
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def do(self, statement: str, *values: object) -> None:
        """Runs a statement."""
        self.rows(statement, *values)

    def posting(self, where: str = "true", *values: object) -> Row:
        """A sealed posting, by chance."""
        return self._any("wallet_posting", "account_id, sequence", where, values)

    def entry(self, where: str = "true", *values: object) -> Row:
        """A sealed entry, by chance."""
        return self._any("wallet_journalentry", "id", where, values)

    def _any(self, table: str, order: str, where: str, values: tuple[object, ...]) -> Row:
        found = self.rows(f"SELECT * FROM {table} WHERE {where} ORDER BY {order}", *values)
        if not found:
            raise NothingToEdit
        return self.dice.choice(found)

    def set_posting(self, row: Row, **changes: object) -> set[str]:
        """Changes columns of one posting; the names it goes by, before and after."""
        assignments = ", ".join(f"{name} = %s" for name in changes)
        self.do(
            f"UPDATE wallet_posting SET {assignments} WHERE account_id = %s AND sequence = %s",
            *changes.values(), row["account_id"], row["sequence"],
        )  # fmt: skip
        return {name_of(row), name_of(row | changes)}

    def set_entry(self, row: Row, **changes: object) -> set[str]:
        """Changes columns of one entry."""
        assignments = ", ".join(f"{name} = %s" for name in changes)
        self.do(f"UPDATE wallet_journalentry SET {assignments} WHERE id = %s", *changes.values(), row["id"])
        return {f"entry {row['id']}", f"entry {changes.get('id', row['id'])}"}

    def insert(self, table: str, row: Row) -> None:
        """Adds a row."""
        columns, places = ", ".join(row), ", ".join(["%s"] * len(row))
        self.do(f"INSERT INTO {table} ({columns}) VALUES ({places})", *row.values())

    def another(self, column: str, value: Any) -> Any:
        """A value that the column could have and does not have here."""
        found: Any
        match column:
            case "amount" | "balance_after":
                found = (value or Decimal(0)) + self.dice.choice([Decimal("0.01"), Decimal("-0.01"), Decimal(100)])
            case "effective_at":
                found = value - timedelta(microseconds=self.dice.choice([1, 86_400_000_000]))
            case "recorded_at":
                found = value + timedelta(microseconds=self.dice.choice([1, 1_000_000]))
            case "tx":
                found = value + self.dice.choice([-1, 1])
            case "sequence":
                found = value + self.dice.choice([1_000_000, 2_000_000])
            case "asset_id":
                found = self.dice.choice(
                    [row["id"] for row in self.rows("SELECT id FROM wallet_asset") if row["id"] != value]
                )
            case "kind":
                found = self.dice.choice([kind for kind in ("top_up", "transfer_sent", "fund_income") if kind != value])
            case "account_id":
                found = self._any("wallet_account", "id", "id <> %s", (value,))["id"]
            case "entry_id":
                found = self.entry("id <> %s", value)["id"]
            case "reverses_id":
                found = self.entry(
                    "id NOT IN (SELECT reverses_id FROM wallet_journalentry WHERE reverses_id IS NOT NULL)"
                )["id"]
            case _:  # id, subject
                found = uuid4()
        return found


def name_of(posting: Row) -> str:
    """As a finding names it."""
    return f"posting {posting['account_id']}#{posting['sequence']}"


def a_column_of_a_posting(hand: Hand) -> set[str]:
    """Any column of any posting."""
    row, column = hand.posting(), hand.dice.choice(POSTING_COLUMNS)
    return hand.set_posting(row, **{column: hand.another(column, row[column])})


def a_column_of_an_entry(hand: Hand) -> set[str]:
    """Any column of any entry."""
    row, column = hand.entry(), hand.dice.choice(ENTRY_COLUMNS)
    return hand.set_entry(row, **{column: hand.another(column, row[column])})


def a_posting_is_deleted(hand: Hand) -> set[str]:
    """One posting goes."""
    row = hand.posting()
    hand.do("DELETE FROM wallet_posting WHERE account_id = %s AND sequence = %s", row["account_id"], row["sequence"])
    return {name_of(row)}


def an_entry_is_deleted(hand: Hand) -> set[str]:
    """One entry goes, its postings stay."""
    row = hand.entry()
    hand.do("DELETE FROM wallet_journalentry WHERE id = %s", row["id"])
    return {f"entry {row['id']}"}


def an_entry_is_deleted_with_its_postings(hand: Hand) -> set[str]:
    """All of an entry goes, and the accounts' rows are put right where the entry was their last."""
    row = hand.entry()
    gone = hand.rows("DELETE FROM wallet_posting WHERE entry_id = %s RETURNING *", row["id"])
    hand.do("DELETE FROM wallet_journalentry WHERE id = %s", row["id"])
    for each in gone:
        hand.do(
            "UPDATE wallet_account SET balance = balance - %s, last_sequence = last_sequence - 1 "
            "WHERE id = %s AND NOT folded AND last_sequence = %s",
            each["amount"], each["account_id"], each["sequence"],
        )  # fmt: skip
    return {f"entry {row['id']}", *map(name_of, gone)}


def a_posting_is_inserted(hand: Hand) -> set[str]:
    """A posting more in an entry that was sealed."""
    row = hand.posting()
    new = row | {"sequence": row["sequence"] + 1_000_000 + hand.dice.randrange(1000), "amount": Decimal(5)}
    hand.insert("wallet_posting", new)
    return {name_of(new)}


def an_entry_is_dated_back(hand: Hand) -> set[str]:
    """A whole entry in balance, with the times and transaction of one that was sealed, between accounts of the system."""
    entry = hand.entry()
    new = entry | {"id": uuid4(), "reverses_id": None}
    hand.insert("wallet_journalentry", new)
    folded = hand.rows("SELECT id, asset_id FROM wallet_account WHERE folded ORDER BY id")
    first = hand.dice.choice(folded)
    second = hand.dice.choice([each for each in folded if each["asset_id"] == first["asset_id"]])
    names = {f"entry {new['id']}"}
    shared = {name: new[name] for name in ("subject", "effective_at", "recorded_at", "tx")}
    for number, (account, amount) in enumerate(((first, Decimal(7)), (second, Decimal(-7)))):
        posting = shared | {
            "account_id": account["id"], "sequence": 5_000_000 + number, "entry_id": new["id"],
            "asset_id": account["asset_id"], "amount": amount,
        }  # fmt: skip
        hand.insert("wallet_posting", posting)
        names.add(name_of(posting))
    return names


def values_are_swapped(hand: Hand) -> set[str]:
    """Two postings exchange the value of one column."""
    column = hand.dice.choice([name for name in POSTING_COLUMNS if name not in {"account_id", "sequence"}])
    one = hand.posting()
    other = hand.posting(f"{column} IS DISTINCT FROM %s", one[column])
    return hand.set_posting(one, **{column: other[column]}) | hand.set_posting(other, **{column: one[column]})


def rows_are_swapped(hand: Hand) -> set[str]:
    """Two postings exchange everything but their keys; or, of one account, their places."""
    one = hand.posting()
    other = hand.posting(
        "asset_id = %s AND (account_id, sequence) <> (%s, %s)", one["asset_id"], one["account_id"], one["sequence"]
    )
    rest = [name for name in POSTING_COLUMNS if name not in {"account_id", "sequence"}]
    if all(one[name] == other[name] for name in rest):
        raise NothingToEdit
    return hand.set_posting(one, **{name: other[name] for name in rest}) | hand.set_posting(
        other, **{name: one[name] for name in rest}
    )


def an_entry_is_changed_with_its_postings(hand: Hand) -> set[str]:
    """Subject, time or transaction of an entry and all of its postings, alike."""
    entry = hand.entry()
    column = hand.dice.choice(["subject", "effective_at", "tx"])
    value = hand.another(column, entry[column])
    names = hand.set_entry(entry, **{column: value})
    for row in hand.rows("SELECT * FROM wallet_posting WHERE entry_id = %s", entry["id"]):
        names |= hand.set_posting(row, **{column: value})
    return names


def an_amount_is_changed_with_everything_that_follows(hand: Hand) -> set[str]:
    """A debit of a person and its counterpart: amounts, the balances after, the account's row, the folded checkpoint."""
    mine = hand.posting("balance_after IS NOT NULL")
    against = hand.posting(
        "entry_id = %s AND asset_id = %s AND balance_after IS NULL", mine["entry_id"], mine["asset_id"]
    )
    more = Decimal("1.00")
    names = hand.set_posting(against, amount=against["amount"] - more) | hand.set_posting(
        mine, amount=mine["amount"] + more
    )
    later = "SELECT * FROM wallet_posting WHERE account_id = %s AND sequence >= %s"
    for row in hand.rows(later, mine["account_id"], mine["sequence"]):
        names |= hand.set_posting(row, balance_after=row["balance_after"] + more)
    hand.do("UPDATE wallet_account SET balance = balance + %s WHERE id = %s", more, mine["account_id"])
    hand.do(
        "UPDATE wallet_account SET balance = balance - %s WHERE id = %s AND (SELECT tx FROM wallet_foldcheckpoint) > %s",
        more, against["account_id"], against["tx"],
    )  # fmt: skip
    return names


EDITS: tuple[Edit, ...] = (
    a_column_of_a_posting,
    a_column_of_a_posting,
    a_column_of_an_entry,
    a_posting_is_deleted,
    an_entry_is_deleted,
    an_entry_is_deleted_with_its_postings,
    a_posting_is_inserted,
    an_entry_is_dated_back,
    values_are_swapped,
    rows_are_swapped,
    an_entry_is_changed_with_its_postings,
    an_amount_is_changed_with_everything_that_follows,
)


@dataclass(frozen=True)
class Made:
    """One edit, and what verification said of it."""

    edit: str
    touched: set[str]
    named: set[str]

    @property
    def missed(self) -> set[str]:
        """What it touched and nothing named."""
        return self.touched - self.named


@contextmanager
def _taken_back() -> Iterator[None]:
    """As the owner of the tables, with every trigger off; whatever is done is rolled back."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE NONE")
        for table in ("wallet_posting", "wallet_journalentry", "wallet_account"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        transaction.set_rollback(True)


def one_edit(dice: random.Random) -> Made:
    """Draws an edit until one can be made; makes it, verifies in full, takes it back."""
    from wallet.verification import verify

    for _ in range(DRAWS):
        edit = dice.choice(EDITS)
        try:
            with _taken_back():
                touched = edit(Hand(dice))
                named = {finding.row for found in verify().values() for finding in found}
                return Made(edit=edit.__name__, touched=touched, named=named)
        except (NothingToEdit, IntegrityError):
            continue
    raise AssertionError(f"None of {DRAWS} edits could be made.")


def edits(count: int, *, seed: int) -> list[Made]:
    """So many edits of sealed rows."""
    dice = random.Random(seed)
    return [one_edit(dice) for _ in range(count)]


def main() -> int:
    """Makes a world in a database of its own, edits it, leaves others alone, and prints the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--edits", type=int, default=200)
    options.add_argument("--clean-runs", type=int, default=20)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = options.parse_args()

    from tests.databases import cloned
    from tests.faults.edited_world import EditedWorld

    with cloned():
        world = EditedWorld()
        world.seal()
        made = edits(asked.edits, seed=asked.seed)
        missed = [each for each in made if each.missed]
        alarms = [alarm for number in range(asked.clean_runs) for alarm in world.alarms_after_more(number)]
    for each in missed:
        sys.stdout.write(f"not named: {each.edit}: {sorted(each.missed)}\n")
    for alarm in alarms:
        sys.stdout.write(f"false alarm: {alarm}\n")
    sys.stdout.write(
        f"{len(made) - len(missed)} of {len(made)} hand edits named, in {len({each.edit for each in made})} kinds; "
        f"{len(alarms)} false alarms in {asked.clean_runs} clean runs (seed {asked.seed})\n"
    )
    return 1 if missed or alarms else 0


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    sys.exit(main())
