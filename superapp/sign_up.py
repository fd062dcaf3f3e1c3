"""The sign-up form: a display name, perhaps a handle, and exactly one of phone and e-mail.

One and not both, because a stranger's unconfirmed address must not stand on an account that someone opened with their
own phone. The other is added after signing in, with a code of its own.
"""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from superapp import people
from superapp.models import User


class SignUpForm(forms.Form):
    """What a person gives at sign-up, besides phone or e-mail and password, which allauth's form adds on top."""

    display_name = forms.CharField(max_length=people.DISPLAY_NAME_LENGTH)
    handle = forms.CharField(max_length=30, required=False)

    def full_clean(self) -> None:
        """allauth has made the e-mail field required, see ACCOUNT_SIGNUP_FIELDS; here a phone does as well."""
        self.fields["email"].required = False
        super().full_clean()

    def clean_display_name(self) -> str:
        """The name with its spaces tidied."""
        try:
            return people.plain_display_name(self.cleaned_data["display_name"])
        except ValueError as error:
            raise ValidationError(str(error), code="invalid_display_name") from error

    def clean_handle(self) -> str | None:
        """The handle in lower case, or None. Handles are public, so saying that one is taken gives nothing away."""
        if not self.cleaned_data["handle"]:
            return None
        try:
            handle = people.plain_handle(self.cleaned_data["handle"])
        except ValueError as error:
            raise ValidationError(str(error), code="invalid_handle") from error
        if User.objects.filter(handle=handle).exists():
            raise ValidationError("This handle is taken; choose another.", code="handle_taken")
        return handle

    def clean(self) -> dict[str, Any]:
        """Exactly one of phone and e-mail."""
        cleaned = super().clean() or {}
        if not self.has_error("phone") and not self.has_error("email"):
            given = [field for field in ("phone", "email") if self.cleaned_data.get(field)]
            if len(given) != 1:
                raise ValidationError("Give either a phone number or an e-mail address.", code="phone_or_email")
        return cleaned

    def signup(self, request: HttpRequest, user: User) -> None:
        """Nothing is left to do once the person is saved; allauth wants the method."""
