"""The small pictures on which motion is measured."""

from __future__ import annotations

from typing import Final

import torch
from torch.nn import functional

from flickerscope.grid import AreaGrid
from flickerscope.motion.filters import halve

__all__ = ["DETAIL", "ROWS", "picture_scale", "picture_shape", "shrink", "small_pictures"]

ROWS: Final = 72
"""Short side of the pictures in which flicker is measured, pixels."""

DETAIL: Final = 144
"""Short side of those in which the texture is."""


def small_pictures(frames: torch.Tensor, rows: int = ROWS) -> torch.Tensor:
    """Exact area averages with a short side of ``rows``, (..., H, W) to (..., h, w).

    ``rows``: 72 or a multiple of it. Pictures that are smaller stay as they are. Integers become
    float32.
    """
    if not frames.is_floating_point():
        frames = frames.float()
    height, width = frames.shape[-2:]
    shape = picture_shape(height, width, max(1, rows // ROWS))
    if shape == (height, width):
        return frames
    grid = AreaGrid(height, width, shape, dtype=frames.dtype, device=frames.device)
    return grid.average(frames)


def picture_shape(
    height: int, width: int, scale: int = 1, *, aspect: float = 1.0
) -> tuple[int, int]:
    """Rows and columns of the small picture, ``scale`` times those at 72 on the short side.

    ``aspect``: width of a pixel over its height; those of the small picture are square.
    """
    shown = width * aspect
    short = min(height, shown)
    if short < ROWS * scale:
        return height, width
    return scale * round(ROWS * height / short), scale * round(ROWS * shown / short)


def picture_scale(height: int, width: int, rows: int) -> int:
    """How many times 72 rows a picture can give where ``rows`` (72, 144, 288) are wanted."""
    scale = rows // ROWS
    while scale > 1 and min(height, width) < ROWS * scale:
        scale //= 2
    return scale


def shrink(x: torch.Tensor, every: int) -> torch.Tensor:
    """Means of ``every`` x ``every`` pixels, (..., H, W) to (..., H / every, W / every)."""
    if every == 1:
        return x
    if every == 2:
        return halve(x)
    small = functional.avg_pool2d(x.reshape(-1, 1, *x.shape[-2:]), every)
    return small.view(*x.shape[:-2], *small.shape[-2:])
