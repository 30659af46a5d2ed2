"""Says in words what the numbers of a comparison mean, and what makes them doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from flickerscope.comparison.excess import (
    FLICKER_EPSILON,
    BandExcess,
    MotionExcess,
    excess_db,
)
from flickerscope.errors import SettingsError
from flickerscope.measurement import Measurement, key
from flickerscope.motion import CarriedReading
from flickerscope.settings import Settings
from flickerscope.spectrum import SECOND_DIFFERENCE, Transform

__all__ = ["Evidence", "Pace", "Ruling", "Verdict", "find_unfollowed", "judge"]

Verdict = Literal[
    "flickers more",
    "flickers less",
    "incoherent",
    "more energy, consistent with motion or sharpness",
    "less energy, consistent with less motion or blur",
    "no difference found",
    "not measurable",
]

Ground = Literal["motion", "energy", "area", "coverage"]
"""What a verdict rests on: the motion-compensated flicker, the high-frequency energy, the area
that flickers, or the coverage."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict, and what it rests on."""

    verdict: Verdict
    basis: str
    """A sentence with the numbers."""
    ground: Ground
    value_db: float | None
    """The number it rests on, dB; ``None`` for the area and the coverage, which have none."""


THRESHOLD_DB: Final = 3.0
MOST_MOVING: Final = 0.03
"""Share of the picture that may move in a still video: more, and its energy may be motion."""
SWITCHED_OFF: Final = "switched off"
SLOW: Final = 0.125  # cycles/frame: below it lie drift and slow motion


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


