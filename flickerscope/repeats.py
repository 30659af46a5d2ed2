"""Finds frames that repeat the one before, in a video that changes otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["REACH", "find_repeats"]

REACH: Final = 64
"""Frames on each side that have a say."""

RATIO: Final = 0.1
SHARE: Final = 0.2
REST: Final = 0.45
MOST_TOUCHING: Final = 0.1
LONGEST_CADENCE: Final = 6

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def find_repeats(changes: Sequence[float] | Floats) -> Flags:
    """Which frames repeat the one before.

    A frame may be a repeat where it changes by less than a tenth of what is usual within 64
    frames: the 75th percentile, or half of the 95th where that is more, since the median would be
    0 where every second frame repeats. It is one where over a fifth of those frames may be, or
    where frames a fixed cadence of 2 to 6 away on both sides may be: by chance, small changes are
    there as well. Not so in a video that rests and pulses: a change and the one back follow each
    other, where frames that are held never change twice running.

    Args:
        changes: of a shot's frames but the first, (frames - 1,): mean absolute difference to the
            frame before.

    Returns:
        (frames - 1,).
    """
    x = np.asarray(changes, dtype=np.float64)
    if not x.size:
        return np.zeros(0, dtype=bool)
    near = _windows(x)
    known = ~np.isnan(near)
    ordered, last = np.sort(near, axis=1), known.sum(1) - 1  # NaN comes last
    usual = np.maximum(_quantile(ordered, last, 0.75), _quantile(ordered, last, 0.95) / 2)
    possible = x < RATIO * usual
    within = near < RATIO * usual[:, None]
    moves = known & ~within
    touching = (moves[:, 1:] & moves[:, :-1]).sum(1) / np.maximum(moves.sum(1), 1)
    many = within.sum(1) > SHARE * (known.sum(1) + 1)
    rests = (within.sum(1) > REST * known.sum(1)) & (touching > MOST_TOUCHING)
    return np.asarray(possible & (many | _in_cadence(within)) & ~rests)


def _windows(x: Floats) -> Floats:
    """The values within `REACH` of each, (n, 2 REACH + 1), NaN beyond the ends."""
    padded = np.pad(x, REACH, constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1)


def _quantile(ordered: Floats, last: npt.NDArray[np.int64], q: float) -> Floats:
    """Of the values up to ``last`` in each row, (n, m) and (n,) to (n,), linear in between."""
    rows, place = np.arange(len(ordered)), q * last
    low = place.astype(np.int64)
    a, b = ordered[rows, low], ordered[rows, np.minimum(low + 1, last)]
    return np.asarray(a + (place - low) * (b - a))


def _in_cadence(within: Flags) -> Flags:
    """Whether the frames one and two cadences away, on both sides, may be repeats too."""
    found = np.zeros(len(within), dtype=bool)
    for step in range(2, LONGEST_CADENCE + 1):
        at = [REACH + step * i for i in (-2, -1, 1, 2)]
        found |= within[:, at].sum(1) >= 3
    return found
