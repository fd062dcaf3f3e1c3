"""What a fund yields: publishing a day's figure, correcting it, importing a file of them, the 7-day yield.

A published figure is never edited. A correction is the next revision of its day; both stay visible. Figures may be known
ahead of their day (a replayed file): nobody sees or is paid from one before its day is over.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from funds import catalogue
from funds.arithmetic import DAYS_OF_THE_YIELD, Y_DECIMALS, seven_day_yield, step_of
from funds.models import Fund, Yield
from superapp import clock
from superapp.errors import InvalidAmount
from superapp.money import exact

LARGEST_Y = Decimal(1000)
"""10 % in one day: beyond it a figure is a slip of the pen."""

EARLIEST_YEAR = 1971
"""The first money-market fund opened in it; an earlier day is a slip of the pen."""

LATEST_SQL = """
    SELECT DISTINCT ON (y.fund_id, y.day) y.fund_id, y.day, y.revision, coalesce(y.per_10k, d.per_10k)
    FROM funds_yield y LEFT JOIN funds_fundday d ON d.fund_id = y.fund_id AND d.day = y.day
    WHERE y.fund_id = ANY(%(funds)s) AND y.day BETWEEN %(low)s AND %(high)s
    ORDER BY y.fund_id, y.day, y.revision DESC
"""

LAST_OVER_SQL = """
    SELECT DISTINCT ON (y.fund_id, y.day) y.fund_id, y.day, y.revision, coalesce(y.per_10k, d.per_10k)
    FROM unnest(%(funds)s::uuid[], %(yesterdays)s::date[]) AS f (id, yesterday)
    CROSS JOIN LATERAL (SELECT max(x.day) AS day FROM funds_yield x WHERE x.fund_id = f.id AND x.day <= f.yesterday) l
    JOIN funds_yield y ON y.fund_id = f.id AND y.day BETWEEN l.day - 6 AND l.day
    LEFT JOIN funds_fundday d ON d.fund_id = y.fund_id AND d.day = y.day
    ORDER BY y.fund_id, y.day, y.revision DESC
"""

Known = dict[date, tuple[int, Decimal | None]]
"""A fund's latest figure of each day: its revision and y."""


@dataclass(frozen=True, slots=True)
class DayYield:
    """The latest figure of one day. `per_10k` is None while a derived one has not been worked out."""

    day: date
    revision: int
    per_10k: Decimal | None
    seven_day: Decimal | None
    """Percent; None unless all seven days up to this one are known."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One line of a file of yields."""

    line: int
    day: date
    per_10k: Decimal
    seven_day: Decimal | None


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to."""

    added: int
    revised: int
    unchanged: int
    windows_checked: int


class YieldsRefused(Exception):
    """A file or figure that was not taken, with every reason. Nothing was stored."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def publish(
    *,
    fund: Fund,
    day: date,
    per_10k: Decimal | None = None,
    net_income: Decimal | None = None,
    seven_day: Decimal | None = None,
    revise: bool = False,
) -> Yield:
    """Keeps a day's figure: `per_10k` of a fund whose y is published, `net_income` of one whose y is derived.

    The same figure again changes nothing. A different one is refused unless `revise`, and then becomes the next revision.
    Raises YieldsRefused, also for a figure of the wrong kind or size.
    """
    figure = _checked_figure(fund, per_10k=per_10k, net_income=net_income)
    with transaction.atomic():
        _lock_yields(fund)
        last = Yield.objects.filter(fund=fund, day=day).order_by("-revision").first()
        if last is not None:
            if (last.per_10k if per_10k is not None else last.net_income) == figure:
                return last
            if not revise:
                raise YieldsRefused([f"{day} has a figure already ({_figure_of(last)}); a correction must say so."])
        return Yield.objects.create(
            fund=fund,
            day=day,
            revision=last.revision + 1 if last else 0,
            per_10k=figure if per_10k is not None else None,
            net_income=figure if net_income is not None else None,
            seven_day_published=seven_day,
            published_at=clock.now(),
        )


