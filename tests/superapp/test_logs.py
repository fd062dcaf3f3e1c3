"""What the logs keep to themselves."""

import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from django.conf import settings

from superapp.logs import mask_people, mask_secrets, masked_phone


def masked(**event: object) -> dict[str, object]:
    return dict(mask_secrets(None, "info", dict(event)))


@pytest.mark.parametrize(
    "name",
    [
        "pin",
        "PIN",
        "new_pin",
        "paymentPin",
        "password",
        "password1",
        "token",
        "session_token",
        "X-Session-Token",
        "csrftoken",
        "Authorization",
        "Set-Cookie",
        "cookies",
        "SECRET_KEY",
        "client_secret",
        "otp",
        "api_key",
    ],
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert masked(event="x", **{name: "123456"}) == {"event": "x", name: "***"}


@pytest.mark.parametrize(
    "name", ["event", "code", "key", "amount", "shipping", "mapping", "opinion", "phone", "request"]
)
def test_what_is_no_secret_is_shown(name: str) -> None:
    assert masked(**{name: "text"}) == {name: "text"}


def test_a_secret_is_found_at_any_depth() -> None:
    shown = masked(input={"amount": "10.00", "auth": [{"pin": "123456"}, ("a", {"token": "t"})]})
    assert shown == {"input": {"amount": "10.00", "auth": [{"pin": "***"}, ["a", {"token": "***"}]]}}


def test_what_lies_too_deep_to_look_through_is_not_shown() -> None:
    deep: dict[str, object] = {"pin": "123456"}
    for _ in range(20):
        deep = {"in": deep}
    assert "123456" not in str(masked(deep=deep))


def test_secrets_in_a_query_string_are_masked() -> None:
    shown = masked(request="GET /x?state=1&session_token=abc&code=9f8&next=/home")
    assert shown == {"request": "GET /x?state=1&session_token=***&code=***&next=/home"}


def test_people_are_masked_in_production_and_codes_with_them() -> None:
    event = {
        "phone": "+8613800138000",
        "event": "text to +8613800138000",
        "code": "482913",
        "refusal_code": "NOT_FOUND",
    }
    assert mask_people(None, "info", event) == {
        "phone": "+861****8000",
        "event": "text to +861****8000",
        "code": "***",
        "refusal_code": "NOT_FOUND",
    }
    assert mask_people(None, "info", {"code": 200}) == {"code": 200}
    assert masked_phone("+1234567") == "***"


@pytest.fixture
def lines() -> "io.StringIO":
    """What the configured formatter writes for the root logger."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    formatter = settings.LOGGING["formatters"]["events"]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=formatter["foreign_pre_chain"], processors=formatter["processors"]
        )
    )
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return out


def test_the_standard_library_takes_the_same_path_as_structlog(lines: io.StringIO) -> None:
    logging.getLogger("tests.logs").warning("sign-in of %s", "somebody", extra={"pin": "123456", "tries": 3})
    structlog.get_logger("tests.logs").warning("sign-in", token="abcdef", tries=4)
    first, second = lines.getvalue().splitlines()
    assert "sign-in of somebody" in first
    assert "tries" in first
    assert "123456" not in first
    assert "tries" in second
    assert "abcdef" not in second


PRODUCTION_LINE = """
import logging, logging.config
import structlog
from config.settings import logs
logging.config.dictConfig(logs.LOGGING)
structlog.contextvars.bind_contextvars(request_id="r-1")
logging.getLogger("superapp.test").error("text to %s", "+8613800138000", extra={"code": "482913", "pin": "123456"})
try:
    raise ValueError("two\\nlines")
except ValueError:
    structlog.get_logger("superapp.test").exception("broken", amount="10.00")
"""


def test_production_writes_one_json_object_a_line_with_the_request_id() -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "SUPERAPP_MODE": "production",
        "SECRET_KEY": "s" * 50,
        "PAYMENT_PIN_KEY": "p" * 50,
    }
    done = subprocess.run(
        [sys.executable, "-c", PRODUCTION_LINE],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**environment, "DATABASE_URL": "postgres://x@localhost/x", "REDIS_URL": "redis://localhost:1/0"},
        timeout=60,
    )
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert first["event"] == "text to +861****8000"
    assert (first["code"], first["pin"], first["request_id"]) == ("***", "***", "r-1")
    assert (first["level"], first["logger"]) == ("error", "superapp.test")
    assert first["timestamp"].endswith("Z")
    assert second["event"] == "broken"
    assert "ValueError: two\nlines" in second["exception"]
