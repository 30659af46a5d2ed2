"""The panels that rank the models of a scan, and show the readings of all of their clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from flickerscope.report.overview.content import ENDPOINTS, HEAD, Floats, Overview
from flickerscope.report.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    INNER,
    MARGIN,
    ORANGE,
    SMALL,
    WIDTH,
    Page,
    decibels,
    literal,
    shorten,
    text_width,
)
from flickerscope.stats import DELTA_DB, median_interval

__all__ = ["panels"]

ROW: Final = 0.2
TALL_ROW: Final = 0.27
UNITS: Final = 0.34
"""Inches of the column of their number, at least."""
NUMBERS: Final = 1.14
"""Inches of the column of a median with its interval."""
AXIS: Final = 0.36
"""Inches under an axis for its labels."""
MARKS: Final = {"flicker": "o", "energy": "D"}
VERDICTS: Final = {
    "flickers more": ("flickers more", ORANGE),
    "incoherent": ("incoherent", ORANGE),
    "more energy, consistent with motion or sharpness": ("more energy only", INK),
    "no difference found": ("no difference found", BLUE),
    "not measurable": ("not measurable", GREY),
    "too few clips": ("too few clips", GREY),
}
MOST_DOTS: Final = 150
"""Clips of a model up to which each has a dot of its own."""
Draw = Callable[[Page, float, str], None]


def _shown_endpoints(shown: Overview) -> list[str]:
    """Those that any model has a reading of."""
    return [
        name
        for name in ENDPOINTS
        if any(model[name][shown.centre] is not None for model in shown.models)
    ]


def _name_width(shown: Overview) -> float:
    widest = max(text_width(literal(model["model"]), SMALL) for model in shown.rows)
    return min(widest, 1.25) + 0.3


def panels(shown: Overview) -> list[tuple[float, Draw]]:
    """Both; nothing where no clip was measured."""
    return [_medians(shown), _clips(shown)] if _shown_endpoints(shown) else []


def _medians(shown: Overview) -> tuple[float, Draw]:
    """Median excess of each model with its interval, and the numbers beside it."""
    names, models = _shown_endpoints(shown), shown.models
    height = ROW * len(models)
    head = HEAD + 0.12
    ends = "low", shown.centre, "high"

    def draw(page: Page, top: float, letter: str) -> None:
        beyond = _is_beyond(model[name][end] for model in models for name in names for end in ends)
        key = "; ".join(
            f"{'filled' if name == 'flicker' else 'open'}: {name if beyond else ENDPOINTS[name]}"
            for name in names
        )
        what = "Hodges-Lehmann shift" if shown.reference else "median over units"
        below = f"{key}; {what} with its 95 % interval; shaded: below 1 dB"
        if beyond:
            below += "; arrow: incoherent"
        if shown.left_out:
            below += f"; {shown.left_out} models between them are left out"
        what = "Shift against" if shown.reference else "Excess over"
        page.heading(MARGIN, top, letter, f"{what} the references", below, INNER)
        left = MARGIN + _name_width(shown)
        right = WIDTH - MARGIN - 1.05
        units = _units_width(shown)
        columns = [right - (NUMBERS + units) * k for k in range(len(names))][::-1]
        axes = page.axes(left, top + head, columns[0] - NUMBERS - units - 0.02 - left, height)
        _column_heads(page, shown, columns, top + head - 0.03)
        for k, model in enumerate(models):
            baseline = top + head + ROW * (k + 0.5) + 0.035
            _model_row(page, shown, model, baseline, columns)
        _finish(axes, [model[name][end] for model in models for name in names for end in ends],
                len(models), label="shift (dB)" if shown.reference else "excess (dB)")  # fmt: skip
        for k, model in enumerate(models):
            for place, name in enumerate(names):
                _interval(axes, model, name, k + 0.22 * (place - (len(names) - 1) / 2), shown)

    return head + height + AXIS, draw


def _units_width(shown: Overview) -> float:
    texts = [str(model[name]["units"]) for model in shown.models for name in ENDPOINTS]
    return max(UNITS, *(text_width(text, SMALL) + 0.08 for text in texts))


def _column_heads(page: Page, shown: Overview, columns: list[float], y: float) -> None:
    for x, name in zip(columns, _shown_endpoints(shown), strict=True):
        page.text(x - _units_width(shown), y, f"{name}, dB", size=SMALL, color=GREY, ha="right")
        page.text(x, y, "units", size=SMALL, color=GREY, ha="right")


def _model_row(
    page: Page, shown: Overview, model: Mapping[str, Any], y: float, columns: list[float]
) -> None:
    look = shown.look(model["model"])
    page.text(MARGIN + 0.12, y, str(model["rank"]), size=SMALL, color=GREY, ha="right")
    name = shorten(literal(model["model"]), _name_width(shown) - 0.25, SMALL)
    page.text(MARGIN + 0.18, y, name, size=SMALL, color=look.colour, gid=f"model/{model['model']}")
    for x, endpoint in zip(columns, _shown_endpoints(shown), strict=True):
        page.text(
            x - _units_width(shown),
            y,
            _numbers(model[endpoint], shown.centre),
            size=SMALL,
            ha="right",
        )
        page.text(x, y, str(model[endpoint]["units"]), size=SMALL, color=GREY, ha="right")
    text, colour = VERDICTS.get(model["verdict"], (model["verdict"], INK))
    page.text(WIDTH - MARGIN, y, text, size=SMALL, color=colour, ha="right")


def _numbers(row: Mapping[str, Any], centre: str) -> str:
    low, middle, high = (row[end] for end in ("low", centre, "high"))
    if middle is None:
        return "no reading"
    if middle == math.inf:
        return "incoherent" if low in (None, math.inf) else f"incoherent (> {decibels(low)})"
    text = _number(middle)
    return text if low is None else f"{text} ({_number(low)} .. {_number(high)})"


def _number(value: float) -> str:
    return f"{'−' if value < 0 else ''}∞" if math.isinf(value) else decibels(value)


def _interval(axes: Axes, model: Mapping[str, Any], name: str, y: float, shown: Overview) -> None:
    row, colour = model[name], shown.look(model["model"]).colour
    middle = row[shown.centre]
    if middle is None:
        return
    if row["low"] is not None:
        ends = [_within(axes, row[end]) for end in ("low", "high")]
        axes.plot(ends, [y, y], color=colour, linewidth=1.1, zorder=3)
        for place, value in zip(ends, (row["low"], row["high"]), strict=True):
            if math.isinf(value):
                _arrow(axes, place, y, value, colour)
    axes.plot(
        _within(axes, middle), y, marker=_pointing(middle) if math.isinf(middle) else MARKS[name],
        markersize=4.2 if name == "flicker" else 3.6,
        color=colour, markerfacecolor=colour if name == "flicker" else "white",
        markeredgewidth=0.9, linestyle="none", zorder=4, gid=f"{name}/{model['model']}",
        clip_on=False,
    )  # fmt: skip


def _is_beyond(values: Iterable[float | None]) -> bool:
    return any(value is not None and math.isinf(value) for value in values)


def _within(axes: Axes, value: float) -> float:
    """The end of the axis for an infinite value."""
    return value if math.isfinite(value) else float(axes.get_xlim()[int(value > 0)])


def _pointing(value: float) -> str:
    return ">" if value > 0 else "<"


def _arrow(axes: Axes, x: float, y: float, value: float, colour: str) -> None:
    axes.plot(
        x, y, marker=_pointing(value), markersize=3.2, markeredgewidth=0, color=colour,
        linestyle="none", zorder=4, clip_on=False,
    )  # fmt: skip


def _finish(
    axes: Axes, values: Iterable[float | None], rows: int, *, label: str, zero: bool = True
) -> None:
    """Make room for all finite values; ``zero``: mark it, and what is too little to matter."""
    given = [value for value in values if value is not None]
    known = [value for value in given if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    width = max(high - low, 0.1)
    low, high = low - 0.05 * width, high + (0.25 if math.inf in given else 0.05) * width
    if zero:
        axes.axvspan(-DELTA_DB, DELTA_DB, color=FAINT, alpha=0.45, linewidth=0, zorder=0)
        axes.axvline(0, color=GREY, linewidth=0.6, zorder=1)
        low, high = min(low, -2), max(high, 2)
    axes.set_xlim(low, high)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlabel(label)


def _clips(shown: Overview) -> tuple[float, Draw]:
    """The readings of all clips of each model, a column an endpoint."""
    names, models = _shown_endpoints(shown), shown.rows
    height = TALL_ROW * len(models)

    def draw(page: Page, top: float, letter: str) -> None:
        most = max((len(v) for by in shown.readings.values() for v in by.values()), default=0)
        every = [value for by in shown.readings.values() for v in by.values() for value in v]
        below = "a dot a clip, stroke: " if most <= MOST_DOTS else "stroke: "
        below += "median of the clips; at the right, how many have a reading"
        if _is_beyond(every):
            below += "; arrow: incoherent"
        page.heading(MARGIN, top, letter, "Distribution of the clips", below, INNER)
        left = MARGIN + _name_width(shown)
        gap = 0.62
        room = WIDTH - MARGIN - left - 0.5
        width = (room - gap * (len(names) - 1)) / len(names)
        for k, model in enumerate(models):
            baseline = top + HEAD + TALL_ROW * (k + 0.5) + 0.035
            name = shorten(literal(model["model"]), _name_width(shown) - 0.25, SMALL)
            colour = shown.look(model["model"]).colour
            page.text(MARGIN + 0.18, baseline, name, size=SMALL, color=colour)
        for column, name in enumerate(names):
            x = left + column * (width + gap)
            axes = page.axes(x, top + HEAD, width, height)
            level = shown.reference is not None
            unit = "dB re 1 code²" if level else "dB"
            rows = [shown.readings[model["model"]][name] for model in models]
            _finish(axes, np.concatenate(rows).tolist(), len(models),
                    label=f"{ENDPOINTS[name]} ({unit})", zero=not level)  # fmt: skip
            for k, (model, values) in enumerate(zip(models, rows, strict=True)):
                _strip(axes, values, k, shown.look(model["model"]).colour)
                known, total = np.isfinite(values).sum(), model[name]["clips"]["total"]
                baseline = top + HEAD + TALL_ROW * (k + 0.5) + 0.035
                text = f"{known}/{total}"
                page.text(x + width + 0.05, baseline, text, size=SMALL, color=GREY)

    return HEAD + height + AXIS, draw


def _strip(axes: Axes, values: Floats, row: int, colour: str) -> None:
    """Density above, dots where they are few, a stroke at the median."""
    if not len(values):
        return
    middle = median_interval(values).estimate
    beyond, values = int(np.isinf(values).sum()), values[np.isfinite(values)]
    if beyond:
        x = axes.get_xlim()[1]
        _arrow(axes, x, row, math.inf, colour)
        axes.annotate(
            f"{beyond}", (x, row), (-4, 0), textcoords="offset points", fontsize=SMALL,
            color=colour, ha="right", va="center",
        )  # fmt: skip
    if len(values) <= MOST_DOTS:
        ordered = np.sort(values)
        jitter = 0.26 * _spread(len(ordered))
        axes.plot(
            ordered, row + jitter, marker="o", markersize=2.2, markeredgewidth=0, color=colour,
            alpha=0.65, linestyle="none", zorder=3,
        )  # fmt: skip
    elif len(values):
        counts, edges = np.histogram(values, bins=_edges(values))
        size = 0.42 * counts / max(1, counts.max())
        axes.fill_between(
            (edges[:-1] + edges[1:]) / 2, row - size, row + size, color=colour, alpha=0.45,
            linewidth=0, step="mid", zorder=2,
        )  # fmt: skip
    middle = axes.get_xlim()[1] if math.isinf(middle) else middle
    axes.plot([middle, middle], [row - 0.36, row + 0.36], color=INK, linewidth=1.1, zorder=5)


def _edges(values: Floats) -> Floats:
    """As many bins as the readings can fill."""
    low, high = np.percentile(values, [0.1, 99.9])
    return np.asarray(np.linspace(low, max(high, low + 0.5), 61))


def _spread(count: int) -> Floats:
    """-1..1 such that neighbours lie apart (the golden ratio's sequence)."""
    return np.asarray(2 * np.modf(0.5 + np.arange(count) * 0.6180339887498949)[0] - 1)
