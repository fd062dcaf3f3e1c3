"""What allauth asks of us: how people are saved, found and told their codes, and what it answers about them.

Sign-up and sign-in run through allauth's stages: password, then the code sent to an unconfirmed phone or e-mail
address, then the second factor where one is set. Until the last is passed the session belongs to nobody.

No answer tells whether a phone number or address is known. For one that is, a sign-up takes the same steps (including
the work of hashing a password) and its owner is told by message; an unknown one at sign-in hashes a password too.

Limits on attempts are counted in the cache (Valkey). While it is away nobody can sign in or up (503, see
`superapp.outages`): without counting, passwords and codes could be guessed. Who is signed in already does not notice.
"""

# ruff: noqa: ARG002 - the signatures are allauth's

import base64
import hashlib
from dataclasses import dataclass
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.fields import PhoneField
from allauth.account.stages import EmailVerificationStage
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.httpkit import is_headless_request
from allauth.headless.account.inputs import LoginInput
from allauth.headless.account.views import LoginView
from allauth.headless.adapter import DefaultHeadlessAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import force_bytes

from superapp import deliveries, people
from superapp.models import User

SITE_NAME = "Superapp"


class AnyPhoneField(PhoneField):  # type: ignore[misc]  # allauth has no types
    """A phone number in any usual way of writing it; `AccountAdapter.clean_phone` makes it E.164."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validators=[], **kwargs)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """How allauth deals with the people of this site."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People sign up through the API; the pages are for operators, who do not sign themselves up."""
        return bool(is_headless_request(request))

    def save_user(self, request: HttpRequest, user: User, form: BaseForm, commit: bool = True) -> User:
        """Saves someone who signs up. Two who ask for one handle at the same instant: the later gets 409."""
        user.display_name = form.cleaned_data["display_name"]
        user.handle = form.cleaned_data["handle"]
        super().save_user(request, user, form, commit=False)
        user.email = user.email or None
        if commit:
            _save_or_conflict(user)
        return user

    # Phone numbers: kept apart until their code was entered.

    def phone_form_field(self, **kwargs: Any) -> AnyPhoneField:
        """The field that sign-up and change of phone use."""
        return AnyPhoneField(**kwargs)

    def clean_phone(self, phone: str) -> str:
        """The number in E.164."""
        try:
            return people.normal_phone(phone)
        except people.InvalidPhone as error:
            raise ValidationError(str(error), code="invalid_phone") from error

    def set_phone(self, user: User, phone: str, verified: bool) -> None:
        """Notes a number: as the person's own when verified, else as the one whose code is awaited."""
        if verified:
            user.phone, user.pending_phone = phone, ""
        else:
            user.pending_phone = phone
        if not user._state.adding:
            _save_or_conflict(user, update_fields=["phone", "pending_phone"])

    def get_phone(self, user: User) -> tuple[str, bool] | None:
        """The person's number and whether its code was entered."""
        if user.phone:
            return user.phone, True
        return (user.pending_phone, False) if user.pending_phone else None

    def set_phone_verified(self, user: User, phone: str) -> None:
        """The code was entered: the number is the person's, unless someone else was quicker by an instant (409)."""
        self.set_phone(user, phone, True)

    def get_user_by_phone(self, phone: str) -> User | None:
        """The person who has confirmed this number."""
        return people.with_phone(phone)

    def send_verification_code_sms(self, user: User, phone: str, code: str, **kwargs: Any) -> None:
        """Sends the code that confirms a number."""
        deliveries.send_text(phone=phone, text=f"{code} is your {SITE_NAME} code. Do not tell it to anyone.")

    def send_unknown_account_sms(self, phone: str, **kwargs: Any) -> None:
        """Nothing: whoever typed a number that nobody has learns nothing, and its owner is not disturbed."""

    def send_account_already_exists_sms(self, phone: str) -> None:
        """Tells the owner of a number that someone tried to sign up with it."""
        _hash_a_password()
        deliveries.send_text(
            phone=phone, text=f"You already have a {SITE_NAME} account with this number: sign in with your password."
        )

    def send_account_already_exists_mail(self, email: str) -> None:
        """Tells the owner of an address that someone tried to sign up with it."""
        _hash_a_password()
        super().send_account_already_exists_mail(email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Sends an e-mail. Raises NotDelivered when the mail server does not take it."""
        try:
            super().send_mail(template_prefix, email, context)
        except (SMTPException, OSError) as error:
            raise deliveries.NotDelivered(str(error)) from error

    # Attempts and stages.

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth counts failures per e-mail or user name only, so that all phone numbers would share one count and one
        # attacker could lock everybody out. Whether a number is written with spaces must make no difference either.
        phone = credentials.get("phone")
        if phone:
            try:
                return people.normal_phone(str(phone))
            except people.InvalidPhone:
                return str(phone)
        return str(credentials.get("email", "")).lower()

    def get_login_stages(self) -> list[str]:
        """allauth's stages, with ours in place of the one that would ask people without an e-mail address for one."""
        stages: list[str] = super().get_login_stages()
        return [
            "superapp.sign_in.ConfirmEmailStage" if stage == "allauth.account.stages.EmailVerificationStage" else stage
            for stage in stages
        ]


class ConfirmEmailStage(EmailVerificationStage):  # type: ignore[misc]
    """Asks for the code sent to an e-mail address, unless the person came by a confirmed phone."""

    def handle(self) -> tuple[HttpResponse | None, bool]:
        """The answer to give now, if any, and whether the sign-in goes on."""
        if self.login.user and self.login.user.phone and not self.login.email:
            return None, True
        answer: tuple[HttpResponse | None, bool] = super().handle()
        return answer


class SignInInput(LoginInput):  # type: ignore[misc]
    """Phone or e-mail with a password; the number may be written as people write it."""

    phone = AnyPhoneField(required=False)


class SignInView(LoginView):  # type: ignore[misc]
    """`auth/login` of both clients."""

    input_class = SignInInput


@dataclass(frozen=True)
class Profile:
    """What the sign-in API tells a person about themselves."""

    id: str | None
    display: str
    display_name: str
    handle: str | None
    phone: str | None
    email: str | None
    has_usable_password: bool


class HeadlessAdapter(DefaultHeadlessAdapter):  # type: ignore[misc]
    """What the headless API answers about a person."""

    def get_user_dataclass(self) -> type[Profile]:
        """The shape of the answer."""
        return Profile

    def user_as_dataclass(self, user: User) -> Profile:
        """The answer for one person."""
        return Profile(
            id=str(user.pk) if user.pk else None,
            display=str(user),
            display_name=user.display_name,
            handle=user.handle,
            phone=user.phone,
            email=user.email,
            has_usable_password=user.has_usable_password(),
        )


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Keeps the secrets of second factors unreadable in the database."""

    def encrypt(self, text: str) -> str:
        """The secret as it is stored."""
        return _second_factor_keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The secret again; also what an earlier SECRET_KEY, still among the fall-backs, has encrypted."""
        return _second_factor_keys().decrypt(encrypted_text.encode()).decode()


def _second_factor_keys() -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [hashlib.sha256(b"second factor:" + force_bytes(secret)).digest() for secret in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def _hash_a_password() -> None:
    """The work that saving a new person's password takes, so that the time of an answer tells nothing."""
    make_password("the time this takes is what matters")


def _save_or_conflict(user: User, *, update_fields: list[str] | None = None) -> None:
    try:
        with transaction.atomic():
            user.save(update_fields=update_fields)
    except IntegrityError as error:
        # Checked a moment ago, so this is a race: answer it like one rather than with a fault.
        raise ImmediateHttpResponse(HttpResponse(status=409)) from error
