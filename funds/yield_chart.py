"""A fund's daily income as a line: inline SVG without scripts, in the colour of the text around it."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

Point = tuple[date, Decimal]

LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 24
LINES = 4


def sparkline(points: Sequence[Point], *, width: int = 120, height: int = 24) -> SafeString | str:
    """A line without axes, for a cell of a table; nothing for fewer than two points."""
    if len(points) < 2:
        return ""
    return format_html(
        '<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="income per 10,000, {first} to {last}">'
        '<polyline fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" points="{path}"/></svg>',
        w=width,
        h=height,
        first=points[0][0],
        last=points[-1][0],
        path=_path(points, left=1, top=2, width=width - 2, height=height - 4),
    )


def chart(points: Sequence[Point], *, width: int = 880, height: int = 200) -> SafeString | str:
    """The same with a scale of income and the first and last day; nothing for fewer than two points."""
    if len(points) < 2:
        return ""
    inner_width, inner_height = width - LEFT - RIGHT, height - TOP - BOTTOM
    low, high = _scale(points)
    grid = format_html_join(
        "",
        '<line x1="{}" x2="{}" y1="{}" y2="{}" stroke="currentColor" stroke-opacity=".15"/>'
        '<text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (LEFT, width - RIGHT, y, y, LEFT - 8, y + 4, f"{high - (high - low) * step / LINES:.2f}")
            for step in range(LINES + 1)
            for y in [TOP + inner_height * step // LINES]
        ),
    )
    return format_html(
        '<svg viewBox="0 0 {w} {h}" style="width:100%;max-width:{w}px;height:auto" font-size="11" fill="currentColor" '
        'role="img" aria-label="income per 10,000 shares, {first} to {last}">{grid}'
        '<polyline fill="none" stroke="oklch(62.3% .188 248)" stroke-width="2" stroke-linejoin="round" points="{path}"/>'
        '<text x="{left}" y="{base}">{first}</text><text x="{right}" y="{base}" text-anchor="end">{last}</text></svg>',
        w=width,
        h=height,
        grid=grid,
        path=_path(points, left=LEFT, top=TOP, width=inner_width, height=inner_height),
        left=LEFT,
        right=width - RIGHT,
        base=height - 6,
        first=points[0][0],
        last=points[-1][0],
    )


def _scale(points: Sequence[Point]) -> tuple[Decimal, Decimal]:
    values = [value for _, value in points]
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 1, high + 1)


def _path(points: Sequence[Point], *, left: int, top: int, width: int, height: int) -> str:
    low, high = _scale(points)
    first, days = points[0][0], max((points[-1][0] - points[0][0]).days, 1)
    return " ".join(
        f"{left + width * (day - first).days / days:.1f},{top + height * (high - value) / (high - low):.1f}"
        for day, value in points
    )
