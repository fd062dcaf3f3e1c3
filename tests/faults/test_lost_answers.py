"""The answer to COMMIT lost, and the COMMIT itself: a client that sends the same request again learns what became of it."""

from uuid import uuid4

import pytest

from tests.faults.conftest import Busy
from tests.faults.rig import MONEY, Rig

pytestmark = pytest.mark.processes


def _effects(rig: Rig, key: str) -> int:
    """How many transfers stand under the key."""
    with rig.owner() as session:
        found = session.execute(
            "SELECT count(*) FROM superapp_idempotencykey k JOIN payments_transfer t"
            " ON t.id::text = k.answer ->> 'transfer' WHERE k.key = %s",
            [key],
        ).fetchone()
    assert found is not None
    return int(found[0])


def test_a_retry_after_a_lost_answer_returns_the_first_result(rig: Rig, busy: Busy) -> None:
    key = f"lost-{uuid4()}"
    with busy(0) as clients:
        request = clients.by_hand(key, by=10, to=11, amount="0.01")
        rig.proxy.lose_answers(1, words=MONEY)
        lost = request.send_until(lambda _: rig.proxy.orders.cut == 1)
        assert _effects(rig, key) == 1
        first, second = request.send_until(), request.send_until()

    assert lost == ("unknown", "UNAVAILABLE")
    assert first == second
    assert first[0] == "done"
    assert _effects(rig, key) == 1


def test_a_retry_after_a_lost_commit_is_the_first_effect(rig: Rig, busy: Busy) -> None:
    key = f"lost-{uuid4()}"
    with busy(0) as clients:
        request = clients.by_hand(key, by=10, to=11, amount="0.01")
        rig.proxy.lose_commits(1, words=MONEY)
        lost = request.send_until(lambda _: rig.proxy.orders.cut == 1)
        assert _effects(rig, key) == 0
        first = request.send_until()

    assert lost == ("unknown", "UNAVAILABLE")
    assert first[0] == "done"
    assert _effects(rig, key) == 1


def test_many_answers_and_commits_lost_while_money_moves(rig: Rig, busy: Busy) -> None:
    with busy() as clients:
        for lose in (rig.proxy.lose_answers, rig.proxy.lose_commits):
            lose(10, words=MONEY)
            clients.more(40)
            assert rig.proxy.orders.cut == 10

    assert clients.figures["resolved"] > 0
