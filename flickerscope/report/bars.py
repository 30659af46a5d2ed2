"""The panel of every band's excess: bars, with the numbers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from flickerscope.report.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    SMALL,
    Page,
    decibels,
    literal,
    shorten,
    text_width,
)
from flickerscope.report.view import Row, View

__all__ = ["table", "table_height"]

ROW: Final = 0.15  # inches


def table_height(rows: Sequence[Row]) -> float:
    """Inches, with the heads of the columns and the axis."""
    groups = len({row.scale for row in rows})
    return ROW * (len(rows) + groups + 1) + 0.4


def table(
    page: Page,
    view: View,
    rows: Sequence[Row],
    left: float,
    top: float,
    width: float,
    beside: Sequence[Row] = (),
) -> None:
    """Excess (of a pair) or level (of a video) of each band as a bar, with the numbers.

    ``beside``: rows of another table whose bars are to have the same range.
    """
    pair = view.is_pair
    numbers = 0.46
    value_right = left + width - (2 * numbers if pair else 0)
    names = _name_width(view, rows)
    bars_left = left + names + 0.12
    bars_width = value_right - numbers - bars_left + 0.04
    scales = list(dict.fromkeys(row.scale for row in rows))
    _column_heads(page, view, top + 0.1, value_right, numbers)
    height = ROW * (len(rows) + len(scales))
    axes = page.axes(bars_left, top + ROW, bars_width, height)
    y, ticks = 0.5, []
    for scale in scales:
        baseline = top + ROW * (1 + y) + 0.035
        page.text(left, baseline, f"{scale} scale", size=SMALL, color=GREY, style="italic")
        y += 1
        for row in (row for row in rows if row.scale == scale):
            baseline = top + ROW * (1 + y) + 0.035
            _table_row(page, view, row, (left, baseline, value_right, numbers), names)
            _bar(axes, view, row, y)
            ticks.append(y)
            y += 1
    axes.set_ylim(y - 0.5, 0)
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=INK, linewidth=0.7, zorder=5)
    _bar_range(axes, [*rows, *beside], view.unit.size)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.set_xlabel("excess (dB)" if pair else f"rms ({view.unit.name})")


def _column_heads(page: Page, view: View, top: float, right: float, step: float) -> None:
    if not view.is_pair:
        page.text(right, top, "rms", size=SMALL, ha="right", color=GREY)
        return
    page.text(right, top, "dB", size=SMALL, ha="right", color=GREY)
    for k, side in enumerate(view.sides):
        label = ("pred.", "ref.")[k]
        page.text(right + step * (k + 1), top, label, size=SMALL, ha="right", color=side.colour)


def _name_width(view: View, rows: Sequence[Row]) -> float:
    """Inches for the names of the bands, indented; long ones are shortened."""
    widest = max(
        text_width(literal(row.band), SMALL, "bold" if _is_headline(view, row) else "normal")
        for row in rows
    )
    return min(max(widest, 0.5), 1.08) + 0.08


def _is_headline(view: View, row: Row) -> bool:
    return (row.plane, row.scale, row.band) == (view.plane, view.main, view.band.name)


def _table_row(
    page: Page, view: View, row: Row, place: tuple[float, float, float, float], names: float
) -> None:
    left, baseline, right, step = place
    weight = "bold" if _is_headline(view, row) else "normal"
    colour = INK if row.reliable else GREY
    style: dict[str, Any] = {"size": SMALL, "weight": weight}
    name = shorten(literal(row.band), names - 0.08, SMALL, weight) + ("" if row.reliable else "*")
    page.text(left + 0.08, baseline, name, color=colour, **style)
    if row.excess_db is not None:
        page.text(right, baseline, decibels(row.excess_db), ha="right", color=colour, **style)
        for k, value in enumerate(row.rms):
            x, text = right + step * (k + 1), view.number(value)
            page.text(x, baseline, text, ha="right", color=colour, **style)
    else:
        page.text(right, baseline, view.number(row.rms[0]), ha="right", color=colour, **style)


def _bar(axes: Axes, view: View, row: Row, y: float) -> None:
    value = row.rms[0] if row.excess_db is None else row.excess_db
    more = ORANGE if view.is_pair and value >= 0 else BLUE
    axes.barh(
        y,
        value,
        height=0.66,
        color=more,
        alpha=1.0 if row.reliable else 0.4,
        zorder=4,
        gid=f"bar/{row.plane}/{row.scale}/{row.band}",
    )


def _bar_range(axes: Axes, rows: Sequence[Row], size: float) -> None:
    if rows[0].excess_db is None:
        axes.set_xlim(0, 1.05 * max(0.01 * size, *(row.rms[0] for row in rows)))
        return
    values = [row.excess_db or 0.0 for row in rows]
    low, high = min(0.0, *values), max(0.0, *values)
    reach = max(1.0, -low, high)
    if reach == 1:
        low, high = -1, 1  # differences that mean nothing should not look like much
    axes.set_xlim(min(1.05 * low, -0.15 * reach), max(1.05 * high, 0.15 * reach))
