"""Names regular pulses: at the key frames, or at the temporal stride of a video autoencoder."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from statistics import median
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from flickerscope.comparison.excess import excess_db
from flickerscope.measurement import Measurement, key
from flickerscope.spectrum import Transform

__all__ = [
    "Comb",
    "Evidence",
    "Pulse",
    "PulseKind",
    "Rhythm",
    "find_pulses",
    "own_pulses",
    "pulse_evidence",
    "read_comb",
    "read_rhythm",
]

PulseKind = Literal["key frames", "stride 4", "stride 6", "stride 8"]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

STRIDES: Final[dict[PulseKind, int]] = {"stride 8": 8, "stride 6": 6, "stride 4": 4}
"""Frames; longest first: the lines of 4 are among those of 8."""
MIN_PERIOD: Final = 4
"""Frames: with less there is no frame that is neither a pulse nor beside one."""
REGULAR_SHARE: Final = 0.75
"""Of the key frames' distances that must be equal, give or take a frame, to make a period."""

MIN_FREQUENCY: Final = 0.125
"""Cycles/frame: below it, slow change."""
MIN_SEGMENT: Final = 25
"""Frames: shorter ones leave too few bins between the lines of a comb."""
MAIN_LOBE: Final = 2
"""Bins from a line to the zeros of the Hann window."""
PROMINENCE: Final = 4.0
"""Power of a line over its surroundings, where the steps from frame to frame agree."""
PROMINENCE_ALONE: Final = 8.0
"""The same where the steps are not known."""
MAY_LACK_ONE: Final = 4
"""Lines of a comb from which on one of them may be missing."""
MIN_POP_OF_COMB: Final = 0.02
"""Steps along the motion over the power of the comb: with less, it is the motion that pulses.
An impulse reads 5 (every 4 frames) to 9, and .05 where it fills a third of a picture at rest."""
AGREES: Final = 0.05
"""Probability of steps as they are, or larger, without a pulse."""

CERTAIN: Final = 0.001
"""The same where the steps speak alone."""
MIN_PULSES: Final = 2
MIN_KNOWN: Final = 2 / 3
"""Of the steps of a phase: with every other one missing, it has another period."""
MIN_POP: Final = 0.25
"""Code^2: half a code value."""
OTHER_STEPS: Final = 90
"""Percentile of those two frames or more from a pulse that a pulse is held against."""
POP_RATIO: Final = 3.0
POP_RATIO_OF_FOUR: Final = 6.0
"""The same at a period of 4 frames, where the steps of a sine of 1/8 cycles/frame go up to 5.8."""
POP_EPSILON: Final = 0.1
"""Code^2: clean video reads up to that."""

