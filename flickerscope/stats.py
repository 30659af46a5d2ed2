"""The statistics of many clips: the batch rule, exact tests, intervals of medians and shifts.

Where it says so, a value may be infinite: that of a clip that has no number but counts as above
every one that there is, such as an incoherent one. Medians and ranks are taken over such values,
means never.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from flickerscope.errors import InputError, SettingsError
from flickerscope.shift import Differences, finite_alike, is_small, midpoint

__all__ = [
    "Batch",
    "BatchVerdict",
    "Counts",
    "Interval",
    "average_within",
    "hodges_lehmann",
    "holm",
    "judge_batch",
    "mann_whitney_p",
    "mean_interval",
    "mean_p",
    "median_interval",
    "median_lower_bound",
    "percentile_interval",
    "place_in_batch",
    "signed_rank_p",
    "summarize_batch",
    "summarize_shift",
    "units_of",
]

Floats = npt.NDArray[np.float64]
Values = Sequence[float] | Floats
Alternative = Literal["greater", "less", "two-sided"]

BatchVerdict = Literal[
    "flickers more",
    "incoherent",
    "more energy, consistent with motion or sharpness",
    "no difference found",
    "not measurable",
    "too few clips",
]

ALPHA: Final = 0.05
DELTA_DB: Final = 1.0
"""Median excess below which a difference, however certain, is not worth the name, dB."""
LEAST_UNITS: Final = 5
"""With fewer, no outcome whatever reaches ``ALPHA``."""
LEAST_MEASURED: Final = 0.5
"""Share of the clips without which their median says nothing."""
LEAST_UNITS_TWO_SIDED: Final = 6
"""The same for a two-sided signed-rank test."""
MOST_EXACT: Final = 500
"""Values beyond which the signed-rank test takes the normal limit, right to 2e-4 there."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the clips of a batch: the denominators of its summary."""

    measured: int
    not_measurable: int
    failed: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.measured + other.measured,
            self.not_measurable + other.not_measurable,
            self.failed + other.failed,
        )

    @property
    def total(self) -> int:
        """All clips that were asked for."""
        return self.measured + self.not_measurable + self.failed

    @property
    def share(self) -> str:
        """Measured ones of those that did not fail, in words."""
        return f"{self.measured} of {self.total - self.failed}"

    @property
    def enough(self) -> bool:
        """Whether half of those that did not fail were measured: their median says something."""
        return self.measured >= LEAST_MEASURED * max(1, self.total - self.failed)

    def __str__(self) -> str:
        parts = [f"{self.measured} of {self.total} measured"]
        if self.not_measurable:
            parts.append(f"{self.not_measurable} not measurable")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval that covers the true value with at least its confidence."""

    estimate: float
    low: float | None
    """``None``: there are too few values for any interval."""
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One endpoint over independent units: a prompt's mean, or that of clips with one reference."""

    units: int
    centre: Interval
    """The median, or the shift of two sets, with its exact two-sided interval, dB."""
    p: float
    """Of the exact one-sided signed-rank test against 0."""
    lower_bound: float | None
    """Exact one-sided lower bound of the median, dB; ``None``: too few units."""
    higher: bool
    """``p < alpha``, and the median is ``delta`` or more."""
    materially_higher: bool
    """The lower bound of the median exceeds ``delta``."""


def judge_batch(energy: Batch, motion: Batch | None, *, enough: bool = True) -> BatchVerdict:
    """What a batch of pairs shows.

    *flickers more* needs the high-frequency energy to be higher **and** the motion-compensated
    excess to agree, by the same rule; energy alone may be motion or sharpness. A batch is
    *incoherent* where the median clip is: where the median of the motion-compensated excess is
    infinite. It is *not measurable* where nothing is found, but not ``enough`` of its clips have a
    motion-compensated excess (`Counts.enough`).
    """
    if energy.units < LEAST_UNITS:
        return "too few clips"
    torn = motion is not None and motion.centre.estimate == math.inf
    if torn and enough and motion is not None and motion.units >= LEAST_UNITS:
        return "incoherent"
    if not (energy.higher or energy.materially_higher):
        return "no difference found" if enough else "not measurable"
    if motion is not None and (motion.higher or motion.materially_higher):
        return "flickers more"
    return "more energy, consistent with motion or sharpness"


def place_in_batch(
    value: float | None, verdict: str, value_db: float | None, *, looked: bool = True
) -> float | None:
    """Where a clip stands among others by its flicker, dB; ``None``: nowhere.

    By the motion-compensated excess. Where the motion is lost, so that there is none, a clip that
    is *incoherent* stands above every number (inf), and one that flickers more or less by another
    reading where the number says that its verdict rests on, or above every number without one.

    Args:
        value: motion-compensated excess, dB; ``None`` where it is not to be relied on.
        verdict: of the clip alone.
        value_db: the number that the verdict rests on, dB.
        looked: whether motion was looked for on both sides: where it was not, none is lost.
    """
    if value is not None or not looked:
        return value
    if verdict in ("flickers more", "flickers less") and value_db is not None:
        return value_db
    return math.inf if verdict in ("incoherent", "flickers more") else None


