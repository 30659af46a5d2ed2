"""The panel of the clips that flicker most: a frame of each, and where it flickers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from flickerscope.report.along import LEAST
from flickerscope.report.overview.content import HEAD, Overview, Picture
from flickerscope.report.places import BEYOND, blend, colour_limit
from flickerscope.report.style import (
    GREY,
    INNER,
    MARGIN,
    SEQUENTIAL,
    SMALL,
    Page,
    decibels,
    literal,
    shorten,
)

__all__ = ["panels"]

MOST: Final = 5
GAP: Final = 0.1
TALLEST: Final = 1.0
CAPTION: Final = 0.4
BAR: Final = 0.42
"""Inches that the bar of colours takes at the right."""
Draw = Callable[[Page, float, str], None]


def panels(shown: Overview) -> list[tuple[float, Draw]]:
    """Nothing where no clip has a picture."""
    pictures = [one for one in shown.pictures if one.grey is not None][:MOST]
    if not pictures:
        return []
    mapped = any(one.map is not None for one in pictures)
    width = (INNER - BAR - GAP * (MOST - 1)) / MOST
    tall = min(TALLEST, max(width / _aspect(one) for one in pictures))
    height = tall * (2 if mapped else 1) + (0.04 if mapped else 0) + CAPTION

    def draw(page: Page, top: float, letter: str) -> None:
        count = len(pictures)
        title = "The clip that flickers most" if count == 1 else "The clips that flicker most"
        below = "a frame of each" + (
            "; below, motion-compensated flicker over it, rms code values; grey: not measured"
            if mapped
            else ""
        )
        page.heading(MARGIN, top, letter, title, below, INNER)
        norm, beyond = _norm(pictures)
        for k, one in enumerate(pictures):
            left = MARGIN + k * (width + GAP)
            y = top + HEAD
            _frame(page, one, (left, y, width, tall))
            if mapped:
                _map(page, one, norm, (left, y + tall + 0.04, width, tall))
            _caption(page, shown, one, left, top + HEAD + height - CAPTION, width)
        if mapped:
            place = MARGIN + count * (width + GAP), top + HEAD + tall + 0.04
            _bar(page, ScalarMappable(norm, SEQUENTIAL), beyond, place, tall)

    return [(HEAD + height, draw)]


def _aspect(one: Picture) -> float:
    """Width by height."""
    return 1.0 if one.grey is None else one.grey.shape[1] / one.grey.shape[0]


def _norm(pictures: Sequence[Picture]) -> tuple[Normalize, bool]:
    """One scale of colours for all maps."""
    known = [one.map[np.isfinite(one.map)] for one in pictures if one.map is not None]
    values = np.concatenate([*known, np.zeros(0)])
    limit, beyond = colour_limit(values, LEAST) if values.size else (LEAST, False)
    return Normalize(0, limit), beyond


def _fitted(one: Picture, box: tuple[float, float, float, float]) -> tuple[float, ...]:
    left, top, width, height = box
    wide = min(width, height * _aspect(one))
    high = wide / _aspect(one)
    return left, top + (height - high) / 2, wide, high


def _frame(page: Page, one: Picture, box: tuple[float, float, float, float]) -> None:
    if one.grey is None:
        return
    axes = page.axes(*_fitted(one, box))
    axes.imshow(one.grey, cmap="gray", vmin=0, vmax=255, aspect="auto", gid="frame")
    axes.set_axis_off()


def _map(page: Page, one: Picture, norm: Normalize, box: tuple[float, float, float, float]) -> None:
    axes = page.axes(*_fitted(one, box))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    if one.map is None:
        axes.text(0.5, 0.5, "not measured", fontsize=SMALL, color=GREY, ha="center", va="center")
        return
    colours = SEQUENTIAL(norm(np.nan_to_num(one.map)))[..., :3]
    colours[~np.isfinite(one.map)] = BEYOND
    axes.imshow(
        blend(colours, one.grey, one.cover),
        extent=(0, 1, 1, 0), aspect="auto", interpolation="nearest", gid="map",
    )  # fmt: skip


def _caption(page: Page, shown: Overview, one: Picture, x: float, y: float, width: float) -> None:
    clip = one.clip
    flicker = clip["flicker_db"]
    reading = f"energy {decibels(clip['energy_db'])} dB"
    if flicker is not None:
        reading = f"flicker {decibels(flicker)} dB"
    if clip["verdict"] == "incoherent":
        reading = "incoherent"
    colour = shown.look(clip["model"]).colour
    for k, (text, style) in enumerate(
        [
            (literal(clip["model"]), {"color": colour}),
            (literal(clip["name"]), {}),
            (reading, {"color": GREY}),
        ]
    ):
        page.text(x, y + 0.11 * (k + 1), shorten(text, width, SMALL), size=SMALL, **style)


def _bar(
    page: Page, shown: ScalarMappable, beyond: bool, place: tuple[float, float], height: float
) -> None:
    left, top = place
    axes = page.axes(left, top, 0.07, height)
    bar = page.figure.colorbar(shown, cax=axes, extend="max" if beyond else "neither")
    bar.locator = MaxNLocator(4, steps=[1, 2, 5, 10])
    bar.update_ticks()
    bar.outline.set_linewidth(0.5)
    axes.tick_params(labelsize=SMALL, length=2, width=0.5, pad=1.5, color=GREY)