LACKS_DB: Final = 3.0
"""Excess from which on the reference lacks a pulse."""
MOST_PARTS: Final = 64
"""Of a cycle, in words."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Where the regular pulses of a video show."""

    power: Floats
    """(bins,), mean power of a plane at a scale (luma at blocks, if in doubt), code^2."""
    transform: Transform
    """That the power was measured by."""
    key_frames: Sequence[int] = ()
    """Their numbers on the clock of the measurement; none where they are not known."""
    frames: Sequence[int] = ()
    """Whose step to the next frame is known."""
    steps: Floats = field(default_factory=lambda: np.zeros(0))
    """(len(frames),): squared change of the quiet tiles in those steps, code^2; NaN: unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """A change that comes back at even distances, or at every key frame."""

    kind: PulseKind
    """What is known to pulse like this."""
    period: float | None
    """Frames; ``None``: key frames at uneven distances."""
    frequencies: tuple[float, ...] = ()
    """Lines of the comb, cycles/frame; none where it does not stand out of the spectrum, or is
    finer than the segments resolve."""
    amplitudes: tuple[float, ...] = ()
    """Of a sine at each of them, over its surroundings, code values."""
    power: float | None = None
    """Of the comb over its surroundings, code^2; ``None``: as for ``frequencies``."""
    share: float | None = None
    """Of all power from 0.125 cycles/frame on that the comb holds."""
    pop: float | None = None
    """Median step into the frames that pulse, less the median of all others, code^2; ``None``:
    not known."""
    excess_db: float | None = None
    """Over the reference, by what the pulse was found by, comb or steps; the smaller where both."""

    @property
    def amplitude(self) -> float | None:
        """Of the strongest line, code values."""
        return max(self.amplitudes, default=None)

    @property
    def text(self) -> str:
        """One sentence for a report, without the full stop."""
        parts = ["pulses"]
        if self.period is not None:
            parts.append(f"every {self.period:.3g} frames")
        if self.frequencies:
            parts.append(f"({_listed(self.frequencies)} cycles/frame),")
        elif self.period is not None:
            parts[-1] += ","
        if self.kind == "key frames":
            parts.append("at the key frames:")
        else:
            parts.append(f"as a video autoencoder of temporal {self.kind} leaves them:")
        numbers = []
        if self.amplitude is not None:
            numbers.append(f"{self.amplitude:.2f} code values")
        if self.pop is not None:
            numbers.append(f"pop {self.pop:.2g} code^2")
        if self.excess_db is not None:
            numbers.append(f"{self.excess_db:+.1f} dB over the reference")
        return " ".join([*parts, ", ".join(numbers)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Comb:
    """The lines ``j / period`` in a spectrum, from 0.125 cycles/frame on."""

    frequencies: tuple[float, ...]
    """Cycles/frame."""
    powers: tuple[float, ...]
    """Over the surroundings, code^2."""
    prominence: tuple[float, ...]
    """Power over that of the surroundings; 0 for lines below 8-bit rounding."""
    share: float
    """Of all power from 0.125 cycles/frame on."""
    epsilon: float
    """Power of 8-bit rounding in its bins, code^2."""

    @property
    def power(self) -> float:
        """Over the surroundings, code^2."""
        return sum(self.powers)

    @property
    def amplitudes(self) -> tuple[float, ...]:
        """Of a sine at each line, code values."""
        lines = zip(self.frequencies, self.powers, strict=True)
        return tuple(math.sqrt((1 if math.isclose(f, 0.5) else 2) * p) for f, p in lines)

    def stands_out(self, prominence: float = PROMINENCE) -> bool:
        """Whether all its lines, of four or more all but one, are that many times their
        surroundings.
        """
        missing = sum(line < prominence for line in self.prominence)
        return len(self.prominence) > 1 and missing <= (len(self.prominence) >= MAY_LACK_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The steps into frames that may pulse, against all others."""

    pulses: int
    """Whose step is known."""
    pop: float
    """Median step into them, less the median of all others, code^2."""
    ratio: float
    """Of the median step into them to the steps around; see `read_rhythm`."""
    spacing: float
    """Median distance of the pulses, frames."""
    probability: float
    """Of steps of this rank or higher at the pulses, were it all the same where they are."""

    @property
    def stands_out(self) -> bool:
        """Whether the steps alone are a finding."""
        return (
            self.pulses >= MIN_PULSES
            and self.probability <= CERTAIN
            and self.pop >= MIN_POP
            and self.ratio >= (POP_RATIO if self.spacing > MIN_PERIOD else POP_RATIO_OF_FOUR)
        )


def pulse_evidence(measurement: Measurement, segment: int, transform: Transform) -> Evidence:
    """Of the luma of a single video, at block scale or the coarsest that was measured."""
    (clip,) = measurement.clips
    spectra = measurement.rungs[segment].spectra
    scale = next(name for name in ("block", "global", "pixel") if key("y", name) in spectra)
    motion = clip.motion
    return Evidence(
        power=spectra[key("y", scale)].mean_power,
        transform=transform,
        key_frames=clip.keys,
        frames=() if motion is None else motion.frames,
        steps=np.zeros(0) if motion is None else motion.steps,
    )


def own_pulses(measurement: Measurement) -> list[Pulse]:
    """What pulses in a video alone; nothing is sought in several, since pulses do not add, nor in
    latents, whose frames are those that an autoencoder's stride has left.
    """
    if len(measurement.clips) > 1 or measurement.settings.latent:
        return []
    evidence = pulse_evidence(measurement, measurement.segment, measurement.transform())
    return find_pulses(evidence)


