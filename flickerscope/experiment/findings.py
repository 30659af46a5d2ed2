"""What an experiment found: readings with intervals over its repeats, effects, and verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from flickerscope.comparison.excess import excess_db
from flickerscope.experiment.arms import FRAME, SMOOTHED, Arm
from flickerscope.experiment.pooling import MEASURES, Pool, pool
from flickerscope.experiment.readings import EPSILON, Reading
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
    "LEAST_DRAWN",
    "Basis",
    "Effect",
    "Finding",
    "Outcome",
    "Records",
    "Repeats",
    "Verdict",
    "find",
    "least_error",
]

Verdict = Literal["excess", "deficit", "calibrated", "undecided"]
Basis = Literal["energy", "motion"]
Outcome = Literal["less", "more", "unchanged", "undecided"]

Records = Mapping[Arm, Mapping[str, Mapping[int, Sequence[Reading]]]]
"""Readings of each arm, class of content and seed: one, or one for each source video."""

FOLLOWS: Final = 0.5
"""Explained share below which most of a prediction's energy does not follow the reference."""
LEAST_DRAWN: Final = 6
"""Source videos: over fewer, the interval of a bootstrap covers less than it says."""
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
    """Whether the reference explains at least half of that energy; true where it has none."""
    seeds: int
    """With a reading: fewer than the plan's where trainings diverged."""
    videos: int
    """That clips were cut from, over which intervals are drawn; 0: clips were rendered, and
    intervals are over the seeds."""


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
    seeds: int
    """In which both losses have a reading."""


def find(records: Records) -> tuple[list[Finding], list[Effect]]:
    """Every arm on every class of content, with 95 % intervals over its repeats; and every loss
    against the frame loss of the same model.
    """
    contents = dict.fromkeys(content for by_content in records.values() for content in by_content)
    repeats = {
        (arm, content): Repeats(by_seed)
        for arm, by_content in records.items()
        for content, by_seed in by_content.items()
    }
    findings = [_finding(arm, content, of) for (arm, content), of in repeats.items()]
    effects: list[Effect] = []
    for content in contents:
        found = []
        for arm in records:
            base = Arm(arm.model, FRAME, arm.made)
            pair = _paired(records, repeats, (base, arm), content)
            if arm.loss != FRAME and pair is not None:
                found.append(_effect(arm, content, *pair))
        adjusted = holm([effect.p for effect in found])
        effects += [replace(effect, p=p) for effect, p in zip(found, adjusted, strict=True)]
    return findings, effects


def _paired(
    records: Records,
    repeats: Mapping[tuple[Arm, str], Repeats],
    arms: tuple[Arm, Arm],
    content: str,
) -> tuple[Repeats, Repeats] | None:
    """Both arms over the seeds that both have: trainings may have diverged."""
    seeds = [set(records.get(arm, {}).get(content, {})) for arm in arms]
    common = seeds[0] & seeds[1]
    if not common:
        return None
    base, other = (
        repeats[arm, content]
        if common == own
        else Repeats({seed: records[arm][content][seed] for seed in common})
        for arm, own in zip(arms, seeds, strict=True)
    )
    return base, other


class Repeats:
    """The repeats of one arm on one class, over which intervals are taken.

    Rendered clips: the seeds, with Student's interval. Clips of several videos: draws of whole
    videos with replacement, over all seeds, since clips of one video are not independent. The draws
    depend on the number of videos only, so that those of two arms are paired.
    """

    def __init__(self, by_seed: Mapping[int, Sequence[Reading]]) -> None:
        readings = [reading for seed in sorted(by_seed) for reading in by_seed[seed]]
        self.sources = sorted({reading.source for reading in readings})
        self.are_seeds = len(self.sources) == 1
        self.seeds = len(by_seed)
        if self.are_seeds:
            self.pools = [pool(by_seed[seed]) for seed in sorted(by_seed)]
            self.whole = Pool.joined(self.pools)
        else:
            of = [pool([r for r in readings if r.source == name]) for name in self.sources]
            self.whole = Pool.joined(of)
            rng = np.random.default_rng(len(of))
            counts = rng.multinomial(len(of), np.full(len(of), 1 / len(of)), DRAWS)
            self.pools = [Pool.joined(of, count) for count in counts]
        self.values = [one.values() for one in self.pools]

    def interval(self, values: Sequence[float], estimate: float) -> Interval:
        """Of one value for each repeat; ``estimate``: of all readings together."""
        if self.are_seeds:
            return mean_interval(values)
        if len(self.sources) < LEAST_DRAWN:
            return Interval(estimate, None, None)
        return percentile_interval(estimate, values)

    def p(self, values: Sequence[float]) -> float:
        """That the value is 0."""
        if self.are_seeds:
            return mean_p(values)
        above = sum(value > 0 for value in values)
        below = sum(value < 0 for value in values)
        if (not above and not below) or len(self.sources) < LEAST_DRAWN:
            return 1.0
        return min(1.0, 2 * (min(above, below) + 1) / (len(values) + 1))


def _finding(arm: Arm, content: str, repeats: Repeats) -> Finding:
    whole = repeats.whole.values()
    values = {
        name: repeats.interval([one[name] for one in repeats.values], whole[name])
        for name in MEASURES
        if name in whole and all(name in one for one in repeats.values)
    }
    verdict, basis = _verdict(values)
    return Finding(
        arm=arm,
        content=content,
        values=values,
        verdict=verdict,
        basis=basis,
        follows="explained" not in values or values["explained"].estimate >= FOLLOWS,
        seeds=repeats.seeds,
        videos=0 if repeats.are_seeds else len(repeats.sources),
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


def _effect(arm: Arm, content: str, base: Repeats, other: Repeats) -> Effect:
    """Its p-value is not adjusted yet."""

    def compared(value: Callable[[dict[str, float], dict[str, float]], float]) -> Interval:
        values = [value(a, b) for a, b in zip(base.values, other.values, strict=True)]
        return base.interval(values, value(base.whole.values(), other.whole.values()))

    changes = [b["high_db"] - a["high_db"] for a, b in zip(base.values, other.values, strict=True)]
    change = compared(lambda a, b: b["high_db"] - a["high_db"])
    matched = None
    if arm.loss != SMOOTHED and base.whole.smoothing:
        values = [_matched(a, b) for a, b in zip(base.pools, other.pools, strict=True)]
        matched = base.interval(values, _matched(base.whole, other.whole))
    return Effect(
        arm=arm,
        content=content,
        change_db=change,
        frame_ratio=_ratio(compared(lambda a, b: _log(a, b, "frame_error"))),
        diff_ratio=_ratio(compared(lambda a, b: _log(a, b, "diff_error"))),
        error_db=compared(lambda a, b: excess_db(b["high_error"], a["high_error"], EPSILON)),
        matched_db=matched,
        p=base.p(changes),
        outcome=_outcome(change),
        seeds=base.seeds,
    )


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


def _matched(base: Pool, other: Pool) -> float:
    """Error power in HF against the least of smoothing at the same frame error, dB."""
    values = other.values()
    least = least_error(base.smoothing, values["frame_error"])
    return excess_db(values["high_error"], least, EPSILON)


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
