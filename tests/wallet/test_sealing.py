"""Sealing: blocks of a chain over everything posted, in whole transactions, once, by however many sealers."""

import hashlib
import itertools
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection, connections, transaction
from django.db.utils import IntegrityError, ProgrammingError

from tests.many import at_once
from tests.waiting import PATIENCE_SECONDS, wait_until
from tests.wallet.ledger_world import a_ledger
from tests.wallet.sealed_world import a_sealed_ledger, seal_all
from wallet import sealing
from wallet.assurance import Seal
from wallet.models import JournalEntry, Posting


def _instant(moment: datetime) -> str:
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return str(since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds)


def _plain(amount: Decimal | None) -> str:
    if amount is None:
        return "-"
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _as_documented(seal: Seal) -> bytes:
    """The rows of a block worked out anew, in Python, from what the module's head says."""
    keyed: list[tuple[int, int, bytes, str]] = []
    for e in JournalEntry.objects.filter(tx__gte=seal.from_tx, tx__lt=seal.to_tx):
        text = f"entry|{e.id}|{len(e.kind)}:{e.kind}|{e.subject}|{_instant(e.effective_at)}|{_instant(e.recorded_at)}|{e.tx}"
        keyed.append((e.tx, 1, e.id.bytes + bytes(8), f"{text}|{e.reverses_id or '-'}"))
    for p in Posting.objects.filter(tx__gte=seal.from_tx, tx__lt=seal.to_tx):
        text = (
            f"posting|{p.account_id}|{p.sequence}|{p.entry_id}|{p.asset_id}|{_plain(p.amount)}|{_plain(p.balance_after)}"
            f"|{p.subject}|{_instant(p.effective_at)}|{_instant(p.recorded_at)}|{p.tx}"
        )
        keyed.append((p.tx, 2, p.account_id.bytes + p.sequence.to_bytes(8, "big"), text))
    return b"".join(key + hashlib.sha256(text.encode()).digest()[:16] for _, _, key, text in sorted(keyed))


def test_a_seal_is_what_the_documented_form_says(committed_db: None) -> None:
    a_sealed_ledger()

    seal = Seal.objects.order_by("number")[0]
    rows = bytes(seal.rows)
    header = f"{seal.form}|{seal.number}|{seal.from_tx}|{seal.to_tx}|{seal.entries}|{seal.postings}|{_instant(seal.sealed_at)}"

    assert len(rows) == sealing.ROW_BYTES * (seal.entries + seal.postings)
    assert rows == _as_documented(seal)
    assert bytes(seal.digest) == hashlib.sha256(bytes(32) + header.encode() + rows).digest()


@pytest.mark.parametrize("model", [JournalEntry, Posting])
def test_every_column_is_part_of_a_rows_text(model: type[JournalEntry] | type[Posting]) -> None:
    text = sealing.ENTRY_TEXT if model is JournalEntry else sealing.POSTING_TEXT
    alias = "e" if model is JournalEntry else "p"

    for field in model._meta.concrete_fields:
        if field.column:  # a composite key has none of its own
            assert f"{alias}.{field.column}" in text


def test_each_run_seals_what_is_new_and_nothing_twice(committed_db: None) -> None:
    world = a_sealed_ledger()
    assert sealing.seal() == 0
    world.send(1, "5.00")
    world.send(1, "6.00")

    assert sealing.unsealed_since() is not None
    assert seal_all() == 6

    *_, last, newest = Seal.objects.order_by("number")
    assert (newest.number, newest.from_tx, bytes(newest.previous)) == (last.number + 1, last.to_tx, bytes(last.digest))
    assert sealing.seal() == 0


def test_much_is_cut_into_blocks_at_the_bounds_of_transactions(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "ROWS_PER_SEAL", 7)
    world = a_ledger(balances=["100.00"])
    for _ in range(11):
        world.send(0, "1.00")

    assert seal_all() == 36

    blocks = [seal.entries + seal.postings for seal in Seal.objects.order_by("number")]
    assert sum(blocks) == 36
    assert max(blocks) <= 7 + 2
    assert all(rows % 3 == 0 for rows in blocks)
    assert all(bytes(seal.rows) == _as_documented(seal) for seal in Seal.objects.all())


def test_one_run_is_bounded_and_the_next_goes_on(committed_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "ROWS_PER_SEAL", 3)
    monkeypatch.setattr(sealing, "SEALS_PER_RUN", 2)
    world = a_ledger(balances=["100.00"])
    for _ in range(4):
        world.send(0, "1.00")

    sealed = [sealing.seal() for _ in range(2)]
    rest = seal_all()

    assert max(sealed) <= 6
    assert sum(sealed) + rest == 15


def test_what_commits_late_is_in_a_later_seal(committed_db: None) -> None:
    world = a_ledger(balances=["100.00", "100.00"])
    posted, go_on = threading.Event(), threading.Event()

    def late() -> None:
        with transaction.atomic():
            world.send(0, "10.00")
            posted.set()
            assert go_on.wait(PATIENCE_SECONDS)

    def others() -> int:
        assert posted.wait(PATIENCE_SECONDS)
        world.send(1, "20.00")  # a later transaction, committed before the one that is open
        try:
            return sealing.seal()
        finally:
            go_on.set()

    _, sealed_meanwhile = at_once([late, others])
    sealed_afterwards = seal_all()

    assert isinstance(sealed_meanwhile, int)
    assert sealed_meanwhile <= 6, "neither the open transaction nor what came after it"
    assert sealed_meanwhile + sealed_afterwards == 12
    assert sum(seal.entries for seal in Seal.objects.all()) == JournalEntry.objects.count()
    assert all(bytes(seal.rows) == _as_documented(seal) for seal in Seal.objects.all())


