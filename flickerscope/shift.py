"""Order statistics of all differences between two sets, exact, without making the differences."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Differences", "finite_alike", "is_small", "midpoint"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

MOST_EXACT: Final = 50
"""Values of either set up to which the ranks of an interval are exact; else those of the normal
limit."""
ENUMERATED: Final = 4
"""So many differences a value are made and sorted in the end."""


class Differences:
    """``x - y`` of every x with every y, (m,) and (n,), in O(m + n) memory.

    An infinite value differs infinitely from a finite one, and not at all from its like.
    """

    def __init__(self, x: Floats, y: Floats) -> None:
        ours, theirs, self._span = finite_alike(x, y)
        self._sizes = len(ours), len(theirs)
        small, large = sorted((np.sort(ours), np.sort(-theirs)), key=len)
        self._rows, self._columns = small, large
        self._exact = is_small(ours, theirs)

    def median(self) -> float:
        """The Hodges-Lehmann shift of x against y."""
        count = math.prod(self._sizes)
        return midpoint(self.find((count + 1) // 2), self.find(count // 2 + 1))

    def bounds(self, alpha: float) -> tuple[float | None, float | None]:
        """Ends of the interval that leaves out ``alpha / 2`` at each; ``None``: too few values.

        Mann-Whitney's test turned round: shifts that it does not reject.
        """
        rank = _lowest_rank(*self._sizes, alpha / 2, exact=self._exact)
        if not rank:
            return None, None
        return self.find(rank), self.find(math.prod(self._sizes) + 1 - rank)

    def find(self, rank: int) -> float:
        """The difference of this rank, from 1 for the smallest.

        In the matrix ``rows + columns``, whose rows rise, those elements of each row that it may
        be among are narrowed down by pivots, at least a quarter of them at a time, until they are
        few.

        Source: Johnson & Mizoguchi 1978; Monahan 1984.
        """
        rows, columns = self._rows, self._columns
        low = np.zeros(len(rows), dtype=np.int64)
        high = np.full(len(rows), len(columns), dtype=np.int64)
        while int((high - low).sum()) > ENUMERATED * (len(rows) + len(columns)):
            pivot = self._pivot(low, high)
            below = self._count(pivot, low, high, equal=False)
            if rank <= int(below.sum()):
                high = below
                continue
            up_to = self._count(pivot, below, high, equal=True)
            if rank <= int(up_to.sum()):
                return self._told(pivot)
            low = up_to
        left = high - low
        numbers = np.arange(int(left.sum())) - np.repeat(np.cumsum(left) - left - low, left)
        values = np.repeat(rows, left) + columns[numbers]
        place = rank - 1 - int(low.sum())
        return self._told(float(np.partition(values, place)[place]))

    def _pivot(self, low: Indices, high: Indices) -> float:
        """Median of the medians of what is left of the rows, each as often as it has elements."""
        kept = np.flatnonzero(high > low)
        medians = self._rows[kept] + self._columns[(low[kept] + high[kept]) // 2]
        order = np.argsort(medians)
        weights = np.cumsum((high - low)[kept][order])
        return float(medians[order][np.searchsorted(weights, weights[-1] / 2)])

    def _count(self, value: float, low: Indices, high: Indices, *, equal: bool) -> Indices:
        """How many elements of each row lie below a value, or at it; between ``low`` and ``high``.

        By bisection over the very differences, as rounding allows no shorter way.
        """
        low, high = low.copy(), high.copy()
        last = len(self._columns) - 1
        while (low < high).any():
            at = (low + high) // 2
            found = self._rows + self._columns[np.minimum(at, last)]
            below = (found <= value if equal else found < value) & (low < high)
            low, high = np.where(below, at + 1, low), np.where(below, high, at)
        return low

    def _told(self, difference: float) -> float:
        return math.copysign(math.inf, difference) if abs(difference) > self._span else difference


def finite_alike(x: Floats, y: Floats) -> tuple[Floats, Floats, float]:
    """Both with infinite values in the place of which stand finite ones, further from all others
    than these are from each other; and how far that is.
    """
    pooled = np.concatenate([x, y])
    known = pooled[np.isfinite(pooled)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    far = 2 * (high - low) + 1
    limits = low - far, high + far
    return np.clip(x, *limits), np.clip(y, *limits), high - low


def midpoint(lower: float, upper: float) -> float:
    """Between two values; of an infinite one its side wins."""
    if lower == upper:
        return lower
    if math.isinf(lower) and math.isinf(upper):
        return 0.0
    return (lower + upper) / 2


def is_small(x: Floats, y: Floats) -> bool:
    """Whether the tests of two sets are exact."""
    return max(len(x), len(y)) <= MOST_EXACT


def _lowest_rank(m: int, n: int, alpha: float, *, exact: bool) -> int:
    """Largest k for which Mann-Whitney's U of m and n values is below k with p <= alpha."""
    if not exact:
        spread = math.sqrt(m * n * (m + n + 1) / 12)
        return max(0, math.floor(m * n / 2 + NormalDist().inv_cdf(alpha) * spread))
    ways = _rank_sum_ways(m, n)
    most, below = alpha * math.comb(m + n, m), 0
    for rank, count in enumerate(ways):
        below += count
        if below > most:
            return rank
    return len(ways)


@lru_cache(maxsize=8)
def _rank_sum_ways(m: int, n: int) -> tuple[int, ...]:
    """Ways in which U takes each value 0..mn: the coefficients of the Gaussian binomial.

    ``prod_{i=1..m} (1 - q^(n+i)) / (1 - q^i)``, in whole numbers.
    """
    ways = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for power in range(m * n, n + i - 1, -1):
            ways[power] -= ways[power - n - i]
        for power in range(i, m * n + 1):
            ways[power] += ways[power - i]
    return tuple(ways)
