"""Links from one page of the back office to the next, so that money can be followed by clicking.

An app adds its entry kinds to SUBJECT_PAGES, so that an entry shows what it happened to, and links its own rows to entries,
accounts and people with the functions below.
"""

from urllib.parse import urlencode
from uuid import UUID

from django.apps import apps
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from superapp.figures import MISSING
from superapp.models import User
from wallet import flows
from wallet.models import Account

SUBJECT_PAGES: dict[str, str] = {flows.TOP_UP.code: "wallet.topup", flows.REVERSAL.code: "wallet.reversalrequest"}
"""For an entry kind, the model (app.model) whose row its entries are about; each app adds its own kinds."""


def page_of(model: str, key: object) -> str:
    """Address of a row's page; `model` as app.model in lower case."""
    return reverse(f"admin:{model.replace('.', '_')}_change", args=[key])


def list_address(model: type[Model], **filters: object) -> str:
    """Address of a list, narrowed by its filters."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{urlencode(filters)}" if filters else address


def link(title: object, address: str) -> SafeString:
    """A link as the back office shows it."""
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, title)


def entry_link(entry_id: UUID | None, title: str = "") -> SafeString | str:
    """A link to a journal entry, or a dash for none."""
    return link(title or entry_id, page_of("wallet.journalentry", entry_id)) if entry_id else MISSING


def account_link(account: Account) -> SafeString:
    """A link to an account, named by what it is for."""
    title = f"{account.kind} {account.scope}" if account.scope else account.kind
    return link(title, page_of("wallet.account", account.pk))


def person_link(person: User | None) -> SafeString | str:
    """A link to a person's page; the system's own rows have none."""
    return link(str(person), page_of("superapp.user", person.pk)) if person else "System"


def subject_link(kind: str, subject: UUID) -> SafeString | str:
    """A link to what an entry is about, named as its page names such rows; a bare id when nobody has a page for it."""
    page = SUBJECT_PAGES.get(kind)
    return link(apps.get_model(page)._meta.verbose_name, page_of(page, subject)) if page else str(subject)
