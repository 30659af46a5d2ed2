"""The panels that show where in the picture the energy is, and when."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from flickerscope.measurement import Clip, key
from flickerscope.report.style import DIVERGING, FAINT, GREY, SEQUENTIAL, SMALL, Page
from flickerscope.report.view import Side, View
from flickerscope.units import Unit

__all__ = ["Place", "blend", "colour_limit", "draw_cuts", "place", "step", "timeline", "where"]

Floats = npt.NDArray[np.float64]

PIXELS: Final = 360  # of the longer side of the map as drawn
MIN_BAR: Final = 1.1
"""Inches of height below which the colour bar lies under the map."""
BEYOND: Final = 0.72
"""Grey of what was not measured."""
MANY_SHOTS: Final = 60
"""From here on lines at the cuts would hide the curve."""


class Place:
    """What the map shows: values, the picture under them, the unit that they are in."""

    def __init__(
        self,
        values: Floats,
        picture: npt.NDArray[np.uint8] | None,
        unit: Unit,
        what: str,
        *,
        signed: bool = False,
    ) -> None:
        self.values, self.picture, self.unit, self.what = values, picture, unit, what
        self.signed = signed
        shape = values.shape if picture is None else picture.shape
        self.aspect = shape[1] / shape[0]
        """Width by height."""


def place(view: View) -> Place:
    """The difference of the two maps where they have one shape, else the first side's map."""
    maps = [_mean_map(side) for side in view.sides]
    first = maps[0]
    if first is None:
        side = view.sides[0]
        clip = side.clips[0]
        what = f"first video of the {side.role}" if view.is_pair else "first video"
        return Place(np.sqrt(side.reading(clip).map), clip.picture, view.unit, what)
    picture = _picture(view.sides[-1]) if view.is_pair else None
    own = _picture(view.sides[0])
    picture = own if picture is None else picture
    if not view.is_pair:
        return Place(first, picture, view.unit, view.sides[0].role)
    second = maps[1]
    if second is None or second.shape != first.shape:
        return Place(first, own, view.unit, "prediction; the reference has another shape")
    return Place(first - second, picture, view.unit, "prediction − reference", signed=True)


def _mean_map(side: Side) -> Floats | None:
    """Rms of each cell over all clips; ``None`` where their grids differ."""
    maps = [side.reading(clip).map for clip in side.clips]
    if len({one.shape for one in maps}) > 1:
        return None
    return np.asarray(np.sqrt(np.mean(maps, axis=0)))


def _picture(side: Side) -> npt.NDArray[np.uint8] | None:
    return side.clips[0].picture if len(side.clips) == 1 else None


