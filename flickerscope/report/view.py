"""What the figure shows of a result, alike for a pair and for a video alone."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flickerscope.comparison import Comparison, excess
from flickerscope.measurement import Clip, Measurement, Reading, Rung, Spectrum, key
from flickerscope.report.document import analysis_rows
from flickerscope.report.style import BLUE, ORANGE, literal, number
from flickerscope.rungs import headline_band
from flickerscope.spectrum import Band, Transform
from flickerscope.units import CODE, Unit

__all__ = ["CELLS", "Row", "Side", "View", "view"]

Floats = npt.NDArray[np.float64]

CELLS: Final = {"pixel": "pixels", "block": "blocks", "global": "the whole frame"}
"""What a scale is made of."""
SOLID: Final = "-"
DASHED: Final = (0, (3.2, 1.8))
SAME_RATE: Final = Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the curves: the prediction, the reference, or a video alone."""

    role: str
    """``prediction``, ``reference`` or ``video``."""
    name: str
    measurement: Measurement
    segment: int
    colour: str
    dash: Any
    """Line style: colour is never the only difference."""
    paths: dict[str, str]
    """Names as they stand in warnings, and how to show them."""

    @property
    def rung(self) -> Rung:
        """The sums at the segment length shown."""
        return self.measurement.rungs[self.segment]

    @property
    def transform(self) -> Transform:
        """Behind its numbers."""
        return self.measurement.transform(self.segment)

    @property
    def clips(self) -> tuple[Clip, ...]:
        """Its videos."""
        return self.measurement.clips

    def spectrum(self, plane: str, scale: str) -> Spectrum | None:
        """``None`` where it was not measured."""
        return self.rung.spectra.get(key(plane, scale))

    def reading(self, clip: Clip) -> Reading:
        """Of a clip at the segment length shown."""
        return clip.readings[self.segment]


@dataclass(frozen=True, slots=True)
class Row:
    """A band of a plane at a scale, as the table of bars shows it."""

    plane: str
    scale: str
    band: str
    reliable: bool
    excess_db: float | None
    """``None`` for a video alone."""
    rms: tuple[float, ...]
    """Of each side."""


@dataclass(frozen=True, slots=True)
class View:
    """A result, ready to be drawn."""

    result: Comparison | Measurement
    sides: tuple[Side, ...]
    segment: int
    transform: Transform
    """Of the first side."""
    primary: int
    """Index of the headline band."""
    main: str
    """Scale of the headline."""
    fine: str | None
    """Scale drawn thinner beside it."""
    rows: tuple[Row, ...]
    lines: tuple[excess.Line, ...]
    """Of the main plane, at the scales that are drawn."""
    rate: Fraction | None
    """Frames a second that frequencies of all sides can be turned into Hz with."""
    in_hertz: bool
    """Whether the sides share a frequency axis in Hz only."""

    @property
    def unit(self) -> Unit:
        """Of the samples."""
        return self.transform.unit

    @property
    def plane(self) -> str:
        """That the headline is about."""
        return self.result.settings.main_plane

    @property
    def main_rows(self) -> list[Row]:
        """Of that plane."""
        return [row for row in self.rows if row.plane == self.plane]

    @property
    def is_pair(self) -> bool:
        """Whether there is a reference."""
        return len(self.sides) == 2

    @property
    def band(self) -> Band:
        """Of the headline."""
        return self.transform.bands[self.primary]

    @property
    def bands(self) -> list[tuple[int, Band]]:
        """Those that hold anything in every side, with their index."""
        of_sides = [side.transform.bands for side in self.sides]
        return [
            (i, band)
            for i, band in enumerate(self.transform.bands)
            if not any(bands[i].empty for bands in of_sides)
        ]

    @property
    def planes(self) -> list[str]:
        """Luma first."""
        return list(dict.fromkeys(row.plane for row in self.rows))

    def number(self, value: float) -> str:
        """Such as an rms: code values as usual, those of a latent whatever their size."""
        if self.unit == CODE or 0.001 <= value < 10_000 or not value:
            return number(value)
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{mantissa}e{int(power)}".replace("-", "−")

    def range_text(self, band: Band) -> str:
        """Ends of a band, in Hz where they are known, else in cycles/frame without the unit."""
        if not self.transform.is_spectrum:
            return ""
        if self.rate is None:
            return f"{band.low:.3g}–{band.high:.3g}"
        return f"{band.low * float(self.rate):.3g}–{band.high * float(self.rate):.3g} Hz"


