"""The back office: Django admin under the Unfold theme. What the menu holds is in `superapp.back_office`."""

from django.templatetags.static import static

from config.settings.environment import SANDBOX

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/admin/"
LOGOUT_REDIRECT_URL = "account_login"

UNFOLD = {
    "SITE_TITLE": "Superapp",
    "SITE_HEADER": "Superapp",
    "SITE_SUBHEADER": "Back office",
    "SITE_SYMBOL": "account_balance",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("superapp/favicon.svg")},
    ],
    "SITE_URL": "/graphql/" if SANDBOX else None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "ENVIRONMENT": "superapp.back_office.environment",
    "DASHBOARD_CALLBACK": "config.start_page.figures",
    "COLORS": {
        "primary": {
            "50": "oklch(97.1% .014 243)",
            "100": "oklch(93.6% .032 243)",
            "200": "oklch(88.2% .059 243)",
            "300": "oklch(80.9% .105 243)",
            "400": "oklch(70.7% .165 243)",
            "500": "oklch(62.3% .188 248)",
            "600": "oklch(54.6% .195 252)",
            "700": "oklch(48.8% .183 254)",
            "800": "oklch(42.4% .149 255)",
            "900": "oklch(37.9% .116 255)",
            "950": "oklch(28.2% .081 256)",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": "superapp.back_office.menu",
    },
    "ACCOUNT": {"navigation": "superapp.back_office.account_menu"},
}

FORMAT_MODULE_PATH = ["config.formats"]
"""Dates and times as operators read them: see config.formats."""
