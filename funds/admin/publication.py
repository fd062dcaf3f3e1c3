"""Publishing a day's yield, and correcting one. What was published is never edited."""

from typing import TYPE_CHECKING, Any

# ruff: noqa: ARG002 - the signatures are Django's
from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldBooleanWidget

from funds import yields
from funds.models import Yield
from superapp import back_office
from superapp.admin import EMPTY

back_office.ICONS |= {"funds.yield": "percent"}

if TYPE_CHECKING:
    YieldModelForm = forms.ModelForm[Yield]
else:
    YieldModelForm = forms.ModelForm  # takes no type at run time


class YieldForm(YieldModelForm):
    """One day's figure. What it may be is `funds.yields.publish`'s to say."""

    revise = forms.BooleanField(
        required=False,
        label="This corrects the figure that stands",
        help_text="Becomes the next revision; the income already paid for the day is corrected by the difference.",
        widget=UnfoldBooleanWidget,
    )

    class Meta:
        model = Yield
        fields = ["fund", "day", "per_10k", "net_income", "seven_day_published"]
        labels = {"per_10k": "Income per 10,000", "seven_day_published": "7-day yield, %"}

    def clean(self) -> dict[str, Any]:
        """Publishes the figure, inside the transaction of the request: only so is each reason for a refusal known."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.published = yields.publish(
                    fund=cleaned["fund"],
                    day=cleaned["day"],
                    per_10k=cleaned["per_10k"],
                    net_income=cleaned["net_income"],
                    seven_day=cleaned["seven_day_published"],
                    revise=cleaned["revise"],
                )
            except yields.YieldsRefused as refusal:
                raise forms.ValidationError(refusal.faults) from refusal
        return cleaned

    def _post_clean(self) -> None:
        """The row is there already; the model's own checks would take it for a second one."""


@admin.register(Yield)
class YieldAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Published figures. One is added; none is changed or deleted."""

    form = YieldForm
    list_display = ["day", "fund", "revision", "per_10k", "net_income", "seven_day_published", "published_at"]
    list_filter = ["fund"]
    list_select_related = ["fund"]
    date_hierarchy = "day"
    ordering = ["-day", "fund", "-revision"]
    list_per_page = 50
    show_full_result_count = False
    empty_value_display = EMPTY

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A correction is the next revision."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """What was said stays visible."""
        return False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """What is asked when publishing, and what is shown afterwards."""
        asked = ["fund", "day", "per_10k", "net_income", "seven_day_published"]
        return [*asked, "revise"] if obj is None else [*asked, "revision", "published_at"]

    def save_form(self, request: HttpRequest, form: YieldForm, change: bool) -> Yield:
        """The row that publishing has made, or found."""
        return form.published

    def save_model(self, request: HttpRequest, obj: Yield, form: YieldForm, change: bool) -> None:
        """Nothing more: `funds.yields.publish` has stored it."""

    def save_related(self, request: HttpRequest, form: YieldForm, formsets: Any, change: bool) -> None:
        """A yield has nothing related."""
