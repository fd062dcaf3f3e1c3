"""The wallet over the API: opening, topping up, the PIN, what one has and what happened to it."""

from datetime import timedelta
from typing import Any

import pytest

from payments import settlement
from superapp import clock, outbox
from superapp.graphql.relay import node_id
from superapp.models import User
from tests.api.queries import count_queries
from tests.asking import ask, data_of
from tests.factories import PIN, a_payer, a_person, a_transfer
from tests.picture import nothing_changes

OPEN = """
mutation Open($currency: CurrencyCode!) {
  openWallet(input: {currency: $currency}) {
    __typename
    ... on OpenWalletSuccess { wallet { currency account { id kind } available { amount currency } } }
  }
}
"""

TOP_UP = """
mutation TopUp($input: TopUpInput!) {
  topUp(input: $input) {
    __typename
    ... on TopUpSuccess { topUp { id state amount { amount currency } } fee { amount } accountId }
    ... on UserError { code }
  }
}
"""

SET_PIN = (
    "mutation Set($pin: String!) { setPaymentPin(input: {pin: $pin}) { __typename ... on UserError { code message } } }"
)
CHANGE_PIN = """
mutation Change($current: String!, $new: String!) {
  changePaymentPin(input: {currentPin: $current, newPin: $new}) { __typename ... on UserError { code } }
}
"""

WALLETS = """
query { viewer { hasPaymentPin
  wallets { currency balance { amount } available { amount } held { amount } pending { amount } }
  accounts { id kind asset balance available held pending }
} }
"""

ACTIVITY = """
query Activity($first: Int, $after: String, $last: Int, $before: String) {
  viewer { activity(first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { id kind amount asset balanceAfter note counterparty { displayName } subjectId accountId } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  } }
}
"""


def activity(person: User, **page: Any) -> dict[str, Any]:
    found: dict[str, Any] = data_of(person, ACTIVITY, **page)["viewer"]["activity"]
    return found


