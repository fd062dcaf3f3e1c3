"""What the documentation draws from the code agrees with the code."""

import re

import grimp
from django.core.management import call_command

from config import charts
from tests.docs.readme import ROOT


def test_drawn_pages_agree_with_the_code() -> None:
    call_command("charts", check=True)


def test_imports_run_one_way_as_the_picture_shows() -> None:
    graph = grimp.build_graph(*charts.APPS, cache_dir=None)
    assert {app: charts.imports_of(graph, app) for app in charts.APPS} == {
        "config": {"payments", "funds", "wallet", "superapp"},
        "payments": {"wallet", "superapp"},
        "funds": {"wallet", "superapp"},
        "wallet": {"superapp"},
        "superapp": set(),
    }
    picture = (ROOT / "docs" / "picture.svg").read_text()
    heights = {
        app: int(y)
        for y, app in re.findall(r'<text class="h" x="\d+" y="(\d+)">(\w+)</text>', picture)
        if app in charts.APPS
    }
    assert heights["config"] < heights["payments"] == heights["funds"] < heights["wallet"] < heights["superapp"]
