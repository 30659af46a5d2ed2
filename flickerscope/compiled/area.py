"""Area averages of pictures, for integers and float32 on the CPU; their door is grid.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flickerscope.compiled.jit import compiled, part

__all__ = ["average_areas"]

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@part
def _places(length: int, cells: int, first: Indices, shares: Floats) -> None:
    """The samples of a row that equal cells of it lie over.

    Args:
        length: of the row, samples.
        cells: how many there are.
        first: (cells,), becomes the first sample of each.
        shares: (cells, taps), becomes how much of that and of the following ones it holds, 0..1.
    """
    for cell in range(cells):
        left, right = cell * length / cells, (cell + 1) * length / cells
        first[cell] = int(left)
        for k in range(shares.shape[1]):
            x = first[cell] + k
            shares[cell, k] = np.float32(max(0.0, min(right, x + 1) - max(left, x)))


@compiled(*(f"void({kind}[:,:,::1], f4, f4, f4[:,:,::1])" for kind in ("u1", "u2", "f4")))
def average_areas(pictures: npt.NDArray[Any], scale: float, offset: float, means: Floats) -> None:
    """Means over equal cells, fractional where the ratio of the sizes is no integer.

    Args:
        pictures: (N, H, W), finite numbers.
        scale: what the means are multiplied by.
        offset: what is then added.
        means: (N, rows, columns), becomes the result.
    """
    count, height, width = pictures.shape
    rows, columns = means.shape[1:]
    share = np.float32(rows * columns / (height * width))
    # As many samples for all cells, some of them without a share: a loop of varying length is
    # guessed wrong at each of its ends.
    taps = -(-width // columns) + 1
    first, shares = np.empty(columns, np.int64), np.empty((columns, taps), np.float32)
    _places(width, columns, first, shares)
    flat = shares.reshape(-1)
    line = np.zeros(width + taps, np.float32)
    for n in range(count):
        for row in range(rows):
            top, bottom = row * height / rows, (row + 1) * height / rows
            for x in range(width):
                line[x] = np.float32(0)
            for y in range(int(top), min(int(np.ceil(bottom)), height)):
                weight = np.float32(min(bottom, y + 1) - max(top, y))
                picture = pictures[n, y]
                for x in range(width):
                    line[x] += weight * np.float32(picture[x])
            for column in range(columns):
                total = np.float32(0)
                near, own = np.uint64(first[column]), np.uint64(column * taps)
                for k in range(np.uint64(taps)):
                    total += flat[own + k] * line[near + k]
                means[n, row, column] = total * share * scale + offset
