"""The panels that show how much: spectra, histograms, and the bars of every band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from flickerscope import histogram
from flickerscope.report.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    SMALL,
    Page,
    decibels,
    literal,
    number,
    percent,
    shorten,
    text_width,
)
from flickerscope.report.view import Row, Side, View
from flickerscope.spectrum import ROUNDING_POWER

__all__ = ["histograms", "histograms_height", "spectrum", "table", "table_height"]

Floats = npt.NDArray[np.float64]

FLOOR: Final = 1e-4
"""Of 8-bit rounding: nothing is drawn below, so that no power at all can be drawn on a log axis."""
LANE: Final = 0.14  # inches
ROW: Final = 0.15
SHADE, PRIMARY_SHADE = "#f3f3f3", "#fff1d0"
LANE_COLOUR, PRIMARY_LANE = "#dedede", "#ffdc8f"

AMPLITUDES: Final[Floats] = np.sqrt(2 * histogram.EDGES)
DB_WIDTHS: Final[Floats] = np.diff(10 * np.log10(histogram.EDGES))


# Spectra.


def spectrum(page: Page, view: View, left: float, top: float, width: float, height: float) -> None:
    """Power against temporal frequency of every side, bands and lines marked."""
    if not view.transform.is_spectrum:
        _second_difference(page, view, left, top, width, height)
        return
    axes = page.axes(left, top, width, height)
    axes.set_yscale("log")
    ceiling, floor = 0.0, math.inf
    for side in view.sides:
        for scale in (view.fine, view.main):
            values = None if scale is None else _draw_spectrum(axes, view, side, scale)
            if values is not None:
                ceiling, floor = max(ceiling, values.max()), min(floor, values.min())
    rounding = _rounding_per_bin(view, view.sides[0])
    axes.axhline(rounding, color=GREY, linewidth=0.7, linestyle=":", gid="rounding")
    _frequency_axis(axes, view)
    lanes = _lanes(view)
    labels = _line_labels(axes, view, width)
    inner = LANE * max(lanes.values(), default=-1) + LANE + 0.04
    rows = 1 + max((row for *_, row in labels), default=-1)
    used = (inner + 0.135 * rows + 0.07) / height
    _power_axis(axes, floor, max(ceiling, 1.5 * rounding), used)
    _draw_bands(axes, view, lanes, (width, height))
    _draw_lines(axes, labels, inner / height, 0.135 / height)


def _rounding_per_bin(view: View, side: Side) -> float:
    density = float(side.measurement.rate or 1) if view.in_hertz else 1.0
    share = side.segment / density if view.in_hertz else 1.0
    return ROUNDING_POWER / len(side.transform.frequencies) * share


def _curve(view: View, side: Side, scale: str) -> tuple[Floats, Floats] | None:
    """Frequency and power of a side in the units of the axes."""
    found = side.spectrum("y", scale)
    if found is None:
        return None
    x, power = side.transform.frequencies.numpy(), found.mean_power
    if view.in_hertz:
        rate = float(side.measurement.rate or 1)
        return x * rate, power * side.segment / rate
    return x, power


def _draw_spectrum(axes: Axes, view: View, side: Side, scale: str) -> Floats | None:
    curve = _curve(view, side, scale)
    if curve is None:
        return None
    x, power = curve
    shown = np.maximum(power, FLOOR * _rounding_per_bin(view, side))
    main = scale == view.main
    axes.plot(
        x,
        shown,
        color=side.colour,
        linestyle=side.dash,
        linewidth=1.5 if main else 0.7,
        alpha=1.0 if main else 0.6,
        marker="o" if len(x) <= 16 and main else "",
        markersize=2.2,
        zorder=4 if main else 3,
        gid=f"spectrum/{side.role}/{scale}",
    )
    return shown


def _frequency_axis(axes: Axes, view: View) -> None:
    rate = None if view.rate is None else float(view.rate)
    if view.in_hertz and rate is not None:
        top = max(float(side.measurement.rate or 0) for side in view.sides) / 2
        axes.set_xlim(0, top)
        axes.set_xlabel("temporal frequency (Hz)")
        axes.set_ylabel("power density (code²/Hz)")
        return
    axes.set_xlim(0, 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("temporal frequency (cycles/frame)")
    axes.set_ylabel("power (code² per bin)")
    if rate is None:
        return
    hertz = axes.secondary_xaxis("top", functions=(lambda f: f * rate, lambda f: f / rate))
    hertz.tick_params(labelsize=SMALL, labelcolor=INK, color=GREY, length=2.5, width=0.6, pad=1)
    hertz.xaxis.set_major_locator(MaxNLocator(6))
    hertz.xaxis.set_major_formatter(FuncFormatter(lambda f, _: f"{f:g}"))
    hertz.spines["top"].set(linewidth=0.6, color=GREY)
    hertz.set_xlabel("Hz", fontsize=SMALL, labelpad=1.5)


def _power_axis(axes: Axes, floor: float, ceiling: float, used: float) -> None:
    """A log axis that holds the values below the part ``used`` by labels."""
    low, high = math.log10(floor) - 0.1, math.log10(ceiling)
    high = max(high, low + 1.5)
    axes.set_ylim(10**low, 10 ** (low + (high - low) / (1 - used)))
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _lanes(view: View) -> dict[int, int]:
    """A row for each band's bar, so that none covers another; the headline's is the first."""
    lanes: dict[int, int] = {}
    ends: list[list[tuple[float, float]]] = []
    order = sorted(view.bands, key=lambda item: (item[0] != view.primary, item[1].low))
    for i, band in order:
        free = [
            lane
            for lane, taken in enumerate(ends)
            if all(band.high <= low + 1e-9 or band.low >= high - 1e-9 for low, high in taken)
        ]
        lane = free[0] if free else len(ends)
        if not free:
            ends.append([])
        ends[lane].append((band.low, band.high))
        lanes[i] = lane
    return lanes


def _draw_bands(axes: Axes, view: View, lanes: dict[int, int], size: tuple[float, float]) -> None:
    factor = float(view.rate or 1) if view.in_hertz else 1.0
    to_axes = factor / axes.get_xlim()[1]
    high = LANE / size[1]
    for i, band in view.bands:
        first, last = band.low * to_axes, band.high * to_axes
        primary = i == view.primary
        if lanes[i] == 0:
            axes.axvspan(
                band.low * factor,
                band.high * factor,
                color=PRIMARY_SHADE if primary else SHADE,
                linewidth=0,
                zorder=0,
            )
        bottom = 1 - (lanes[i] + 1) * high
        gap = 0.008 / size[0]
        axes.add_patch(
            Rectangle(
                (first + gap, bottom + 0.012 / size[1]),
                last - first - 2 * gap,
                high - 0.024 / size[1],
                transform=axes.transAxes,
                facecolor=PRIMARY_LANE if primary else LANE_COLOUR,
                linewidth=0,
                zorder=5,
                gid=f"band/{i}",
            )
        )
        label = shorten(literal(band.name), (last - first) * size[0] - 0.05, SMALL)
        if len(label) > 1 or label == band.name:
            axes.text(
                (first + last) / 2,
                bottom + 0.042 / size[1],
                label,
                transform=axes.transAxes,
                fontsize=SMALL,
                ha="center",
                parse_math=False,
                zorder=6,
            )


def _line_labels(
    axes: Axes, view: View, width: float
) -> list[tuple[float, float, str, float, int]]:
    """Place in inches, frequency, text, power and row of each detected line that has room."""
    lines = sorted(view.lines, key=lambda line: (line.scale != view.main, -line.amplitude))
    curves = {
        scale: _curve(view, view.sides[0], scale) for scale in (view.main, view.fine) if scale
    }
    factor = float(view.rate or 1) if view.in_hertz else 1.0
    labels: list[tuple[float, float, str, float, int]] = []
    seen: list[float] = []
    taken: list[list[tuple[float, float]]] = [[], [], []]
    for line in lines:
        curve = curves.get(line.scale)
        if curve is None or any(abs(line.frequency - f) < 1.5 / view.segment for f in seen):
            continue
        seen.append(line.frequency)
        text = (
            f"{line.frequency:.3g} cycles/frame"
            if view.rate is None
            else f"{line.frequency * float(view.rate):.3g} Hz"
        )
        frequency = line.frequency * factor
        half = text_width(text, SMALL) / 2
        centre = frequency / axes.get_xlim()[1] * width
        centre = min(max(centre, half + 0.03), width - half - 0.03)
        power = float(curve[1][np.argmin(np.abs(curve[0] - frequency))])
        for row, others in enumerate(taken):
            if all(centre + half < low or centre - half > high for low, high in others):
                others.append((centre - half - 0.05, centre + half + 0.05))
                labels.append((centre / width, frequency, text, power, row))
                break
    return labels


def _draw_lines(
    axes: Axes,
    labels: Sequence[tuple[float, float, str, float, int]],
    used: float,
    row_height: float,
) -> None:
    for centre, frequency, text, power, row in labels:
        bottom = 1 - used - (row + 1) * row_height + 0.2 * row_height
        axes.text(
            centre,
            bottom,
            text,
            transform=axes.transAxes,
            fontsize=SMALL,
            ha="center",
            zorder=7,
            gid="line",
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.4},
        )
        low, high = (math.log10(limit) for limit in axes.get_ylim())
        reach = 10 ** (low + (bottom - 0.25 * row_height) * (high - low))
        axes.plot(
            [frequency, frequency],
            [power * 1.15, max(reach, power * 1.2)],
            color=INK,
            linewidth=0.6,
            zorder=6,
            gid="line",
        )


def _second_difference(
    page: Page, view: View, left: float, top: float, width: float, height: float
) -> None:
    """What stands for the spectrum where there are too few frames for one."""
    axes = page.axes(left, top, width, height)
    scales = list(dict.fromkeys(row.scale for row in view.rows))
    for k, side in enumerate(view.sides):
        values = [row.rms[k] for row in view.rows if row.plane == "y"]
        axes.plot(
            np.arange(len(scales)) + 0.16 * (k - (len(view.sides) - 1) / 2),
            values,
            color=side.colour,
            linestyle="",
            marker="os"[k],
            markersize=6,
            markerfacecolor=side.colour if k == 0 else "white",
            clip_on=False,
            zorder=4,
            gid=f"second difference/{side.role}",
        )
    top_value = max(value for row in view.rows if row.plane == "y" for value in row.rms)
    rounding = math.sqrt(view.band.epsilon)
    axes.axhline(rounding, color=GREY, linewidth=0.7, linestyle=":", gid="rounding")
    axes.set_xlim(-0.5, len(scales) - 0.5)
    axes.set_xticks(range(len(scales)), scales)
    axes.set_ylim(0, 1.15 * max(top_value, rounding))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_ylabel("rms (code values)")
    axes.set_xlabel("scale")


# Histograms.


def _columns(view: View) -> int:
    count = len(view.bands)
    rows = -(-count // 4)
    return max(3, -(-count // rows))


def histograms_height(view: View) -> float:
    """Inches that the small multiples take."""
    rows = -(-len(view.bands) // _columns(view))
    return rows * (1.28 + 0.125 * _has_outside(view)) + 0.16


def histograms(page: Page, view: View, left: float, top: float, width: float) -> None:
    """How the cells' amplitudes are distributed, a panel a band."""
    columns = _columns(view)
    outside = _has_outside(view)
    gap, head = 0.14, 0.17 + 0.125 * outside
    pitch = (width + gap) / columns
    x_range = _amplitude_range(view)
    ceiling = 1.08 * max(
        _density(side, scale, i).max()
        for side in view.sides
        for scale in (view.main, view.fine)
        if scale is not None and side.spectrum("y", scale) is not None
        for i, _ in view.bands
    )
    for n, (i, band) in enumerate(view.bands):
        row, column = divmod(n, columns)
        x, y = left + column * pitch, top + row * (1.11 + head) + head
        axes = page.axes(x, y, pitch - gap, 0.9)
        for side in view.sides:
            _draw_histogram(axes, view, side, i)
        axes.set_xscale("log")
        axes.set_xlim(*x_range)
        axes.set_ylim(0, ceiling or 1)
        axes.xaxis.set_major_locator(LogLocator(numticks=_ticks(x_range)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda a, _: f"{a:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(MaxNLocator(3))
        if column:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("cells (% per dB)")
        _histogram_head(page, view, i, x, y, pitch - gap)
    last = top + histograms_height(view) - 0.02
    page.text(left + width / 2, last, "amplitude √(2P) (code values)", size=SMALL, ha="center")


def _ticks(x_range: tuple[float, float]) -> int:
    return 5 if math.log10(x_range[1] / x_range[0]) < 4.5 else 4


def _histogram_head(page: Page, view: View, i: int, x: float, y: float, width: float) -> None:
    band = view.transform.bands[i]
    below = y - 0.05
    title = below - 0.125 * _has_outside(view)
    ends = view.range_text(band)
    room = width - text_width(ends, SMALL) - 0.06
    primary = i == view.primary
    name = shorten(literal(band.name), room, SMALL, "bold" if primary else "normal")
    page.text(x, title, name, size=SMALL, weight="bold" if primary else "normal")
    page.text(x + width, title, ends, size=SMALL, color=GREY, ha="right")
    if not _has_outside(view):
        return
    for k, side in enumerate(view.sides):
        text = _outside_text(view, side, i)
        if text:
            page.text(
                x + k * width / 2,
                below,
                shorten(text, width / len(view.sides) - 0.04, SMALL),
                size=SMALL,
                color=side.colour,
                gid=f"outside/{side.role}/{i}",
            )


def _outside(view: View, side: Side, i: int) -> tuple[float, float]:
    """Shares of the cells below and above the histogram's edges."""
    found = side.spectrum("y", view.main)
    if found is None:
        return 0.0, 0.0
    counts = found.counts[i]
    total = max(1, int(counts.sum()))
    return float(counts[0]) / total, float(counts[-1]) / total


def _has_outside(view: View) -> bool:
    return any(
        share >= 0.0005
        for side in view.sides
        for i, _ in view.bands
        for share in _outside(view, side, i)
    )


def _outside_text(view: View, side: Side, i: int) -> str:
    below, above = _outside(view, side, i)
    parts = [f"{percent(below)} still" if below >= 0.0005 else ""]
    parts.append(f"{percent(above)} off scale" if above >= 0.0005 else "")
    return ", ".join(filter(None, parts))


def _density(side: Side, scale: str, i: int) -> Floats:
    """Share of the cells in each bin by its width, % per dB: bins are not equally wide."""
    found = side.spectrum("y", scale)
    if found is None:
        return np.zeros(len(DB_WIDTHS))
    counts = found.counts[i]
    return np.asarray(100 * counts[1:-1] / max(1, int(counts.sum())) / DB_WIDTHS)


def _draw_histogram(axes: Axes, view: View, side: Side, i: int) -> None:
    filled = side is view.sides[0]
    for scale in (view.fine, view.main):
        if scale is None or side.spectrum("y", scale) is None:
            continue
        main = scale == view.main
        style: dict[str, Any] = {"color": side.colour, "linestyle": side.dash}
        axes.stairs(
            _density(side, scale, i),
            AMPLITUDES,
            linewidth=1.2 if main else 0.6,
            alpha=1.0 if main else 0.6,
            zorder=4 if main else 3,
            gid=f"histogram/{side.role}/{scale}/{i}",
            **style,
        )
        if main and filled:
            axes.stairs(
                _density(side, scale, i),
                AMPLITUDES,
                fill=True,
                color=side.colour,
                alpha=0.18,
                linewidth=0,
                zorder=2,
            )


def _amplitude_range(view: View) -> tuple[float, float]:
    """The same for all bands: the bins that matter, two decades at least."""
    total = np.zeros(len(DB_WIDTHS))
    for side in view.sides:
        for scale in (view.main, view.fine):
            if scale is not None:
                for i, _ in view.bands:
                    total = np.maximum(total, _density(side, scale, i))
    used = np.flatnonzero(total > 0.02)
    low, high = (0, len(total)) if not used.size else (int(used[0]), int(used[-1]) + 1)
    first, last = math.log10(AMPLITUDES[low]), math.log10(AMPLITUDES[high])
    if not used.size:
        first, last = -2.0, 0.0
    missing = max(0.0, 2.0 - (last - first)) / 2
    return 10 ** (first - 0.05 - missing), 10 ** (last + 0.05 + missing)


# The bars of every band.


def table_height(rows: Sequence[Row]) -> float:
    """Inches, with the heads of the columns and the axis."""
    groups = len({row.scale for row in rows})
    return ROW * (len(rows) + groups + 1) + 0.4


def table(
    page: Page, view: View, rows: Sequence[Row], left: float, top: float, width: float
) -> None:
    """Excess (of a pair) or level (of a video) of each band as a bar, with the numbers."""
    pair = view.is_pair
    numbers = 0.46
    value_right = left + width - (2 * numbers if pair else 0)
    bars_left = left + 0.78
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
            _table_row(page, view, row, (left, baseline, value_right, numbers))
            _bar(axes, view, row, y)
            ticks.append(y)
            y += 1
    axes.set_ylim(y - 0.5, 0)
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=INK, linewidth=0.7, zorder=5)
    _bar_range(axes, rows)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.set_xlabel("excess (dB)" if pair else "rms (code values)")


def _column_heads(page: Page, view: View, top: float, right: float, step: float) -> None:
    if not view.is_pair:
        page.text(right, top, "rms", size=SMALL, ha="right", color=GREY)
        return
    page.text(right, top, "dB", size=SMALL, ha="right", color=GREY)
    for k, side in enumerate(view.sides):
        label = ("pred.", "ref.")[k]
        page.text(right + step * (k + 1), top, label, size=SMALL, ha="right", color=side.colour)


def _is_headline(view: View, row: Row) -> bool:
    return (row.plane, row.scale, row.band) == ("y", view.main, view.band.name)


def _table_row(page: Page, view: View, row: Row, place: tuple[float, float, float, float]) -> None:
    left, baseline, right, step = place
    weight = "bold" if _is_headline(view, row) else "normal"
    colour = INK if row.reliable else GREY
    style: dict[str, Any] = {"size": SMALL, "weight": weight}
    name = shorten(literal(row.band), 0.66, SMALL, weight) + ("" if row.reliable else "*")
    page.text(left + 0.08, baseline, name, color=colour, **style)
    if row.excess_db is not None:
        page.text(right, baseline, decibels(row.excess_db), ha="right", color=colour, **style)
        for k, value in enumerate(row.rms):
            page.text(
                right + step * (k + 1), baseline, number(value), ha="right", color=colour, **style
            )
    else:
        page.text(right, baseline, number(row.rms[0]), ha="right", color=colour, **style)


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


def _bar_range(axes: Axes, rows: Sequence[Row]) -> None:
    if rows[0].excess_db is None:
        axes.set_xlim(0, 1.05 * max(0.01, *(row.rms[0] for row in rows)))
        return
    values = [row.excess_db or 0.0 for row in rows]
    low, high = min(0.0, *values), max(0.0, *values)
    reach = max(1.0, -low, high)
    axes.set_xlim(min(1.05 * low, -0.15 * reach), max(1.05 * high, 0.15 * reach))
    axes.axvspan(*axes.get_xlim(), color=FAINT, alpha=0.0, linewidth=0)