def find_pulses(video: Evidence, reference: Evidence | None = None) -> list[Pulse]:
    """What pulses in a video; with a reference, what pulses by 3 dB more than there.

    Pulses are found by either of two rules.

    - The steps: the median of those into the frames that pulse is over that of all others by 0.25
      code^2 or more, and 3 times the 90th percentile of those two frames or more from a pulse or
      more; and ranks as high as theirs would come about in a thousandth of the cases or fewer,
      were all frames around a pulse alike (exact; times the number of phases for a stride).
    - The comb: all its lines (all but one where there are four or more) hold 4 times the power of
      their surroundings and more than rounding, and the steps agree, at a twentieth of the cases.
      Where no step is known, 8 times.

    A comb of over 50 times the power of the steps is that of a texture that moves, and the steps
    are errors of following it: no pulse. Steps into key frames have no say on a stride, and a
    stride that divides a period found is not named again. Groups of B-frames pulse every 4 frames
    too: at usual qualities by less than 0.25 code^2.

    Args:
        video: whose pulses are sought.
        reference: what it is compared with, each in its own frames.
    """
    found: list[_Reading] = []
    pulses: list[Pulse] = []
    for kind in ("key frames", *STRIDES):
        ours = _read(video, kind)
        if any(other.explains(ours) for other in found):
            continue
        if ours.moves or ours.by_steps or ours.by_comb:
            found.append(ours)
        if not (ours.by_steps or ours.by_comb):
            continue
        pulse = ours.pulse()
        if reference is not None:
            excess = ours.excess_db(_read(reference, kind, ours.period))
            if excess < LACKS_DB:
                continue
            pulse = replace(pulse, excess_db=excess)
        pulses.append(pulse)
    return pulses


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One kind of pulse in one video, whether it is a finding or not."""

    kind: PulseKind
    period: float | None
    comb: Comb | None
    rhythm: Rhythm | None

    @property
    def moves(self) -> bool:
        """Whether the comb is a texture's that moves: its steps along the motion are too small."""
        if self.comb is None or self.rhythm is None:
            return False
        return self.comb.stands_out() and self.rhythm.pop < MIN_POP_OF_COMB * self.comb.power

    @property
    def by_steps(self) -> bool:
        return self.rhythm is not None and self.rhythm.stands_out and not self.moves

    @property
    def by_comb(self) -> bool:
        if self.comb is None:
            return False
        if self.rhythm is None:
            return self.comb.stands_out(PROMINENCE_ALONE)
        agrees = self.rhythm.probability <= AGREES and not self.moves
        return agrees and self.comb.stands_out()

    def explains(self, other: _Reading) -> bool:
        """Whether what the other one finds is a part of this one, which comes first."""
        if self.period is None or other.period is None:
            return False
        # Steps into key frames are left out of a stride's; lines cannot be.
        lines = self.comb is not None and self.comb.stands_out()
        part = (self.period / other.period).is_integer()
        return part and (lines or self.kind != "key frames")

    def pulse(self) -> Pulse:
        comb = self.comb if self.by_comb else None
        return Pulse(
            kind=self.kind,
            period=self.period,
            frequencies=comb.frequencies if comb else (),
            amplitudes=comb.amplitudes if comb else (),
            power=comb.power if comb else None,
            share=comb.share if comb else None,
            pop=self.rhythm.pop if self.rhythm else None,
        )

    def excess_db(self, other: _Reading) -> float:
        """Over another video: of the steps, where they found it; else of the comb."""
        if self.by_steps and self.rhythm is not None:
            theirs = other.rhythm.pop if other.rhythm else 0.0
            return excess_db(self.rhythm.pop, max(0.0, theirs), POP_EPSILON)
        if self.comb is None:
            return 0.0
        return excess_db(
            self.comb.power, other.comb.power if other.comb else 0.0, self.comb.epsilon
        )


