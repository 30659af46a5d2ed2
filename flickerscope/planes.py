"""The planes of a video as it runs: their last frames at every scale, and how the picture looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from flickerscope.errors import InputError
from flickerscope.grid import BlockGrid, FrameBuffer, grid_shape
from flickerscope.settings import Settings
from flickerscope.source import Plane

__all__ = ["PictureStatistics", "PlaneBuffers"]

PICTURE_ROWS: Final = 144
SAMPLE_ROWS: Final = 256


class PlaneBuffers:
    """One plane of a video: the part of it to measure, and its last frames at every scale."""

    def __init__(
        self, plane: Plane, luma: Plane, settings: Settings, capacity: int, device: torch.device
    ) -> None:
        self.plane = plane
        self.rows, self.columns = _crop(plane, luma, settings)
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        self.dtype = torch.float64 if plane.dtype == torch.float64 else torch.float32
        self.grid = BlockGrid(height, width, dtype=self.dtype, device=device)
        cells = self.grid.shape[0] * self.grid.shape[1]
        # Pixels are kept only where they are measured: they are what takes the memory.
        pixels = height * width if "pixel" in settings.scales else 0
        self.buffers = {
            "pixel": FrameBuffer(capacity, pixels, dtype=plane.dtype, device=device),
            "block": FrameBuffer(capacity, cells, dtype=self.dtype, device=device),
            "global": FrameBuffer(capacity, 1, dtype=self.dtype, device=device),
        }
        self.keeps_pixels = pixels > 0

    @property
    def bytes(self) -> int:
        """Of all buffers when full."""
        return sum(buffer.bytes for buffer in self.buffers.values())

    def append(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take a frame's plane; returns it, cropped, and its block grid in code values."""
        part = samples[self.rows, self.columns]
        if self.keeps_pixels:
            part = self.buffers["pixel"].append(part)
        blocks = self.grid.average(part).mul_(self.plane.scale).add_(self.plane.offset)
        self.buffers["block"].append(blocks)
        self.buffers["global"].append(blocks.mean().view(1))
        return part, blocks


def _crop(plane: Plane, luma: Plane, settings: Settings) -> tuple[slice, slice]:
    crop = settings.crop_box
    if crop is None:
        return slice(0, plane.height), slice(0, plane.width)
    if crop.left + crop.width > luma.width or crop.top + crop.height > luma.height:
        raise InputError(
            f"crop {settings.crop} reaches beyond the picture of {luma.width}x{luma.height}"
        )

    def scaled(start: int, length: int, full: int, own: int) -> slice:
        first = start * own // full
        return slice(first, max(first + 1, -(-(start + length) * own // full)))

    return (
        scaled(crop.top, crop.height, luma.height, plane.height),
        scaled(crop.left, crop.width, luma.width, plane.width),
    )


@dataclass(slots=True)
class PictureStatistics:
    """Brightness, contrast and sharpness from a frame in every eight."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0
    gradient: float = 0.0
    clipped: float = 0.0
    picture: npt.NDArray[np.uint8] | None = None

    def add(self, samples: torch.Tensor, plane: Plane) -> None:
        """Take a frame's luma, (height, width)."""
        if self.picture is None:
            self.picture = _small_picture(_code_values(samples, plane))
        x = _code_values(_some_rows(samples), plane)
        self.count += 1
        self.mean += float(x.mean())
        self.variance += float(x.var(correction=0))
        steps = x.diff(dim=1), x.diff(dim=2)
        self.gradient += sum(float(step.square().mean()) for step in steps if step.numel())
        self.clipped += float(((x <= 0.5) | (x >= 254.5)).float().mean())


def _some_rows(samples: torch.Tensor) -> torch.Tensor:
    """All rows in one group, or some pairs of rows of a large picture, (groups, rows, columns)."""
    height, width = samples.shape
    if height < 3 * SAMPLE_ROWS:
        return samples[None]
    # An odd number, as the pairs of an enlarged picture differ between even and odd rows.
    every = height // SAMPLE_ROWS | 1
    groups = samples[: height // every * every].reshape(-1, every, width)
    return groups[:, :2]


def _code_values(samples: torch.Tensor, plane: Plane) -> torch.Tensor:
    kind = torch.float64 if plane.dtype == torch.float64 else torch.float32
    return samples.to(kind, copy=True).mul_(plane.scale).add_(plane.offset)


def _small_picture(x: torch.Tensor) -> npt.NDArray[np.uint8]:
    height, width = x.shape
    rows, columns = grid_shape(height, width, PICTURE_ROWS)
    small = torch.nn.functional.adaptive_avg_pool2d(x[None, None], (rows, columns))[0, 0]
    return small.round().clamp(0, 255).to(torch.uint8).cpu().numpy()
