"""The panel of the temporal power spectra."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from flickerscope.report.style import (
    GREY,
    INK,
    SMALL,
    Page,
    literal,
    shorten,
    text_width,
)
from flickerscope.report.view import CELLS, Side, View
from flickerscope.units import ROUNDING_POWER

__all__ = ["spectrum"]

Floats = npt.NDArray[np.float64]
Conversion = Callable[[npt.ArrayLike], npt.ArrayLike]

FLOOR: Final = 1e-4
"""Of 8-bit rounding: nothing is drawn below, so that no power at all can be drawn on a log axis."""
ROUNDING_KEY: Final = "dotted: 8-bit rounding"
LANE: Final = 0.14  # inches
SHADE, PRIMARY_SHADE = "#f3f3f3", "#fff1d0"
LANE_COLOUR, PRIMARY_LANE = "#dedede", "#ffdc8f"


def spectrum(page: Page, view: View, left: float, top: float, width: float, height: float) -> str:
    """Power against temporal frequency of every side, bands and lines marked; returns its key."""
    if not view.transform.is_spectrum:
        _second_difference(page, view, left, top, width, height)
        return ROUNDING_KEY if view.unit.rounding else ""
    axes = page.axes(left, top, width, height)
    axes.set_yscale("log")
    ceiling, floor = 0.0, math.inf
    for side in view.sides:
        for scale in (view.fine, view.main):
            values = None if scale is None else _draw_spectrum(axes, view, side, scale)
            if values is not None:
                ceiling, floor = max(ceiling, values.max()), min(floor, values.min())
    rounding = _rounding_per_bin(view, view.sides[0])
    if view.unit.rounding:
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
    keys = [] if view.fine is None else [f"thick: {CELLS[view.main]}, thin: {CELLS[view.fine]}"]
    if view.unit.rounding and rounding > axes.get_ylim()[0]:
        keys.append(ROUNDING_KEY)
    if floor <= 1.001 * FLOOR * rounding:
        keys.append("lower edge: no power")
    return "; ".join(keys)


def _rounding_per_bin(view: View, side: Side) -> float:
    """Of a picture or, of a latent, what stands for it."""
    density = float(side.measurement.rate or 1) if view.in_hertz else 1.0
    share = side.segment / density if view.in_hertz else 1.0
    return ROUNDING_POWER * view.unit.square / len(side.transform.frequencies) * share


def _curve(view: View, side: Side, scale: str) -> tuple[Floats, Floats] | None:
    """Frequency and power of a side in the units of the axes."""
    found = side.spectrum(view.plane, scale)
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
        axes.set_ylabel(f"power density ({view.unit.power}/Hz)".replace("^2", "²"))
        return
    axes.set_xlim(0, 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("temporal frequency (cycles/frame)")
    axes.set_ylabel(f"power ({view.unit.power} per bin)".replace("^2", "²"))
    if rate is None:
        return
    hertz = axes.secondary_xaxis("top", functions=_conversion(rate))
    hertz.tick_params(labelsize=SMALL, labelcolor=INK, color=GREY, length=2.5, width=0.6, pad=1)
    hertz.xaxis.set_major_locator(MaxNLocator(6))
    hertz.xaxis.set_major_formatter(FuncFormatter(lambda f, _: f"{f:g}"))
    hertz.spines["top"].set(linewidth=0.6, color=GREY)
    hertz.set_xlabel("Hz", fontsize=SMALL, labelpad=3)


def _conversion(rate: float) -> tuple[Conversion, Conversion]:
    """Cycles/frame to Hz and back."""
    return lambda f: np.asarray(f) * rate, lambda f: np.asarray(f) / rate


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
        if len(label) > 3 or label == literal(band.name):
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
    scales = [scale for scale in (view.main, view.fine) if scale is not None]
    curves = {scale: _curve(view, view.sides[0], scale) for scale in scales}
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
        values = [row.rms[k] for row in view.main_rows]
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
    top_value = max(value for row in view.main_rows for value in row.rms)
    rounding = math.sqrt(view.band.epsilon)
    if rounding:
        axes.axhline(rounding, color=GREY, linewidth=0.7, linestyle=":", gid="rounding")
    axes.set_xlim(-0.5, len(scales) - 0.5)
    axes.set_xticks(range(len(scales)), scales)
    axes.set_ylim(0, 1.15 * max(top_value, rounding) or 1)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_ylabel(f"rms ({view.unit.name})")
    axes.set_xlabel("scale")