def _read(video: Evidence, kind: PulseKind, period: float | None = None) -> _Reading:
    """``period``: of the comb at key frames, where the video's own do not say."""
    into = np.asarray(video.frames, dtype=np.int64) + 1
    steps = np.asarray(video.steps, dtype=np.float64)
    keys = _spaced(video.key_frames)
    if kind == "key frames":
        period = period or _period(keys)
        rhythm = read_rhythm(into, steps, keys)
    else:
        period = float(STRIDES[kind])
        steps = np.where(np.isin(into, keys), np.nan, steps)
        rhythm = _best_phase(into, steps, STRIDES[kind])
    comb = None if period is None else read_comb(video.power, video.transform, period)
    return _Reading(kind=kind, period=period, comb=comb, rhythm=rhythm)


def _spaced(key_frames: Sequence[int]) -> Whole:
    """Key frames in order; none where most of them stand closer than pulses can be told."""
    keys = np.unique(np.asarray(key_frames, dtype=np.int64))
    if len(keys) > 1 and np.median(np.diff(keys)) < MIN_PERIOD:
        return keys[:0]
    return keys


def _period(keys: Whole) -> float | None:
    """Mean distance of key frames, where three quarters of them are as far apart as most."""
    distances = np.diff(keys)
    if len(distances) < 2:
        return None
    usual = distances[np.abs(distances - np.median(distances)) <= 1]
    return float(usual.mean()) if len(usual) >= REGULAR_SHARE * len(distances) else None


def read_comb(power: Floats, transform: Transform, period: float) -> Comb | None:
    """The comb of a period in a spectrum; ``None`` where the segments do not resolve it.

    A line has the bins within its main lobe, less than 2 bins from it. Its surroundings are the
    bins closer than the next line that belong to none: what they hold a bin is the geometric mean
    of the medians on its two sides (below alone, at 1/2), since power falls with frequency, and a
    slope is no line. Its power is the sum of its bins over that, never less than nothing.

    Args:
        power: (bins,), code^2.
        transform: that it was measured by.
        period: frames.
    """
    if transform.frames < MIN_SEGMENT:
        return None
    frequencies = transform.frequencies.numpy()
    lines = np.arange(1, math.floor(period / 2 + 1e-9) + 1) / period
    distances = np.abs(frequencies - lines[:, None])
    lobes = distances < MAIN_LOBE / transform.frames - 1e-9
    if (lobes.sum(0) > 1).any():
        return None
    between = ~lobes.any(0)
    counted = np.flatnonzero(lines >= MIN_FREQUENCY - 1e-9)
    epsilon = transform.unit.rounding / len(frequencies)
    powers, prominence = [], []
    for i in counted:
        near = between & (distances[i] < 1 / period - 1e-9)
        sides = [power[near & (frequencies < lines[i])], power[near & (frequencies > lines[i])]]
        medians = [float(np.median(side)) for side in sides if side.size]
        if len(medians) < (1 if math.isclose(lines[i], 0.5) else 2):
            return None
        width = int(lobes[i].sum())
        around = math.prod(medians) ** (1 / len(medians)) * width
        line = float(power[lobes[i]].sum())
        powers.append(max(0.0, line - around))
        if powers[-1] <= epsilon * width:
            prominence.append(0.0)
        else:
            prominence.append(line / around if around > 0 else math.inf)
    bins = lobes[counted].any(0)
    total = float(power[bins | (frequencies >= MIN_FREQUENCY - 1e-9)].sum())
    return Comb(
        frequencies=tuple(lines[counted].tolist()),
        powers=tuple(powers),
        prominence=tuple(prominence),
        share=sum(powers) / total if total > 0 else 0.0,
        epsilon=epsilon * int(bins.sum()),
    )


def _best_phase(into: Whole, steps: Floats, stride: int) -> Rhythm | None:
    """The phase of least probability, which counts once for each phase."""
    readings = []
    for phase in range(stride):
        pulses = np.arange(phase, int(into.max(initial=0)) + stride, stride)
        rhythm = read_rhythm(into, steps, pulses)
        if rhythm is not None and rhythm.pulses >= MIN_KNOWN * (into % stride == phase).sum():
            readings.append(rhythm)
    if not readings:
        return None
    best = min(readings, key=lambda rhythm: (rhythm.probability, -rhythm.pop))
    return replace(best, probability=min(1.0, stride * best.probability))