def latest(*, funds: Sequence[Fund], low: date, high: date) -> dict[UUID, list[DayYield]]:
    """Each fund's latest figures from `low` to `high`, only of days that are over, in order; one query for all funds."""
    window = timedelta(days=DAYS_OF_THE_YIELD - 1)
    known = _known(funds, max(low, date.min + window) - window, high)  # nothing is before the first day of all
    return {
        fund.id: [
            DayYield(day=day, revision=revision, per_10k=per_10k, seven_day=_window(known[fund.id], day))
            for day, (revision, per_10k) in sorted(known[fund.id].items())
            if low <= day <= yesterday_of(fund)
        ]
        for fund in funds
    }


def last_over(funds: Sequence[Fund]) -> dict[UUID, DayYield]:
    """Each fund's latest figure of a day that is over, for those that have one: what a catalogue shows, with its day."""
    params: dict[str, Any] = {
        "funds": [fund.id for fund in funds],
        "yesterdays": [yesterday_of(fund) for fund in funds],
    }
    with connection.cursor() as cursor:
        cursor.execute(LAST_OVER_SQL, params)
        known = _by_fund(cursor.fetchall())
    last: dict[UUID, DayYield] = {}
    for fund_id, figures in known.items():
        day = max(figures)
        revision, per_10k = figures[day]
        last[fund_id] = DayYield(day=day, revision=revision, per_10k=per_10k, seven_day=_window(figures, day))
    return last


def yesterday_of(fund: Fund) -> date:
    """The last day of the fund that is over."""
    return clock.today(catalogue.zone_of(fund)) - timedelta(days=1)


def import_file(*, fund: Fund, lines: Iterable[str], revise: bool = False) -> Imported:
    """Takes a CSV file of yields, whole or not at all: columns date, per_10k_income and, optionally, seven_day_yield.

    The published 7-day figure of every line whose seven days are known (from the file or before) must equal the computed
    one. Importing again changes nothing; a day whose figure differs is refused unless `revise`. Raises YieldsRefused, which
    names every line at fault.
    """
    if fund.yield_basis != Fund.YieldBasis.PUBLISHED:
        raise YieldsRefused([f"{fund.code} derives its y from net income; a file of published figures is not for it."])
    rows = _read_rows(lines)
    with transaction.atomic():
        _lock_yields(fund)
        low, high = min(row.day for row in rows), max(row.day for row in rows)
        stored = _known([fund], low - timedelta(days=DAYS_OF_THE_YIELD - 1), high)[fund.id]
        faults = [] if revise else _changed(rows, stored)
        known = {**stored, **{row.day: (0, row.per_10k) for row in rows}}
        checked, disagreements = _compare(rows, known)
        if faults + disagreements:
            raise YieldsRefused(faults + disagreements)
        return _store(fund, rows, stored, checked)


def _read_rows(lines: Iterable[str]) -> list[FileRow]:
    reader = csv.DictReader(line.removeprefix("\ufeff") for line in lines)
    names = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = names
    missing = [name for name in ("date", "per_10k_income") if name not in names]
    if missing:
        raise YieldsRefused([f"line 1: the header lacks {' and '.join(missing)}."])
    rows: list[FileRow] = []
    faults: list[str] = []
    seen: dict[date, int] = {}
    for fields in reader:
        try:
            row = _read_row(reader.line_num, fields)
        except ValueError as fault:
            faults.append(f"line {reader.line_num}: {fault}")
            continue
        if row.day in seen:
            faults.append(f"line {row.line}: {row.day} stands on line {seen[row.day]} already.")
        seen.setdefault(row.day, row.line)
        rows.append(row)
    if not rows and not faults:
        faults.append("The file has no figures.")
    if faults:
        raise YieldsRefused(faults)
    return rows


def _read_row(line: int, fields: Mapping[str | None, str | list[str] | None]) -> FileRow:
    if None in fields:
        raise ValueError("it has more fields than the header.")
    text = {name: (value or "").strip() for name, value in fields.items() if isinstance(value, str)}
    try:
        day = date.fromisoformat(text.get("date", ""))
    except ValueError:
        raise ValueError(f"{text.get('date', '')!r} is no date; write it as 2013-07-01.") from None
    if day.year < EARLIEST_YEAR:
        raise ValueError(f"{day} is before there were such funds.")
    seven_day = text.get("seven_day_yield", "")
    return FileRow(
        line=line,
        day=day,
        per_10k=_decimal(text.get("per_10k_income", ""), decimals=Y_DECIMALS, name="income per 10,000"),
        seven_day=_decimal(seven_day, decimals=3, name="7-day yield") if seven_day else None,
    )


