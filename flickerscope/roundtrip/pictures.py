"""RGB pictures of a video, as an autoencoder takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
from torch.nn import functional

from flickerscope.align import take
from flickerscope.errors import InputError
from flickerscope.inputs.source import Frame, Plane, Source
from flickerscope.settings import FrameRange

__all__ = ["WEIGHTS", "matrix_of", "rgb_frames"]

WEIGHTS: Final = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
}
"""Shares of red and blue in the luma, by the name of the matrix (ITU-T H.273)."""


def matrix_of(source: Source) -> tuple[str, str | None]:
    """The matrix of a source's colours, and a note where it is a guess.

    Raises:
        InputError: colours that are no weighted sums of red, green and blue.
    """
    info = source.info
    if info.matrix in WEIGHTS:
        return info.matrix, None
    if info.matrix is not None:
        raise InputError(
            f"{info.path}: colours by {info.matrix} cannot be brought to RGB here; allowed are "
            f"{', '.join(WEIGHTS)}: convert it first"
        )
    if len(source.planes) == 1:
        return "bt709", None  # gray
    guess = "bt709" if info.height >= 720 else "smpte170m"
    return guess, f"matrix of the colours not tagged: taken as {guess}"


def rgb_frames(
    source: Source, matrix: str, frames: FrameRange, size: tuple[int, int] | None
) -> Iterator[torch.Tensor]:
    """The frames, (3, height, width) each, float32 in 0..1 on the host.

    Args:
        source: luma alone, or with Cb and Cr.
        matrix: a name in `WEIGHTS`.
        frames: which of them.
        size: rows and columns to resize to, by antialiased bicubic interpolation.
    """
    for frame in take(source.frames(), frames):
        picture = _rgb(frame, source.planes, matrix)
        if size is not None and picture.shape[-2:] != size:
            picture = functional.interpolate(
                picture[None], size, mode="bicubic", antialias=True, align_corners=False
            )[0]
        yield picture.clamp_(0, 1)


def _rgb(frame: Frame, planes: tuple[Plane, ...], matrix: str) -> torch.Tensor:
    luma, *chroma = (
        _codes(samples, plane) for samples, plane in zip(frame.planes, planes, strict=True)
    )
    if not chroma:
        return (luma / 255).expand(3, -1, -1).clone()
    if chroma[0].shape != luma.shape:
        chroma = [
            functional.interpolate(x[None, None], luma.shape, mode="bilinear", align_corners=False)[
                0, 0
            ]
            for x in chroma
        ]
    cb, cr = (x - 128 for x in chroma)
    red, blue = WEIGHTS[matrix]
    r = luma + 2 * (1 - red) * cr
    b = luma + 2 * (1 - blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return torch.stack([r, g, b]) / 255


def _codes(samples: torch.Tensor, plane: Plane) -> torch.Tensor:
    """Full-range code values, float32, on the host."""
    return samples.to("cpu", torch.float32).mul(plane.scale).add(plane.offset)
