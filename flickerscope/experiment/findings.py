"""What an experiment found: readings with intervals over its repeats, effects, and verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, Literal

import numpy as np

from flickerscope.excess import FLICKER_EPSILON, excess_db
from flickerscope.experiment.arms import FRAME, SMOOTHED, Arm
from flickerscope.experiment.readings import BANDS, EPSILON, HIGH, TRANSFORM, Reading
from flickerscope.settings import Settings
from flickerscope.stats import (
    DELTA_DB,
    Interval,
    holm,
    mean_interval,
    mean_p,
    percentile_interval,
)

__all__ = [
    "MEASURES",
    "Effect",
    "Finding",
    "Outcome",
    "Records",
    "Verdict",
    "find_effects",
    "find_readings",
    "least_error",
    "pool",
    "smoothing_curve",
]

Verdict = Literal["excess", "deficit", "calibrated", "undecided"]
Basis = Literal["energy", "motion"]
Outcome = Literal["less", "more", "unchanged", "undecided"]

Records = Mapping[Arm, Mapping[str, Mapping[int, Sequence[Reading]]]]
"""Readings of each arm, class of content and seed: one, or one for each source video."""

MEASURES: Final[Mapping[str, str]] = {
    "high_db": "high-frequency energy against the reference, all clips pooled, dB",
    "median_db": "the same of the median clip, dB",
    "motion_db": "motion-compensated flicker against the reference, medians over the clips, dB",
    "slope": "beta: Re S_pr / S_pp in HF; below 1, energy that the reference does not explain",
    "gain": "Re S_pr / S_rr in HF; below 1, energy of the reference that is lost",
    "high_pred": "power in HF, code^2",
    "high_ref": "power of the reference in HF, code^2",
    "high_error": "power of the error in HF, code^2",
    "unexplained": "incoherent power in HF: what the reference does not explain, code^2",
    "frame_error": "mean squared error, code^2",
    "diff_error": "mean squared error of the frame-to-frame differences, code^2",
    "coverage": "share of the picture and the time in which the motion is followed",
    "ref_coverage": "the same of the reference",
} | {f"{name}_db": f"energy in {name} against the reference, dB" for name in BANDS if name != HIGH}

FOLLOWS: Final = 0.5
"""Slope below which most of a prediction's energy does not follow the reference."""
DRAWS: Final = 1000
"""Of the bootstrap over source videos."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One model on one class of content."""

    arm: Arm
    content: str
    values: Mapping[str, Interval]
    """By the names of `MEASURES`; what is not defined is left out."""
    verdict: Verdict
    """*Excess*: the high-frequency energy or the motion-compensated flicker is over 1 dB above the
    reference's; *deficit*: the energy is over 1 dB below it; *calibrated*: it is within 1 dB; each
    with the whole interval. *Undecided*: none of these."""
    basis: Basis
    """What shows that: the energy, or the motion-compensated flicker alone."""
    follows: bool
    """Whether the reference explains at least half of that energy (slope from 0.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a loss changes in a model, against the loss of the frames alone, repeat by repeat."""

    arm: Arm
    content: str
    change_db: Interval
    """Of the high-frequency excess, dB."""
    frame_ratio: Interval
    """Frame error over that of the frame loss."""
    diff_ratio: Interval
    """The same of the error of the frame-to-frame differences."""
    error_db: Interval
    """Change of the error power in HF, dB."""
    matched_db: Interval | None
    """Error power in HF against the least that smoothing over time makes of the frame loss's clips
    without a larger frame error, dB: below 0 the loss does what smoothing cannot. ``None``: not
    read."""
    p: float
    """Of the null hypothesis that the high-frequency excess is the same, adjusted for the number
    of effects on this class (Holm)."""
    outcome: Outcome
    """Of the high-frequency energy."""


