"""System checks: production starts with all it needs, or says what is missing."""

import pytest
from pytest_django import Settings

from superapp.checks import NAMED_IN_PRODUCTION, production_has_what_it_needs


@pytest.fixture
def production(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A production site that lacks nothing."""
    for name in NAMED_IN_PRODUCTION:
        monkeypatch.setenv(name, "set")
    settings.SUPERAPP_SANDBOX = False
    settings.DEBUG = False
    settings.SECRET_KEY = "s" * 50
    settings.PAYMENT_PIN_KEY = "p" * 50
    settings.ALLOWED_HOSTS = ["pay.example"]
    return settings


def found() -> set[str | None]:
    return {message.id for message in production_has_what_it_needs()}


def test_a_complete_production_passes(production: Settings) -> None:
    assert found() == set()


@pytest.mark.parametrize("name", NAMED_IN_PRODUCTION)
def test_a_missing_server_or_host_is_named(production: Settings, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    assert [message.msg for message in production_has_what_it_needs()] == [
        f"{name} must be set when SUPERAPP_MODE=production."
    ]


@pytest.mark.parametrize(
    ("setting", "value", "check"),
    [
        ("DEBUG", True, "superapp.E002"),
        ("SECRET_KEY", "short", "superapp.E003"),
        ("PAYMENT_PIN_KEY", "short", "superapp.E003"),
        ("PAYMENT_PIN_KEY", "s" * 50, "superapp.E004"),
        ("ALLOWED_HOSTS", ["*"], "superapp.E005"),
        ("METRICS_TOKEN", "a token", "superapp.E007"),
    ],
)
def test_what_belongs_in_a_sandbox_is_refused(production: Settings, setting: str, value: object, check: str) -> None:
    setattr(production, setting, value)
    assert found() == {check}


def test_a_sandbox_needs_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMED_IN_PRODUCTION:
        monkeypatch.delenv(name, raising=False)
    settings.SUPERAPP_SANDBOX = True
    settings.DEBUG = True
    assert found() == set()
