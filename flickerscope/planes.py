"""The planes of a video as it runs: their last frames at every scale, and how the picture looks."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flickerscope.compiled.door import COMPILED, as_array, takes
from flickerscope.grid import AreaGrid, FrameBuffer, grid_shape
from flickerscope.inputs.source import Plane
from flickerscope.settings import Settings

__all__ = ["BlockSums", "Look", "PlaneBuffers", "small_picture"]

PICTURE_ROWS: Final = 144
SAMPLE_ROWS: Final = 256
AT_ONCE: Final = 32  # block grids
THUMB: Final = 8  # rows and columns of the smallest pictures


class PlaneBuffers:
    """One plane of a video: the part of it to measure, and its last frames at every scale."""

    def __init__(
        self, plane: Plane, luma: Plane, settings: Settings, capacity: int, device: torch.device
    ) -> None:
        self.plane = plane
        self.rows, self.columns = _crop(plane, luma, settings)
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        self.dtype = torch.float64 if plane.dtype == torch.float64 else torch.float32
        self.shape = height, width
        self.device = device
        shape = grid_shape(height, width, aspect=plane.aspect)
        self.grid = self._new_grid(shape)
        # Pixels are kept only where they are measured: they are what takes the memory.
        self.keeps_pixels = "pixel" in settings.scales
        pixels = self.shape if self.keeps_pixels else (0,)
        self.buffers = {
            "pixel": FrameBuffer(capacity, pixels, dtype=plane.dtype, device=device),
            "block": FrameBuffer(capacity, shape, dtype=self.dtype, device=device),
            "global": FrameBuffer(capacity, (), dtype=self.dtype, device=device),
        }
        self._last = torch.empty(0, 0, device=device)
        self.small: AreaGrid | None = None
        """Makes the small pictures on which motion is measured, where that is wanted."""

    @staticmethod
    def cells(plane: Plane, luma: Plane, settings: Settings) -> int:
        """Pixels of a plane that are measured."""
        rows, columns = _crop(plane, luma, settings)
        return int((rows.stop - rows.start) * (columns.stop - columns.start))

    def append(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take a frame's plane; returns it, cropped, and its block grid in code values."""
        part = samples[self.rows, self.columns]
        if self.keeps_pixels:
            part = self.buffers["pixel"].append(part)
        self._last = part
        blocks = self.grid.average(part)
        self.buffers["block"].append(blocks)
        self.buffers["global"].append(blocks.mean())
        return part, blocks

    def make_small(self, shape: tuple[int, int]) -> None:
        """Have `small_picture` make pictures of this many rows and columns."""
        self.small = self._new_grid(shape)

    def small_picture(self) -> torch.Tensor:
        """The last frame as a small picture, code values."""
        if self.small is None:
            raise RuntimeError("no size was given for small pictures")
        return self.small.average(self._last)

    def _new_grid(self, shape: tuple[int, int]) -> AreaGrid:
        """Averages of the plane in full-range code values."""
        return AreaGrid(
            *self.shape,
            shape,
            dtype=self.dtype,
            device=self.device,
            scale=self.plane.scale,
            offset=self.plane.offset,
        )


