"""After the faults: do the clients' logs and the database tell the same story?

| looked at | must hold |
|---|---|
| acknowledged requests | each is one row, of that person, with that amount and the id the client was told |
| repeated requests | told the same id, or the same refusal, each time |
| refused requests | no row |
| rows of the database | each was asked for by a client's log: no effect without a request, none twice |
| balances | what each person began with, plus and minus what the logs say, to the cent |
| states | everything final: nothing on its way, nothing the bank has not answered, no message left |
| `verify_ledger` | every invariant of the ledger |
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.rig import Rig
from tests.faults.world import PEOPLE, START
from tests.waiting import wait_until

FINAL_WITHIN_SECONDS = 120

OPEN = """
SELECT (SELECT count(*) FROM payments_transfer WHERE state IN ('authorised', 'returning')),
       (SELECT count(*) FROM wallet_topup WHERE state IN ('requested', 'instructed')),
       (SELECT count(*) FROM superapp_outboxevent WHERE delivered_at IS NULL)
"""
ROWS = {
    "sendMoney": "SELECT id::text, sender_id::text, recipient_id::text, amount, state = 'settled' FROM payments_transfer",
    "topUp": (
        "SELECT id::text, owner_id::text, '', amount, state = 'confirmed' FROM wallet_topup t WHERE EXISTS (SELECT FROM"
        " superapp_idempotencykey k WHERE k.answer ->> 'top_up' = t.id::text AND k.key LIKE '%.jsonl-%')"
    ),
    "subscribeFund": "SELECT id::text, owner_id::text, '', amount, state = 'placed' FROM funds_fundorder",
}


@dataclass
class Asked:
    """One request of a log, and what it came to."""

    operation: str
    by: int
    to: int
    amount: Decimal
    answers: set[tuple[str, str]]

    @property
    def outcome(self) -> str:
        """Its last word."""
        return next(iter(self.answers))[0] if len(self.answers) == 1 else "unknown"


@dataclass(frozen=True)
class Verdict:
    """What was found. `broken` is empty when all is well."""

    acknowledged: int
    refused: int
    broken: list[str]


def wait_until_final(rig: Rig, *, deadline_seconds: float = FINAL_WITHIN_SECONDS) -> None:
    """Nothing is on its way any more."""

    def final() -> bool:
        rig.look_after()
        with rig.owner() as session:
            return session.execute(OPEN).fetchone() == (0, 0, 0)

    try:
        wait_until(final, deadline_seconds, what="the end of everything that was on its way")
    except AssertionError as fault:
        with rig.owner() as session:
            left = session.execute(OPEN).fetchone()
        fault.add_note(f"left: {left}; the worker said:\n{rig.log('worker')[-3000:]}")
        raise


def check(rig: Rig) -> Verdict:
    """`compare`, then every invariant of the ledger."""
    verdict = compare(rig)
    verified = rig.manage("verify_ledger", check=False)
    if verified.returncode:
        verdict.broken.append(f"verify_ledger: {verified.stdout[-2000:]}{verified.stderr[-2000:]}")
    return verdict


def compare(rig: Rig) -> Verdict:
    """Compares every log so far with the database. The site may run, the clients not."""
    asked = read_logs(rig.clients_folder)
    with rig.owner() as session:
        broken = [*_answers(asked), *_rows(rig, session, asked), *_balances(rig, session, asked)]
    outcomes = [one.outcome for one in asked.values()]
    return Verdict(acknowledged=outcomes.count("done"), refused=outcomes.count("refused"), broken=broken)


def read_logs(folder: Path) -> dict[str, Asked]:
    """Every request by its key. A log whose last line was cut is read up to it."""
    asked: dict[str, Asked] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            said = json.loads(line)
            if "operation" in said:
                asked[said["key"]] = Asked(said["operation"], said["by"], said["to"], Decimal(said["amount"]), set())
            elif said["outcome"] != "unknown":
                asked[said["key"]].answers.add((said["outcome"], said["told"]))
    return asked


def _answers(asked: dict[str, Asked]) -> Iterator[str]:
    for key, request in asked.items():
        if len(request.answers) != 1:
            yield f"{key}: {len(request.answers)} answers: {sorted(request.answers)}"


def _rows(rig: Rig, session: "psycopg.Connection[Any]", asked: dict[str, Asked]) -> Iterator[str]:
    for operation, statement in ROWS.items():
        told = {
            next(iter(one.answers))[1]: (key, one)
            for key, one in asked.items()
            if one.operation == operation and one.outcome == "done"
        }
        if len(told) != sum(one.operation == operation and one.outcome == "done" for one in asked.values()):
            yield f"{operation}: two keys were told one id"
        for row_id, by, to, amount, final in session.execute(statement):
            key, request = told.pop(row_id, ("", None))
            if request is None:
                yield f"{operation} {row_id}: nobody was told of it"
                continue
            people = rig.world.people
            expected_to = people[request.to].id if operation == "sendMoney" else ""
            if (people[request.by].id, expected_to, request.amount) != (by, to, amount):
                yield f"{key}: {operation} {row_id} is not what was asked for"
            if not final:
                yield f"{key}: {operation} {row_id} is not final"
        yield from (f"{key}: acknowledged {operation} {row_id} is not there" for row_id, (key, _) in told.items())


def _balances(rig: Rig, session: "psycopg.Connection[Any]", asked: dict[str, Asked]) -> Iterator[str]:
    expected: dict[str, Decimal] = defaultdict(lambda: Decimal(START))
    for request in asked.values():
        if request.outcome != "done":
            continue
        payer = rig.world.people[request.by].account
        expected[payer] += request.amount if request.operation == "topUp" else -request.amount
        if request.operation == "sendMoney":
            expected[rig.world.people[request.to].account] += request.amount
    found = session.execute("SELECT id::text, balance FROM wallet_account WHERE kind = 'wallet'").fetchall()
    if len(found) != PEOPLE:
        yield f"{len(found)} wallets instead of {PEOPLE}"
    yield from (
        f"wallet {account}: {balance} instead of {expected[account]}"
        for account, balance in found
        if balance != expected[account]
    )
