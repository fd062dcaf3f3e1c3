"""An operator publishes a day's yield; a correction is said to be one, becomes a revision, and nothing is edited."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.test import Client

from funds.models import Fund, Yield
from tests.admin.pages import text_of

ADD = "/admin/funds/yield/add/"


def form(day: str, per_10k: str, **more: str) -> dict[str, Any]:
    return {"fund": str(Fund.objects.get(code="HARVEST").pk), "day": day, "per_10k": per_10k, **more}


def figures(day: date) -> list[tuple[int, Decimal | None]]:
    return list(
        Yield.objects.filter(fund__code="HARVEST", day=day).order_by("revision").values_list("revision", "per_10k")
    )


def test_a_new_days_figure_is_published(office: Client) -> None:
    answer = office.post(ADD, form("2013-08-01", "1.1999"))
    assert answer.status_code == 302
    assert figures(date(2013, 8, 1)) == [(0, Decimal("1.1999"))]


def test_another_figure_for_the_same_day_is_refused_unless_it_is_said_to_correct(office: Client) -> None:
    refused = office.post(ADD, form("2013-07-12", "1.3000"))
    assert refused.status_code == 200
    assert "2013-07-12 has a figure already (1.2487)" in text_of(refused)
    assert figures(date(2013, 7, 12)) == [(0, Decimal("1.2487"))]

    corrected = office.post(ADD, form("2013-07-12", "1.3000", revise="on"))
    assert corrected.status_code == 302
    assert figures(date(2013, 7, 12)) == [(0, Decimal("1.2487")), (1, Decimal("1.3000"))]


def test_the_same_figure_again_changes_nothing(office: Client) -> None:
    assert office.post(ADD, form("2013-07-12", "1.2487")).status_code == 302
    assert figures(date(2013, 7, 12)) == [(0, Decimal("1.2487"))]


def test_a_figure_of_the_wrong_kind_or_none_is_refused_with_its_reason(office: Client) -> None:
    for fields in (form("2013-08-01", "", net_income="100.00"), form("2013-08-01", ""), form("2013-08-01", "1.00005")):
        assert office.post(ADD, fields).status_code == 200
    assert figures(date(2013, 8, 1)) == []


def test_a_published_figure_cannot_be_edited(office: Client) -> None:
    row = Yield.objects.filter(day=date(2013, 7, 12)).first()
    assert row is not None
    assert office.post(f"/admin/funds/yield/{row.pk}/change/", form("2013-07-12", "9.0000")).status_code == 403
    assert figures(date(2013, 7, 12)) == [(0, Decimal("1.2487"))]
