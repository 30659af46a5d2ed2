"""Says in words what the numbers of a comparison mean, and what makes them doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from flickerscope.errors import SettingsError
from flickerscope.excess import BandExcess, PictureChange
from flickerscope.measurement import Measurement, key
from flickerscope.settings import Settings
from flickerscope.spectrum import ROUNDING_POWER, SECOND_DIFFERENCE, Transform

__all__ = ["Verdict", "judge"]

Verdict = Literal[
    "flickers more",
    "flickers less",
    "more high-frequency energy",
    "less high-frequency energy",
    "no difference found",
]

THRESHOLD_DB: Final = 3.0
SLOW: Final = 0.125  # cycles/frame: below it lie drift and slow motion
BLUR_DB: Final = -1.0


def sides(
    pred: Measurement, ref: Measurement, segment: int, transforms: tuple[Transform, Transform]
) -> dict[str, tuple[tuple[Any, Transform], tuple[Any, Transform]]]:
    """Spectrum and transform of both, by plane and scale."""
    ours, theirs = pred.rungs[segment].spectra, ref.rungs[segment].spectra
    return {
        name: ((ours[name], transforms[0]), (theirs[name], transforms[1]))
        for name in ours
        if name in theirs
    }


def pick_headline(table: tuple[BandExcess, ...], scale: str, band: str) -> BandExcess:
    """The luma's row of a band at a scale."""
    for row in table:
        if (row.plane, row.scale, row.band) == ("y", scale, band):
            return row
    raise SettingsError(
        f"band {band!r} lies outside the spectrum of these videos: choose others, or a lower one"
    )


