"""What leaves the house for a person: text messages and e-mails.

In a sandbox nothing is sent: each message is one readable line in the log, which is where codes are found. In
production a text message goes through the class that the setting SMS_GATEWAY names; the system check below refuses to
start without one, and refuses the sandbox's, because it writes codes to the log.
"""

import logging
from collections.abc import Sequence
from typing import Any, Protocol, cast

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.module_loading import import_string

logger = logging.getLogger("superapp.deliveries")

SANDBOX_GATEWAY = "superapp.deliveries.SandboxTextMessages"


class NotDelivered(Exception):
    """A gateway or mail server could not take the message. The person may ask for the code again; the site answers 503."""


class TextMessages(Protocol):
    """What the site asks of an SMS provider. An implementation is made anew, without arguments, for each message."""

    def send(self, *, phone: str, text: str) -> None:
        """Hands `text` over for `phone` (E.164), within two seconds. Raises NotDelivered when that fails."""


class SandboxTextMessages:
    """Shows each message in the log instead of sending it."""

    def send(self, *, phone: str, text: str) -> None:
        """Writes one line: to whom and what."""
        logger.info("Text message to %s: %s", phone, text)


class SandboxMail(BaseEmailBackend):
    """Shows each e-mail in the log, on one line, instead of sending it."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Writes one line per message: to whom, the subject, the text without its line breaks."""
        for message in email_messages:
            text = " ".join(str(message.body).split())
            logger.info("E-mail to %s: %s | %s", ", ".join(message.to), message.subject, text)
        return len(email_messages)


def send_text(*, phone: str, text: str) -> None:
    """Sends a text message by the gateway of this installation. Raises NotDelivered."""
    gateway = cast("type[TextMessages]", import_string(settings.SMS_GATEWAY))
    gateway().send(phone=phone, text=text)


@register(Tags.security)
def production_sends_text_messages(**_: Any) -> list[CheckMessage]:
    """Production names an SMS gateway of its own."""
    if settings.SUPERAPP_SANDBOX:
        return []
    if not settings.SMS_GATEWAY or settings.SMS_GATEWAY == SANDBOX_GATEWAY:
        return [
            Error(
                "SMS_GATEWAY must name the class that sends text messages when SUPERAPP_MODE=production.",
                hint="Give the dotted path of a class with send(*, phone, text); see superapp/deliveries.py.",
                id="superapp.E010",
            )
        ]
    try:
        import_string(settings.SMS_GATEWAY)
    except ImportError as error:
        return [Error(f"SMS_GATEWAY cannot be imported: {error}", id="superapp.E011")]
    return []