def where(page: Page, shown: Place, left: float, top: float, width: float, height: float) -> None:
    """The map over the picture, and its colour bar, in a box of this size."""
    axes = page.axes(left, top, width, height)
    limit, beyond = colour_limit(shown.values, LEAST * shown.unit.size)
    norm = Normalize(-limit if shown.signed else 0, limit)
    colours = DIVERGING if shown.signed else SEQUENTIAL
    axes.imshow(
        blend(colours(norm(shown.values))[..., :3], shown.picture),
        extent=(0, 1, 1, 0),
        aspect="auto",
        interpolation="nearest",
        gid="map",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    flat = height < MIN_BAR
    if flat:
        bar_axes = page.axes(left, top + height + 0.08, width, 0.08)
    else:
        bar_axes = page.axes(left + width + 0.06, top, 0.08, height)
    bar = page.figure.colorbar(
        ScalarMappable(norm, colours),
        cax=bar_axes,
        orientation="horizontal" if flat else "vertical",
        extend="neither" if not beyond else "both" if shown.signed else "max",
    )
    bar.locator = MaxNLocator(4, steps=[1, 2, 5, 10])
    bar.update_ticks()
    bar.outline.set_linewidth(0.5)
    bar_axes.tick_params(labelsize=SMALL, length=2, width=0.5, pad=1.5, color=GREY)
    bar.set_label(f"rms ({shown.unit.name})", fontsize=SMALL, labelpad=2)


LEAST: Final = 0.5
"""Code values at the end of the colour scale, so that rounding is not painted in full colours."""


def colour_limit(values: Floats, least: float = LEAST) -> tuple[float, bool]:
    """End of the colour scale, and whether single cells lie beyond it."""
    size = np.abs(values)
    most, nearly = float(size.max()), float(np.percentile(size, 99.5))
    limit, beyond = (nearly, True) if nearly > 0 and most > 3 * nearly else (most, False)
    return (limit, beyond) if limit > least else (least, most > least)


def blend(
    colours: Floats,
    picture: npt.NDArray[np.uint8] | None,
    cover: tuple[float, float] = (1.0, 1.0),
) -> Floats:
    """Colours darkened by the picture: where nothing happens, it is seen in pale grey.

    Args:
        colours: (rows, columns, 3), of the cells.
        picture: (height, width), or none: the cells alone.
        cover: share of the picture's height and width that the cells take, from its upper left
            corner; what is beyond is `BEYOND`.
    """
    if picture is None:
        return colours
    rows, columns = colours.shape[:2]
    high, wide = picture.shape
    factor = max(1, math.ceil(PIXELS / max(high, wide)))
    down, across = np.arange(high * factor), np.arange(wide * factor)
    grey = picture[np.ix_(down // factor, across // factor)] / 255.0
    framed = np.full((rows + 1, columns + 1, 3), BEYOND)
    framed[:-1, :-1] = colours
    at = (
        np.minimum(rows, ((down + 0.5) * rows / (cover[0] * len(down))).astype(int)),
        np.minimum(columns, ((across + 0.5) * columns / (cover[1] * len(across))).astype(int)),
    )
    return np.asarray(framed[np.ix_(*at)] * (0.55 + 0.45 * grey)[..., None])


def timeline(page: Page, view: View, left: float, top: float, width: float, height: float) -> None:
    """Level of the headline band, segment by segment."""
    axes = page.axes(left, top, width, height)
    highest, last = math.sqrt(view.band.epsilon), 0.0
    if highest:
        axes.axhline(highest, color=GREY, linewidth=0.7, linestyle=":", gid="rounding")
    for side in view.sides:
        for clip in side.clips:
            values = _draw_series(axes, view, side, clip)
            highest = max(highest, float(values.max()))
            last = max(last, clip.frames * step(clip))
    finish_series(axes, view, last, highest)


def finish_series(axes: Axes, view: View, last: float, highest: float) -> None:
    """Cuts, limits and labels of rms values over time, up to ``last`` and ``highest``."""
    draw_cuts(axes, view)
    axes.set_xlim(0, last)
    axes.set_ylim(0, 1.1 * highest or 1)
    in_frames = all(clip.rate is None for side in view.sides for clip in side.clips)
    whole = in_frames or last > 6
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 3, 5, 6, 10], integer=whole))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("time (frames)" if in_frames else "time (s)")
    axes.set_ylabel(f"rms ({view.unit.name})")


def step(clip: Clip) -> float:
    """Seconds a frame, or 1 where there is no clock."""
    return 1.0 if clip.rate is None else float(1 / clip.rate)


def _draw_series(axes: Axes, view: View, side: Side, clip: Clip) -> Floats:
    """A curve a shot, each point in the middle of its segment; bars show how long one is."""
    reading = side.reading(clip)
    values = np.sqrt(reading.series[key(view.plane, view.main)][:, view.primary])
    half = side.segment * step(clip) / 2
    middle = (np.array(reading.times) - clip.start) + half
    shots = np.array(reading.shots)
    few = len(values) <= 40
    faint = len(side.clips) > 1
    for shot in np.unique(shots):
        chosen = shots == shot
        axes.plot(
            middle[chosen],
            values[chosen],
            color=side.colour,
            linestyle=side.dash,
            linewidth=1.2 if few else 0.9,
            alpha=0.5 if faint else 1.0,
            marker=("o" if side is view.sides[0] else "s") if few or chosen.sum() == 1 else "",
            markersize=2.6 if few else 1.6,
            markerfacecolor=side.colour if side is view.sides[0] else "white",
            clip_on=False,
            zorder=4 if side is view.sides[0] else 3,
            gid=f"time/{side.role}/{shot}",
        )
        if len(values) <= 3:
            axes.hlines(
                values[chosen],
                middle[chosen] - half,
                middle[chosen] + half,
                color=side.colour,
                linestyle=side.dash,
                linewidth=1.0,
                alpha=0.6,
                zorder=2,
            )
    return values


def draw_cuts(axes: Axes, view: View) -> None:
    """A grey line at each cut, unless there are too many."""
    places = sorted(
        {
            round(start * step(clip), 3)
            for side in view.sides
            for clip in side.clips
            for start, _ in clip.shots[1:]
        }
    )
    if len(places) <= MANY_SHOTS:
        for x in places:
            axes.axvline(x, color=FAINT, linewidth=0.8, zorder=1, gid="cut")


def has_cuts(view: View) -> bool:
    """Whether lines at cuts are drawn."""
    count = sum(len(clip.shots) - 1 for side in view.sides for clip in side.clips)
    return 0 < count <= MANY_SHOTS
