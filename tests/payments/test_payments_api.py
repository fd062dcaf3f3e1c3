"""P01 and X07 over the API: both see a transfer in their common thread, nobody else sees anything of it."""

from typing import Any
from uuid import uuid4

import pytest

from payments import settlement
from payments.models import Thread, Transfer
from superapp.graphql.relay import node_id
from superapp.models import User
from superapp.policies import change
from tests.api.queries import count_queries
from tests.asking import ask, data_of
from tests.factories import PIN, a_payer, a_person, a_transfer
from tests.picture import nothing_changes
from wallet.models import Account

SEND = """
mutation Send($input: SendMoneyInput!) {
  sendMoney(input: $input) {
    __typename
    ... on SendMoneySuccess {
      amount { amount currency } fee { amount currency } sourceId arrival
      transfer { id state direction note amount { amount currency } sender { displayName } recipient { displayName } }
    }
    ... on UserError { code message path }
    ... on InsufficientFunds { available asset }
    ... on PinWrong { triesLeft }
    ... on PinLocked { until }
    ... on LimitExceeded { limit { amount } rule ruleVersion remaining { amount } }
    ... on NoteTooLong { maxLength }
  }
}
"""

THREADS = """
query Threads($first: Int) {
  viewer { threads(first: $first) { edges { node { id other { id displayName }
    transfers { edges { node { id note state direction } } } } } } }
}
"""

NODE = "query Node($id: ID!) { node(id: $id) { __typename id ... on Transfer { note direction } } }"


def send(sender: User, **changed: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "amount": {"amount": "12.34", "currency": "CNY"},
        "note": "for lunch",
        "pin": PIN,
        "idempotencyKey": str(uuid4()),
    } | changed
    answer: dict[str, Any] = data_of(sender, SEND, input=asked)["sendMoney"]
    return answer


def test_both_see_the_transfer_with_its_note_in_their_common_thread(db: None) -> None:
    ann, ben = a_payer("100.00", display_name="Ann"), a_person("Ben")
    sent = send(ann, to={"id": node_id("Person", ben.pk)})
    assert sent["__typename"] == "SendMoneySuccess"
    assert sent["transfer"] | {"id": ""} == {
        "id": "",
        "state": "AUTHORISED",
        "direction": "SENT",
        "note": "for lunch",
        "amount": {"amount": "12.34", "currency": "CNY"},
        "sender": {"displayName": "Ann"},
        "recipient": {"displayName": "Ben"},
    }
    settlement.settle_everything_due()
    seen = {}
    for person in (ann, ben):
        (edge,) = data_of(person, THREADS)["viewer"]["threads"]["edges"]
        (transfer,) = edge["node"]["transfers"]["edges"]
        seen[person.display_name] = (edge["node"]["id"], edge["node"]["other"]["displayName"], transfer["node"])
    assert seen["Ann"][0] == seen["Ben"][0]
    assert (seen["Ann"][1], seen["Ben"][1]) == ("Ben", "Ann")
    common = {"id": sent["transfer"]["id"], "note": "for lunch", "state": "SETTLED"}
    assert seen["Ann"][2] == common | {"direction": "SENT"}
    assert seen["Ben"][2] == common | {"direction": "RECEIVED"}


