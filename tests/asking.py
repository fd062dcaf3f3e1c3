"""Asking the GraphQL API as an app does: over HTTP, with a session token."""

import json
from typing import Any

from django.test import Client

from superapp.models import User
from tests.factories import session_token_for


def ask(person: User | None, query: str, **variables: object) -> dict[str, Any]:
    """The whole answer to one operation: `data`, and `errors` when there are any. `person` None: nobody signed in."""
    return asked_with(session_token_for(person) if person else None, query, **variables)


def asked_with(token: str | None, query: str, **variables: object) -> dict[str, Any]:
    """The whole answer to one operation that brings this session token."""
    headers = {"X-Session-Token": token} if token else {}
    response = Client(headers={"host": "localhost"}).post(
        "/graphql/", json.dumps({"query": query, "variables": variables}), "application/json", headers=headers
    )
    answer: dict[str, Any] = json.loads(response.content)
    return answer


def data_of(person: User | None, query: str, **variables: object) -> Any:
    """The data of an answer without errors."""
    answer = ask(person, query, **variables)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]
