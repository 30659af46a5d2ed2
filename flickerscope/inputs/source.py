"""What every source of frames looks like, whether a file, a folder or a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import torch

__all__ = ["Frame", "Plane", "Source", "VideoInfo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """How samples become full-range 8-bit code values: ``scale * sample + offset``."""

    name: str
    """``y``, ``cb`` or ``cr``."""
    height: int
    """Rows."""
    width: int
    """Columns."""
    dtype: torch.dtype
    """Of the samples: uint8 or uint16 as decoded, float32 or float64 for arrays."""
    scale: float
    """Code values (0..255, full range) a sample step."""
    offset: float
    """Code value of sample 0; chroma is centred on 128."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What is known of a video besides its samples. ``None``: not known, or not a file."""

    path: str
    """As the user gave it; ``array`` for arrays and tensors."""
    width: int
    """Columns of the luma plane."""
    height: int
    """Rows of the luma plane."""
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
    """Whether a frame holds two fields, which were taken one after the other."""
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


class Source(Protocol):
    """A video that can be read from the start any number of times, one frame at a time."""

    @property
    def info(self) -> VideoInfo:
        """Description; known before the first frame is read."""

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Luma first, then Cb and Cr where they were asked for."""

    def frames(self) -> Iterator[Frame]:
        """All frames in the order of their presentation; raises `InputError`."""

    def problems(self) -> tuple[str, ...]:
        """What went wrong in the last reading without ending it, one sentence each."""
