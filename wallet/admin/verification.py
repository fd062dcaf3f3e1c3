"""The pages of verifications and seals. Nobody changes anything here."""

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from superapp import back_office
from superapp.admin import EMPTY, ReadOnlyAdmin
from wallet.assurance import Seal, VerificationRun

back_office.ICONS |= {"wallet.verificationrun": "fact_check", "wallet.seal": "verified"}


@admin.register(VerificationRun)
class VerificationRunAdmin(ReadOnlyAdmin):
    """What each verification of the ledger looked at and found, newest first."""

    list_display = ["started_at", "extent", "verdict", "breaks", "checks", "seconds"]
    list_filter = ["extent"]
    ordering = ["-id"]
    fields = [
        "started_at", "extent", "verdict", "breaks", "checks", "seconds", "from_tx", "to_tx", "to_seal", "shown_findings",
    ]  # fmt: skip
    readonly_fields = ["verdict", "shown_findings"]

    @display(description="Verdict", label={"sound": "success", "broken": "danger"})
    def verdict(self, run: VerificationRun) -> str:
        """Sound, or broken."""
        return "broken" if run.breaks else "sound"

    @display(description="Findings")
    def shown_findings(self, run: VerificationRun) -> SafeString | str:
        """The first of them, one a line."""
        lines = [(each["invariant"], each["row"], each["fault"]) for each in run.findings]
        return format_html_join("", "<div><b>{}</b> {}: {}</div>", lines) if lines else EMPTY


@admin.register(Seal)
class SealAdmin(ReadOnlyAdmin):
    """The chain of seals, newest first."""

    list_display = ["number", "sealed_at", "entries", "postings", "from_tx", "to_tx"]
    ordering = ["-number"]
    fields = [
        "number",
        "sealed_at",
        "entries",
        "postings",
        "from_tx",
        "to_tx",
        "form",
        "shown_digest",
        "shown_previous",
    ]
    readonly_fields = ["shown_digest", "shown_previous"]

    @display(description="Digest")
    def shown_digest(self, seal: Seal) -> SafeString:
        """As it is exported."""
        return format_html("<code>{}</code>", str(seal))

    @display(description="Digest of the seal before")
    def shown_previous(self, seal: Seal) -> SafeString:
        """What it follows."""
        return format_html("<code>{}</code>", bytes(seal.previous).hex())