def pick_headline(table: tuple[BandExcess, ...], plane: str, scale: str, band: str) -> BandExcess:
    """The row of a band of a plane at a scale."""
    for row in table:
        if (row.plane, row.scale, row.band) == (plane, scale, band):
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
    limit = transform.unit.still
    still = all(clip.readings[segment].still_power < limit for clip in measurement.clips)
    if not transform.is_spectrum:
        return Pace(still, True)
    spectrum = measurement.rungs[segment].spectra[key(measurement.settings.main_plane, scale)]
    slow = float(spectrum.mean_power[transform.frequencies.numpy() < SLOW].sum())
    return Pace(still, headline >= slow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a verdict is found from."""

    settings: Settings
    """The thresholds."""
    headline: BandExcess
    table: tuple[BandExcess, ...]
    """All bands."""
    pred_pace: Pace
    ref_pace: Pace
    motion: MotionExcess | None
    motion_reason: str | None
    """Why there is no motion-compensated flicker of both."""
    carried: CarriedReading | None = None
    """Both along the motion of the reference, where they are in step."""


def judge(evidence: Evidence) -> Ruling:
    """In words, by the first rule that applies.

    1. Both stand still: every band above 0.125 cycles/frame has a say, also the slow ones to
       which the motion-compensated flicker is blind.
    2. Both read the same in every band: no difference.
    3. The motion in the reference cannot be followed: not measurable.
    4. It can be, and that in the prediction cannot: incoherent, where its picture is drawn anew;
       not measurable, where it moves too fast or changes as no motion does. Unless the two are in
       step and the motion of the reference carries the prediction: then its flicker along that
       decides.
    5. The motion-compensated flicker, that near a quarter cycle/frame, or the area that flickers
       is larger or smaller.
    6. Only the high-frequency energy is.
    """
    rules = (_still, _same, _unmeasured, _lost, _along_motion, _energy)
    for rule in rules:
        ruling = rule(evidence)
        if ruling is not None:
            return ruling
    size = _size(evidence.headline)
    if evidence.motion is None:
        return Ruling("no difference found", size, "energy", evidence.headline.excess_db)
    return Ruling(
        "no difference found",
        f"{_flicker(evidence.motion)}; high-frequency energy {size}",
        "motion",
        _lasting(evidence.motion),
    )


def _still(evidence: Evidence) -> Ruling | None:
    """Where nothing moves, all fast change is flicker."""
    headline, limit = evidence.headline, evidence.settings.min_excess
    same_scale = [
        row
        for row in evidence.table
        if (row.plane, row.scale) == (headline.plane, headline.scale)
        and (row.low >= SLOW or row.band == SECOND_DIFFERENCE)
    ]
    if not same_scale:
        return None
    more = max(same_scale, key=lambda row: row.excess_db)
    less = min(same_scale, key=lambda row: row.excess_db)
    if more.excess_db >= limit and less.excess_db <= -limit:
        return None  # each flickers in another band: the motion-compensated numbers decide
    still = "where neither video moves"
    if _stand_still(evidence, evidence.ref_pace, evidence.pred_pace) and more.excess_db >= limit:
        band = headline if headline in same_scale and headline.excess_db >= limit else more
        return Ruling("flickers more", f"{_size(band)}, {still}", "energy", band.excess_db)
    if _stand_still(evidence, evidence.pred_pace, evidence.ref_pace) and less.excess_db <= -limit:
        band = headline if headline in same_scale and headline.excess_db <= -limit else less
        return Ruling("flickers less", f"{_size(band)}, {still}", "energy", band.excess_db)
    return None


def _stand_still(evidence: Evidence, calm: Pace, other: Pace) -> bool:
    """Whether neither video moves: by their motion or, where it is not known, by their spectra.

    ``calm``: of the side that does not flicker; ``other``: of the side that may.
    """
    motion, limit = evidence.motion, evidence.settings.still_speed
    if motion is None:
        return calm.still and other.fast
    sides = [motion.ref]
    if not (_is_lost(motion, evidence.settings) and evidence.carried and evidence.carried.valid):
        # Else the prediction moves as the reference does, and its own motion is an error.
        sides.append(motion.pred)
    return all(side.speed < limit and side.moving_share < MOST_MOVING for side in sides)


def _same(evidence: Evidence) -> Ruling | None:
    """Videos that read the same need no motion to be told alike."""
    if evidence.motion is None and all(row.excess_db == 0 for row in evidence.table):
        return Ruling("no difference found", "all bands read the same", "energy", 0.0)
    return None


def _unmeasured(evidence: Evidence) -> Ruling | None:
    least = evidence.settings.min_coverage
    if evidence.motion is None:
        reason = evidence.motion_reason or "no motion-compensated flicker"
        if reason == SWITCHED_OFF or evidence.settings.latent:
            return None
        return Ruling("not measurable", reason, "coverage", None)
    if evidence.motion.ref.coverage < least:
        return Ruling(
            "not measurable",
            f"coverage {percent(evidence.motion.ref.coverage)}: the motion in the reference can be "
            f"followed in less than {percent(least)} of it",
            "coverage",
            None,
        )
    return None


def find_unfollowed(motion: MotionExcess, settings: Settings) -> str | None:
    """Why the motion-compensated flicker of two videos is not to be relied on, if so."""
    pred, ref, least = motion.pred.coverage, motion.ref.coverage, settings.min_coverage
    if ref < least:
        return f"coverage {percent(ref)} of the reference, {percent(least)} are needed"
    if _is_lost(motion, settings):
        return f"coverage {percent(pred)} of the prediction, {percent(ref)} of the reference"
    return None


def _is_lost(motion: MotionExcess, settings: Settings) -> bool:
    """Whether the motion of the prediction cannot be followed, while that of the reference can."""
    return motion.pred.coverage < min(settings.min_coverage, motion.ref.coverage / 2)


def _lost(evidence: Evidence) -> Ruling | None:
    """The motion of the prediction cannot be followed, while that of the reference can."""
    if evidence.motion is None:
        return None
    if not _is_lost(evidence.motion, evidence.settings):
        return None
    pred, ref = evidence.motion.pred, evidence.motion.ref
    text = (
        f"the motion that can be followed in {percent(ref.coverage)} of the reference can be "
        f"followed in {percent(pred.coverage)} of the prediction"
    )
    carried = evidence.carried
    if carried is not None and carried.valid:
        more = _carried_more(carried, evidence.settings)
        if more is not None:
            return more
    if pred.redrawn:
        return Ruling("incoherent", text, "coverage", None)
    return Ruling(
        "not measurable",
        f"{text}: it moves too fast, or changes as no motion does",
        "coverage",
        None,
    )


def _carried_more(carried: CarriedReading, settings: Settings) -> Ruling | None:
    """More flicker along the motion of the reference, where the two show the same content."""
    value = excess_db(max(carried.flicker, 0.0), max(carried.ref_flicker, 0.0), FLICKER_EPSILON)
    if value < settings.min_excess or carried.flicker < settings.min_flicker:
        return None
    return Ruling(
        "flickers more",
        f"flicker along the motion of the reference {signed(value)} dB (pred "
        f"{plain(carried.flicker)}, ref {plain(carried.ref_flicker)} code^2); along its own "
        f"motion {percent(carried.own_coverage)} of the prediction can be followed",
        "motion",
        value,
    )


def _along_motion(evidence: Evidence) -> Ruling | None:
    motion, settings = evidence.motion, evidence.settings
    if motion is None:
        return None
    text, value = _flicker(motion), motion.excess_db
    # What flickers for a part of the time only, such as in a bad first frame, is warned of.
    lasts = min(abs(value), abs(motion.usual_db)) >= settings.min_excess
    if value > 0 and lasts and motion.pred.flicker >= settings.min_flicker:
        return Ruling("flickers more", text, "motion", value)
    slow = motion.slow_db
    # Where the two disagree, the faster flicker decides.
    if slow is None or (slow * value < 0 and abs(value) >= settings.min_excess):
        slow = 0.0
    if slow >= settings.min_excess and _at_least(motion.pred.slow, settings):
        return Ruling("flickers more", f"{_slow(motion)}; {text}", "motion", slow)
    if motion.area_change >= settings.min_area:
        return Ruling("flickers more", f"{_area(motion)}; {text}", "area", None)
    if value < 0 and lasts and motion.ref.flicker >= settings.min_flicker:
        return Ruling("flickers less", text, "motion", value)
    if slow <= -settings.min_excess and _at_least(motion.ref.slow, settings):
        return Ruling("flickers less", f"{_slow(motion)}; {text}", "motion", slow)
    if motion.area_change <= -settings.min_area:
        return Ruling("flickers less", f"{_area(motion)}; {text}", "area", None)
    return None


def _energy(evidence: Evidence) -> Ruling | None:
    """Energy alone: the verdict still rests on the flicker that was not found along the motion."""
    headline, motion = evidence.headline, evidence.motion
    limit = evidence.settings.min_excess
    if abs(headline.excess_db) < limit:
        return None
    basis = f"high-frequency energy {_size(headline)}"
    if motion is not None:
        basis += f"; {_flicker(motion)}"
    ground: Ground = "energy" if motion is None else "motion"
    value = headline.excess_db if motion is None else _lasting(motion)
    if headline.excess_db > 0:
        return Ruling("more energy, consistent with motion or sharpness", basis, ground, value)
    return Ruling("less energy, consistent with less motion or blur", basis, ground, value)


def _lasting(motion: MotionExcess) -> float:
    """The excess of the mean over time, or of the median where that is smaller in size."""
    return min(motion.excess_db, motion.usual_db, key=abs)


def _flicker(motion: MotionExcess) -> str:
    pred, ref = motion.pred, motion.ref
    return (
        f"motion-compensated flicker {signed(motion.excess_db)} dB (pred {plain(pred.flicker)}, "
        f"ref {plain(ref.flicker)} code^2; coverage {percent(pred.coverage)} / "
        f"{percent(ref.coverage)})"
    )


def _at_least(flicker: float | None, settings: Settings) -> bool:
    return flicker is not None and flicker >= settings.min_flicker


def _slow(motion: MotionExcess) -> str:
    return (
        f"flicker near a quarter cycle/frame {signed(motion.slow_db or 0)} dB (pred "
        f"{plain(motion.pred.slow or 0)}, ref {plain(motion.ref.slow or 0)} code^2)"
    )


def _area(motion: MotionExcess) -> str:
    return (
        f"{percent(motion.pred.area)} of the prediction flickers, {percent(motion.ref.area)} of "
        "the reference"
    )


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # never a minus zero


def plain(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"


def _size(row: BandExcess) -> str:
    rounded = round(row.excess_db, 1) + 0.0  # never a minus zero
    return f"{rounded:+.1f} dB in {_name(row.band)} at {row.scale} scale"


def _name(band: str) -> str:
    return f"the {band}" if band == SECOND_DIFFERENCE else band