def pool(readings: Sequence[Reading]) -> dict[str, float]:
    """All readings in one, by the names of `MEASURES`; what is not defined is left out."""
    mean = _Mean(readings)
    pred, ref, joint = _band(HIGH, mean)
    both = [pair for reading in readings for pair in zip(*reading.high, strict=True)]
    values = {
        "high_db": excess_db(pred, ref, EPSILON),
        "median_db": median(excess_db(p, r, EPSILON) for p, r in both),
        "high_pred": pred,
        "high_ref": ref,
        "high_error": max(pred + ref - 2 * joint, 0.0),
        "frame_error": mean(lambda reading: reading.frame_error),
        "diff_error": mean(lambda reading: reading.diff_error),
        "coverage": mean(lambda reading: reading.coverage[0]),
        "ref_coverage": mean(lambda reading: reading.coverage[1]),
    }
    if pred > EPSILON:
        values["slope"] = joint / pred
    if ref > EPSILON:
        values["gain"] = joint / ref
    for band in TRANSFORM.bands:
        if band.name in BANDS and band.name != HIGH:
            p, r, _ = _band(band.name, mean)
            values[f"{band.name}_db"] = excess_db(p, r, band.epsilon)
    unexplained = [reading.bands[HIGH].unexplained for reading in readings]
    if None not in unexplained:
        values["unexplained"] = mean(lambda reading: reading.bands[HIGH].unexplained or 0.0)
    ours, theirs = ([c for reading in readings for c in reading.motion[i]] for i in range(2))
    if ours:
        flicker, usual = max(median(ours), 0.0), max(median(theirs), 0.0)
        values["motion_db"] = excess_db(flicker, usual, FLICKER_EPSILON)
    return values


def find_readings(records: Records) -> list[Finding]:
    """Every arm on every class of content, with 95 % intervals over its repeats."""
    return [
        _finding(arm, content, Repeats(by_seed))
        for arm, contents in records.items()
        for content, by_seed in contents.items()
    ]


def find_effects(records: Records) -> list[Effect]:
    """Every loss against the frame loss of the same model, class by class."""
    effects = []
    contents = dict.fromkeys(content for by_content in records.values() for content in by_content)
    for content in contents:
        found = []
        for arm, by_content in records.items():
            base = records.get(Arm(arm.model, FRAME, arm.made), {})
            if arm.loss != FRAME and content in by_content and content in base:
                pair = Repeats(base[content]), Repeats(by_content[content])
                found.append(_effect(arm, content, *pair))
        adjusted = holm([p for _, p in found])
        effects += [make(p) for (make, _), p in zip(found, adjusted, strict=True)]
    return effects


class Repeats:
    """The repeats of one arm on one class, over which intervals are taken.

    Rendered clips: the seeds, with Student's interval. Clips of several videos: draws of whole
    videos with replacement, over all seeds, since clips of one video are not independent. The draws
    depend on the videos' names only, so that those of two arms are paired.
    """

    def __init__(self, by_seed: Mapping[int, Sequence[Reading]]) -> None:
        self.all = [reading for seed in sorted(by_seed) for reading in by_seed[seed]]
        self.sources = sorted({reading.source for reading in self.all})
        self.are_seeds = len(self.sources) == 1
        if self.are_seeds:
            self.groups = [list(by_seed[seed]) for seed in sorted(by_seed)]
        else:
            of = {name: [r for r in self.all if r.source == name] for name in self.sources}
            rng = np.random.default_rng(len(self.sources))
            self.groups = [
                [r for name in rng.choice(self.sources, len(of)).tolist() for r in of[name]]
                for _ in range(DRAWS)
            ]

    def interval(self, values: Sequence[float], estimate: float) -> Interval:
        """Of one value for each group; ``estimate``: of all readings together."""
        if self.are_seeds:
            return mean_interval(values)
        return percentile_interval(estimate, values)

    def p(self, values: Sequence[float]) -> float:
        """That the value is 0."""
        if self.are_seeds:
            return mean_p(values)
        above = sum(value > 0 for value in values)
        below = sum(value < 0 for value in values)
        if not above and not below:
            return 1.0
        return min(1.0, 2 * (min(above, below) + 1) / (len(values) + 1))


