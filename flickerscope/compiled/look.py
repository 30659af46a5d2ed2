"""Brightness, contrast and sharpness of a picture; their door is planes.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from flickerscope.compiled.jit import compiled

__all__ = ["sum_looks"]


@compiled(*(f"void({kind}[:,:,::1], f4, f4, f8[:,::1])" for kind in ("u1", "u2", "f4")))
def sum_looks(
    groups: npt.NDArray[Any], low: float, high: float, sums: npt.NDArray[np.float64]
) -> None:
    """Sums over rows, from which mean, variance and gradient follow.

    Args:
        groups: (groups, rows, columns), samples.
        low: samples down to this one count as clipped.
        high: samples from this one up do too.
        sums: (5, columns), zeros, to which is added: the samples less the first one, so that a
            flat picture has no variance; their squares; the squared steps across, from the sample
            before; those down, from the sample above; how many are clipped.
    """
    count, height, width = groups.shape
    first = np.float64(groups[0, 0, 0])
    for group in range(count):
        for y in range(height):
            row = groups[group, y]
            for x in range(width):
                value = np.float64(row[x]) - first
                sums[0, x] += value
                sums[1, x] += value * value
                sums[4, x] += (np.float32(row[x]) <= low) | (np.float32(row[x]) >= high)
            for x in range(1, width):
                step = np.float64(row[x]) - np.float64(row[x - 1])
                sums[2, x] += step * step
            if y == 0:
                continue
            above = groups[group, y - 1]
            for x in range(width):
                step = np.float64(row[x]) - np.float64(above[x])
                sums[3, x] += step * step