def test_sealers_at_once_make_one_chain(committed_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "ROWS_PER_SEAL", 5)
    world = a_ledger(balances=["100.00", "100.00"])
    for _ in range(20):
        world.send(0, "1.00")

    sealed = at_once([sealing.seal] * 4)
    sealed.append(seal_all())

    assert sum(rows for rows in sealed if isinstance(rows, int)) == 3 * 22
    seals = list(Seal.objects.order_by("number"))
    assert [seal.number for seal in seals] == list(range(1, len(seals) + 1))
    assert all(one.to_tx == two.from_tx for one, two in itertools.pairwise(seals))
    assert sum(seal.entries + seal.postings for seal in seals) == 3 * 22


def test_a_sealer_that_is_killed_leaves_whole_blocks(committed_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "ROWS_PER_SEAL", 5)
    world = a_ledger(balances=["100.00"])
    for _ in range(5):
        world.send(0, "1.00")
    wait_until(lambda: len(sealing._cuts(0)) > 2, what="enough to seal")
    seal_block = sealing._seal_block

    def killed_at_the_second(to_tx: int) -> int:
        rows = seal_block(to_tx)
        if Seal.objects.count() == 2:
            with connections["default"].cursor() as cursor, connection.wrap_database_errors:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return rows

    monkeypatch.setattr(sealing, "_seal_block", killed_at_the_second)
    [died] = at_once([sealing.seal])
    monkeypatch.setattr(sealing, "_seal_block", seal_block)

    assert isinstance(died, Exception)
    assert Seal.objects.count() == 1
    assert seal_all() == 3 * 6 - 6
    assert sum(seal.entries for seal in Seal.objects.all()) == 6


def test_seals_are_append_only_for_the_site_and_for_the_owner(
    committed_db: None, run_as_owner: Callable[..., None]
) -> None:
    a_sealed_ledger()
    for statement in ("UPDATE wallet_seal SET form = 2", "DELETE FROM wallet_seal", "TRUNCATE wallet_seal"):
        with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
            cursor.execute(statement)
        with pytest.raises(Exception, match="append-only"):
            run_as_owner(statement)


def test_a_seal_that_does_not_follow_the_last_is_refused(committed_db: None) -> None:
    a_sealed_ledger()
    last = Seal.objects.latest("number")
    figures = {"form": 1, "entries": 0, "postings": 0, "rows": b"", "digest": bytes(32), "sealed_at": last.sealed_at}
    follows = {
        "number": last.number + 1,
        "from_tx": last.to_tx,
        "to_tx": last.to_tx + 1,
        "previous": bytes(last.digest),
    }

    for wrong in ({"number": last.number + 2}, {"from_tx": last.to_tx - 1}, {"previous": bytes(32)}):
        with pytest.raises(IntegrityError, match="does not follow"):
            Seal.objects.create(**{**figures, **follows, **wrong})

    wait_until(lambda: _horizon() > last.to_tx, what="a transaction that has ended since")
    Seal.objects.create(**figures, **follows)


def test_a_seal_over_transactions_that_have_not_ended_is_refused(committed_db: None) -> None:
    a_sealed_ledger()
    last = Seal.objects.latest("number")

    for further in (1, 10**12):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text::bigint")
            (open_tx,) = cursor.fetchone()
            with pytest.raises(IntegrityError, match="not ended"), transaction.atomic():
                Seal.objects.create(
                    number=last.number + 1,
                    form=sealing.FORM,
                    from_tx=last.to_tx,
                    to_tx=open_tx + further,
                    entries=0,
                    postings=0,
                    rows=b"",
                    previous=bytes(last.digest),
                    digest=bytes(32),
                    sealed_at=last.sealed_at,
                )


def _horizon() -> int:
    """Below it every transaction has ended; asking moves it along."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return int(cursor.fetchone()[0])


def test_each_head_is_exported_once_to_the_file(committed_db: None, tmp_path: Path, settings: object) -> None:
    settings.SEAL_HEADS_FILE = str(tmp_path / "heads")  # type: ignore[attr-defined]
    world = a_sealed_ledger()
    sealing.seal()
    with Path(tmp_path / "heads").open("a") as heads:
        heads.write('{"number": 2, "digest": "abc')  # a crash while writing
    world.send(0, "1.00")
    seal_all()

    lines = (tmp_path / "heads").read_text().splitlines()

    first = json.loads(lines[0])
    assert first["digest"] == bytes(Seal.objects.get(number=first["number"]).digest).hex()
    heads_kept = list(sealing.exported(tmp_path / "heads"))
    assert heads_kept == [digest for digest in _digests() if digest in heads_kept]
    assert heads_kept[-1] == _digests()[-1]


def _digests() -> list[str]:
    return [bytes(seal.digest).hex() for seal in Seal.objects.order_by("number")]


def test_a_file_that_cannot_be_written_stops_no_sealing(committed_db: None, tmp_path: Path, settings: object) -> None:
    settings.SEAL_HEADS_FILE = str(tmp_path / "no" / "such" / "folder" / "heads")  # type: ignore[attr-defined]

    a_sealed_ledger()

    assert Seal.objects.exists()
