"""What the back office looks like around its pages: the menu, the badge that says which mode the site runs in.

A model that an app registers with Django admin appears by itself in its app's group. The two tables below only order
what `superapp` holds and choose icons; an app adds its own icons to ICONS from its `admin.py`.
"""

# ruff: noqa: ARG001 - Unfold calls these with the request

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from superapp.models import User

GROUPS: list[tuple[str, tuple[str, ...]]] = [
    ("People", ("superapp.user", "auth.group")),
    ("Ledger", ("wallet.*",)),
    ("Payments", ("payments.*",)),
    ("Funds", ("funds.*",)),
    ("Operations", ("superapp.run", "superapp.policyversion", "superapp.calendarday", "superapp.*")),
]
"""Title, then models in order; `app.*` is every further model of the app, by name."""

ICONS: dict[str, str] = {
    "auth.group": "groups",
    "superapp.calendarday": "event",
    "superapp.idempotencykey": "key",
    "superapp.outboxevent": "outbox",
    "superapp.policyversion": "gavel",
    "superapp.run": "play_circle",
    "superapp.user": "person",
    "wallet.account": "account_balance_wallet",
    "wallet.journalentry": "receipt_long",
    "wallet.posting": "swap_vert",
    "payments.transfer": "send_money",
    "funds.fund": "trending_up",
}
"""Material symbols, by model."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is no model's list: shown in the menu's `group` to operators who have `permission`."""

    group: str
    title: str
    icon: str
    link: str
    """Name of its address."""
    permission: str


PAGES: list[Page] = []
"""Pages of the apps' own; an app adds them from its `admin.py`."""


def environment(request: HttpRequest) -> list[str]:
    """The badge beside the title."""
    return ["Sandbox", "warning"] if settings.SUPERAPP_SANDBOX else ["Production", "danger"]


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: what this operator may see, group by group."""
    pages = {
        model["model"]._meta.label_lower: model
        for app in admin.site.get_app_list(request)
        for model in app["models"]
        if model["admin_url"]
    }
    own_pages = {reverse(page.link) for page in PAGES}
    groups = []
    for title, wanted in GROUPS:
        items = []
        for label in _in_order(wanted, pages):
            page = pages.pop(label)
            address = page["admin_url"]
            items.append(
                {
                    "title": page["name"],
                    "icon": ICONS.get(label, "table_rows"),
                    "link": address,
                    "active": request.path.startswith(address) and request.path not in own_pages,
                },
            )
        items += [
            {"title": page.title, "icon": page.icon, "link": reverse(page.link)}
            for page in PAGES
            if page.group == title and _may(request, page.permission)
        ]
        if items:
            groups.append({"title": title, "separator": True, "collapsible": False, "items": items})
    return groups


def account_menu(request: HttpRequest) -> list[dict[str, Any]]:
    """What an operator does about their own sign-in."""
    return [
        {"title": "Second factor", "link": reverse("mfa_index")},
        {"title": "Sessions", "link": reverse("usersessions_list")},
    ]


def _may(request: HttpRequest, permission: str) -> bool:
    return isinstance(request.user, User) and request.user.has_perm(permission)


def _in_order(wanted: tuple[str, ...], pages: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for pattern in wanted:
        if pattern.endswith(".*"):
            found += sorted(label for label in pages if label.startswith(pattern[:-1]) and label not in found)
        elif pattern in pages:
            found.append(pattern)
    return found