def view(result: Comparison | Measurement) -> View:
    """Gather what the panels need."""
    if isinstance(result, Comparison):
        return _of_pair(result)
    return _of_one(result)


def _of_pair(result: Comparison) -> View:
    pred, ref = result.pred, result.ref
    names = _names(pred, ref)
    sides = (
        Side("prediction", names[0], pred, result.segment, ORANGE, SOLID, _paths(pred)),
        Side("reference", names[1], ref, result.segment, BLUE, DASHED, _paths(ref)),
    )
    rates = pred.rate, ref.rate
    shared = None
    if rates[0] is not None and rates[1] is not None:
        ours, theirs = rates[0], rates[1]
        shared = ours if abs(ours - theirs) <= SAME_RATE * max(ours, theirs) else None
    in_hertz = result.transform.is_spectrum and shared is None and pred.settings.in_hertz
    rows = tuple(
        Row(r.plane, r.scale, r.band, r.reliable, r.excess_db, (r.pred_rms, r.ref_rms))
        for r in result.table
    )
    scales = list(dict.fromkeys(row.scale for row in rows))
    main = result.headline.scale
    drawn = main, _fine(scales, main)
    plane = result.settings.main_plane
    names_of_bands = [band.name for band in result.transform.bands]
    return View(
        result=result,
        sides=sides,
        segment=result.segment,
        transform=result.transform,
        primary=names_of_bands.index(result.headline.band),
        main=main,
        fine=drawn[1],
        rows=rows,
        lines=tuple(n for n in result.lines if n.plane == plane and n.scale in drawn),
        rate=rates[0] if in_hertz else shared,
        in_hertz=in_hertz,
    )


def _of_one(result: Measurement) -> View:
    segment, transform = result.segment, result.transform()
    side = Side("video", _names(result)[0], result, segment, BLUE, SOLID, _paths(result))
    rows = tuple(
        Row(r["plane"], r["scale"], r["band"], r["reliable"], None, (r["rms"],))
        for r in analysis_rows(result)
    )
    main, plane = result.settings.main_scale, result.settings.main_plane
    fine = _fine(list(dict.fromkeys(row.scale for row in rows)), main)
    lines = [
        line
        for scale in (main, fine)
        if scale is not None
        for line in excess.find_lines(
            key(plane, scale), (side.rung.spectra[key(plane, scale)], transform)
        )
    ]
    return View(
        result=result,
        sides=(side,),
        segment=segment,
        transform=transform,
        primary=headline_band(result.settings, transform),
        main=main,
        fine=fine,
        rows=rows,
        lines=tuple(lines),
        rate=result.rate,
        in_hertz=False,
    )


def _fine(scales: list[str], main: str) -> str | None:
    return "pixel" if "pixel" in scales and main != "pixel" else None


def _names(*sides: Measurement) -> list[str]:
    """File names; with their folder, where two sides have the same."""
    paths = [[clip.info.path for clip in side.clips] for side in sides]
    names = [[_last(path, 1) for path in of_side] for of_side in paths]
    if len(names) == 2 and names[0] == names[1] and paths[0] != paths[1]:
        names = [[_last(path, 2) for path in of_side] for of_side in paths]
    return [
        literal(", ".join(of_side) if len(of_side) < 3 else f"{of_side[0]} … {of_side[-1]}")
        for of_side in names
    ]


def _paths(side: Measurement) -> dict[str, str]:
    return {clip.info.path: _last(clip.info.path, 1) for clip in side.clips}


def _last(path: str, parts: int) -> str:
    """The end of a path."""
    found = PurePath(path).parts[-parts:]
    return str(PurePath(*found)) if found else path
