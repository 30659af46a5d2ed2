"""Folders and globs of pictures as sources of frames."""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from flickerscope.errors import InputError
from flickerscope.inputs.rate import FrameRate, rate_of
from flickerscope.inputs.source import Described, FileOptions, Frame, VideoInfo
from flickerscope.order import natural_order
from flickerscope.settings import Planes
from flickerscope.suffixes import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from flickerscope.video import VideoFile

__all__ = ["ImageSequence", "is_image_sequence"]

_SAME: Final = {".jpeg": ".jpg", ".tiff": ".tif"}


def is_image_sequence(path: str) -> bool:
    """Whether a path is a folder, or a pattern such as ``frames/*.png`` and no file's name."""
    return os.path.isdir(path) or (glob.has_magic(path) and not os.path.lexists(path))


class ImageSequence(Described):
    """The pictures of a folder, or those whose names fit a pattern, in natural order.

    The last number in a name is the frame's place in time where all names have one that grows;
    numbers that are missing are a gap. Each picture is read as a video of one frame is.
    """

    def __init__(
        self,
        path: str,
        *,
        fps: FrameRate | None = None,
        planes: Planes = "y",
        options: FileOptions | None = None,
    ) -> None:
        self._options = options or FileOptions()
        self._name, self._names = path, planes
        self._rate = rate_of(fps)
        self._paths, notes = _pictures(path)
        self._places, more = _places(self._paths)
        self._lost = 0
        self._marks = 0
        self._formats: Counter[str] = Counter()
        self._trouble: str | None = None
        first = self._first()
        self._planes = first.planes
        self._info = replace(
            first.info,
            path=path,
            rate=self._rate,
            container="images",
            promised_frames=len(self._paths),
            variable_rate=False,
            notes=(*first.info.notes, *notes, *more),
        )

    def frames(self) -> Iterator[Frame]:
        """All pictures that can be read; others are counted, and leave a gap in time."""
        self._lost, self._marks, self._trouble = 0, 0, None
        self._formats = Counter()
        for path, place in zip(self._paths, self._places, strict=True):
            try:
                picture = self._open(path)
                frame = next(picture.frames())
            except InputError as error:
                self._lost += 1
                self._trouble = self._trouble or str(error)
                continue
            if picture.planes != self._planes:
                raise InputError(self._mismatch(path, picture))
            if picture.problems():
                self._marks += 1
            if picture.info.pixel_format != self._info.pixel_format:
                self._formats[str(picture.info.pixel_format)] += 1
            time = Fraction(place) / self._rate if self._rate else Fraction(place)
            yield Frame(time, frame.planes)

    def lost(self) -> int | None:
        """Pictures that could not be read; ``None``: all are sound."""
        return self._lost if self._lost or self._marks else None

    def problems(self) -> tuple[str, ...]:
        """What went wrong in the last reading, one sentence each."""
        total, found = len(self._paths), []
        if self._lost:
            found.append(
                f"{self._lost} of {total} frames could not be decoded (first error: "
                f"{self._trouble})"
            )
        if self._marks:
            found.append(f"{self._marks} of {total} decoded frames marked as damaged")
        found += [
            f"{count} of {total} pictures stored as {other}, the first as "
            f"{self._info.pixel_format}; all were read alike"
            for other, count in sorted(self._formats.items())
        ]
        return tuple(found)

    def _open(self, path: str) -> VideoFile:
        from flickerscope.video import VideoFile  # arrays work without PyAV

        limits = FileOptions(max_pixels=self._options.max_pixels)
        return VideoFile(path, planes=self._names, threads=1, options=limits)

    def _first(self) -> VideoFile:
        """The first picture that can be read."""
        trouble: InputError | None = None
        for path in self._paths:
            try:
                return self._open(path)
            except InputError as error:
                trouble = trouble or error
        raise InputError(f"{self._name}: none of its pictures can be read: {trouble}") from trouble

    def _mismatch(self, path: str, picture: VideoFile) -> str:
        """What a picture is that those before it are not."""
        pairs = zip(_looks(picture.info), _looks(self._info), strict=True)
        here, before = next(
            (pair for pair in pairs if pair[0] != pair[1]), ("of another kind", "alike")
        )
        return f"{path}: is {here}, the pictures before it are {before}; give frames of one kind"


def _looks(info: VideoInfo) -> tuple[str, ...]:
    """What is alike in all pictures of a video, in words."""
    return (
        f"{info.width}x{info.height}",
        str(info.pixel_format),
        f"of {info.range} range",
        f"of pixels {info.aspect:.17g} times as wide as high",
    )


def _pictures(path: str) -> tuple[list[str], list[str]]:
    """Pictures in natural order, and notes on what was left out."""
    try:
        if os.path.isdir(path):
            found = [os.path.join(path, name) for name in os.listdir(path) if name[0] != "."]
        else:
            found = glob.glob(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    files = [name for name in found if os.path.isfile(name)]
    pictures = sorted((n for n in files if n.lower().endswith(IMAGE_SUFFIXES)), key=natural_order)
    if not pictures:
        missing = "no such file, and no picture has such a name"
        where = "holds no pictures" if os.path.isdir(path) else missing
        raise InputError(f"{path}: {where}; allowed are {', '.join(s[1:] for s in IMAGE_SUFFIXES)}")
    suffixes = Counter(os.path.splitext(name)[1] for name in pictures)
    kinds = sorted({_SAME.get(k, k) for k in map(str.lower, suffixes)})
    if len(kinds) > 1:
        folder = glob.escape(path) if os.path.isdir(path) else os.path.dirname(path)
        pattern = os.path.join(folder, "*" + suffixes.most_common(1)[0][0])
        raise InputError(
            f"{path}: holds pictures of several kinds ({', '.join(k[1:] for k in kinds)}); choose "
            f"one by a pattern such as {shlex.quote(pattern)}"
        )
    others = len(files) - len(pictures)
    notes = [f"{others} file{'' if others == 1 else 's'} beside the pictures ignored"]
    return pictures, notes if others else []


def _places(paths: Sequence[str]) -> tuple[list[int], list[str]]:
    """Each picture's place in time, counted in frames, and a note where numbers are missing."""
    inorder = list(range(len(paths)))
    found = [re.findall("[0-9]+", os.path.splitext(os.path.basename(path))[0]) for path in paths]
    if len(paths) < 2 or not all(found):
        return inorder, []
    numbers = [int(digits[-1]) for digits in found]
    steps = [b - a for a, b in pairwise(numbers)]
    usual = sorted(steps)[len(steps) // 2]  # every fourth frame of a video has no gap after each
    if usual < 1 or any(step < 1 or step % usual for step in steps):
        return inorder, ["numbers in the names grow unevenly: frames taken one after the other"]
    places = [(number - numbers[0]) // usual for number in numbers]
    missing = places[-1] + 1 - len(paths)
    if not missing:
        return places, []
    return places, [f"{missing} of {places[-1] + 1} numbers missing in the names: taken as gaps"]
