"""A person's phone: signs in as every front end does, and sends the operations that GraphiQL offers ready-made."""

import json
import time
import uuid
from typing import Any

import httpx

from config.engines.home import CHECKOUT

EXAMPLES = CHECKOUT / "superapp" / "graphql" / "examples"
"""One operation a file; the same files are GraphiQL's examples."""


TRIES, BREATH_SECONDS = 20, 1.0
"""A machine that is busy with other things may answer UNAVAILABLE; the same is then sent again, as by any app."""


class Unexpected(Exception):
    """The server answered with something the story does not know; the answer in words."""


class FrontEnd:
    """One signed-in person. `name` is for the story's reader."""

    def __init__(self, url: str, *, name: str, phone: str, password: str) -> None:
        self.name = name
        self._http = httpx.Client(base_url=url, timeout=60)
        signed_in = self._post("/_allauth/app/v1/auth/login", {"phone": phone, "password": password})
        self._http.headers["X-Session-Token"] = signed_in["meta"]["session_token"]

    def ask(self, document: str, **variables: object) -> dict[str, Any]:
        """The data of a query. Raises Unexpected on a top-level error."""
        answer = self._post("/graphql/", {"query": document, "variables": variables})
        if "errors" in answer:
            raise Unexpected(json.dumps(answer["errors"]))
        data: dict[str, Any] = answer["data"]
        return data

    def example(self, name: str, **variables: object) -> dict[str, Any]:
        """The data of one of GraphiQL's examples, with variables of one's own."""
        return self.ask((EXAMPLES / f"{name}.graphql").read_text(), **variables)

    def do(self, name: str, mutation: str, **given: object) -> dict[str, Any]:
        """One of the examples that is a mutation, with its input; the member of the union it answered with."""
        member: dict[str, Any] = self.example(name, input=given)[mutation]
        return member

    def close(self) -> None:
        """Hangs up."""
        self._http.close()

    def _post(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        for _ in range(TRIES):
            response = self._http.post(path, json=body)
            answer: dict[str, Any] = response.json()
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE and not _is_unavailable(answer):
                break
            time.sleep(BREATH_SECONDS)
        return answer


def _is_unavailable(answer: dict[str, Any]) -> bool:
    return any(error.get("extensions", {}).get("code") == "UNAVAILABLE" for error in answer.get("errors", ()))


def money(amount: str, currency: str = "CNY") -> dict[str, str]:
    """An amount as the API takes it: a decimal string and its currency."""
    return {"amount": amount, "currency": currency}


def new_key() -> str:
    """An idempotency key, as a front end makes one for each thing its user wants done."""
    return str(uuid.uuid4())


def done(member: dict[str, Any]) -> dict[str, Any]:
    """The member if it is a success. Raises Unexpected when a rule has refused."""
    if "code" in member:
        raise Unexpected(f"{member['code']}: {member['message']}")
    return member
