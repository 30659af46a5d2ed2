"""How long a file says that it is, where FFmpeg takes a damaged end for the end."""

from __future__ import annotations

import mmap
import os
import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from flickerscope.video.fragments import fragments_of

__all__ = ["Promise", "gaps_in", "is_cut_off", "promise_of", "promise_of_mp4", "promised_end"]

_TAIL = 1024
_HEAD = 1 << 16
_MOST_CHUNKS = 1 << 18
_PART = 1 << 16


@dataclass(frozen=True, slots=True)
class Promise:
    """What a container says of its own length."""

    frames: int | None = None
    """How many it holds, those that an edit list hides among them."""
    end: Fraction | None = None
    """Seconds at which its video ends."""
    cut: bool = False
    """The file ends before it says it does."""
    held: int = 0
    """Frames that it counts and does not hold: an AVI shows the one before again."""


def promise_of(
    path: str, container: InputContainer, stream: VideoStream, shown: int, reached: int | None
) -> Promise:
    """The promise of a file of ``shown`` packets, of which the last ends at byte ``reached``."""
    kind = container.format.name
    if "mp4" in kind:
        return promise_of_mp4(path, stream)
    if "matroska" in kind:
        return Promise(end=promised_end(container, stream), cut=_is_cut_matroska(path))
    if kind == "avi":
        return Promise(held=_empty_chunks(path, stream.index))
    if kind == "gif":
        return Promise(cut=_is_cut_gif(path))
    if kind == "apng":
        return Promise(frames=_apng_frames(path))
    if kind == "yuv4mpegpipe" and reached is not None:
        return Promise(frames=shown + (reached < os.path.getsize(path)))
    return Promise()


def gaps_in(ticks: list[int]) -> int:
    """Frames that a clock leaves out; 0 where it is not even but for these."""
    steps = np.diff(np.unique(np.asarray(ticks, dtype=np.int64)))
    if not steps.size:
        return 0
    frames = steps / np.median(steps)
    uneven = np.abs(frames - np.rint(frames)) * np.median(steps) > 1 + 0.05 * steps
    return 0 if uneven.any() else int(np.rint(frames).sum()) - steps.size


def is_cut_off(packet: Packet[VideoStream] | None, codec: str) -> bool:
    """Whether a JPEG lacks its end: FFmpeg fills what is missing with gray and says nothing."""
    if packet is None or codec != "mjpeg" or not packet.size:
        return False
    return b"\xff\xd9" not in bytes(memoryview(packet)[-_TAIL:])


def promised_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds at which Matroska says that its video ends; it names no number of frames."""
    if "matroska" not in container.format.name:
        return None
    for name, value in stream.metadata.items():  # also DURATION-eng and the like
        if not name.startswith("DURATION"):
            continue
        if m := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", value):
            return int(m[1]) * 3600 + int(m[2]) * 60 + Fraction(m[3])
    if len(container.streams) == 1 and container.duration:
        return Fraction(container.duration, 1_000_000)
    return None


def promise_of_mp4(path: str, stream: VideoStream) -> Promise:
    """By its index, and by its fragments where it has some."""
    found = fragments_of(path, stream.id)
    if found is None:
        return Promise(frames=stream.frames or None)
    frames, rate = stream.frames + found.frames, stream.average_rate
    if found.cut and found.duration and rate:
        frames = max(frames, round(float(found.duration) * float(rate)))
    return Promise(frames=frames or None, cut=found.cut)


def _is_cut_matroska(path: str) -> bool:
    """Whether a Matroska file is shorter than its one segment says; a live one says nothing.

    Sizes are numbers of 1 to 8 bytes, as many as the first one has leading zeros and one more
    (RFC 8794, section 4).
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if head[:4] != b"\x1a\x45\xdf\xa3":
        return False
    size, at = _ebml_size(head, 4)
    at += size or 0
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return False
    size, at = _ebml_size(head, at + 4)
    return size is not None and os.path.getsize(path) < at + size


def _ebml_size(data: bytes, at: int) -> tuple[int | None, int]:
    """A size, ``None`` where it is unknown, and the place behind it."""
    length = 9 - data[at].bit_length() if at < len(data) and data[at] else 0
    if not length or at + length > len(data):
        return None, at
    value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), at + length


def _empty_chunks(path: str, stream: int) -> int:
    """Frames without data in the index of an AVI file: the one before is to be shown again."""
    names = [f"{stream:02}{kind}".encode() for kind in ("dc", "db")]
    with open(path, "rb") as file:
        at = 12  # RIFF, size, AVI
        for _ in range(_MOST_CHUNKS):
            file.seek(at)
            head = file.read(8)
            size, at = int.from_bytes(head[4:], "little"), at + 8
            if head[:4] == b"idx1" or len(head) < 8:
                break
            at += size + size % 2
        if head[:4] != b"idx1":
            return 0
    entries = min(size, os.path.getsize(path) - at) // 16
    if entries < 1:
        return 0
    index = np.memmap(path, "S4, <u4, <u4, <u4", "r", at, (entries,))
    parts = (index[i : i + _PART] for i in range(0, entries, _PART))
    return sum(int((np.isin(part["f0"], names) & (part["f3"] == 0)).sum()) for part in parts)


def _apng_frames(path: str) -> int | None:
    """The number that an animated PNG names at its head."""
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    at = head.find(b"\x08acTL") + 5
    return int.from_bytes(head[at : at + 4], "big") if at > 4 and len(head) >= at + 4 else None


def _is_cut_gif(path: str) -> bool:
    """Whether a GIF ends before its trailer; not where its blocks make no sense anyway."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            at = 13 + _colours(data[10])
            while (kind := data[at]) in (0x21, 0x2C):  # an extension, a picture
                # Behind a picture's place and colours stands the size of its codes.
                at = at + 2 if kind == 0x21 else at + 11 + _colours(data[at + 9])
                while size := data[at]:
                    at += 1 + size
                at += 1
        except IndexError:
            return True
    return False


def _colours(flags: int) -> int:
    """Bytes of the table of colours that a GIF's flags announce."""
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0
