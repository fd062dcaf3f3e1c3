"""The form by which an operator plans a new version of a policy."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from superapp import clock, policies
from superapp.errors import PolicyRefused
from superapp.models import PolicyVersion

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[PolicyVersion]
else:
    ModelForm = forms.ModelForm  # takes no type at run time


class PolicyValueField(forms.JSONField):
    """The value as JSON; nothing to begin with, rather than `null`."""

    def prepare_value(self, value: Any) -> Any:
        """What the box shows."""
        return "" if value is None else super().prepare_value(value)


class PolicyVersionForm(ModelForm):
    """Offers the policies the installed apps have declared; checks the value by the policy's own type."""

    refusal = ""
    """Why the version could not be written although the form had nothing against it: shown when it is asked again."""

    class Meta:
        model = PolicyVersion
        fields = ["policy", "scope", "value", "effective_from", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "policy" in self.fields:
            choices = [(policy.name, f"{policy.name}: {policy.doc}") for policy in policies.all()]
            self.fields["policy"] = forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget)
            self.fields["value"] = PolicyValueField(
                widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
                help_text="""As JSON: 5, "21:30:00", {"CNY": "1000.00"}; durations in seconds.""",
            )
            begins = self.fields["effective_from"]
            begins.required = begins.widget.is_required = False
            for part in getattr(begins.widget, "widgets", []):
                part.is_required = False
            begins.help_text = "Business time; empty: from now on. Never in the past."

    def clean_effective_from(self) -> datetime | None:
        """The instant given; None for now, which only the writing of the version can tell."""
        instant: datetime | None = self.cleaned_data["effective_from"]
        if instant is not None and instant < clock.now():
            raise forms.ValidationError("This instant has passed, and history is never rewritten.")
        return instant

    def clean(self) -> dict[str, Any] | None:
        """The value as the policy's type has it, and what was refused when the version was to be written."""
        cleaned = super().clean()
        if "policy" in self.cleaned_data and "value" in self.cleaned_data:
            try:
                policies.validate(self.cleaned_data["policy"], self.cleaned_data["value"])
            except PolicyRefused as refusal:
                self.add_error("value", refusal.reason)
        if self.refusal and not self.errors:
            self.add_error("effective_from", self.refusal)
        return cleaned
