"""Where a video may be cut into segments: shots, and the segments in a shot."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from itertools import pairwise

import torch

__all__ = [
    "HORIZON",
    "LOOKAHEAD",
    "CutDetector",
    "ShotSegments",
    "frame_correlation",
    "segment_starts",
]

HORIZON = 3
"""Segments of a shot are spread evenly over its last ``HORIZON * N`` frames; see `ShotSegments`."""

LOOKAHEAD = 8
"""Frames after a cut that must be seen before it counts as one."""

MIN_CUT_DIFFERENCE = 12.0
MIN_CUT_RATIO = 4.0
MAX_CUT_CORRELATION = 0.8
MAX_FLASH = 3  # frames
FLAT = 1e-6
"""Variance up to which a frame is flat, code^2."""
MAX_REPEAT = 0.5
"""Difference up to which a frame repeats the one before, code values."""
REPEAT_SHARE = 0.02
"""The same as a share of a cut's own: compression changes repeats a little."""


def segment_starts(frames: int, length: int) -> list[int]:
    """First frames of the segments of a shot: ``round(linspace(0, T-N, S))``.

    ``S = ceil((T-N)/(N/2)) + 1``, so that neighbours overlap by half or a little more.
    None where the shot is shorter than a segment.
    """
    return _spread(frames - length, segment_count(frames, length))


