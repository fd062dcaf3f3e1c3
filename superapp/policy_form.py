"""The form by which an operator plans a new version of a policy."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget

from superapp import clock, policies
from superapp.errors import PolicyRefused
from superapp.models import PolicyVersion

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[PolicyVersion]
else:
    ModelForm = forms.ModelForm  # takes no type at run time


class PolicyVersionForm(ModelForm):
    """Offers the policies the installed apps have declared; checks the value by the policy's own type."""

    class Meta:
        model = PolicyVersion
        fields = ["policy", "scope", "value", "effective_from", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "policy" in self.fields:
            choices = [(policy.name, f"{policy.name}: {policy.doc}") for policy in policies.all()]
            self.fields["policy"] = forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget)
            self.fields["effective_from"].required = False
            self.fields["effective_from"].help_text = "Business time; empty: from now on. Never in the past."

    def clean_effective_from(self) -> datetime:
        """The instant given, or now."""
        here = clock.now()
        instant: datetime = self.cleaned_data["effective_from"] or here
        if instant < here:
            raise forms.ValidationError("This instant has passed, and history is never rewritten.")
        return instant

    def clean(self) -> dict[str, Any] | None:
        """The value as the policy's type has it."""
        cleaned = super().clean()
        if "policy" in self.cleaned_data and "value" in self.cleaned_data:
            try:
                policies.validate(self.cleaned_data["policy"], self.cleaned_data["value"])
            except PolicyRefused as refusal:
                self.add_error("value", refusal.reason)
        return cleaned
