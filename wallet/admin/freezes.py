"""The page of frozen accounts: what was found, and the one thing an operator may do: lift a freeze, with a reason."""

from typing import Any

# ruff: noqa: ARG002 - the signatures are Django's
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from superapp import back_office
from superapp.admin import EMPTY, ReadOnlyAdmin
from superapp.errors import NotFound
from wallet import freezes
from wallet.admin.links import account_link, person_link
from wallet.assurance import AccountFreeze

back_office.ICONS |= {"wallet.accountfreeze": "ac_unit"}


class LiftForm(forms.ModelForm):  # type: ignore[type-arg]
    """Why the account may be used again."""

    lift_reason = forms.CharField(
        label="Lift the freeze, because",
        help_text="The account can be used again at once. What was found stays on record, with your name and this reason.",
        widget=UnfoldAdminTextareaWidget,
    )

    class Meta:
        model = AccountFreeze
        fields = ["lift_reason"]

    def _post_clean(self) -> None:
        """The row's own rules are kept by `wallet.freezes.lift`."""


@admin.register(AccountFreeze)
class AccountFreezeAdmin(ReadOnlyAdmin):
    """Cases, open ones first. None is added or deleted by hand."""

    form = LiftForm
    list_display = ["opened_at", "state", "account_page", "owner", "reason", "lifted_at"]
    list_filter = [("lifted_at", admin.EmptyFieldListFilter), "reason"]
    list_select_related = ["account__owner", "account__asset"]
    search_fields = ["=id", "=account__id"]
    search_help_text = "A case's or an account's id"
    ordering = ["-id"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """An open case may be lifted by whoever may change cases."""
        return (
            isinstance(obj, AccountFreeze) and obj.lifted_at is None and ModelAdmin.has_change_permission(self, request)
        )

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """What was found, and what became of it."""
        found = ["state", "account_page", "owner", "id", "reason", "found_by", "finding", "opened_at"]
        ended = (
            ["lift_reason"] if self.has_change_permission(request, obj) else ["lifted_at", "lifted_by", "lift_reason"]
        )
        return [*found, *ended]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Everything but the reason of an open case."""
        lifting = self.has_change_permission(request, obj)
        return [name for name in self.get_fields(request, obj) if not (lifting and name == "lift_reason")]

    def save_model(self, request: HttpRequest, obj: AccountFreeze, form: Any, change: bool) -> None:
        """Lifts the freeze. Raises PermissionDenied when another operator has, since this page was read."""
        try:
            freezes.lift(case_id=obj.pk, by=request.user, reason=form.cleaned_data["lift_reason"])  # type: ignore[arg-type]
        except NotFound as lifted:
            raise PermissionDenied("Another operator has lifted this case meanwhile.") from lifted

    @display(description="State", label={"open": "danger", "lifted": "success"})
    def state(self, case: AccountFreeze) -> str:
        """Open, or lifted."""
        return "open" if case.lifted_at is None else "lifted"

    @display(description="Account")
    def account_page(self, case: AccountFreeze) -> SafeString:
        """The account that is frozen."""
        return account_link(case.account)

    @display(description="Owner")
    def owner(self, case: AccountFreeze) -> SafeString | str:
        """Whose account it is."""
        return person_link(case.account.owner) if case.account.owner else EMPTY
