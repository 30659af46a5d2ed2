"""Puts the motion-compensated flicker into words, alike for every kind of report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flickerscope.comparison import Comparison
from flickerscope.comparison.excess import (
    FLICKER_EPSILON,
    MotionSummary,
    headline_power,
    summarize_motion,
)
from flickerscope.comparison.judge import (
    SWITCHED_OFF,
    Ruling,
    find_unfollowed,
    percent,
    plain,
    signed,
)
from flickerscope.comparison.pulse import own_pulses
from flickerscope.measurement import Clip, Measurement
from flickerscope.motion import CarriedReading
from flickerscope.rungs import headline_band
from flickerscope.spectrum import SECOND_DIFFERENCE

__all__ = [
    "ENERGY",
    "FLICKER",
    "Headline",
    "analysis_headline",
    "comparison_headline",
    "ground_sentence",
    "in_band",
    "motion_reason",
    "other_readings",
    "pulse_texts",
]

FLICKER: Final = "motion-compensated flicker"
"""Name of the headline."""
ENERGY: Final = "high-frequency energy (includes motion)"
"""Name of what stands beside it."""

GROUNDS: Final = {
    "motion": f"the {FLICKER}",
    "energy": "the high-frequency energy",
    "area": "the area that flickers",
    "coverage": "the coverage",
}

OTHERS: Final = {
    "slow": ("near a quarter cycle/frame", "slow_db"),
    "moving": ("where it moves against the rest", "moving_db"),
    "cb": ("Cb", "cb_db"),
    "cr": ("Cr", "cr_db"),
    "pop": ("pop", None),
}
"""Readings beside the headline: their words, and the name of their excess."""

UNLESS_FOUND: Final = ("slow",)
"""Readings that are left out where there is nothing to see."""

SOME_AREA: Final = 0.05
"""Share of the picture that flickers from which on not to speak of a picture without flicker."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The motion-compensated flicker of a result, as a number and in words."""

    value: float | None
    """Excess in dB, or rms code values of a video alone; ``None``: not measurable."""
    reason: str | None
    """Why there is no value."""
    title: str
    """The value, or that there is none, with its name."""
    details: tuple[str, ...]
    """What it is made of and how far it reaches, some words each."""

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        return f"{self.title} ({'; '.join(self.details)})" if self.details else self.title


def comparison_headline(result: Comparison) -> Headline:
    """The excess; no value where a coverage says that none can be relied on."""
    motion, reason = result.motion, _unmeasured(result)
    if result.settings.latent:
        row = result.headline
        energy = f"excess {signed(row.excess_db)} dB"
        both = f"pred {row.pred_rms:.3g}, ref {row.ref_rms:.3g} rms {result.pred.unit.name}"
        return _of_latent(energy, row.band, row.scale, (both,), reason)
    if motion is None:
        return Headline(None, reason, _refusal(reason), ())
    sides = motion.pred, motion.ref
    title = f"Motion-compensated flicker excess {signed(motion.excess_db)} dB{_found(sides)}"
    details = [f"pred {plain(motion.pred.flicker)}, ref {plain(motion.ref.flicker)} code^2"]
    details += _shares(sides)
    if reason is not None:
        return Headline(None, reason, _refusal(reason), tuple(details))
    return Headline(motion.excess_db, None, title, tuple(details))


def analysis_headline(result: Measurement) -> Headline:
    """The flicker of one or more videos without a reference."""
    summary = summarize_motion(result.clips)
    if result.settings.latent:
        energy = f"{headline_power(result) ** 0.5:.3g} rms {result.unit.name}"
        transform = result.transform()
        band = transform.bands[headline_band(result.settings, transform)].name
        reason = motion_reason(result.clips)
        return _of_latent(energy, band, result.settings.main_scale, (), reason)
    if summary is None:
        reason = motion_reason(result.clips)
        return Headline(None, reason, _refusal(reason), ())
    details = (f"{plain(summary.flicker)} code^2", *_shares([summary]))
    least = result.settings.min_coverage
    if summary.coverage < least:
        reason = f"coverage {percent(summary.coverage)}, {percent(least)} are needed"
        return Headline(None, reason, _refusal(reason), details)
    title = f"Motion-compensated flicker {plain(summary.rms)} rms code values{_found([summary])}"
    return Headline(summary.rms, None, title, details)