def floor_change(pred: Measurement, ref: Measurement, segment: int) -> float | None:
    """F: how much more power the quietest tenth of the tiles has, dB."""
    floors = []
    for side in (pred, ref):
        values = [clip.readings[segment].floor_db for clip in side.clips]
        known = sorted(value for value in values if value is not None)
        if not known:
            return None
        floors.append((known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2)
    return floors[0] - floors[1]


def by_role(pred: Measurement, ref: Measurement, kind: Literal["notes", "warnings"]) -> list[str]:
    """Texts of both, with a word on which video they are about; what both have is said once."""
    ours, theirs = (
        list(dict.fromkeys(text for clip in side.clips for text in getattr(clip, kind)))
        for side in (pred, ref)
    )
    return [
        *(f"pred and ref: {text}" for text in ours if text in theirs),
        *(f"pred: {text}" for text in ours if text not in theirs),
        *(f"ref: {text}" for text in theirs if text not in ours),
    ]


def colour_warnings(table: tuple[BandExcess, ...], headline: BandExcess) -> list[str]:
    """A sentence for each chroma plane that the verdict, which is about luma, leaves out."""
    return [
        f"{row.plane.capitalize()} has {row.excess_db:+.1f} dB more in {row.band}: the colour "
        "flickers or moves more, the headline is about luma"
        for row in table
        if row.plane != "y"
        and (row.scale, row.band) == (headline.scale, headline.band)
        and row.excess_db >= THRESHOLD_DB
    ]


def transfer_warnings(pred: Measurement, ref: Measurement) -> list[str]:
    """A sentence where code values do not mean the same light on both sides."""
    found = []
    for name in ("transfer", "matrix"):
        kinds = {getattr(c.info, name) for side in (pred, ref) for c in side.clips} - {None}
        if len(kinds) > 1:
            found.append(
                f"different {name} ({', '.join(sorted(kinds))}): code values do not mean the same"
            )
    return found


def codec_warnings(pred: Measurement, ref: Measurement) -> list[str]:
    """A sentence where the videos were not compressed alike."""
    codecs = sorted({c.info.codec for side in (pred, ref) for c in side.clips if c.info.codec})
    if len(codecs) < 2:
        return []
    return [f"different codecs ({', '.join(codecs)}) add flicker of their own: compare under one"]


@dataclass(frozen=True, slots=True)
class Pace:
    """Whether a video moves, as far as its spectrum tells."""

    still: bool
    """Over half of the picture changes by less than rounding does."""
    fast: bool
    """It changes fast rather than slowly: unlike motion, which is slow in most of its power."""


def pace(
    measurement: Measurement, segment: int, scale: str, headline: float, transform: Transform
) -> Pace:
    """Of one side; ``scale`` and ``headline``: scale and power (code^2) of its headline."""
    still = all(clip.readings[segment].still_power < ROUNDING_POWER for clip in measurement.clips)
    if not transform.is_spectrum:
        return Pace(still, True)
    spectrum = measurement.rungs[segment].spectra[key("y", scale)]
    slow = float(spectrum.mean_power[transform.frequencies.numpy() < SLOW].sum())
    return Pace(still, headline >= slow)


def judge(
    headline: BandExcess, table: tuple[BandExcess, ...], pred: Pace, ref: Pace
) -> tuple[Verdict, str]:
    """In words, and what they rest on.

    Only beside a still reference, in a prediction that changes fast rather than slowly, is
    high-frequency energy known to be flicker. Then every band above 0.125 cycles/frame has a say:
    the headline's first, else the one that differs most.

    Args:
        headline: the band that the verdict is about.
        table: all bands.
        pred, ref: how the two move.
    """
    same_scale = [r for r in table if (r.plane, r.scale) == (headline.plane, headline.scale)]
    fast = [row for row in same_scale if row.low >= SLOW or row.band == SECOND_DIFFERENCE]
    more = max(fast, key=lambda row: row.excess_db, default=headline)
    less = min(fast, key=lambda row: row.excess_db, default=headline)
    if fast and ref.still and pred.fast and more.excess_db >= THRESHOLD_DB:
        band = headline if headline in fast and headline.excess_db >= THRESHOLD_DB else more
        return (
            "flickers more",
            f"{_size(band)}, where the reference is still and the changes are fast",
        )
    if fast and pred.still and ref.fast and less.excess_db <= -THRESHOLD_DB:
        band = headline if headline in fast and headline.excess_db <= -THRESHOLD_DB else less
        return (
            "flickers less",
            f"{_size(band)}, where the prediction is still and the reference changes fast",
        )
    if headline.excess_db >= THRESHOLD_DB:
        return (
            "more high-frequency energy",
            f"{_size(headline)}; flicker, motion and sharpness all add to it",
        )
    if headline.excess_db <= -THRESHOLD_DB:
        return (
            "less high-frequency energy",
            f"{_size(headline)}; less flicker, less motion and blur all take from it",
        )
    return "no difference found", f"{_size(headline)}, within {THRESHOLD_DB:g} dB"


def _size(row: BandExcess) -> str:
    rounded = round(row.excess_db, 1) + 0.0  # never a minus zero
    return f"{rounded:+.1f} dB in {_name(row.band)} at {row.scale} scale"


def _name(band: str) -> str:
    return f"the {band}" if band == SECOND_DIFFERENCE else band


def difference_notes(pred: Measurement, ref: Measurement) -> list[str]:
    """How sizes and lengths differ, and what that means."""
    notes = []
    ours, theirs = pred.clips[0], ref.clips[0]
    sizes = [f"{clip.info.width}x{clip.info.height}" for clip in (ours, theirs)]
    if sizes[0] != sizes[1]:
        notes.append(
            f"sizes differ ({sizes[0]} and {sizes[1]}): compare at block and global scale, "
            "which do not depend on it"
        )
    if ours.frames != theirs.frames:
        notes.append(
            f"lengths differ ({ours.frames} and {theirs.frames} frames): powers are means "
            "over segments"
        )
    return notes


def comparison_warnings(
    headline: BandExcess,
    floor_db: float | None,
    change: PictureChange,
    segment: int,
    settings: Settings,
) -> list[str]:
    """What makes the headline doubtful."""
    warnings = []
    if headline.band == SECOND_DIFFERENCE:
        warnings.append(
            f"segments of {segment} frames have no spectrum: the headline is the second difference"
        )
    elif headline.band != settings.primary_band:
        warnings.append(
            f"segments of {segment} frames at this rate do not show {settings.primary_band} "
            f"apart from slow change: the headline is {headline.band}"
        )
    elif not headline.reliable:
        warnings.append(
            f"{headline.band} is not reliable in segments of {segment} frames: slow change "
            "leaks into it"
        )
    if floor_db is not None and headline.excess_db < THRESHOLD_DB <= floor_db:
        warnings.append(
            f"the calmest tenth of the picture has {floor_db:+.1f} dB more, which the rest of it "
            "outweighs in the headline"
        )
    if change.sharpness_db is not None and change.sharpness_db < BLUR_DB:
        warnings.append(
            f"the prediction is less sharp by {-change.sharpness_db:.1f} dB: blur hides flicker"
        )
    return warnings