def _decimal(text: str, *, decimals: int, name: str) -> Decimal:
    try:
        if not text.isascii() or "_" in text:
            raise InvalidOperation
        figure = exact(Decimal(text), decimals=decimals)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no {name}.") from None
    except InvalidAmount as fault:
        raise ValueError(f"{text!r} is no {name}: {fault.reason}.") from None
    if abs(figure) >= LARGEST_Y:
        raise ValueError(f"{text!r} is no {name}: it is too large.")
    return figure


def _changed(rows: list[FileRow], stored: Known) -> list[str]:
    return [
        f"line {row.line}: {row.day} has {stored[row.day][1]} already, not {row.per_10k}; --revise makes it a correction."
        for row in rows
        if row.day in stored and stored[row.day][1] != row.per_10k
    ]


def _compare(rows: list[FileRow], known: Known) -> tuple[int, list[str]]:
    checked, faults = 0, []
    for row in rows:
        computed = _window(known, row.day)
        if row.seven_day is None or computed is None:
            continue
        checked += 1
        if computed != row.seven_day:
            faults.append(
                f"line {row.line}: the 7-day yield of {row.day} is {computed} by its seven days, not {row.seven_day}."
            )
    return checked, faults


def _store(fund: Fund, rows: list[FileRow], stored: Known, checked: int) -> Imported:
    published_at = clock.now()
    new = [row for row in rows if row.day not in stored]
    changed = [row for row in rows if row.day in stored and stored[row.day][1] != row.per_10k]
    Yield.objects.bulk_create(
        Yield(
            fund=fund,
            day=row.day,
            revision=stored[row.day][0] + 1 if row.day in stored else 0,
            per_10k=row.per_10k,
            seven_day_published=row.seven_day,
            published_at=published_at,
        )
        for row in [*new, *changed]
    )
    return Imported(
        added=len(new),
        revised=len(changed),
        unchanged=len(rows) - len(new) - len(changed),
        windows_checked=checked,
    )


def _known(funds: Sequence[Fund], low: date, high: date) -> defaultdict[UUID, Known]:
    with connection.cursor() as cursor:
        cursor.execute(LATEST_SQL, {"funds": [fund.id for fund in funds], "low": low, "high": high})
        return _by_fund(cursor.fetchall())


def _by_fund(rows: Iterable[tuple[UUID, date, int, Decimal | None]]) -> defaultdict[UUID, Known]:
    known: defaultdict[UUID, Known] = defaultdict(dict)
    for fund_id, day, revision, per_10k in rows:
        known[fund_id][day] = (revision, per_10k)
    return known


def _window(known: Known, last: date) -> Decimal | None:
    figures: list[Decimal] = []
    for back in range(DAYS_OF_THE_YIELD):
        _, per_10k = known.get(last - timedelta(days=back), (0, None))
        if per_10k is None:
            return None
        figures.append(per_10k)
    return seven_day_yield(figures)


def _checked_figure(fund: Fund, *, per_10k: Decimal | None, net_income: Decimal | None) -> Decimal:
    derived = fund.yield_basis == Fund.YieldBasis.DERIVED
    figure = net_income if derived else per_10k
    other = per_10k if derived else net_income
    if figure is None or other is not None:
        raise YieldsRefused(
            [f"{fund.code} takes {'net income' if derived else 'an income per 10,000'}, and only that."]
        )
    decimals = catalogue.cash_asset(fund).decimals if derived else Y_DECIMALS
    try:
        shortened = exact(figure, decimals=decimals)
    except InvalidAmount as fault:
        raise YieldsRefused([f"{figure} is not a figure that can be used: {fault.reason}."]) from None
    if not derived and abs(shortened) >= LARGEST_Y:
        raise YieldsRefused([f"{figure} per 10,000 in a day is too large to be true."])
    return shortened.quantize(step_of(decimals))


def _figure_of(known: Yield) -> str:
    return format(known.per_10k if known.per_10k is not None else known.net_income or Decimal(0), "f")


def _lock_yields(fund: Fund) -> None:
    """Of two who publish the same day at once the second sees the first; the fund's days are not disturbed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"funds.yields {fund.code}"])
