"""People: how they are named, reached and made known to the site.

A phone number stands on a person only once the code sent to it was entered, so a lookup by `User.phone` never finds
someone who merely typed a stranger's number. Sign-up itself is allauth's (`superapp.sign_in`); `register` is for the
seed, imports and tests, which vouch for what they write.
"""

import re

import phonenumbers
from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction

from superapp.models import User

HANDLE = re.compile(r"[a-z][a-z0-9_.]{2,29}")
"""A name others can pay to; the database holds the same rule."""

DISPLAY_NAME_LENGTH = 60

_PHONE_CHARACTERS = re.compile(r"\+?[0-9 ().\-]{3,30}", re.ASCII)


class InvalidPhone(ValueError):
    """What was given cannot be a phone number."""


def normal_phone(text: str, *, region: str | None = None) -> str:
    """The number in E.164, e.g. "+8613800000001" for "138 0000 0001".

    `region` says where a number without country code is from; default: the setting PHONE_DEFAULT_REGION.
    Raises InvalidPhone. Whether the number is in use is not asked: new ranges open faster than tables are updated.
    """
    if not _PHONE_CHARACTERS.fullmatch(text.strip()):
        raise InvalidPhone("A phone number has digits, spaces and dashes, with + and the country code in front.")
    try:
        number = phonenumbers.parse(text, region or settings.PHONE_DEFAULT_REGION)
    except phonenumbers.NumberParseException as error:
        raise InvalidPhone("This is not a phone number; give it with + and the country code in front.") from error
    if not phonenumbers.is_possible_number(number):
        raise InvalidPhone("This phone number has too few or too many digits for its country.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def with_phone(phone: str) -> User | None:
    """The person who has confirmed this number, in any way of writing it; None for a number nobody has."""
    try:
        number = normal_phone(phone)
    except InvalidPhone:
        return None
    return User.objects.filter(phone=number).first()


def phone_beginnings(text: str) -> list[str]:
    """How numbers may begin in E.164 that someone looks for by their first digits: as typed, and in our own region.

    "138 00" gives "+13800" and "+8613800"; "+86 138" gives "+86138"; what is no beginning of a number gives nothing.
    """
    if not _PHONE_CHARACTERS.fullmatch(text.strip()):
        return []
    digits = "".join(character for character in text if character.isdigit())
    if text.strip().startswith("+"):
        return [f"+{digits}"]
    country = phonenumbers.country_code_for_region(settings.PHONE_DEFAULT_REGION)
    return [f"+{digits}", f"+{country}{digits.removeprefix('0')}"]


def plain_display_name(text: str) -> str:
    """A display name with its spaces tidied.

    Raises ValueError when it is empty, too long, or has characters that cannot be seen (which could make one name look
    like another's).
    """
    name = " ".join(text.split())
    if not name:
        raise ValueError("A display name is needed: it is what others see.")
    if len(name) > DISPLAY_NAME_LENGTH:
        raise ValueError(f"A display name has at most {DISPLAY_NAME_LENGTH} characters.")
    if not name.isprintable():
        raise ValueError("A display name has visible characters only.")
    return name


def plain_handle(text: str) -> str:
    """A handle in lower case. Raises ValueError when it does not follow the rule of handles."""
    handle = text.strip().lower()
    if not HANDLE.fullmatch(handle):
        raise ValueError(
            "A handle starts with a letter and has 3 to 30 letters a-z, digits, dots and underscores in all."
        )
    return handle


@transaction.atomic
def register(
    *,
    display_name: str,
    phone: str | None = None,
    email: str | None = None,
    password: str | None = None,
    handle: str | None = None,
) -> User:
    """A person with a confirmed phone number, a confirmed e-mail address, or both, who can sign in with `password`.

    Without a password the person exists but cannot sign in by one. Raises ValueError for what cannot be a number, name
    or handle, and IntegrityError when number, address or handle are taken.
    """
    person = User.objects.create_user(
        phone=normal_phone(phone) if phone else None,
        email=email.lower() if email else None,
        password=password,
        display_name=plain_display_name(display_name),
        handle=plain_handle(handle) if handle else None,
    )
    confirm_email(person)
    return person


@transaction.atomic
def register_operator(*, email: str, password: str, display_name: str) -> User:
    """An operator who may do everything the back office offers, with a confirmed e-mail address."""
    operator = User.objects.create_superuser(
        email=email.lower(), password=password, display_name=plain_display_name(display_name)
    )
    confirm_email(operator)
    return operator


def confirm_email(person: User) -> None:
    """Marks the person's e-mail address, if there is one, as confirmed for sign-in."""
    if person.email:
        EmailAddress.objects.update_or_create(
            user=person, email=person.email, defaults={"verified": True, "primary": True}
        )
