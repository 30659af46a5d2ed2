"""What can be told of a video file before any of it is decoded."""

from __future__ import annotations

import os
import stat
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from flickerscope.errors import InputError

__all__ = ["MATRICES", "PRIMARIES", "TRANSFERS", "check_file", "clock_of", "is_shown"]

# The names that FFmpeg gives to the code points of ITU-T H.273.
PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film"}
PRIMARIES |= {9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213"}
TRANSFERS = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear"}
TRANSFERS |= {9: "log100", 10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1"}
TRANSFERS |= {14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428"}
TRANSFERS |= {18: "arib-std-b67"}
MATRICES = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m"}
MATRICES |= {8: "ycgco", 9: "bt2020nc", 10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc"}
MATRICES |= {13: "chroma-derived-c", 14: "ictcp"}


_LISTS = (b"ffconcat version", b"#EXTM3U")
"""How files begin that name others: FFmpeg would follow them, and wait for a pipe for ever."""
_MOST_INDEX_BYTES = 1 << 26
_MOST_GAPS = 0.05
"""Of all intervals; more than that and the frame rate counts as varying."""


def check_file(path: str) -> None:
    """Refuse what is not the file of a video at first sight, with a text of its own."""
    try:
        kind = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise InputError(f"{path if path.strip() else repr(path)}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if stat.S_ISDIR(kind):
        raise InputError(f"{path}: is a folder; give a video file")
    if not stat.S_ISREG(kind):
        raise InputError(f"{path}: not a regular file; save the video to a file first")
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            encrypted = head[4:8] in (b"ftyp", b"styp", b"moov", b"moof") and _is_encrypted(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not head:
        raise InputError(f"{path}: the file is empty")
    if head.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{path}: is a git-LFS pointer, not the video; fetch it with 'git lfs pull'"
        )
    if head.startswith(_LISTS):
        raise InputError(f"{path}: is a list of other files, not a video; give these")
    if encrypted:
        raise InputError(f"{path}: is encrypted; give a decrypted copy")


def _is_encrypted(file: BinaryIO) -> bool:
    """Whether the index of an MP4 file names protected video.

    FFmpeg hides it: it shows the codec inside, and may decode the cipher to frames of solid green.
    """
    position = 0
    while True:
        file.seek(position)
        header = file.read(16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if kind == b"moov":
            index = file.read(min(size, _MOST_INDEX_BYTES) if size else _MOST_INDEX_BYTES)
            return b"encv" in index and b"sinf" in index
        if size < 8 or len(header) < 8:
            return False
        position += size


def is_shown(data: memoryview, codec: str) -> bool:
    """False for a packet of VP8 or VP9 that only holds an invisible reference frame."""
    if codec not in ("vp8", "vp9"):
        return True
    head = data[0]
    if codec == "vp8":
        return bool(head & 0x10)
    if data[-1] & 0xE0 == 0xC0:  # a superframe ends with a frame that is shown
        return True
    if head & 0x30 == 0x30:  # profile 3 has one more bit
        head = head << 1 & 0xFF
    shows_existing, show = head & 0x08, head & 0x02
    return bool(shows_existing or show)


def clock_of(
    ticks: list[int], base: Fraction | None, average: Fraction | None
) -> tuple[Fraction | None, bool]:
    """Frames a second, and whether the spacing varies, from the times of the packets.

    Gaps (over 1.5 times the median) are left out as long as they are few: many of them are a rate
    that varies. One tick of rounding is no variation. The mean spacing is taken, or the median
    where it varies: 60 frames/s in milliseconds are 16, 17, 17.
    """
    steps = np.diff(np.unique(np.asarray(ticks, dtype=np.int64))).astype(np.float64)
    if not steps.size or not base:
        return average or None, False
    median = float(np.median(steps))
    regular = steps[steps <= 1.5 * median]
    mean = float(regular.mean())
    excess = np.maximum(np.abs(regular - mean) - 1, 0)
    many = len(regular) < (1 - _MOST_GAPS) * len(steps)
    variable = many or bool(np.sqrt(np.mean(excess**2)) > 0.05 * mean)
    rate = 1 / (Fraction(median if variable else mean) * base)
    if average and abs(average / rate - 1) <= Fraction(1, 100):
        return average, variable
    whole = Fraction(round(rate))  # taken if within one tick over the whole length
    if whole and abs(whole / rate - 1) <= min(Fraction(1, 100), 1 / Fraction(regular.sum())):
        return whole, variable
    if rate < 1:
        return 1 / (1 / rate).limit_denominator(1001), variable
    return rate.limit_denominator(1001), variable
