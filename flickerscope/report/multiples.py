"""The panels of the magnitudes' distributions, one for each band."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from flickerscope import histogram
from flickerscope.report.style import (
    GREY,
    SMALL,
    Page,
    literal,
    percent,
    shorten,
    text_width,
)
from flickerscope.report.view import Side, View

__all__ = ["histograms", "histograms_height"]

Floats = npt.NDArray[np.float64]

AMPLITUDES: Final[Floats] = np.sqrt(2 * histogram.EDGES)
"""At the edges, in code values."""
DB_WIDTHS: Final[Floats] = np.diff(10 * np.log10(histogram.EDGES))


def _columns(view: View) -> int:
    rows = -(-len(view.bands) // 4)
    return -(-len(view.bands) // rows)


def histograms_height(view: View) -> float:
    """Inches that the small multiples take."""
    rows = -(-len(view.bands) // _columns(view))
    return rows * (1.28 + 0.125 * _has_outside(view)) + 0.16


def histograms(page: Page, view: View, left: float, top: float, width: float) -> None:
    """How the cells' amplitudes are distributed, a panel a band."""
    columns = _columns(view)
    outside = _has_outside(view)
    gap, head = 0.25, 0.17 + 0.125 * outside
    pitch = (width + gap) / columns
    x_range = _amplitude_range(view)
    ceiling = 1.08 * max(
        _density(view, side, scale, i).max()
        for side in view.sides
        for scale in (view.main, view.fine)
        if scale is not None and side.spectrum(view.plane, scale) is not None
        for i, _ in view.bands
    )
    for n, (i, _) in enumerate(view.bands):
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
    last = top + histograms_height(view) - 0.05
    page.text(
        left + width / 2, last, f"amplitude √(2P) ({view.unit.name})", size=SMALL, ha="center"
    )


def _ticks(x_range: tuple[float, float]) -> int:
    return 5 if math.log10(x_range[1] / x_range[0]) < 4.5 else 4


def _histogram_head(page: Page, view: View, i: int, x: float, y: float, width: float) -> None:
    band = view.transform.bands[i]
    below = y - 0.05
    title = below - 0.125 * _has_outside(view)
    ends = view.range_text(band)
    weight = "bold" if i == view.primary else "normal"
    room = max(0.5 * width, width - text_width(ends, SMALL) - 0.06)
    name = shorten(literal(band.name), room, SMALL, weight)
    page.text(x, title, name, size=SMALL, weight=weight)
    ends = shorten(ends, width - text_width(name, SMALL, weight) - 0.06, SMALL)
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
    found = side.spectrum(view.plane, view.main)
    if found is None:
        return 0.0, 0.0
    counts = found.counts[i]
    total = max(1, int(counts.sum()))
    return float(counts[0]) / total, float(counts[-1]) / total


def _has_outside(view: View) -> bool:
    return any(
        share >= 0.005
        for side in view.sides
        for i, _ in view.bands
        for share in _outside(view, side, i)
    )


def _outside_text(view: View, side: Side, i: int) -> str:
    below, above = _outside(view, side, i)
    parts = [f"{percent(below)} still" if below >= 0.005 else ""]
    parts.append(f"{percent(above)} off scale" if above >= 0.005 else "")
    return ", ".join(filter(None, parts))


def _density(view: View, side: Side, scale: str, i: int) -> Floats:
    """Share of the cells in each bin by its width, % per dB: bins are not equally wide."""
    found = side.spectrum(view.plane, scale)
    if found is None:
        return np.zeros(len(DB_WIDTHS))
    counts = found.counts[i]
    return np.asarray(100 * counts[1:-1] / max(1, int(counts.sum())) / DB_WIDTHS)


def _draw_histogram(axes: Axes, view: View, side: Side, i: int) -> None:
    filled = side is view.sides[0]
    for scale in (view.fine, view.main):
        if scale is None or side.spectrum(view.plane, scale) is None:
            continue
        main = scale == view.main
        style: dict[str, Any] = {"color": side.colour, "linestyle": side.dash}
        axes.stairs(
            _density(view, side, scale, i),
            AMPLITUDES * view.unit.size,
            linewidth=1.2 if main else 0.6,
            alpha=1.0 if main else 0.6,
            zorder=4 if main else 3,
            gid=f"histogram/{side.role}/{scale}/{i}",
            **style,
        )
        if main and filled:
            axes.stairs(
                _density(view, side, scale, i),
                AMPLITUDES * view.unit.size,
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
                    total = np.maximum(total, _density(view, side, scale, i))
    used = np.flatnonzero(total > 0.02)
    low, high = (0, len(total)) if not used.size else (int(used[0]), int(used[-1]) + 1)
    first, last = math.log10(AMPLITUDES[low]), math.log10(AMPLITUDES[high])
    if not used.size:
        first, last = -2.0, 0.0
    size = math.log10(view.unit.size)
    first, last = first + size, last + size
    missing = max(0.0, 2.0 - (last - first)) / 2
    return 10 ** (first - 0.05 - missing), 10 ** (last + 0.05 + missing)
