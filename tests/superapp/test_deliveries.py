"""What leaves the house, and the refusal to run production on the sandbox's gateway."""

import pytest
from pytest_django.fixtures import Settings

from superapp.deliveries import production_sends_text_messages


@pytest.mark.parametrize("gateway", ["", "superapp.deliveries.SandboxTextMessages"])
def test_production_without_a_gateway_of_its_own_is_refused(gateway: str, settings: Settings) -> None:
    settings.SUPERAPP_SANDBOX = False
    settings.SMS_GATEWAY = gateway

    [error] = production_sends_text_messages()

    assert error.id == "superapp.E010"
    assert "SMS_GATEWAY" in error.msg


def test_production_refuses_a_gateway_that_is_not_there(settings: Settings) -> None:
    settings.SUPERAPP_SANDBOX = False
    settings.SMS_GATEWAY = "no.such.Gateway"

    [error] = production_sends_text_messages()

    assert error.id == "superapp.E011"


def test_a_sandbox_shows_messages_in_the_log(settings: Settings) -> None:
    settings.SUPERAPP_SANDBOX = True

    assert production_sends_text_messages() == []