def summarize_batch(values: Values, *, alpha: float = ALPHA, delta: float = DELTA_DB) -> Batch:
    """Hold independent excesses (dB) against 0 and against ``delta``.

    Average the seeds of a prompt and the clips of a reference first: `average_within`. Values may
    be +inf.
    """
    excess = _checked(values, beyond=True)
    p = signed_rank_p(excess)
    bound = median_lower_bound(excess, alpha=alpha)
    median = median_interval(excess, alpha=alpha)
    enough = len(excess) >= LEAST_UNITS
    return Batch(
        units=len(excess),
        centre=median,
        p=p,
        lower_bound=bound,
        higher=enough and p < alpha and median.estimate >= delta,
        materially_higher=enough and bound is not None and bound > delta,
    )


def summarize_shift(
    x: Values, y: Values, *, alpha: float = ALPHA, delta: float = DELTA_DB
) -> Batch:
    """Hold independent levels (dB) of two unpaired sets against each other: x above y.

    As `summarize_batch`, with the Hodges-Lehmann shift in place of the median and Mann-Whitney's
    one-sided test. ``units`` are those of the smaller set. Levels may be +inf.
    """
    ours, theirs = _checked(x, beyond=True), _checked(y, beyond=True)
    differences = Differences(ours, theirs)
    shift = Interval(differences.median(), *differences.bounds(alpha))
    bound = differences.bounds(2 * alpha)[0]
    p = mann_whitney_p(ours, theirs, alternative="greater")
    enough = min(len(ours), len(theirs)) >= LEAST_UNITS
    return Batch(
        units=min(len(ours), len(theirs)),
        centre=shift,
        p=p,
        lower_bound=bound,
        higher=enough and p < alpha and shift.estimate >= delta,
        materially_higher=enough and bound is not None and bound > delta,
    )


def signed_rank_p(values: Values, *, alternative: Alternative = "greater") -> float:
    """p-value of Wilcoxon's signed-rank test of a symmetric distribution around 0.

    Zeros are left out and ties share their mean rank; the null distribution is that of these very
    ranks under random signs, hence exact with ties too. 1.0 where all values are 0. Infinite values
    share the largest rank.

    Source: Wilcoxon 1945; Hollander, Wolfe & Chicken 2014, section 3.1.
    """
    from scipy.special import ndtr
    from scipy.stats import rankdata

    if alternative not in ("greater", "less", "two-sided"):
        raise SettingsError(f"alternative: greater, less or two-sided, got {alternative!r}")
    kept = _checked(values, beyond=True)
    kept = kept[kept != 0]
    if not len(kept):
        return 1.0
    doubled = np.rint(2 * rankdata(np.abs(kept))).astype(np.int64)  # mean ranks are halves
    sums = int(doubled[kept > 0].sum()), int(doubled[kept < 0].sum())
    if len(kept) <= MOST_EXACT:
        null = _sign_distribution(doubled)
        tails = tuple(float(null[s:].sum()) for s in sums)
    else:
        centre, deviation = doubled.sum() / 2, math.sqrt(float((doubled**2).sum())) / 2
        # One step of the sum is 2 in doubled ranks: half of it is the correction for continuity.
        tails = tuple(float(ndtr(-(s - 1 - centre) / deviation)) for s in sums)
    greater, less = (min(tail, 1.0) for tail in tails)
    if alternative == "two-sided":
        return min(1.0, 2 * min(greater, less))
    return greater if alternative == "greater" else less


def median_lower_bound(values: Values, *, alpha: float = ALPHA) -> float | None:
    """Largest order statistic below which the median lies with probability ``alpha`` at most.

    ``None`` where there are too few values. Exact for any continuous distribution: the number of
    values below the median is binomial (n, 1/2). Values, and the bound, may be infinite.
    """
    kept = np.sort(_checked(values, beyond=True))
    rank = _sign_rank(len(kept), alpha)
    return float(kept[rank - 1]) if rank else None


