"""What every source of frames looks like, whether a file, a folder or a tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol

import torch

from flickerscope.errors import InputError, SettingsError

__all__ = [
    "MOST_PIXELS",
    "Described",
    "FileOptions",
    "Frame",
    "Plane",
    "Source",
    "Strict",
    "VideoInfo",
]

MOST_PIXELS: Final = 1 << 27
"""Of a frame, unless more are allowed: what 15360 x 8640 has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How video files are read."""

    stream: int = 0
    """Which of the video streams, cover art not counted, from 0 on."""
    max_pixels: int = MOST_PIXELS
    """A video whose frames have more is refused before it takes memory."""
    strict: bool = False
    """Refuse a damaged video instead of measuring what decodes."""
    timeout: float | None = None
    """Seconds that the decoder may take for one reading; it then runs in a process of its own."""
    isolate: bool = False
    """Decode in a process of its own, with or without a time limit."""

    def __post_init__(self) -> None:
        if self.stream < 0:
            raise SettingsError(f"stream: 0 or more, got {self.stream}")
        if self.max_pixels < 1:
            raise SettingsError(f"max_pixels: 1 or more, got {self.max_pixels}")
        if self.timeout is not None and not 0 < self.timeout < math.inf:
            raise SettingsError(f"timeout: a positive number of seconds, got {self.timeout}")

    @property
    def chosen(self) -> dict[str, int]:
        """What was asked for that not every input has."""
        found = {"stream": self.stream} if self.stream else {}
        return found | ({} if self.max_pixels == MOST_PIXELS else {"max_pixels": self.max_pixels})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """How samples become full-range 8-bit code values: ``scale * sample + offset``."""

    name: str
    """``y``, ``cb`` or ``cr``; of a latent ``c0``, ``c1`` and so on, or ``all`` of a single one."""
    height: int
    """Rows."""
    width: int
    """Columns."""
    dtype: torch.dtype
    """Of the samples: uint8 or uint16 as decoded, float32 or float64 for arrays."""
    scale: float
    """Code values (0..255, full range) a sample step; of a latent, its own units."""
    offset: float
    """Code value of sample 0; chroma is centred on 128, latents are as they are."""
    aspect: float = 1.0
    """Width of a luma sample over its height, as the picture is to be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What is known of a video besides its samples. ``None``: not known, or not a file."""

    path: str
    """As the user gave it; ``array`` for arrays and tensors."""
    width: int
    """Columns of the luma plane, upright."""
    height: int
    """Rows of the luma plane, upright; of one field where the video is interlaced."""
    rate: Fraction | None
    """Frames a second."""
    container: str | None = None
    codec: str | None = None
    pixel_format: str | None = None
    bits: int | None = None
    """Of a sample as stored."""
    range: str | None = None
    """``full`` or ``limited``, as the samples were taken; a guess is said in ``notes``."""
    matrix: str | None = None
    """Of the luma, such as ``bt709``."""
    transfer: str | None = None
    """Such as ``bt709``, ``smpte2084`` (PQ), ``arib-std-b67`` (HLG)."""
    primaries: str | None = None
    promised_frames: int | None = None
    """Frames that the container says it holds."""
    variable_rate: bool = False
    """Whether the spacing of the timestamps varies by more than 5 % (few gaps aside)."""
    interlaced: bool = False
    """Whether a frame holds two fields, taken one after the other: only the upper one is read."""
    rotation: int = 0
    """Degrees, counter-clockwise, by which the stored picture was turned upright."""
    aspect: float = 1.0
    """Width of a pixel over its height, as the picture is to be shown."""
    channels: int | None = None
    """Of a latent; ``None``: a video."""
    deviation: float | None = None
    """Standard deviation of a latent's values from the means of their channels."""
    notes: tuple[str, ...] = ()
    """What was assumed or converted, one sentence each."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a video."""

    time: Fraction
    """Seconds, or the frame's index where there is no clock."""
    planes: tuple[torch.Tensor, ...]
    """``(height, width)`` each, in the order of ``Source.planes``; on the host, possibly strided
    and sharing memory with the decoder, so never written to."""
    key: bool = False
    """Whether it is a key frame of its stream."""


class Described:
    """A source that knows what it is once it is made: what is alike in all of them."""

    _info: VideoInfo
    _planes: tuple[Plane, ...]

    @property
    def info(self) -> VideoInfo:
        """Description; known before the first frame is read."""
        return self._info

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Luma, then Cb and Cr where they were asked for; or the channels of a latent."""
        return self._planes


class Strict(Described):
    """A source of which the first sign of damage is an error."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._info, self._planes = source.info, source.planes

    def frames(self) -> Iterator[Frame]:
        """All frames, or `InputError` as soon as something of them is known to be lost."""
        for frame in self._source.frames():
            self._check()
            yield frame
        self._check()

    def problems(self) -> tuple[str, ...]:
        """What went wrong in the last reading, one sentence each."""
        return self._source.problems()

    def lost(self) -> int | None:
        """Frames that damage took from the last reading; ``None``: it is not damaged."""
        return self._source.lost()

    def _check(self) -> None:
        if self.lost() is not None:
            found = "; ".join(self.problems())
            raise InputError(
                f"{self.info.path}: damaged: {found}; without --strict the rest counts"
            )


class Source(Protocol):
    """A video that can be read from the start any number of times, one frame at a time."""

    @property
    def info(self) -> VideoInfo:
        """Description; known before the first frame is read."""

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Luma first, then Cb and Cr where they were asked for; or the channels of a latent."""

    def frames(self) -> Iterator[Frame]:
        """All frames in the order of their presentation; raises `InputError`."""

    def problems(self) -> tuple[str, ...]:
        """What went wrong in the last reading without ending it, one sentence each."""

    def lost(self) -> int | None:
        """Frames that damage took from the last reading; ``None``: it is not damaged."""
