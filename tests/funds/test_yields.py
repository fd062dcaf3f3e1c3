"""F13 and the import of figures: checked whole, taken whole or not at all."""

from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from funds import overview, yields
from funds.models import Fund, Yield
from tests.funds import scenes

REAL_WEEKS = """date,per_10k_income,seven_day_yield
2013-07-01,1.5787,6.307
2013-07-02,1.5461,6.174
2013-07-03,1.467,6.034
2013-07-04,1.4223,5.903
2013-07-05,1.3845,5.739
2013-07-06,1.3674,5.582
2013-07-07,1.3671,5.425
2013-07-08,1.3129,5.279
2013-07-09,1.3096,5.15
2013-07-10,1.2792,5.047
2013-07-11,1.2616,4.959
2013-07-12,1.2487,4.884
2013-07-13,1.2396,4.815
2013-07-14,1.2394,4.745
"""

pytestmark = pytest.mark.django_db


def _import(fund: Fund, text: str, folder: Path, **options: bool) -> str:
    file = folder / "yields.csv"
    file.write_text(text, encoding="utf-8")
    told = StringIO()
    call_command("import_yields", fund.code, str(file), stdout=told, **options)
    return told.getvalue()


def _refused(fund: Fund, text: str, folder: Path) -> str:
    with pytest.raises(CommandError) as refused:
        _import(fund, text, folder)
    assert not Yield.objects.exists()
    return str(refused.value)


def test_a_real_series_agrees_with_its_published_yields(tmp_path: Path) -> None:
    fund = scenes.a_fund()

    told = _import(fund, REAL_WEEKS, tmp_path)

    assert "14 days added" in told
    assert "8 published 7-day yields agree" in told
    with scenes.on("2013-07-15"):
        shown = yields.latest(funds=[fund], low=date(2013, 7, 1), high=date(2013, 7, 14))[fund.id]
    published = {line.split(",")[0]: Decimal(line.split(",")[2]) for line in REAL_WEEKS.splitlines()[1:]}
    assert {str(figure.day): figure.seven_day for figure in shown if figure.seven_day is not None} == {
        day: figure for day, figure in published.items() if day >= "2013-07-07"
    }


def test_importing_again_changes_nothing(tmp_path: Path) -> None:
    fund = scenes.a_fund()
    _import(fund, REAL_WEEKS, tmp_path)

    assert "0 days added, 0 revised, 14 known already" in _import(fund, REAL_WEEKS, tmp_path)
    assert Yield.objects.count() == 14


def test_a_published_yield_that_disagrees_is_named_and_nothing_is_imported(tmp_path: Path) -> None:
    told = _refused(scenes.a_fund(), REAL_WEEKS.replace("5.279", "5.280").replace("4.815", "4.9"), tmp_path)

    assert "line 9: the 7-day yield of 2013-07-08 is 5.279 by its seven days, not 5.280" in told
    assert "line 14: the 7-day yield of 2013-07-13 is 4.815 by its seven days, not 4.900" in told


def test_a_changed_figure_must_be_called_a_revision(tmp_path: Path) -> None:
    fund = scenes.a_fund()
    _import(fund, "date,per_10k_income\n2013-07-01,1.5787\n", tmp_path)
    with pytest.raises(CommandError, match=r"line 2: 2013-07-01 has 1\.5787 already, not 1\.5788"):
        _import(fund, "date,per_10k_income\n2013-07-01,1.5788\n", tmp_path)

    told = _import(fund, "date,per_10k_income\n2013-07-01,1.5788\n", tmp_path, revise=True)

    assert "1 revised" in told
    assert [(found.revision, found.per_10k) for found in Yield.objects.order_by("revision")] == [
        (0, Decimal("1.5787")),
        (1, Decimal("1.5788")),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("day,per_10k_income\n2013-07-01,1.5\n", "line 1: the header lacks date"),
        ("date,per_10k_income\n", "The file has no figures"),
        ("date,per_10k_income\n2013-07-32,1.5\n", "line 2: '2013-07-32' is no date"),
        ("date,per_10k_income\n2013-07-01,1.5\n2013-07-02,abc\n", "line 3: 'abc' is no income per 10,000"),
        ("date,per_10k_income\n2013-07-01,NaN\n", "line 2: 'NaN' is no income per 10,000"),
        ("date,per_10k_income\n2013-07-01,1.55555\n", "line 2: '1.55555' is no income per 10,000: it has more than 4"),
        ("date,per_10k_income\n2013-07-01,15787\n", "too large"),
        ("date,per_10k_income\n0001-01-01,1\n", "line 2: 0001-01-01 is before there were such funds"),
        ("date,per_10k_income\n2013-07-01,1\n2013-07-01,1\n", "line 3: 2013-07-01 stands on line 2 already"),
        ("date,per_10k_income\n2013-07-01,1,2,3\n", "line 2: it has more fields than the header"),
        ("date,per_10k_income\n2013-07-01\n", "line 2: '' is no income per 10,000"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in _refused(scenes.a_fund(), text, tmp_path)


def test_a_missing_fund_or_file_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no such fund"):
        call_command("import_yields", "NONE", __file__)
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_yields", "NONE", str(tmp_path / "none.csv"))


def test_figures_ahead_of_their_day_are_not_shown(tmp_path: Path) -> None:
    fund = scenes.a_fund()
    _import(fund, REAL_WEEKS, tmp_path)
    with scenes.on("2013-07-08", "23:59:59"):
        (shown,) = overview.overviews([fund], person_id=None)
        assert shown.last is not None
        assert (shown.last.day, shown.seven_day, shown.stale) == (date(2013, 7, 7), Decimal("5.425"), False)
        assert len(yields.latest(funds=[fund], low=date(2013, 7, 1), high=date(2013, 7, 14))[fund.id]) == 7
    with scenes.on("2013-07-20"):
        assert overview.overviews([fund], person_id=None)[0].stale


def test_a_fund_without_figures_is_stale() -> None:
    fund = scenes.a_fund()
    with scenes.on("2013-07-08"):
        (shown,) = overview.overviews([fund], person_id=None)
    assert (shown.last, shown.stale) == (None, True)


def test_a_figure_of_the_wrong_kind_is_refused() -> None:
    fund = scenes.a_fund(derived=True, leftover=Fund.Leftover.CARRY)
    with scenes.on("2013-07-08"), pytest.raises(yields.YieldsRefused, match="takes net income"):
        yields.publish(fund=fund, day=date(2013, 7, 7), per_10k=Decimal("1.2"))