def median_interval(values: Values, *, alpha: float = ALPHA) -> Interval:
    """The median, between the exact bounds that leave out ``alpha / 2`` at each end.

    Values, and with them the median and its bounds, may be infinite.
    """
    kept = np.sort(_checked(values, beyond=True))
    middle = midpoint(float(kept[(len(kept) - 1) // 2]), float(kept[len(kept) // 2]))
    rank = _sign_rank(len(kept), alpha / 2)
    if not rank:
        return Interval(middle, None, None)
    return Interval(middle, float(kept[rank - 1]), float(kept[-rank]))


def mean_interval(values: Values, *, alpha: float = ALPHA) -> Interval:
    """The mean, with Student's interval: for a few repeats of one experiment, such as seeds."""
    from scipy.stats import t

    kept = _checked(values)
    middle = float(kept.mean())
    if len(kept) < 2:
        return Interval(middle, None, None)
    reach = float(t.ppf(1 - alpha / 2, len(kept) - 1)) * _standard_error(kept)
    return Interval(middle, middle - reach, middle + reach)


def mean_p(values: Values) -> float:
    """Two-sided p-value of Student's test that the mean is 0; 1.0 where all values are 0."""
    from scipy.stats import t

    kept = _checked(values)
    if len(kept) < 2 or not kept.any():
        return 1.0
    error = _standard_error(kept)
    if error == 0:
        return 0.0
    return float(2 * t.sf(abs(kept.mean()) / error, len(kept) - 1))


def percentile_interval(estimate: float, draws: Values, *, alpha: float = ALPHA) -> Interval:
    """An estimate between the ends that leave out ``alpha / 2`` of its bootstrap draws each.

    Source: Efron & Tibshirani 1993, chapter 13.
    """
    low, high = np.quantile(_checked(draws), [alpha / 2, 1 - alpha / 2]).tolist()
    return Interval(estimate, low, high)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in the order given (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def units_of(*groupings: Sequence[Hashable | None]) -> list[int]:
    """Number of the unit of each clip, from 0 on, in order of first appearance.

    Clips belong together where any grouping, a key a clip, gives them the same key: the same prompt
    in one, the same reference in another; ``None`` is no key. Clips that are linked through a third
    one count as one unit, so that what is left is independent.
    """
    count = len(groupings[0])
    unit = list(range(count))

    def root(index: int) -> int:
        while unit[index] != index:
            unit[index] = index = unit[unit[index]]
        return index

    for keys in groupings:
        if len(keys) != count:
            raise InputError(f"{len(keys)} keys for {count} values: one each is needed")
        first: dict[Hashable, int] = {}
        for index, name in enumerate(keys):
            if name is not None:
                one, other = root(first.setdefault(name, index)), root(index)
                unit[max(one, other)] = min(one, other)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(index), len(numbers)) for index in range(count)]


def average_within(values: Values, *groupings: Sequence[Hashable | None]) -> Floats:
    """Means over clips that belong together, (clips,) to (units,), in order of first appearance.

    As by `units_of`. A unit with an infinite value (+inf) is infinite, however many it has.
    """
    kept = _checked(values, beyond=True)
    if np.isneginf(kept).any():
        raise InputError("a value is -inf: no mean is taken over it")
    return _means(kept, units_of([None] * len(kept), *groupings))


def mann_whitney_p(x: Values, y: Values, *, alternative: Alternative = "two-sided") -> float:
    """p-value of the Mann-Whitney test; ``greater``: x tends to lie above y.

    Exact for up to 50 values a side without ties, else by the normal limit with ties corrected.
    Infinite values are ties, above all others.
    """
    from scipy.stats import mannwhitneyu

    ours, theirs, _ = finite_alike(_checked(x, beyond=True), _checked(y, beyond=True))
    pooled = np.concatenate([ours, theirs])
    if np.ptp(pooled) == 0:
        return 1.0
    exact = is_small(ours, theirs) and len(np.unique(pooled)) == len(pooled)
    method: Any = "exact" if exact else "asymptotic"
    return float(mannwhitneyu(ours, theirs, alternative=alternative, method=method).pvalue)


def hodges_lehmann(x: Values, y: Values, *, alpha: float = ALPHA) -> Interval:
    """Shift of x against y: the median of all differences, with the interval of Mann-Whitney's
    test turned round.

    Values may be +inf: two of them do not differ, and one of them differs infinitely.
    Exact in O((m + n) log^2) time and O(m + n) memory.

    Source: Hollander, Wolfe & Chicken 2014, sections 4.2 and 4.3.
    """
    found = Differences(_checked(x, beyond=True), _checked(y, beyond=True))
    return Interval(found.median(), *found.bounds(alpha))


def _means(values: Floats, units: Sequence[int]) -> Floats:
    members: list[list[float]] = [[] for _ in range(max(units) + 1)]
    for unit, value in zip(units, values.tolist(), strict=True):
        members[unit].append(value)
    return np.array([math.fsum(group) / len(group) for group in members])


def _standard_error(values: Floats) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def _checked(values: Values, *, beyond: bool = False) -> Floats:
    """``beyond``: infinite ones are allowed."""
    kept = np.asarray(values, dtype=np.float64)
    if kept.ndim != 1 or not len(kept):
        raise InputError(f"values of shape {kept.shape}: one or more in a row are needed")
    if np.isnan(kept).any() or not (beyond or np.isfinite(kept).all()):
        raise InputError("a value is not finite: leave out what could not be measured")
    return kept


def _sign_distribution(doubled: npt.NDArray[np.int64]) -> Floats:
    """Probability of each sum of the (doubled) ranks whose sign is positive, signs being fair."""
    null = np.zeros(int(doubled.sum()) + 1)
    null[0] = 1.0
    top = 0
    for rank in sorted(doubled.tolist()):
        null[: top + rank + 1] *= 0.5
        # The right-hand side is a copy: it holds what was there before this rank.
        null[rank : top + rank + 1] += null[: top + 1].copy()
        top += rank
    return null


def _sign_rank(count: int, alpha: float) -> int:
    """Largest k for which fewer than k of ``count`` fair coins fall heads with p <= alpha."""
    from scipy.stats import binom

    below = binom.cdf(np.arange(count), count, 0.5)
    return int((below <= alpha).sum())