@pytest.mark.parametrize("way", ["id", "phone", "handle"])
def test_a_payee_is_named_in_exactly_one_way(db: None, way: str) -> None:
    ann, ben = a_payer("100.00"), a_person(handle="ben")
    to = {"id": node_id("Person", ben.pk), "phone": ben.phone, "handle": "ben"}
    assert send(ann, to={way: to[way]})["__typename"] == "SendMoneySuccess"
    for wrong in ({}, to, {"id": None}):
        asked = {"amount": {"amount": "1", "currency": "CNY"}, "idempotencyKey": "k", "pin": PIN, "to": wrong}
        assert ask(ann, SEND, input=asked)["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_a_transfer_of_others_is_answered_as_if_absent(db: None) -> None:
    ann, ben, eve = a_payer("100.00"), a_payer("0"), a_payer("0")
    transfer = node_id("Transfer", a_transfer(ann, ben))
    thread = node_id("Thread", Transfer.objects.get().thread_id)
    account = node_id("Account", Account.objects.get(owner=ann).id)
    person = node_id("Person", ann.pk)
    absent = node_id("Transfer", uuid4())
    for viewer in (eve, None):
        for key in (transfer, thread, account, person, absent, "nonsense", transfer.replace("V", "W")):
            assert data_of(viewer, NODE, id=key) == {"node": None}
    assert data_of(eve, THREADS)["viewer"]["threads"]["edges"] == []
    assert data_of(ann, NODE, id=transfer)["node"]["direction"] == "SENT"
    assert data_of(ben, NODE, id=transfer)["node"]["direction"] == "RECEIVED"
    assert data_of(ben, NODE, id=person)["node"]["id"] == person
    assert data_of(ben, NODE, id=account) == {"node": None}


def test_each_refusal_is_a_type_with_what_a_screen_needs(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    to = {"id": node_id("Person", ben.pk)}
    change(policy="payments.transfer.maximum", value={"CNY": "5000.00"})
    with nothing_changes():
        answers = [
            send(ann, to=to, amount={"amount": "100.01", "currency": "CNY"}),
            send(ann, to=to, amount={"amount": "5000.01", "currency": "CNY"}),
            send(ann, to=to, amount={"amount": "0.001", "currency": "CNY"}),
            send(ann, to=to, amount={"amount": "1", "currency": "USD"}),
            send(ann, to={"id": node_id("Person", ann.pk)}),
            send(ann, to={"id": node_id("Transfer", ben.pk)}),
            send(ann, to={"handle": "nobody"}),
            send(ann, to=to, note="x" * 201),
            send(ann, to=to, idempotencyKey=""),
            send(ann, to=to, pin=None),
            send(ann, to=to, pin="864297"),
        ]
    assert [answer["code"] for answer in answers] == [
        "INSUFFICIENT_FUNDS",
        "LIMIT_EXCEEDED",
        "INVALID_AMOUNT",
        "WALLET_NOT_OPEN",
        "CANNOT_PAY_YOURSELF",
        "PAYEE_NOT_FOUND",
        "PAYEE_NOT_FOUND",
        "NOTE_TOO_LONG",
        "INVALID_IDEMPOTENCY_KEY",
        "PIN_REQUIRED",
        "PIN_WRONG",
    ]
    assert (answers[0]["available"], answers[0]["asset"]) == ("100.00", "CNY")
    assert answers[1]["limit"] == answers[1]["remaining"] == {"amount": "5000.00"}
    assert answers[-1]["triesLeft"] == 4


def test_the_same_key_gives_the_same_answer_and_another_request_is_refused(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    asked = {"to": {"id": node_id("Person", ben.pk)}, "idempotencyKey": "k"}
    first = send(ann, **asked)
    with nothing_changes():
        assert send(ann, **asked) == first
        assert send(ann, **asked, note="other")["code"] == "IDEMPOTENCY_KEY_REUSED"


def test_a_dry_run_answers_the_figures_and_no_transfer(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    asked = {"to": {"id": node_id("Person", ben.pk)}, "idempotencyKey": "k"}
    with nothing_changes():
        dry = send(ann, **asked, dryRun=True)
    wet = send(ann, **asked)
    assert dry["transfer"] is None
    assert dry | {"transfer": wet["transfer"]} == wet
    assert wet["fee"] == {"amount": "0.00", "currency": "CNY"}
    assert wet["arrival"] == "INSTANT"


def test_nobody_sends_without_signing_in(db: None) -> None:
    asked = {"amount": {"amount": "1", "currency": "CNY"}, "idempotencyKey": "k", "to": {"handle": "x"}}
    assert ask(None, SEND, input=asked)["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_threads_and_transfers_cost_no_query_per_transfer(db: None) -> None:
    ann, ben = a_payer("100.00"), a_payer("0")
    thread = """query Thread($id: ID!) { node(id: $id) { ... on Thread { other { displayName }
        transfers { edges { node { amount { amount } sender { displayName } recipient { displayName } } } } } } }"""
    counts = []
    for _ in range(2):
        a_transfer(ann, ben, "1.00")
        a_transfer(ann, a_payer("0"), "1.00")
        with count_queries() as queries:
            data_of(ann, THREADS)
            data_of(ann, thread, id=node_id("Thread", Thread.objects.earliest("id").id))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_each_thread_pages_through_its_own_transfers(db: None) -> None:
    ann = a_payer("100.00")
    friends = [a_payer("10.00") for _ in range(2)]
    for number in range(3):
        for friend in friends:
            a_transfer(ann, friend, "1.00", note=f"there {number}")
            a_transfer(friend, ann, "1.00", note=f"back {number}")
    query = """query Thread($first: Int, $after: String, $last: Int, $before: String) { viewer { threads { edges { node {
        other { id } transfers(first: $first, after: $after, last: $last, before: $before) {
        edges { node { note } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } } } } }"""

    def pages(**page: Any) -> list[tuple[list[str], dict[str, Any]]]:
        nodes = [edge["node"]["transfers"] for edge in data_of(ann, query, **page)["viewer"]["threads"]["edges"]]
        return [([edge["node"]["note"] for edge in node["edges"]], node["pageInfo"]) for node in nodes]

    first = pages(first=4)
    assert [notes for notes, _ in first] == [["back 2", "there 2", "back 1", "there 1"]] * 2
    newest_thread = first[0][1]
    rest = pages(first=4, after=newest_thread["endCursor"])
    assert rest[0][0] == ["back 0", "there 0"]
    assert (newest_thread["hasNextPage"], rest[0][1]["hasNextPage"]) == (True, False)
    assert pages(last=2)[0][0] == ["back 0", "there 0"]
    assert pages(last=2, before=rest[0][1]["startCursor"])[0][0] == ["back 1", "there 1"]