def _of_latent(
    energy: str, band: str, scale: str, details: tuple[str, ...], reason: str | None
) -> Headline:
    """The energy leads where there is no motion to follow; it is no value of the headline's."""
    title = f"High-frequency energy {energy} {in_band(band)} at {scale} scale"
    return Headline(None, reason, title, (*details, f"{FLICKER} not measured: {reason}"))


def ground_sentence(ruling: Ruling) -> str:
    """On what a verdict rests; where that is the headline or its coverage, they say the rest."""
    if ruling.verdict == "not measurable":
        return "There is nothing reliable for a verdict to rest on."
    text = f"It rests on {GROUNDS[ruling.ground]}"
    basis, _, _ = ruling.basis.partition(f"; {FLICKER}")
    if ruling.ground == "coverage" or (ruling.ground == "motion" and FLICKER in basis):
        return f"{text}."
    if ruling.ground == "motion":
        return f"It rests on the {basis}."
    return f"{text}: {basis.removeprefix('high-frequency energy ')}."


def in_band(name: str) -> str:
    """Such as ``in HF``."""
    return f"of the {name}" if name == SECOND_DIFFERENCE else f"in {name}"


def motion_reason(clips: Sequence[Clip]) -> str | None:
    """Why the first video that was not measured along its motion was not."""
    return next((clip.motion_reason for clip in clips if clip.motion_reason is not None), None)


def other_readings(result: Comparison | Measurement) -> Iterator[str]:
    """The readings beside the headline, some words each: moving parts, chroma and single steps."""
    if isinstance(result, Comparison):
        motion = result.motion
        sides = [] if motion is None else [motion.pred, motion.ref]
    else:
        motion, summary = None, summarize_motion(result.clips)
        sides = [] if summary is None else [summary]
    for name, (words, excess) in OTHERS.items():
        values = [value for side in sides if (value := getattr(side, name)) is not None]
        if not values or len(values) < len(sides):
            continue
        if name in UNLESS_FOUND and max(values) < FLICKER_EPSILON:
            continue
        value_db = None if excess is None else getattr(motion, excess, None)
        decibels = "" if value_db is None else f"{signed(value_db)} dB, "
        yield f"{words} {decibels}{' / '.join(plain(value) for value in values)} code^2"
    if isinstance(result, Comparison) and result.carried is not None:
        yield _carried(result.carried)


def pulse_texts(result: Comparison | Measurement) -> list[str]:
    """Regular pulsing, a sentence each: of the prediction, where the reference lacks it."""
    pulses = result.pulses if isinstance(result, Comparison) else own_pulses(result)
    return [pulse.text for pulse in pulses]


def _carried(carried: CarriedReading) -> str:
    if not carried.valid:
        return "in step, but the prediction moves in another way than the reference"
    return (
        f"in step, along the motion of the reference {plain(carried.flicker)} / "
        f"{plain(carried.ref_flicker)} code^2, unexplained {plain(carried.unexplained)} code^2"
    )


def _unmeasured(result: Comparison) -> str | None:
    """Why an excess is not to be relied on, if so."""
    if result.motion is None:
        return result.motion_reason
    if result.verdict in ("not measurable", "incoherent"):
        return result.basis
    return find_unfollowed(result.motion, result.settings)


def _refusal(reason: str | None) -> str:
    word = "measured" if reason == SWITCHED_OFF else "measurable"
    return f"Motion-compensated flicker not {word}: {reason}"


def _found(sides: Sequence[MotionSummary]) -> str:
    """A word where no side reads more than clean videos do."""
    if max(side.flicker for side in sides) >= FLICKER_EPSILON:
        return ""
    if max(side.area for side in sides) >= SOME_AREA:
        return ": none detected in most of the picture"
    return ": none detected"


def _shares(sides: Sequence[MotionSummary]) -> list[str]:
    texts = [
        f"{words} {' / '.join(percent(getattr(side, name)) for side in sides)}"
        for name, words in (("coverage", "coverage"), ("area", "area"))
    ]
    renewed = [side.texture for side in sides if side.texture is not None]
    if len(renewed) == len(sides):
        texts.append(f"texture renewed {' / '.join(percent(max(x, 0.0)) for x in renewed)}")
    count = max(side.measured for side in sides)
    if count > 1:
        texts.append(f"medians of {' / '.join(str(side.measured) for side in sides)} videos")
    return texts
