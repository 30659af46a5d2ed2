"""Finds frames that repeat the one before, and leaves them out where a video holds its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt

from flickerscope.align import GAP, is_gap
from flickerscope.inputs.source import Frame

__all__ = ["REACH", "Held", "find_held", "find_repeats"]

REACH: Final = 64
"""Frames on each side that have a say."""

RATIO: Final = 0.1
SHARE: Final = 0.2
REST: Final = 0.45
MOST_TOUCHING: Final = 0.1
LONGEST_CADENCE: Final = 6

LEAST_SHARE: Final = 0.1
"""Of all frames that repeat, from which on a video counts as one of a lower rate."""
WINDOW: Final = 30
"""Frames in each of which about as many have to repeat: a video that only pauses has one rate."""
LEAST_PARTS: Final = 2
UNEVEN: Final = 0.15
LARGEST_PART: Final = 8
SAME_RATIO: Final = 0.01
"""Difference up to which the simplest ratio, of numbers up to 8, is taken."""
MOST_DRIFT: Final = 1.25
"""Frames by which the new ones may stray from an even pace; true cadences do by up to 1.2."""
GOES_BACK: Final = 0.5
"""Change over two new frames against that over one from which on there is no alternation."""

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
    if not x.size or x.min() > RATIO * x.max():  # whatever is usual, none is a tenth of it
        return np.zeros(x.shape, dtype=bool)
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
    found = possible & (many | _in_cadence(within)) & ~rests
    return _to_the_ends(found, possible & ~rests)


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


def _to_the_ends(found: Flags, possible: Flags) -> Flags:
    """With those that continue a cadence to where a shot begins or ends."""
    places = np.flatnonzero(found)
    if len(places) < 2:
        return found
    steps, counts = np.unique(np.diff(places), return_counts=True)
    cadence = int(steps[counts.argmax()])
    if 2 * counts.max() < len(places) or cadence > LONGEST_CADENCE:
        return found
    found = found.copy()
    for way in (-1, 1):
        at = int(places[0] if way < 0 else places[-1]) + way * cadence
        while 0 <= at < len(found) and possible[at]:
            found[at] = True
            at += way * cadence
    return found


@dataclass(frozen=True, slots=True)
class Held:
    """What a video of a lower rate than it is stored at repeats."""

    repeats: frozenset[int]
    """Frames."""
    ratio: Fraction
    """New frames a frame: 1/2 where each is shown twice."""

    def new(self, frames: Iterable[Frame], interval: Fraction) -> Iterator[Frame]:
        """The frames that are new, evenly apart in time; a gap stays one.

        ``interval``: usual time between the frames that come in.
        """
        step, longest = interval / self.ratio, GAP * interval
        last = time = None
        for index, frame in enumerate(frames):
            gap = last is not None and is_gap(frame.time - last, longest)
            last = frame.time
            if index in self.repeats:
                continue
            if time is None:
                time = frame.time
            else:
                time = max(frame.time, time + 2 * step) if gap else time + step
            yield Frame(time, frame.planes, frame.key)


def find_held(repeats: Flags, changes: Floats, pictures: Floats) -> Held | None:
    """Whether a video as a whole is one of a lower rate than it is stored at.

    A tenth of its frames or more have to repeat, about as many everywhere, in a ratio of small
    numbers. A video that pauses, for longer than 6 frames, or holds its frames for a part of the
    time has no other rate; nor has one whose new frames go back to those before: that is flicker.
    Between a repeat and a new frame there must be a clear difference, in how much they change.

    Args:
        repeats: (frames,), which frames repeat the one before.
        changes: (frames,), to the frame before; 0 where there is none.
        pictures: (frames, cells), what all frames look like.
    """
    runs = [(flag, len(list(group))) for flag, group in groupby(repeats.tolist())]
    held = np.repeat(
        [flag and length < LONGEST_CADENCE for flag, length in runs], [n for _, n in runs]
    )
    share = float(held.mean()) if len(held) else 0.0
    if share < LEAST_SHARE or float(repeats.mean()) > share + LEAST_SHARE:
        return None
    parts = np.array_split(held, max(LEAST_PARTS, len(held) // WINDOW))
    if max(abs(float(part.mean()) - share) for part in parts) > UNEVEN:
        return None
    if _goes_back(pictures[~held]) or not _are_apart(changes[held], changes[~repeats]):
        return None
    new = _share(~held) if share > 1 / 2 else 1 - _share(held)
    simple = (Fraction(round(new * q), q) for q in range(2, LARGEST_PART + 1))
    ratio = next((r for r in simple if 0 < r < 1 and abs(r - new) <= SAME_RATIO), None)
    if ratio is None:
        return None
    drift = np.cumsum(~held) - float(ratio) * np.arange(1, len(held) + 1)
    pieces = np.array_split(drift, max(1, len(held) // WINDOW))
    if max(float(np.ptp(piece)) for piece in pieces) > MOST_DRIFT:
        return None  # chance, where frames change by little now and then
    return Held(frozenset(np.flatnonzero(held).tolist()), ratio)


def _share(flags: Flags) -> Fraction:
    """How many there are from the first to the last, which one in five are whatever the ends."""
    places = np.flatnonzero(flags).tolist()
    return Fraction(max(1, len(places) - 1), max(1, places[-1] - places[0]))


def _are_apart(repeats: Floats, new: Floats) -> bool:
    """Whether nearly all changes into repeats are less than half of nearly all into new frames."""
    new = new[new > 0]
    return bool(len(new)) and bool(2 * np.percentile(repeats, 90) < np.percentile(new, 10))


def _goes_back(pictures: Floats) -> bool:
    """Whether pictures are more like those two before than like the ones before."""
    if len(pictures) < 3:
        return True
    once, twice = (float(np.abs(pictures[k:] - pictures[:-k]).mean()) for k in (1, 2))
    return twice < GOES_BACK * once