def segment_count(frames: int, length: int) -> int:
    """Segments of a shot: ``ceil((T-N)/(N/2)) + 1``, or none where it is shorter than one."""
    return 0 if frames < length else -(-2 * (frames - length) // length) + 1


def _spread(last: int, count: int) -> list[int]:
    """``count`` whole numbers evenly from 0 to ``last``."""
    step = last / max(1, count - 1)
    return [round(i * step) for i in range(count)]


class ShotSegments:
    """Segments of one shot whose end is not known yet, in a bounded number of frames.

    Shots of up to 3 N frames are divided by `segment_starts`. In a longer one the segments start
    N/2 apart until fewer than 3 N frames remain, and the rest is divided evenly: as many segments,
    each at most N/2 from where an even division of the whole shot would put it, without the need
    to hold the shot.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.position = 0
        """First frame that is still needed."""
        self._done = 0

    def extend(self, frames: int) -> Iterator[int]:
        """Starts that are settled once the shot is known to have ``frames`` frames or more."""
        while frames - self.position > HORIZON * self.length:
            yield self.position
            self._done += 1
            self.position = round(self._done * self.length / 2)

    def finish(self, frames: int) -> Iterator[int]:
        """The remaining starts of a shot of ``frames`` frames."""
        yield from self.extend(frames)
        left = segment_count(frames, self.length) - self._done
        for start in _spread(frames - self.length - self.position, left):
            yield self.position + start


class CutDetector:
    """Finds cuts in a sequence of small frames, `LOOKAHEAD` frames late.

    A cut is where the mean absolute difference D to the frame before is over 12 code values and
    over 4 times the median of D within 8 frames, and the two frames correlate below 0.8: so a
    flash, which leaves the picture's structure alone, is none. Nor is a change that is undone
    within 3 frames, such as to a black or a white frame and back. Where every new picture is held
    for as many frames (give or take one), the median is that of the new pictures alone: the frames
    between, which repeat them, would make a cut of each.
    """

    def __init__(self) -> None:
        self._frames: deque[torch.Tensor] = deque(maxlen=2 * LOOKAHEAD)
        self._differences: deque[float] = deque(maxlen=2 * LOOKAHEAD + 1)
        self._candidates: deque[tuple[int, float]] = deque()
        self._seen = 0
        self._start = 0
        """Frame with which the detector was started."""

    def push(self, frame: torch.Tensor, change: float, *, restart: bool = False) -> list[int]:
        """Take the next frame; returns the cuts that are now certain.

        A cut is given as the index of the first frame after it.

        Args:
            frame: (rows, columns).
            change: mean absolute difference to the frame before, if there is one.
            restart: the frame starts a shot in any case; what came before it is forgotten.
        """
        cuts: list[int] = []
        if restart:
            cuts = self.flush()
            self._differences.clear()
            self._frames.clear()
            self._start = self._seen
        if self._frames:
            self._differences.append(change)
            if change > MIN_CUT_DIFFERENCE and (
                frame_correlation(frame, self._frames[-1]) < MAX_CUT_CORRELATION
            ):
                self._candidates.append((self._seen, change))
        self._frames.append(frame)
        self._seen += 1
        return cuts + self._settle(self._seen - 1 - LOOKAHEAD)

    def flush(self) -> list[int]:
        """The cuts among the last frames, at the end of the video."""
        return self._settle(self._seen, end=self._seen)

    def _settle(self, last: int, end: int | None = None) -> list[int]:
        """Decide the candidates up to frame ``last`` from the differences around them.

        ``end``: frames that there are, once it is known.
        """
        cuts = []
        while self._candidates and self._candidates[0][0] <= last:
            index, difference = self._candidates.popleft()
            # Frame i's difference is the last but (seen - 1 - i); keep those within 8 frames.
            newest = len(self._differences) - 1
            own = newest - (self._seen - 1 - index)
            first = max(0, own - LOOKAHEAD)
            near = list(self._differences)[first : own + LOOKAHEAD + 1]
            repeat = max(MAX_REPEAT, REPEAT_SHARE * difference)
            changes = [i for i, value in enumerate(near, index - own + first) if value > repeat]
            start = self._start if index - LOOKAHEAD <= self._start else None
            stop = end if end is not None and end <= index + LOOKAHEAD + 1 else None
            if _are_held(changes, start, stop):
                near = [value for value in near if value > repeat]
            if difference > MIN_CUT_RATIO * _median(near) and not self._is_undone(index):
                cuts.append(index)
        return cuts

    def _is_undone(self, index: int) -> bool:
        """Whether a frame shortly before a change looks like one shortly after it.

        The frames on both sides of the change are compared with those up to 4 frames away from
        them across it, so that the way into a flash and the way out of it are both seen.
        """
        first = self._seen - len(self._frames)
        inside = range(max(first, index - 1 - MAX_FLASH), min(self._seen, index + 1 + MAX_FLASH))
        before = [i for i in inside if i < index]
        after = [i for i in inside if i >= index]
        pairs = [(index - 1, i) for i in after[1:]] + [(i, index) for i in before[:-1]]
        frames = self._frames
        return any(
            frame_correlation(frames[a - first], frames[b - first]) >= MAX_CUT_CORRELATION
            and not _is_flat(frames[a - first])
            for a, b in pairs
        )


def _are_held(changes: list[int], start: int | None, end: int | None) -> bool:
    """Whether new pictures come at even distances, each held for two frames or more.

    Args:
        changes: frames that are unlike the one before, in order.
        start: first frame there is, where it is near.
        end: behind the last frame there is, where it is near.
    """
    steps = [b - a for a, b in pairwise(changes)]
    if not steps or min(steps) < 2 or max(steps) > min(steps) + 1:
        return False
    ends = [] if start is None else [changes[0] - start]
    ends += [] if end is None else [end - changes[-1]]
    return len(steps) + len(ends) >= 2 and max([0, *ends]) <= max(steps) + 1


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def _is_flat(frame: torch.Tensor) -> bool:
    return float(frame.var(correction=0)) <= FLAT


def frame_correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Of two frames; with a flat one 0 if the other has texture, else 1."""
    a, b = a - a.mean(), b - b.mean()
    norms = float(a.square().sum()), float(b.square().sum())
    flat = [norm <= FLAT * a.numel() for norm in norms]
    if any(flat):
        return 1.0 if all(flat) else 0.0
    return float((a * b).sum()) / math.sqrt(norms[0] * norms[1])
