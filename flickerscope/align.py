"""Puts frames on an even clock: one rate for both sides of a comparison, gaps marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from flickerscope.inputs.source import Frame
from flickerscope.settings import FrameRange

__all__ = ["GAP", "WIDE_GAP", "Clock", "Tick", "is_gap", "take"]

GAP: Final = Fraction(3, 2)
"""An interval of more than this many usual intervals is a gap and ends a shot."""

WIDE_GAP: Final = Fraction(4)
"""The same where the frame rate varies, and an even clock is filled by nearest timestamp."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A frame at its place on the clock."""

    frame: Frame
    gap: bool
    """Whether time is missing between this frame and the one before."""


@dataclass(slots=True)
class Clock:
    """Passes frames on, by nearest timestamp where the rate has to change, and counts what it did.

    Frames are never blended: blending is a low-pass, and would hide flicker.
    """

    interval: Fraction | None
    """Usual seconds between the frames that come in; ``None``: no clock, every frame passes."""
    rate: Fraction | None = None
    """Frames a second to deliver; ``None``: every frame passes."""
    gap: Fraction = GAP
    """Usual intervals beyond which time counts as missing."""
    frames_in: int = 0
    gaps: int = 0
    repeated: int = 0
    """Frames delivered more than once to keep the rate."""
    displaced: int = 0
    """Frames more than a quarter of an output interval from their place."""
    _grid_start: Fraction = field(default=Fraction(0), repr=False)
    _next_index: int = field(default=0, repr=False)

    def run(self, frames: Iterable[Frame]) -> Iterator[Tick]:
        """Frames in, ticks out, one frame of delay."""
        before: Frame | None = None
        longest = None if self.interval is None else self.gap * self.interval
        for frame in frames:
            self.frames_in += 1
            gap = (
                before is not None
                and longest is not None
                and is_gap(frame.time - before.time, longest)
            )
            self.gaps += gap
            if before is not None and self.rate is not None:
                yield from self._place(before, None if gap else frame)
            if before is None or gap:
                self._grid_start, self._next_index = frame.time, 0
            if self.rate is None:
                yield Tick(frame, gap)
            before = frame
        if before is not None and self.rate is not None:
            yield from self._place(before, None)

    def _place(self, frame: Frame, after: Frame | None) -> Iterator[Tick]:
        """All grid times to which ``frame`` is nearer than the frame after it."""
        step = 1 / (self.rate or Fraction(1))
        end = (frame.time + after.time) / 2 if after else frame.time + step / 2
        used = 0
        while (time := self._grid_start + self._next_index * step) < end:
            self.displaced += abs(frame.time - time) > step / 4
            self.repeated += used > 0
            used += 1
            first = self._next_index == 0
            self._next_index += 1
            yield Tick(Frame(time, frame.planes, frame.key), first and self.gaps > 0)


def is_gap(interval: Fraction, longest: Fraction) -> bool:
    """Whether more time than ``longest`` lies between two frames, or it runs back."""
    return interval > longest or interval <= 0


def take(frames: Iterable[Frame], chosen: FrameRange) -> Iterator[Frame]:
    """The frames of a range, like slicing a list."""
    for index, frame in enumerate(frames):
        if chosen.stop is not None and index >= chosen.stop:
            return
        if index >= chosen.start and (index - chosen.start) % chosen.step == 0:
            yield frame