class _Mean:
    """Means over clips of several readings."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.readings = readings
        self.clips = sum(reading.clips for reading in readings)

    def __call__(self, value: Callable[[Reading], float]) -> float:
        return sum(value(reading) * reading.clips for reading in self.readings) / self.clips


def _band(name: str, mean: _Mean) -> tuple[float, float, float]:
    """Power of prediction and reference, and what they share, code^2."""
    return (
        mean(lambda reading: reading.bands[name].pred),
        mean(lambda reading: reading.bands[name].ref),
        mean(lambda reading: reading.bands[name].joint),
    )


def _finding(arm: Arm, content: str, repeats: Repeats) -> Finding:
    whole = pool(repeats.all)
    pooled = [pool(group) for group in repeats.groups]
    values = {
        name: repeats.interval([one[name] for one in pooled], whole[name])
        for name in MEASURES
        if name in whole and all(name in one for one in pooled)
    }
    verdict, basis = _verdict(values)
    return Finding(
        arm=arm,
        content=content,
        values=values,
        verdict=verdict,
        basis=basis,
        follows="slope" not in values or values["slope"].estimate >= FOLLOWS,
    )


def _verdict(values: Mapping[str, Interval]) -> tuple[Verdict, Basis]:
    """A prediction moves as its reference does, so that more energy is no motion."""
    by_energy = _place(values["high_db"])
    followed = values["ref_coverage"].estimate >= Settings().min_coverage
    if by_energy != "excess" and followed and "motion_db" in values:
        by_motion = _place(values["motion_db"])
        if by_motion == "excess":
            return by_motion, "motion"
    return by_energy, "energy"


def _place(value: Interval) -> Verdict:
    """Where an interval (dB) lies against the margin of 1 dB."""
    if value.low is None or value.high is None:
        return "undecided"
    if value.low > DELTA_DB:
        return "excess"
    if value.high < -DELTA_DB:
        return "deficit"
    within = value.low >= -DELTA_DB and value.high <= DELTA_DB
    return "calibrated" if within else "undecided"


def _effect(
    arm: Arm, content: str, base: Repeats, other: Repeats
) -> tuple[Callable[[float], Effect], float]:
    """All of an effect but its adjusted p-value, and the p-value as it is."""
    groups = list(zip(base.groups, other.groups, strict=True))
    before = [pool(group) for group in base.groups]
    after = [pool(group) for group in other.groups]
    whole = pool(base.all), pool(other.all)

    def compared(value: Callable[[dict[str, float], dict[str, float]], float]) -> Interval:
        values = [value(a, b) for a, b in zip(before, after, strict=True)]
        return base.interval(values, value(*whole))

    changes = [b["high_db"] - a["high_db"] for a, b in zip(before, after, strict=True)]
    change = base.interval(changes, whole[1]["high_db"] - whole[0]["high_db"])
    matched = None
    if arm.loss != SMOOTHED and all(reading.smoothing for reading in base.all):
        values = [_matched(a, b) for a, b in groups]
        matched = base.interval(values, _matched(base.all, other.all))

    def make(p: float) -> Effect:
        return Effect(
            arm=arm,
            content=content,
            change_db=change,
            frame_ratio=_ratio(compared(lambda a, b: _log(a, b, "frame_error"))),
            diff_ratio=_ratio(compared(lambda a, b: _log(a, b, "diff_error"))),
            error_db=compared(lambda a, b: excess_db(b["high_error"], a["high_error"], EPSILON)),
            matched_db=matched,
            p=p,
            outcome=_outcome(change),
        )

    return make, base.p(changes)


def _outcome(change: Interval) -> Outcome:
    words: dict[Verdict, Outcome] = {
        "excess": "more",
        "deficit": "less",
        "calibrated": "unchanged",
        "undecided": "undecided",
    }
    return words[_place(change)]


def _log(before: Mapping[str, float], after: Mapping[str, float], name: str) -> float:
    return math.log(after[name] / before[name])


def _ratio(logarithm: Interval) -> Interval:
    low, high = (None if end is None else math.exp(end) for end in (logarithm.low, logarithm.high))
    return Interval(math.exp(logarithm.estimate), low, high)


def _matched(base: Sequence[Reading], other: Sequence[Reading]) -> float:
    """Error power in HF against the least of smoothing at the same frame error, dB."""
    curve = list(smoothing_curve(base))
    mean = _Mean(other)
    allowed = mean(lambda reading: reading.frame_error)
    pred, ref, joint = _band(HIGH, mean)
    least = least_error(curve, allowed)
    return excess_db(max(pred + ref - 2 * joint, 0.0), least, EPSILON)


def smoothing_curve(readings: Sequence[Reading]) -> Iterator[tuple[float, float]]:
    """Frame error and error power in HF for each dose of smoothing, all readings pooled."""
    clips = sum(reading.clips for reading in readings)
    for points in zip(*(reading.smoothing for reading in readings), strict=True):
        weighted = list(zip(points, readings, strict=True))
        yield (
            sum(point[0] * reading.clips for point, reading in weighted) / clips,
            sum(point[1] * reading.clips for point, reading in weighted) / clips,
        )


def least_error(curve: Sequence[tuple[float, float]], allowed: float) -> float:
    """The least second value on a curve of straight pieces, where the first is at most ``allowed``.

    Where the first never is, the second one at its least.
    """
    best = min(curve)[1] if min(curve)[0] > allowed else math.inf
    for (x0, y0), (x1, y1) in pairwise(curve):
        ends = [(x, y) for x, y in ((x0, y0), (x1, y1)) if x <= allowed]
        if min(x0, x1) <= allowed <= max(x0, x1) and x0 != x1:
            ends.append((allowed, y0 + (allowed - x0) / (x1 - x0) * (y1 - y0)))
        best = min([best, *(y for _, y in ends)])
    return best
