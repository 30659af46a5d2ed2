"""What an MP4 in fragments says of its length, read from the heads of its boxes.

ISO/IEC 14496-12: the first index (moov) tells of the frames before the fragments alone, each
fragment (moof, section 8.8.4) of its own, and an index of segments (sidx, section 8.16.3) of the
bytes and the time of all that follow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, Final

__all__ = ["Fragments", "fragments_of"]

_MOST_BOXES: Final = 1 << 19
"""Boxes that are looked at, so that a file of nothing but heads takes a second or so."""
_MOST_SEGMENTS: Final = 0xFFFF
_HEAD: Final = 8
"""Bytes of a box's size and kind."""


@dataclass(slots=True)
class Fragments:
    """Of one track."""

    frames: int = 0
    """In the fragments whose heads are there."""
    cut: bool = False
    """The file ends before its last box does, or before its index of segments says."""
    duration: Fraction | None = None
    """Seconds of all segments, also those that are cut off, as their index says."""


def fragments_of(path: str, track: int) -> Fragments | None:
    """The fragments of a file; ``None`` where it has none. Reads heads of boxes alone."""
    found, seen = Fragments(), False
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        budget = iter(range(_MOST_BOXES))
        reached = 0
        for kind, start, stop in _boxes(file, 0, end, budget):
            reached = stop
            if kind == b"moof":
                seen = True
                found.frames += _frames_in(file, start, min(stop, end), track, budget)
            elif kind == b"sidx" and not seen:
                following, duration = _segments(file, start, stop, track)
                found.cut |= stop + following > end
                found.duration = duration or found.duration
        found.cut |= reached > end or 0 < end - reached < _HEAD
    return found if seen else None


def _boxes(
    file: BinaryIO, at: int, end: int, budget: Iterator[int]
) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each box, where its contents begin and where it ends, which may be beyond ``end``."""
    while at + _HEAD <= end and next(budget, None) is not None:
        file.seek(at)
        head = file.read(16)
        size, start = int.from_bytes(head[:4], "big"), at + _HEAD
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), at + 16
        elif size == 0:
            size = end - at
        if at + size < start:
            return
        yield head[4:8], start, at + size
        at += size


def _frames_in(file: BinaryIO, at: int, end: int, track: int, budget: Iterator[int]) -> int:
    """Frames that a fragment's runs (trun) count for the track."""
    frames = 0
    for kind, start, stop in _boxes(file, at, end, budget):
        if kind != b"traf":
            continue
        own = False
        for part, place, _ in _boxes(file, start, min(stop, end), budget):
            file.seek(place + 4)  # behind version and flags
            number = int.from_bytes(file.read(4), "big")
            if part == b"tfhd":
                own = number == track
            elif part == b"trun" and own:
                frames += number
    return frames


def _segments(file: BinaryIO, at: int, end: int, track: int) -> tuple[int, Fraction | None]:
    """Bytes that an index of segments says follow it, and how long they are, if of the track."""
    file.seek(at)
    data = file.read(min(end - at, 32 + 12 * _MOST_SEGMENTS))
    number, scale = (int.from_bytes(data[i : i + 4], "big") for i in (4, 8))
    wide = 8 if data[:1] == b"\1" else 4
    first = 12 + 2 * wide
    offset = int.from_bytes(data[12 + wide : first], "big")
    first += 4  # two bytes kept free, and how many there are
    count = int.from_bytes(data[first - 2 : first], "big")
    entries = [data[first + 12 * i : first + 12 * (i + 1)] for i in range(count)]
    size = sum(int.from_bytes(entry[:4], "big") & 0x7FFFFFFF for entry in entries)
    if number != track or not scale:
        return offset + size, None
    ticks = sum(int.from_bytes(entry[4:8], "big") for entry in entries)
    return offset + size, Fraction(ticks, scale)
