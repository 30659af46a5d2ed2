"""The panels of the mean spectra and of the pooled histograms of a scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from flickerscope.report.overview.content import HEAD, REFERENCE, Floats, Look, Overview
from flickerscope.report.style import (
    FAINT,
    GREY,
    INK,
    INNER,
    MARGIN,
    SMALL,
    Page,
    literal,
    shorten,
    text_width,
)
from flickerscope.settings import Settings
from flickerscope.units import ROUNDING_POWER

__all__ = ["panels"]

PLOT: Final = 1.45
LABEL: Final = 0.42
KEY: Final = 0.16
Draw = Callable[[Page, float, str], None]
Curve = tuple[Look, Mapping[str, Any]]


def _sides(shown: Overview) -> list[Curve]:
    """The models in their order, and the references."""
    pooled = shown.summary["pooled"]
    found = [
        (shown.look(name), pooled["models"][name])
        for name in shown.drawn
        if name in pooled["models"]
    ]
    return [*found, (REFERENCE, pooled["reference"])]


def panels(shown: Overview) -> list[tuple[float, Draw]]:
    """Both side by side; nothing where no clip was measured."""
    sides = _sides(shown)
    if not any(side["counts"] for _, side in sides):
        return []
    lines = _key_lines(sides)
    above = KEY * len(lines) + (0.3 if shown.summary["pooled"]["frames_per_second"] else 0.02)

    def draw(page: Page, top: float, letter: str) -> None:
        page.heading(
            MARGIN, top, letter, "Mean spectra in dB, and pooled histograms",
            _explained(shown), INNER,
        )  # fmt: skip
        for k, line in enumerate(lines):
            _draw_key(page, line, top + HEAD + 0.06 + KEY * k)
        y = top + HEAD + above + 0.02
        width = (INNER - 1.05) / 2
        spectrum = page.axes(MARGIN + 0.48, y, width, PLOT)
        _spectra(spectrum, shown, [s for s in sides if s[1]["clips"]])
        histogram = page.axes(MARGIN + 0.48 + width + 0.55, y, width, PLOT)
        _histograms(histogram, shown, sides)

    return [(HEAD + above + PLOT + LABEL, draw)]


def _explained(shown: Overview) -> str:
    place = shown.summary["pooled"]["place"]
    text = f"{place['scale']} scale"
    if not shown.summary["settings"]["latent"]:
        text += "; dotted: 8-bit rounding, which is part of all of them"
    if len(shown.drawn) < len(shown.summary["models"]):
        text += f"; {len(shown.drawn)} models: those that flicker least and most"
    return f"{text}; right: how many cells have which amplitude in {literal(place['band'])}"


def _key_lines(sides: list[Curve]) -> list[list[tuple[Look, str]]]:
    """Entries of the key, as many a line as there is room for."""
    lines: list[list[tuple[Look, str]]] = [[]]
    used = 0.0
    for look, side in sides:
        text = f"{shorten(literal(look.label), 1.6, SMALL)} ({side['clips']} clips)"
        width = text_width(text, SMALL) + 0.5
        if lines[-1] and used + width > INNER - 0.5:
            lines.append([])
            used = 0.0
        lines[-1].append((look, text))
        used += width
    return lines


def _draw_key(page: Page, entries: list[tuple[Look, str]], y: float) -> None:
    x = MARGIN + 0.48
    for look, text in entries:
        page.line(
            x, x + 0.22, y - 0.03, color=look.colour, linestyle=look.dash, linewidth=1.4
        )  # fmt: skip
        page.text(x + 0.27, y, text, size=SMALL, color=look.colour)
        x += text_width(text, SMALL) + 0.5


def _spectra(axes: Axes, shown: Overview, sides: list[Curve]) -> None:
    pooled = shown.summary["pooled"]
    latent = shown.summary["settings"]["latent"]
    if not sides:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "segments too short for a spectrum", fontsize=SMALL, ha="center")
        return
    x = np.array(pooled["frequency"])
    rounding = ROUNDING_POWER / len(x)
    axes.set_yscale("log")
    for look, side in sides:
        values = 10 ** (np.array(side["level_db"]) / 10)
        axes.plot(
            x, values, color=look.colour, linestyle=look.dash, linewidth=1.3,
            zorder=4 if look is REFERENCE else 3, gid=f"spectrum/{look.label}",
        )  # fmt: skip
    if not latent:
        axes.axhline(rounding, color=GREY, linewidth=0.7, linestyle=":")
    axes.set_xlim(0, 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("temporal frequency (cycles/frame)")
    unit = "latent²" if latent else "code²"
    axes.set_ylabel(f"power ({unit} per bin)")
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_minor_formatter(NullFormatter())
    for name, low, high in _marked_bands(shown):
        axes.axvspan(low, high, color=FAINT, alpha=0.35, linewidth=0, zorder=0)
        axes.text(
            (low + high) / 2, 0.97, name, fontsize=SMALL, color=GREY, ha="center", va="top",
            transform=axes.get_xaxis_transform(), parse_math=False,
        )  # fmt: skip
    rate = pooled["frames_per_second"]
    if rate is not None:
        hertz = axes.secondary_xaxis(
            "top", functions=(lambda f: np.asarray(f) * rate, lambda f: np.asarray(f) / rate)
        )
        hertz.tick_params(labelsize=SMALL, labelcolor=INK, color=GREY, length=2.5, width=0.6, pad=1)
        hertz.spines["top"].set(linewidth=0.6, color=GREY)
        hertz.set_xlabel("Hz", fontsize=SMALL, labelpad=3.5)


def _marked_bands(shown: Overview) -> Iterator[tuple[str, float, float]]:
    """The band of the headline, where its ends are those of the preset."""
    name = shown.summary["pooled"]["place"]["band"]
    bands = shown.summary["settings"]["bands"]
    if bands == "cycles":
        for band in Settings(bands=bands).band_ranges:
            if band.name == name and band.low is not None:
                yield name, band.low, band.high


def _histograms(axes: Axes, shown: Overview, sides: list[Curve]) -> None:
    edges = np.array(shown.summary["pooled"]["edges_power"])
    amplitudes, widths = np.sqrt(2 * edges), np.diff(10 * np.log10(edges))
    used = np.zeros(len(widths), dtype=bool)
    for look, side in sides:
        density = _density(side["counts"], widths)
        used |= density > 0.02
        axes.stairs(
            density, amplitudes, color=look.colour, linestyle=look.dash, linewidth=1.2,
            zorder=4 if look is REFERENCE else 3, gid=f"histogram/{look.label}",
        )  # fmt: skip
    filled = np.flatnonzero(used)
    low, high = (0, len(widths)) if not len(filled) else (filled[0], filled[-1] + 1)
    axes.set_xscale("log")
    axes.set_xlim(amplitudes[low] / 1.2, max(amplitudes[high], 20 * amplitudes[low]) * 1.2)
    axes.set_ylim(0, None)
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(4))
    unit = "its reference's sd = 64" if shown.summary["settings"]["latent"] else "code values"
    axes.set_xlabel(f"amplitude √(2P) ({unit})")
    axes.set_ylabel("cells (% per dB)")


def _density(counts: Mapping[str, int], widths: Floats) -> Floats:
    """Share of the cells in each bin inside the edges, % per dB."""
    values = np.zeros(len(widths) + 2)
    for number, count in counts.items():
        values[int(number)] = count
    return np.asarray(100 * values[1:-1] / max(1.0, values.sum()) / widths)
