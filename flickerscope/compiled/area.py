"""Area averages of pictures, for integers and float32 on the CPU; their door is grid.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flickerscope.compiled.jit import compiled

__all__ = ["average_areas"]


@compiled(*(f"void({kind}[:,:,::1], f4[:,:,::1])" for kind in ("u1", "u2", "f4")))
def average_areas(pictures: npt.NDArray[Any], means: npt.NDArray[np.float32]) -> None:
    """Means over equal cells, fractional where the ratio of the sizes is no integer.

    Args:
        pictures: (N, H, W).
        means: (N, rows, columns), becomes the result.
    """
    count, height, width = pictures.shape
    rows, columns = means.shape[1:]
    share = np.float32(rows * columns / (height * width))
    line = np.empty(width, np.float32)
    for n in range(count):
        for row in range(rows):
            top, bottom = row * height / rows, (row + 1) * height / rows
            line[:] = np.float32(0)
            for y in range(int(top), min(int(np.ceil(bottom)), height)):
                weight = np.float32(min(bottom, y + 1) - max(top, y))
                picture = pictures[n, y]
                for x in range(width):
                    line[x] += weight * np.float32(picture[x])
            for column in range(columns):
                left, right = column * width / columns, (column + 1) * width / columns
                first, last = int(left), min(int(np.ceil(right)), width) - 1
                total = np.float32(min(right, first + 1) - left) * line[first]
                for x in range(first + 1, last):
                    total += line[x]
                if last > first:
                    total += np.float32(right - last) * line[last]
                means[n, row, column] = total * share