def _crop(plane: Plane, luma: Plane, settings: Settings) -> tuple[slice, slice]:
    crop = settings.crop_box
    if crop is None:
        return slice(0, plane.height), slice(0, plane.width)

    def scaled(start: int, length: int, full: int, own: int) -> slice:
        every = max(1, round(full / own))  # pixels of luma a sample
        first = min(start // every, own - 1)
        return slice(first, min(own, -(-(start + length) // every)))

    return (
        scaled(crop.top, crop.height, luma.height, plane.height),
        scaled(crop.left, crop.width, luma.width, plane.width),
    )


class BlockSums:
    """What the block grids of a video are on the whole, summed up some at a time."""

    def __init__(self) -> None:
        self._last: list[torch.Tensor] = []
        self._summed = 0
        self._total = torch.zeros((), dtype=torch.float64, device="cpu")
        self._thumbs: list[torch.Tensor] = []

    def add(self, blocks: torch.Tensor) -> float:
        """Take the next frame's; returns its change.

        Args:
            blocks: (rows, columns) or (channels, rows, columns), on the host.

        Returns:
            Mean absolute difference to the frame before; 0 of the first.
        """
        change = float((blocks - self._last[-1]).abs_().mean()) if self._last else 0.0
        if len(self._last) == AT_ONCE:
            self._sum_up()
        self._last.append(blocks)
        return change

    def mean(self) -> npt.NDArray[np.float64]:
        """Over the frames, when all have been added."""
        self._sum_up()
        return np.asarray((self._total / max(1, self._summed)).numpy())

    def pictures(self) -> npt.NDArray[Any]:
        """All frames in a few cells, (frames, cells), when all have been added."""
        self._sum_up()
        return np.asarray(torch.cat(self._thumbs).numpy())

    def _sum_up(self) -> None:
        if not self._last:
            return
        blocks, self._last = torch.stack(self._last), []
        self._summed += len(blocks)
        self._total = self._total + blocks.sum(0, dtype=torch.float64)
        rows, columns = blocks.shape[-2:]
        few = min(THUMB, rows), min(THUMB, columns)
        grid = AreaGrid(rows, columns, few, dtype=blocks.dtype, device=blocks.device)
        self._thumbs.append(grid.average(blocks).flatten(1))


class Look:
    """How one frame's luma looks: brightness, contrast, sharpness."""

    def __init__(self, samples: torch.Tensor, plane: Plane) -> None:
        """``samples``: (height, width); they must not change until `measure` is done."""
        self._samples, self._plane = samples, plane
        self.mean = self.variance = self.gradient = self.clipped = 0.0

    def measure(self) -> None:
        """Fill in the values, in code values."""
        scale, offset = self._plane.scale, self._plane.offset
        ends = (0.5 - offset) / scale, (254.5 - offset) / scale
        groups = _some_rows(self._samples)
        look = _look_compiled if takes(groups, kinds=COMPILED) else _look
        mean, variance, steps, self.clipped = look(groups, *ends)
        self.mean = scale * mean + offset
        self.variance = scale**2 * variance
        # Scaled before they are squared: the squares of large samples are too large.
        self.gradient = sum((scale * step) ** 2 for step in steps)
        self._samples = torch.empty(0, device="cpu")  # the values stay, the pixels must not


_Moments = tuple[float, float, tuple[float, ...], float]
"""Mean, variance, root mean square of the steps across and down, and the clipped share."""


def _look(groups: torch.Tensor, low: float, high: float) -> _Moments:
    """Of samples, (groups, rows, columns); ``low`` and ``high``: from which on they are clipped."""
    x = groups if groups.dtype == torch.float64 else groups.to(torch.float32)
    steps = x.diff(dim=2), x.diff(dim=1)
    clipped = torch.count_nonzero(x <= low) + torch.count_nonzero(x >= high)
    return (
        float(x.mean()),
        float(x.var(correction=0)),
        tuple(float(torch.linalg.vector_norm(s)) / max(1, s.numel()) ** 0.5 for s in steps),
        float(clipped) / x.numel(),
    )


def _look_compiled(groups: torch.Tensor, low: float, high: float) -> _Moments:
    """The same, summed in double precision."""
    from flickerscope.compiled.look import sum_looks

    count, height, width = groups.shape
    sums = np.zeros((5, width))
    samples = as_array(groups)
    sum_looks(samples, low, high, sums)
    total, squares, across, down, clipped = (float(x) for x in sums.sum(1))
    mean = total / groups.numel()
    return (
        float(samples.flat[0]) + mean,
        squares / groups.numel() - mean**2,
        (
            (across / max(1, count * height * (width - 1))) ** 0.5,
            (down / max(1, count * (height - 1) * width)) ** 0.5,
        ),
        clipped / groups.numel(),
    )


def small_picture(samples: torch.Tensor, plane: Plane) -> npt.NDArray[np.uint8]:
    """The luma of a frame in 144 rows, rounded to code values."""
    height, width = samples.shape
    grid = AreaGrid(
        height,
        width,
        grid_shape(height, width, PICTURE_ROWS, aspect=plane.aspect),
        dtype=torch.float64 if plane.dtype == torch.float64 else torch.float32,
        device=samples.device,
        scale=plane.scale,
        offset=plane.offset,
    )
    return grid.average(samples).round_().clamp_(0, 255).to(torch.uint8).cpu().numpy()


def _some_rows(samples: torch.Tensor) -> torch.Tensor:
    """All rows in one group, or some pairs of rows of a large picture, (groups, rows, columns)."""
    height, width = samples.shape
    if height < 3 * SAMPLE_ROWS:
        return samples[None]
    # An odd number, as the pairs of an enlarged picture differ between even and odd rows.
    every = height // SAMPLE_ROWS | 1
    groups = samples[: height // every * every].reshape(-1, every, width)
    return groups[:, :2]
