"""An app and a browser that talk to the sign-in API as front ends do, and the log in which a sandbox shows codes."""

import base64
import hmac
import json
import logging
import re
import struct
import time
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.test import Client, RequestFactory

APP = "/_allauth/app/v1/"
BROWSER = "/_allauth/browser/v1/"


class SandboxLog(logging.Handler):
    """The messages a sandbox shows instead of sending them."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the line."""
        self.lines.append(record.getMessage())

    def to(self, recipient: str) -> list[str]:
        """The messages for one recipient."""
        return [line for line in self.lines if f" to {recipient}: " in line]

    def code_for(self, recipient: str) -> str:
        """The code in the latest message for a recipient."""
        found = re.search(r"\b(\d{6})\b", self.to(recipient)[-1].split(": ", 1)[1])
        assert found, self.to(recipient)[-1]
        return found[1]


def call(method: str, path: str, body: object = None, *, token: str | None = None) -> tuple[int, dict[str, Any]]:
    """One call of an app: JSON in, status and JSON out."""
    headers = {} if token is None else {"X-Session-Token": token}
    data = "" if body is None else json.dumps(body)
    answer = Client().generic(method, APP + path, data, "application/json", headers=headers)
    return answer.status_code, json.loads(answer.content) if answer.content else {}


def request_with(token: str | None = None, **headers: str) -> HttpRequest:
    """A request as a view gets it that has no cookie session."""
    given = headers if token is None else {"X-Session-Token": token, **headers}
    request = RequestFactory().post("/graphql/", headers=given)
    request.user = AnonymousUser()
    return request


def pending(answer: dict[str, Any]) -> list[str]:
    """The steps a sign-in still waits for."""
    return [flow["id"] for flow in answer["data"]["flows"] if flow.get("is_pending")]


def one_time_code(secret: str) -> str:
    """What an authenticator shows now (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, "sha1").digest()
    start = digest[-1] & 0x0F
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"
