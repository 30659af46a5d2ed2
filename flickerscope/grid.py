"""Small pictures of large ones: exact area averages, and buffers that hold the last frames."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Final

import numpy as np
import torch

from flickerscope.compiled.door import COMPILED, as_array, takes

__all__ = ["BLOCK_ROWS", "AreaGrid", "FrameBuffer", "grid_shape"]

BLOCK_ROWS = 64
"""Rows of the block grid, whatever the resolution."""

COLUMNS_AT_ONCE: Final = 32
"""Cells of a row that are averaged by one matrix."""


def grid_shape(
    height: int, width: int, rows: int = BLOCK_ROWS, *, aspect: float = 1.0
) -> tuple[int, int]:
    """Rows and columns of the block grid: 64 rows, columns by aspect, never more than pixels.

    ``aspect``: width of a pixel over its height; blocks are square as the picture is shown.
    """
    rows = min(rows, height)
    return rows, min(width, max(1, round(rows * width * aspect / height)))


class AreaGrid:
    """Area average of pictures over a grid, fractional where the ratio is no integer.

    Times ``scale`` and plus ``offset``, such as those that make code values of samples.
    """

    def __init__(
        self,
        height: int,
        width: int,
        shape: tuple[int, int],
        *,
        dtype: torch.dtype,
        device: torch.device,
        scale: float = 1.0,
        offset: float = 0.0,
    ) -> None:
        self.shape = shape
        self._scale, self._offset = scale, offset
        self._size, self._dtype, self._device = (height, width), dtype, device
        self._groups = math.gcd(height, shape[0])

    @cached_property
    def _down(self) -> torch.Tensor:
        """Averages the rows of one of the groups."""
        # Rows repeat with the period of height and rows: one small matrix does for all groups.
        matrix = _area_matrix(self._size[0] // self._groups, self.shape[0] // self._groups)
        return matrix.to(self._device, self._dtype)

    @cached_property
    def _bands(self) -> list[tuple[slice, torch.Tensor]]:
        """Averages of some neighbouring columns each, and the pixels that they need."""
        # Columns hardly ever repeat, but a few of them need only the pixels near them.
        width, columns = self._size[1], self.shape[1]
        across = _area_matrix(width, columns).T.to(self._device, self._dtype)
        bands = []
        for first in range(0, columns, COLUMNS_AT_ONCE):
            last = min(first + COLUMNS_AT_ONCE, columns)
            near = slice(first * width // columns, -(-last * width // columns))
            bands.append((near, across[near, first:last].contiguous()))
        return bands

    def average(self, pictures: torch.Tensor) -> torch.Tensor:
        """(..., height, width) of any kind of number to (..., rows, columns) of the grid's."""
        *runs, height, width = pictures.shape
        if self._dtype == torch.float32 and takes(pictures, kinds=COMPILED):
            return self._average_compiled(pictures.reshape(-1, height, width)).view(
                *runs, *self.shape
            )
        groups = pictures.to(self._dtype).reshape(
            *runs, self._groups, height // self._groups, width
        )
        down = torch.matmul(self._down, groups).view(*runs, self.shape[0], width)
        means = torch.cat([down[..., near] @ matrix for near, matrix in self._bands], -1)
        return means.mul_(self._scale).add_(self._offset)

    def _average_compiled(self, pictures: torch.Tensor) -> torch.Tensor:
        from flickerscope.compiled.area import average_areas

        means = np.empty((len(pictures), *self.shape), np.float32)
        average_areas(as_array(pictures), self._scale, self._offset, means)
        return torch.from_numpy(means)


def _area_matrix(length: int, cells: int) -> torch.Tensor:
    """Averages ``length`` samples into ``cells`` equal cells, (cells, length), float64."""
    edges = torch.arange(cells + 1, dtype=torch.float64, device="cpu") * length / cells
    samples = torch.arange(length, dtype=torch.float64, device="cpu")
    upper = torch.minimum(edges[1:, None], samples + 1)
    lower = torch.maximum(edges[:-1, None], samples)
    return (upper - lower).clamp(min=0) * cells / length


class FrameBuffer:
    """The last ``capacity`` frames of a sequence, of one shape, by their index in it."""

    def __init__(
        self, capacity: int, shape: tuple[int, ...], *, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._capacity = capacity
        self._frames = torch.empty(capacity, *shape, dtype=dtype, device=device)
        self._rows = self._frames.view(capacity, math.prod(shape))
        self._next = 0

    def append(self, frame: torch.Tensor) -> torch.Tensor:
        """Copy in the next frame; returns the copy."""
        copy = self._frames[self._next % self._capacity]
        copy.copy_(frame)
        self._next += 1
        return copy

    def pieces(self, start: int, frames: int) -> list[torch.Tensor]:
        """Frames ``start`` to ``start + frames``, (frames, cells), in one or two pieces."""
        first = start % self._capacity
        rest = first + frames - self._capacity
        head = self._rows[first : first + frames]
        return [head] if rest <= 0 else [head, self._rows[:rest]]