def read_rhythm(into: Whole, steps: Floats, pulses: Whole) -> Rhythm | None:
    """Steps into the frames that may pulse; ``None`` where there is nothing to compare.

    Each pulse is compared with the steps that are closer to it than to any other one: were it all
    the same where it is among them, its rank there would be any of theirs with the same
    probability, and the sum of the ranks of all pulses a sum of independent draws. That gives the
    probability of the sum, or a larger one.

    The ratio is to the 90th percentile of the steps two frames or more from a pulse, or to the
    median of those on one side of it where that is more: on the side where it is less, since what
    lasts for a frame steps in and out again.

    Args:
        into: (n,), frames that the steps lead to.
        steps: (n,), code^2; NaN: unknown.
        pulses: (m,), frames that may pulse, in order.
    """
    rising = np.argsort(steps)[: len(steps) - int(np.isnan(steps).sum())]  # NaN comes last
    into, steps = into[rising], steps[rising]
    if not (len(pulses) > 1 and len(into)):
        return None
    own = np.searchsorted((pulses[1:] + pulses[:-1]) / 2, into, side="right")
    away = into - pulses[own]
    measured = np.bincount(own[away == 0], minlength=len(pulses))[own] > 0
    own, away, steps = own[measured], away[measured], steps[measured]
    far = steps[np.abs(away) > 1]
    if not len(far):
        return None
    blocks: list[list[float]] = [[] for _ in pulses]
    for pulse, step in zip(own.tolist(), steps.tolist(), strict=True):
        blocks[pulse].append(step)
    at = away == 0
    into_pulses = zip(own[at].tolist(), steps[at].tolist(), strict=True)
    score = sum(_double_rank(blocks[pulse], step) for pulse, step in into_pulses)
    draws = Counter(tuple(_double_rank(block, x) for x in block) for block in blocks if block)
    step = median(steps[at].tolist())
    sides = (steps[away == side].tolist() for side in (-1, 1))
    around = max(_percentile(far, OTHER_STEPS), min(map(median, filter(None, sides)), default=0.0))
    return Rhythm(
        pulses=int(at.sum()),
        pop=step - median(steps[~at].tolist()),
        ratio=step / around if around > 0 else math.inf if step > 0 else 1.0,
        spacing=float(median(np.diff(pulses).tolist())),
        probability=_chance(draws, score),
    )


def _double_rank(ordered: list[float], x: float) -> int:
    """Twice the rank, from 2 on, where ties share the mean of theirs."""
    return bisect_left(ordered, x) + bisect_right(ordered, x) + 1


def _percentile(ordered: Floats, percent: float) -> float:
    """Linear between values."""
    place = percent / 100 * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return float(below + (place - math.floor(place)) * (above - below))


def _chance(blocks: Counter[tuple[int, ...]], score: int) -> float:
    """Probability that draws of one rank from each block add up to ``score`` or more.

    ``blocks``: doubled ranks of a block, and how many there are of it.
    """
    size = 1 + sum(max(ranks) * count for ranks, count in blocks.items())
    product = np.ones(size // 2 + 1, dtype=np.complex128)
    for ranks, count in blocks.items():
        draw = np.bincount(ranks, minlength=size) / len(ranks)
        product *= np.fft.rfft(draw) ** count
    sums = np.fft.irfft(product, size)
    return min(1.0, max(0.0, float(sums[score:].sum())))


def _listed(frequencies: tuple[float, ...]) -> str:
    """In words: all of four lines or fewer, else the first and the last."""
    words = [_fraction(f) for f in frequencies]
    return ", ".join(words) if len(words) <= 4 else f"{words[0]} to {words[-1]}"


def _fraction(frequency: float) -> str:
    """1/8 where it is one of small numbers, else as a decimal."""
    simple = Fraction(frequency).limit_denominator(MOST_PARTS)
    return str(simple) if math.isclose(simple, frequency) else f"{frequency:.3g}"
