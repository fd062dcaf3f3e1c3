"""Links from one page of the back office to the next, so that money can be followed by clicking.

An app adds its entry kinds to SUBJECT_PAGES, so that an entry shows what it happened to, and links its own rows to entries,
accounts and people with the functions below. What else it knows of its entries goes into the other registers.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.apps import apps
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from superapp.figures import MISSING
from superapp.models import User
from wallet import flows, journal
from wallet.models import Account, Posting

SUBJECT_PAGES: dict[str, str] = {flows.TOP_UP.code: "wallet.topup", flows.REVERSAL.code: "wallet.reversalrequest"}
"""For an entry kind, the model (app.model) whose row its entries are about; each app adds its own kinds."""

MOST_DECIMALS = 4
"""Of an amount in the ledger, whatever its asset."""

SUBJECT_TITLES: dict[str, Callable[[Collection[UUID]], Mapping[UUID, str]]] = {}
"""For a model, what many of its rows are called, in one look; a row of any other goes by its model's name."""


SUBJECT_RELATIONS: dict[str, str] = {}
"""For an entry kind, how its entries stand to their subject, with {} for what that is called; others just happened to it."""

POSTING_LINKS: dict[str, Callable[[Collection["Place"]], Mapping["Place", SafeString]]] = {}
"""For an entry kind, where more is told of its postings, for many of them in one look."""

HOLD_PAGES: list[str] = []
"""The models (app.model) for whose rows something is held; each app adds its own."""


class Place(NamedTuple):
    """What an app knows a posting by: whose account it is on, and what it is about."""

    account: UUID
    subject: UUID


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


def entry_of_posting(posting: Posting) -> SafeString | str:
    """A link to the posting's entry, named by its kind; where a hand has taken the entry away, which one is missing."""
    entry = journal.entry_of(posting)
    return entry_link(entry.pk, entry.kind.replace("_", " ")) if entry else f"missing entry {posting.entry_id}"


def account_of_posting(posting: Posting) -> SafeString | str:
    """A link to the posting's account, or which one is missing."""
    account = journal.account_of(posting)
    return account_link(account) if account else f"missing account {posting.account_id}"


def owner_of_posting(posting: Posting) -> SafeString | str:
    """A link to the owner of the posting's account; a dash where the account is missing."""
    account = journal.account_of(posting)
    return person_link(account.owner) if account else MISSING


def asset_of_posting(posting: Posting) -> tuple[str, int]:
    """Code and decimals of the posting's asset; of a missing one its id, and as many decimals as an amount may have."""
    asset = journal.asset_of(posting)
    return (asset.code, asset.decimals) if asset else (f"missing asset {posting.asset_id}", MOST_DECIMALS)


def account_link(account: Account) -> SafeString:
    """A link to an account, named by what it is for."""
    title = f"{account.kind} {account.scope}" if account.scope else account.kind
    return link(title, page_of("wallet.account", account.pk))


def person_link(person: User | None) -> SafeString | str:
    """A link to a person's page; the system's own rows have none."""
    return link(str(person), page_of("superapp.user", person.pk)) if person else "System"


def subject_links(subjects: Iterable[tuple[str, UUID]]) -> list[SafeString | str]:
    """For each entry kind and subject a link to what the entry is about; a bare id when nobody has a page for it.

    A query for each model whose rows have titles, however many subjects.
    """
    asked = list(subjects)
    rows: defaultdict[str, set[UUID]] = defaultdict(set)
    for kind, subject in asked:
        rows[SUBJECT_PAGES.get(kind, "")].add(subject)
    titles = {page: SUBJECT_TITLES[page](ids) for page, ids in rows.items() if page in SUBJECT_TITLES}
    links: list[SafeString | str] = []
    for kind, subject in asked:
        page = SUBJECT_PAGES.get(kind)
        if page is None:
            links.append(str(subject))
            continue
        title = titles.get(page, {}).get(subject) or apps.get_model(page)._meta.verbose_name
        links.append(link(SUBJECT_RELATIONS.get(kind, "{}").format(title), page_of(page, subject)))
    return links


def posting_links(postings: Iterable[tuple[str, Place]]) -> list[SafeString | str]:
    """For each posting, by its entry's kind and its place, a link to what more is told of it; a dash for nothing.

    One look for each kind that is told of, however many postings.
    """
    asked = list(postings)
    places: defaultdict[str, set[Place]] = defaultdict(set)
    for kind, place in asked:
        places[kind].add(place)
    told = {kind: POSTING_LINKS[kind](of_kind) for kind, of_kind in places.items() if kind in POSTING_LINKS}
    return [told.get(kind, {}).get(place, MISSING) for kind, place in asked]


def held_for(subject: UUID) -> SafeString | str:
    """A link to the row that something is held for, whichever app it belongs to; a bare id when it is nobody's."""
    for page in HOLD_PAGES:
        model = apps.get_model(page)
        if model._default_manager.filter(pk=subject).exists():
            return link(model._meta.verbose_name, page_of(page, subject))
    return str(subject)