def test_a_wallet_is_opened_once_and_then_found(db: None) -> None:
    person = a_person()
    first = data_of(person, OPEN, currency="CNY")["openWallet"]
    assert first["wallet"]["currency"] == "CNY"
    assert first["wallet"]["available"] == {"amount": "0.00", "currency": "CNY"}
    assert first["wallet"]["account"]["kind"] == "WALLET"
    assert data_of(person, OPEN, currency="CNY")["openWallet"] == first
    assert ask(person, OPEN, currency="XXX")["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert ask(None, OPEN, currency="CNY")["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_top_up_is_watched_from_request_to_confirmation(db: None) -> None:
    person = a_payer("0")
    asked = {"amount": {"amount": "100", "currency": "CNY"}, "idempotencyKey": "k"}
    done = data_of(person, TOP_UP, input=asked)["topUp"]
    assert done["topUp"]["state"] == "REQUESTED"
    assert done["fee"] == {"amount": "0.00"}
    outbox.deliver_due()
    with clock.stopped_at(clock.now() + timedelta(seconds=2)):
        outbox.deliver_due()
    query = "query Node($id: ID!) { node(id: $id) { ... on TopUp { state failure } } }"
    assert data_of(person, query, id=done["topUp"]["id"])["node"] == {"state": "CONFIRMED", "failure": None}
    assert data_of(a_person(), query, id=done["topUp"]["id"]) == {"node": None}
    (edge,) = data_of(person, "{ viewer { topUps { edges { node { state } } } } }")["viewer"]["topUps"]["edges"]
    assert edge["node"]["state"] == "CONFIRMED"
    (item,) = activity(person)["edges"]
    assert (item["node"]["kind"], item["node"]["subjectId"]) == ("TOP_UP", done["topUp"]["id"])


def test_a_top_up_can_be_tried_dry_and_is_refused_by_type(db: None) -> None:
    person = a_payer("0")
    asked = {"amount": {"amount": "100", "currency": "CNY"}, "idempotencyKey": "k"}
    with nothing_changes():
        dry = data_of(person, TOP_UP, input=asked | {"dryRun": True})["topUp"]
        no_wallet = asked | {"amount": {"amount": "100", "currency": "USD"}}
        assert data_of(person, TOP_UP, input=no_wallet)["topUp"]["code"] == "WALLET_NOT_OPEN"
        too_fine = {"amount": {"amount": "0.001", "currency": "CNY"}, "idempotencyKey": "l"}
        assert data_of(person, TOP_UP, input=too_fine)["topUp"]["code"] == "INVALID_AMOUNT"
    assert dry["topUp"] is None
    assert dry["fee"] == {"amount": "0.00"}


def test_the_pin_is_set_changed_and_never_spoken(db: None) -> None:
    person = a_person()
    assert data_of(person, SET_PIN, pin="111111")["setPaymentPin"]["code"] == "PIN_WEAK"
    assert data_of(person, SET_PIN, pin=PIN)["setPaymentPin"] == {"__typename": "SetPaymentPinSuccess"}
    assert data_of(person, SET_PIN, pin="975310")["setPaymentPin"]["code"] == "PIN_ALREADY_SET"
    assert data_of(person, CHANGE_PIN, current="864297", new="975310")["changePaymentPin"]["code"] == "PIN_WRONG"
    assert data_of(person, CHANGE_PIN, current=PIN, new="975310")["changePaymentPin"] == {
        "__typename": "ChangePaymentPinSuccess"
    }
    wrong = ask(person, SET_PIN, pin=864297)
    assert "864297" not in str(wrong)


def test_what_one_has_is_shown_in_parts(db: None) -> None:
    ann, ben = a_payer("100.00"), a_payer("0")
    a_transfer(ann, ben, "30.00")
    viewer = data_of(ben, WALLETS)["viewer"]
    assert viewer["hasPaymentPin"]
    assert viewer["wallets"] == [
        {
            "currency": "CNY",
            "balance": {"amount": "0.00"},
            "available": {"amount": "0.00"},
            "held": {"amount": "0.00"},
            "pending": {"amount": "30.00"},
        }
    ]
    (account,) = viewer["accounts"]
    assert (account["kind"], account["asset"], account["pending"]) == ("WALLET", "CNY", "30.00")


def test_activity_pages_lead_on_and_back(db: None) -> None:
    ann, ben = a_payer("100.00", display_name="Ann"), a_payer("0", display_name="Ben")
    for number in range(4):
        a_transfer(ann, ben, f"{number + 1}.00", note=f"note {number}")
    settlement.settle_everything_due()
    whole = activity(ann)
    assert [edge["node"]["amount"] for edge in whole["edges"]] == ["-4.00", "-3.00", "-2.00", "-1.00", "100.00"]
    assert whole["edges"][0]["node"]["counterparty"] == {"displayName": "Ben"}
    assert whole["edges"][0]["node"]["note"] == "note 3"
    assert whole["pageInfo"]["hasNextPage"] is False
    first = activity(ann, first=2)
    second = activity(ann, first=2, after=first["pageInfo"]["endCursor"])
    third = activity(ann, first=2, after=second["pageInfo"]["endCursor"])
    assert first["edges"] + second["edges"] + third["edges"] == whole["edges"]
    assert [page["pageInfo"]["hasNextPage"] for page in (first, second, third)] == [True, True, False]
    back = activity(ann, last=2, before=third["pageInfo"]["startCursor"])
    assert back["edges"] == second["edges"]
    assert (back["pageInfo"]["hasPreviousPage"], back["pageInfo"]["hasNextPage"]) == (True, True)
    oldest = activity(ann, last=1)
    assert oldest["edges"] == whole["edges"][-1:]


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ({"after": "nonsense"}, "BAD_CURSOR"),
        ({"after": "A" * 5000}, "BAD_CURSOR"),
        ({"first": 0}, "BAD_REQUEST"),
        ({"first": 101}, "BAD_REQUEST"),
        ({"first": 1, "last": 1}, "BAD_REQUEST"),
        ({"first": 1, "before": "AAA="}, "BAD_CURSOR"),
    ],
)
def test_a_page_that_cannot_be_is_refused(db: None, page: dict[str, Any], code: str) -> None:
    assert ask(a_payer("1.00"), ACTIVITY, **page)["errors"][0]["extensions"]["code"] == code


def test_activity_is_read_forward_from_the_start_or_back_from_a_place(db: None) -> None:
    person = a_payer("1.00")
    cursor = activity(person)["pageInfo"]["endCursor"]
    for page in ({"first": 1, "before": cursor}, {"last": 1, "after": cursor}):
        assert ask(person, ACTIVITY, **page)["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_lists_cost_no_query_per_row(db: None) -> None:
    ann = a_payer("100.00")
    counts = []
    for round_number in range(2):
        for _ in range(1 + round_number * 3):
            a_transfer(ann, a_payer("0"), "1.00")
        with count_queries() as queries:
            activity(ann)
            data_of(ann, WALLETS)
            data_of(ann, "{ viewer { topUps { edges { node { state } } } } }")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_accounts_of_others_are_answered_as_if_absent(db: None) -> None:
    ann, eve = a_payer("100.00"), a_payer("0")
    (account,) = data_of(ann, WALLETS)["viewer"]["accounts"]
    query = "query Node($id: ID!) { node(id: $id) { ... on Account { balance } } }"
    assert data_of(ann, query, id=account["id"]) == {"node": {"balance": "100.00"}}
    assert data_of(eve, query, id=account["id"]) == {"node": None}
    assert data_of(eve, query, id=node_id("TopUp", ann.pk)) == {"node": None}
