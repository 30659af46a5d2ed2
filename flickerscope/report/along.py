"""The panels that show where in the picture a video flickers along its motion, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from flickerscope.comparison.excess import FLICKER_EPSILON
from flickerscope.measurement import Clip
from flickerscope.report.cover import map_cover, measured_shape
from flickerscope.report.places import BEYOND, blend, colour_limit, finish_series, step
from flickerscope.report.style import GREY, SEQUENTIAL, SMALL, Page
from flickerscope.report.view import Side, View
from flickerscope.units import CODE

__all__ = ["HEIGHT", "FlickerMap", "flicker_maps", "maps_width", "timeline", "where"]

Floats = npt.NDArray[np.float64]

HEIGHT: Final = 1.5
"""Inches of both panels, without what stands under their axes."""
MAP_HEIGHT: Final = HEIGHT - 0.32
BESIDE_WIDTH: Final = 1.62
ALONE_WIDTH: Final = 2.4
GAP: Final = 0.12
LABEL: Final = 0.24
"""Inches under the maps for their names."""
BAR: Final = 0.08
LEAST: Final = 1.0
"""Code values at the end of the colour scale: what clean videos read stays pale."""
FEW: Final = 40
"""Frames up to which each has a mark."""


class FlickerMap:
    """Where one side flickers: rms code values of each tile, and the picture under them."""

    def __init__(self, side: Side) -> None:
        maps = [clip.motion.map for clip in side.clips if clip.motion is not None]
        self.side = side
        self.alike = len({one.shape for one in maps}) == 1
        """Whether the tiles of all videos have one grid; else they are those of the first."""
        chosen = maps if self.alike else maps[:1]
        self.values = np.sqrt(np.clip(_mean(chosen), 0, None))
        """(rows, columns); NaN: not measured."""
        clip = next(clip for clip in side.clips if clip.motion is not None)
        settings = side.measurement.settings
        high, wide = measured_shape(clip, settings)
        rows, columns = self.values.shape
        self.cover = map_cover(clip, settings)
        """Share of the picture's height and width that the tiles take."""
        own = len(side.clips) == 1 or not self.alike
        self.picture = clip.picture if own else None
        self.aspect = wide / high if self.picture is not None else columns / rows
        """Width by height."""

    @property
    def is_whole(self) -> bool:
        """Whether there is a value for all of the picture."""
        return bool(np.isfinite(self.values).all()) and min(self.cover) > 0.999

    def size(self, width: float) -> tuple[float, float]:
        """Inches of width and height in a box of this width."""
        wide = max(0.3, min(width, MAP_HEIGHT * self.aspect))
        return wide, min(MAP_HEIGHT, max(0.3, wide / self.aspect))


def _mean(maps: list[Floats]) -> Floats:
    """Over those that have a value; NaN where none has."""
    stack = np.stack(maps)
    known = np.isfinite(stack)
    count = known.sum(0)
    total = np.where(known, stack, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def flicker_maps(view: View) -> list[FlickerMap]:
    """Of the sides that were measured along their motion."""
    return [FlickerMap(side) for side in view.sides if any(clip.motion for clip in side.clips)]


def _sizes(maps: list[FlickerMap]) -> list[tuple[float, float]]:
    width = ALONE_WIDTH if len(maps) == 1 else BESIDE_WIDTH
    return [one.size(width) for one in maps]


def maps_width(maps: list[FlickerMap]) -> float:
    """Inches that the maps take side by side."""
    return sum(width for width, _ in _sizes(maps)) + GAP * (len(maps) - 1)


def where(page: Page, maps: list[FlickerMap], left: float, top: float) -> None:
    """The maps side by side in one scale of colours, each over a frame of its video."""
    values = np.concatenate([one.values[np.isfinite(one.values)] for one in maps])
    limit, beyond = colour_limit(values, LEAST) if values.size else (LEAST, False)
    norm = Normalize(0, limit)
    x = left
    for one, (width, height) in zip(maps, _sizes(maps), strict=True):
        axes = page.axes(x, top, width, height)
        colours = SEQUENTIAL(norm(np.nan_to_num(one.values)))[..., :3]
        colours[~np.isfinite(one.values)] = BEYOND
        axes.imshow(
            blend(colours, one.picture, one.cover),
            extent=(0, 1, 1, 0),
            aspect="auto",
            interpolation="nearest",
            gid=f"flicker map/{one.side.role}",
        )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(True)
        page.text(x, top + height + 0.12, one.side.role, size=SMALL, color=one.side.colour)
        x += width + GAP
    below = top + max(height for _, height in _sizes(maps)) + LABEL
    _colour_bar(page, ScalarMappable(norm, SEQUENTIAL), beyond, (left, below, x - GAP - left))


def _colour_bar(
    page: Page, shown: ScalarMappable, beyond: bool, place: tuple[float, float, float]
) -> None:
    left, top, width = place
    axes = page.axes(left, top, max(width, 1.0), BAR)
    bar = page.figure.colorbar(
        shown, cax=axes, orientation="horizontal", extend="max" if beyond else "neither"
    )
    bar.locator = MaxNLocator(4, steps=[1, 2, 5, 10])
    bar.update_ticks()
    bar.outline.set_linewidth(0.5)
    axes.tick_params(labelsize=SMALL, length=2, width=0.5, pad=1.5, color=GREY)
    bar.set_label(f"rms ({CODE.name})", fontsize=SMALL, labelpad=2)


def timeline(page: Page, view: View, left: float, top: float, width: float) -> None:
    """Flicker of the picture, frame by frame."""
    axes = page.axes(left, top, width, HEIGHT)
    least = FLICKER_EPSILON**0.5
    axes.axhline(least, color=GREY, linewidth=0.7, linestyle=":", gid="none detected")
    highest, last = least, 0.0
    for side in view.sides:
        for clip in side.clips:
            last = max(last, clip.frames * step(clip))
            for k, (times, values) in enumerate(_runs(clip)):
                _draw(axes, view, side, k, times, values)
                highest = max(highest, float(values.max()))
    finish_series(axes, view, last, highest)


def _runs(clip: Clip) -> Iterator[tuple[Floats, Floats]]:
    """Times and rms code values of the frames between cuts and gaps."""
    if clip.motion is None:
        return
    frames, flicker = np.array(clip.motion.frames), clip.motion.series
    known = np.isfinite(flicker)
    shots = np.searchsorted([start for start, _ in clip.shots], frames, side="right")
    gaps = np.cumsum(~known)
    for shot in np.unique(shots):
        for gap in np.unique(gaps[known & (shots == shot)]):
            chosen = known & (shots == shot) & (gaps == gap)
            yield frames[chosen] * step(clip), np.sqrt(np.clip(flicker[chosen], 0, None))


def _draw(axes: Axes, view: View, side: Side, run: int, times: Floats, values: Floats) -> None:
    first = side is view.sides[0]
    few = len(values) <= FEW
    axes.plot(
        times,
        values,
        color=side.colour,
        linestyle=side.dash,
        linewidth=1.2 if few else 0.9,
        alpha=0.5 if len(side.clips) > 1 else 1.0,
        marker=("o" if first else "s") if few else "",
        markersize=2.6,
        markerfacecolor=side.colour if first else "white",
        clip_on=False,
        zorder=4 if first else 3,
        gid=f"flicker/{side.role}/{run}",
    )
