"""What was sealed and is changed afterwards is named, row by row; a rewritten chain is found by a head that was kept."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection

from tests.wallet.ledger_world import World, faults
from tests.wallet.sealed_world import a_sealed_ledger, seal_all, triggers_off
from wallet import seal_checks, sealing, verification, verification_runs
from wallet.assurance import AccountFreeze, Seal, VerificationRun
from wallet.models import Account, JournalEntry, Posting
from wallet.verification import LEDGER, Check
from wallet.verification_runs import Extent

OwnersHand = Callable[..., None]


def sealed_faults() -> dict[str, str]:
    """What the checks of seals name."""
    return {finding.row: finding.fault for finding in faults() if finding.invariant.startswith("S")}


def test_an_untouched_chain_has_no_findings(committed_db: None) -> None:
    a_sealed_ledger()

    assert faults() == []


def test_a_row_that_was_changed_is_named_even_where_no_other_check_can_see_it(
    committed_db: None, run_as_owner: OwnersHand
) -> None:
    world = a_sealed_ledger()
    entry = Posting.objects.get(account_id=world.wallets[0], sequence=2).entry_id
    subject = "0190aaaa-0000-7000-8000-000000000001"
    with triggers_off(run_as_owner):
        run_as_owner("UPDATE wallet_journalentry SET subject = %s WHERE id = %s", [subject, entry])
        run_as_owner("UPDATE wallet_posting SET subject = %s WHERE entry_id = %s", [subject, entry])

    named = sealed_faults()

    assert {f"entry {entry}", f"posting {world.wallets[0]}#2"} <= named.keys()
    assert len(named) == 3
    assert all("not as it was sealed" in fault for fault in named.values())


def test_an_entry_taken_out_whole_with_its_traces_is_named(committed_db: None, run_as_owner: OwnersHand) -> None:
    world = a_sealed_ledger()
    entry = Posting.objects.get(account_id=world.wallets[0], sequence=2).entry_id
    with triggers_off(run_as_owner):
        run_as_owner("DELETE FROM wallet_posting WHERE entry_id = %s", [entry])
        run_as_owner("DELETE FROM wallet_journalentry WHERE id = %s", [entry])
        run_as_owner(
            "UPDATE wallet_account SET balance = balance + 10, last_sequence = 1 WHERE id = %s", [world.wallets[0]]
        )
        run_as_owner("DELETE FROM wallet_usage WHERE account_id = %s", [world.wallets[0]])

    found = faults()

    named = {finding.row: finding.fault for finding in found}
    assert {finding.invariant for finding in found} == {"S1"}, "nothing else could have seen it"
    assert "not there any more" in named[f"posting {world.wallets[0]}#2"]
    assert "not there any more" in named[f"entry {entry}"]


def test_an_entry_dated_back_into_a_sealed_range_is_named(committed_db: None, run_as_owner: OwnersHand) -> None:
    world = a_sealed_ledger()
    entry = JournalEntry.objects.earliest("id")
    new = "0190aaaa-0000-7000-8000-000000000002"
    copied = "effective_at, recorded_at, tx"
    with triggers_off(run_as_owner):
        run_as_owner(
            f"INSERT INTO wallet_journalentry (id, kind, subject, {copied}) SELECT %s, kind, subject, {copied} "
            "FROM wallet_journalentry WHERE id = %s",
            [new, entry.pk],
        )
        run_as_owner(
            f"INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, subject, {copied}) "
            f"SELECT account_id, 900000 + n, %s, asset_id, n * 5, subject, {copied} FROM wallet_posting, "
            "unnest(ARRAY[1, -1]) AS n WHERE entry_id = %s AND account_id = %s",
            [new, entry.pk, world.bank],
        )

    named = sealed_faults()

    assert named.keys() == {f"entry {new}", f"posting {world.bank}#900001", f"posting {world.bank}#899999"}
    assert all("was not there when" in fault for fault in named.values())


def test_an_entry_of_a_transaction_before_all_seals_is_named(committed_db: None, run_as_owner: OwnersHand) -> None:
    a_sealed_ledger()
    entry = JournalEntry.objects.latest("id").pk
    with triggers_off(run_as_owner):
        run_as_owner("DELETE FROM wallet_seal")
        run_as_owner("UPDATE wallet_posting SET tx = -7 WHERE entry_id = %s", [entry])
        run_as_owner("UPDATE wallet_journalentry SET tx = -7 WHERE id = %s", [entry])
    sealing.seal()

    named = {finding.row: finding.fault for finding in faults()}

    assert "-7 is one that this server has not begun" in named[f"entry {entry}"]


def test_a_row_that_stands_there_twice_is_named(committed_db: None, run_as_owner: OwnersHand) -> None:
    world = a_sealed_ledger()
    run_as_owner("ALTER TABLE wallet_posting DROP CONSTRAINT wallet_posting_pkey")
    with triggers_off(run_as_owner):
        run_as_owner(
            "INSERT INTO wallet_posting SELECT * FROM wallet_posting WHERE account_id = %s AND sequence = 1",
            [world.wallets[1]],
        )

    assert sealed_faults()[f"posting {world.wallets[1]}#1"] == "it is there 2 times, and was sealed 1 times in seal 1"


@pytest.mark.parametrize("instant", ["infinity", "-infinity", "1066-10-14 09:00:00+00"])
def test_an_instant_that_is_none_is_named_too(committed_db: None, run_as_owner: OwnersHand, instant: str) -> None:
    world = a_sealed_ledger()
    with triggers_off(run_as_owner):
        run_as_owner("UPDATE wallet_posting SET effective_at = %s WHERE account_id = %s", [instant, world.wallets[1]])

    assert f"posting {world.wallets[1]}#1" in sealed_faults()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE wallet_seal SET rows = overlay(rows PLACING '\\x00' FROM 30) WHERE number = 1", "digest is not that"),
        (
            "UPDATE wallet_seal SET sealed_at = sealed_at + interval '1 microsecond' WHERE number = 1",
            "digest is not that",
        ),
        ("UPDATE wallet_seal SET digest = sha256('another') WHERE number = 1", "digest is not that"),
        ("DELETE FROM wallet_seal WHERE number = 1", "the seal before it is missing"),
    ],
)
def test_a_seal_that_was_changed_is_named_and_nobody_is_blamed(
    committed_db: None, run_as_owner: OwnersHand, change: str, fault: str
) -> None:
    world = a_sealed_ledger()
    world.send(1, "1.00")
    seal_all()
    with triggers_off(run_as_owner):
        run_as_owner(change)

    named = sealed_faults()
    verification_runs.run(extent=Extent.FULL, freeze=True)

    assert any(row.startswith("seal ") and fault in said for row, said in named.items())
    assert not AccountFreeze.objects.exists()


def test_a_chain_rewritten_with_its_rows_is_found_by_an_exported_head(
    committed_db: None, run_as_owner: OwnersHand, tmp_path: Path, settings: object
) -> None:
    world = a_sealed_ledger()
    kept = str(sealing.head())
    with triggers_off(run_as_owner):
        run_as_owner("UPDATE wallet_posting SET subject = uuidv7()")
        run_as_owner("UPDATE wallet_journalentry e SET subject = uuidv7()")
        run_as_owner(
            "UPDATE wallet_posting p SET subject = e.subject FROM wallet_journalentry e WHERE e.id = p.entry_id"
        )
        run_as_owner("DELETE FROM wallet_seal")
    seal_all()
    assert faults() == [], "without the head nothing is wrong"

    by_hand, by_file = StringIO(), StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_ledger", "--head", kept, stdout=by_hand)
    settings.SEAL_HEADS_FILE = str(tmp_path / "heads")  # type: ignore[attr-defined]
    (tmp_path / "heads").write_text(json.dumps({"digest": kept.split(":")[1]}))
    with pytest.raises(SystemExit):
        call_command("verify_ledger", "--incremental", stdout=by_file)

    assert f"head {kept.split(':')[1]}: the chain does not run through" in by_hand.getvalue()
    assert "the chain does not run through" in by_file.getvalue()
    assert world.wallets


def test_a_head_that_was_kept_is_found_again_however_far_the_chain_has_gone_on(committed_db: None) -> None:
    world = a_sealed_ledger()
    printed = StringIO()
    call_command("seal", "head", stdout=printed)
    world.send(0, "1.00")
    seal_all()

    # The products' checks would rightly miss the business rows of this ledger; an incremental one asks none of them.
    call_command("verify_ledger", "--incremental", "--head", printed.getvalue().strip(), stdout=StringIO())

    assert Seal.objects.count() >= 2
    assert VerificationRun.objects.get().breaks == 0


def test_who_lost_a_sealed_row_is_frozen_for_it_once(committed_db: None, run_as_owner: OwnersHand) -> None:
    world = a_sealed_ledger()
    with triggers_off(run_as_owner):
        run_as_owner("UPDATE wallet_posting SET amount = amount + 1 WHERE account_id = %s", [world.wallets[1]])
        run_as_owner(
            "UPDATE wallet_posting SET recorded_at = recorded_at + interval '1 s' WHERE account_id = %s", [world.bank]
        )
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command("verify_ledger", "--freeze", "--json", stdout=out)
    with pytest.raises(SystemExit):
        call_command("verify_ledger", "--freeze", stdout=StringIO())

    case = AccountFreeze.objects.get()
    assert json.loads(out.getvalue())["frozen"] == [{"account": str(world.wallets[1]), "case": str(case.pk)}]
    assert (case.account_id, case.reason) == (world.wallets[1], AccountFreeze.Reason.SEAL)
    assert set(Account.objects.filter(frozen=True).values_list("id", flat=True)) == {world.wallets[1]}
    assert sealed_faults().keys() == {f"posting {world.wallets[1]}#1", *_rows_of_the_bank(world.bank)}


def _rows_of_the_bank(bank: UUID) -> set[str]:
    return {f"posting {bank}#{row.sequence}" for row in Posting.objects.filter(account_id=bank)}


def test_a_frozen_flag_without_a_case_and_a_case_without_the_flag_are_named(
    committed_db: None, run_as_owner: OwnersHand
) -> None:
    world = a_sealed_ledger()
    run_as_owner("UPDATE wallet_account SET frozen = true WHERE id = ANY(%s)", [[world.wallets[0], world.bank]])

    assert sealed_faults().keys() == {f"account {world.wallets[0]}", f"account {world.bank}"}


def test_a_head_exported_while_a_verification_is_at_work_is_no_finding(
    committed_db: None, tmp_path: Path, settings: object
) -> None:
    settings.SEAL_HEADS_FILE = str(tmp_path / "heads")  # type: ignore[attr-defined]
    world = a_sealed_ledger()
    exported = (tmp_path / "heads").read_text().splitlines()

    def meanwhile(cursor: object) -> Iterator[tuple[str, str]]:
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(_send_and_seal, world).result()
        yield from ()

    found, _ = verification.look_at_everything(
        [Check("S1", "the ledger goes on", LEDGER, meanwhile), seal_checks.heads()]
    )

    assert len((tmp_path / "heads").read_text().splitlines()) > len(exported) > 0
    assert [finding for each in found.values() for finding in each] == []


def _send_and_seal(world: World) -> None:
    try:
        world.send(0, "1.00")
        seal_all()
    finally:
        connection.close()
