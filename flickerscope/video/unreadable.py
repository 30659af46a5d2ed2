"""Why FFmpeg cannot read a file, where its own words do not say."""

from __future__ import annotations

import re
from typing import BinaryIO

from flickerscope.errors import InputError

__all__ = ["check_pixels", "why_unreadable"]

_HEAD = 4096
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
}


def check_pixels(path: str, width: int, height: int, most: int) -> None:
    """Refuse sizes that no memory holds."""
    if width * height > most:
        raise InputError(
            f"{path}: claims {width}x{height}, over the limit of {most} pixels a frame; "
            "raise --max-pixels if that is true"
        )


def why_unreadable(path: str, most: int) -> str | None:
    """What is wrong with a file that FFmpeg refuses, and what to do; raises as `check_pixels`."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            unfinished = head[4:8] == b"ftyp" and not _has_index(file)
    except OSError:
        return None
    for magic, kind in _PACKED.items():
        if head.startswith(magic):
            return f"is compressed by {kind}; unpack it first"
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not a video; fetch the video itself"
    if head.startswith(b"YUV4MPEG2 "):
        width, height = (_number(side, head) for side in (b"W", b"H"))
        check_pixels(path, width, height, most)
        if min(width, height) < 1:
            return f"claims {width}x{height}, which is no size of a picture; is it damaged?"
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20:21] and head[20] & 2:
        return (
            "is an animated WebP, which this FFmpeg cannot decode; convert it to a GIF or to a "
            "folder of pictures"
        )
    if unfinished:
        return "lacks its index (moov): it is cut off, or was never finished; fetch it again"
    return None


def _number(letter: bytes, head: bytes) -> int:
    """Of a letter in the first line of a Y4M file; 0 where it is missing."""
    found = re.search(rb" " + letter + rb"(-?\d{1,18})\b", head.split(b"\n")[0])
    return int(found[1]) if found else 0


def _has_index(file: BinaryIO) -> bool:
    """Whether an MP4 file has a whole moov, or a moof, among its outermost boxes."""
    position, end = 0, file.seek(0, 2)
    while True:
        file.seek(position)
        header = file.read(16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if kind in (b"moov", b"moof"):
            return position + size <= end
        if size < 8 or len(header) < 8:
            return False
        position += size
