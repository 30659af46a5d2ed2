"""Says in words what the numbers of a comparison mean, and what makes them doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from flickerscope.errors import SettingsError
from flickerscope.excess import BandExcess, MotionExcess, PictureChange, summarize_motion
from flickerscope.measurement import Clip, Measurement, key
from flickerscope.settings import Settings
from flickerscope.spectrum import ROUNDING_POWER, SECOND_DIFFERENCE, Transform

__all__ = ["Evidence", "Pace", "Ruling", "Verdict", "find_breach", "judge"]

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
SWITCHED_OFF: Final = "switched off"
SLACK: Final = 4.0
"""Times the speed of a still video that a flickering one may seem to have."""
DIFFERENT_SHARE: Final = 0.3
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


def judge(evidence: Evidence) -> Ruling:
    """In words, by the first rule that applies.

    1. Both stand still: every band above 0.125 cycles/frame has a say, also the slow and
       quarter-rate ones to which the motion-compensated flicker is blind.
    2. The motion in the reference cannot be followed: not measurable.
    3. It can be, and that in the prediction cannot, although it is not faster: incoherent.
    4. The motion-compensated flicker, or the area that flickers, is larger or smaller.
    5. Only the high-frequency energy is.
    """
    rules = (_still, _same, _unmeasured, _incoherent, _along_motion, _energy)
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
        evidence.motion.excess_db,
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
    pred, ref = _stillness(evidence, "pred"), _stillness(evidence, "ref")
    more = max(same_scale, key=lambda row: row.excess_db)
    less = min(same_scale, key=lambda row: row.excess_db)
    if ref.still and not pred.moves and more.excess_db >= limit:
        band = headline if headline in same_scale and headline.excess_db >= limit else more
        return Ruling(
            "flickers more",
            f"{_size(band)}, where the reference is still and the prediction does not move",
            "energy",
            band.excess_db,
        )
    if pred.still and not ref.moves and less.excess_db <= -limit:
        band = headline if headline in same_scale and headline.excess_db <= -limit else less
        return Ruling(
            "flickers less",
            f"{_size(band)}, where the prediction is still and the reference does not move",
            "energy",
            band.excess_db,
        )
    return None


@dataclass(frozen=True, slots=True)
class _Stillness:
    still: bool
    moves: bool


def _stillness(evidence: Evidence, role: Literal["pred", "ref"]) -> _Stillness:
    """By the motion where that is known, else by the spectrum.

    A strong flicker is taken for a little motion here and there, so that some speed is allowed
    to the side that may flicker.
    """
    pace: Pace = getattr(evidence, f"{role}_pace")
    if evidence.motion is None:
        return _Stillness(pace.still, not pace.fast)
    speed = getattr(evidence.motion, role).speed
    limit = evidence.settings.still_speed
    return _Stillness(speed < limit, speed >= SLACK * limit)


def _same(evidence: Evidence) -> Ruling | None:
    """Videos that read the same need no motion to be told alike."""
    if evidence.motion is None and all(row.excess_db == 0 for row in evidence.table):
        return Ruling("no difference found", "all bands read the same", "energy", 0.0)
    return None


def _unmeasured(evidence: Evidence) -> Ruling | None:
    least = evidence.settings.min_coverage
    if evidence.motion is None:
        reason = evidence.motion_reason or "no motion-compensated flicker"
        if reason == SWITCHED_OFF:
            return None
        return Ruling("not measurable", reason, "coverage", None)
    coverage = evidence.motion.ref.coverage
    if coverage < least:
        return Ruling(
            "not measurable",
            f"coverage {_percent(coverage)}: the motion in the reference can be followed in less "
            f"than {_percent(least)} of it",
            "coverage",
            None,
        )
    return None


def _incoherent(evidence: Evidence) -> Ruling | None:
    if evidence.motion is None:
        return None
    pred, ref = evidence.motion.pred, evidence.motion.ref
    if pred.coverage >= min(evidence.settings.min_coverage, ref.coverage / 2):
        return None
    return Ruling(
        "incoherent",
        f"the motion that can be followed in {_percent(ref.coverage)} of the reference can be "
        f"followed in {_percent(pred.coverage)} of the prediction",
        "coverage",
        None,
    )


def _along_motion(evidence: Evidence) -> Ruling | None:
    motion, settings = evidence.motion, evidence.settings
    if motion is None:
        return None
    text, value = _flicker(motion), motion.excess_db
    if value >= settings.min_excess and motion.pred.flicker >= settings.min_flicker:
        return Ruling("flickers more", text, "motion", value)
    if motion.area_change >= settings.min_area:
        return Ruling("flickers more", f"{_area(motion)}; {text}", "area", None)
    if value <= -settings.min_excess and motion.ref.flicker >= settings.min_flicker:
        return Ruling("flickers less", text, "motion", value)
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
    value = headline.excess_db if motion is None else motion.excess_db
    if headline.excess_db > 0:
        return Ruling("more energy, consistent with motion or sharpness", basis, ground, value)
    return Ruling("less energy, consistent with less motion or blur", basis, ground, value)


def _flicker(motion: MotionExcess) -> str:
    pred, ref = motion.pred, motion.ref
    return (
        f"motion-compensated flicker {_signed(motion.excess_db)} dB (pred {_plain(pred.flicker)}, "
        f"ref {_plain(ref.flicker)} code^2; coverage {_percent(pred.coverage)} / "
        f"{_percent(ref.coverage)})"
    )


def _area(motion: MotionExcess) -> str:
    return (
        f"{_percent(motion.pred.area)} of the prediction flickers, {_percent(motion.ref.area)} of "
        "the reference"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # never a minus zero


def _plain(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"


def find_breach(
    ruling: Ruling,
    energy_db: float,
    motion: MotionExcess | None,
    *,
    limit: float,
    gate: str = "verdict",
    allow_unmeasured: bool = False,
) -> str | None:
    """Why a comparison fails a limit, a sentence; ``None``: it passes.

    Args:
        ruling: its verdict.
        energy_db: excess of high-frequency energy, dB.
        motion: its motion-compensated flicker, if there is one.
        limit: dB.
        gate: what the limit is set on: ``verdict``, the number that it rests on; ``motion``;
            ``energy``.
        allow_unmeasured: let pass what is not measurable.
    """
    if gate == "energy":
        return _over(energy_db, limit, "high-frequency energy")
    if ruling.verdict == "incoherent":
        return f"incoherent: {ruling.basis}"
    if ruling.verdict == "not measurable" or (gate == "motion" and motion is None):
        return None if allow_unmeasured else f"not measurable: {ruling.basis}"
    if gate == "motion" and motion is not None:
        return _over(motion.excess_db, limit, "motion-compensated flicker")
    if ruling.value_db is None:
        more = ruling.verdict == "flickers more"
        return f"flickers more, whatever the limit: {ruling.basis}" if more else None
    name = "motion-compensated flicker" if ruling.ground == "motion" else "high-frequency energy"
    return _over(ruling.value_db, limit, name)


def find_breach_alone(
    clip: Clip,
    energy_rms: float,
    *,
    limit: float,
    gate: str = "verdict",
    allow_unmeasured: bool = False,
) -> str | None:
    """Why a video by itself fails a limit in rms code values; ``None``: it passes.

    There is no verdict without a reference: the limit is on the motion-compensated flicker, or on
    the high-frequency energy (``energy_rms``) where that is asked for.
    """
    name, value = "high-frequency energy", energy_rms
    if gate != "energy":
        summary = summarize_motion([clip])
        least = Settings().min_coverage
        if summary is None or summary.coverage < least:
            reason = clip.motion_reason
            if summary is not None:
                reason = f"coverage {_percent(summary.coverage)}, {_percent(least)} are needed"
            return None if allow_unmeasured else f"{clip.info.path}: not measurable: {reason}"
        name, value = "motion-compensated flicker", summary.rms
    if value <= limit:
        return None
    return f"{clip.info.path}: {name} {value:.3g} rms code values, above the limit of {limit:g}"


def _over(value: float, limit: float, name: str) -> str | None:
    if value <= limit:
        return None
    return f"{name} {value:+.3g} dB, above the limit of {limit:g}"


def motion_warnings(motion: MotionExcess | None, ruling: Ruling, settings: Settings) -> list[str]:
    """How the motion of both differs, and what the verdict leaves out."""
    if motion is None:
        return []
    pred, ref, limit = motion.pred, motion.ref, settings.min_excess
    warnings = []
    speeds = sorted((pred.speed, ref.speed))
    if speeds[1] > 2 * speeds[0] + settings.still_speed or (
        abs(pred.moving_share - ref.moving_share) >= DIFFERENT_SHARE
    ):
        warnings.append(
            f"the motion differs: median speed {pred.speed:.2f} and {ref.speed:.2f} pixels/frame "
            f"of 72 rows, {_percent(pred.moving_share)} and {_percent(ref.moving_share)} of the "
            "picture moves"
        )
    if pred.coverage < settings.min_coverage and ruling.ground == "motion":
        warnings.append(
            f"the motion can be followed in only {_percent(pred.coverage)} of the prediction"
        )
    if ruling.verdict == "flickers more":
        return warnings
    found = (
        ("moving", "where the picture moves against the rest", motion.moving_db),
        ("cb", "in Cb", motion.cb_db),
        ("cr", "in Cr", motion.cr_db),
    )
    for name, where, value in found:
        if value is not None and value >= limit and getattr(pred, name) >= settings.min_flicker:
            warnings.append(f"motion-compensated flicker {_signed(value)} dB {where}")
    if motion.texture_db is not None and motion.texture_db >= limit:
        warnings.append(
            f"{_percent(pred.texture or 0)} of the fine detail is renewed in each frame "
            f"({_percent(max(ref.texture or 0, 0))} in the reference): boiling, or grain"
        )
    return warnings


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
