"""Histograms of power on a logarithmic axis, as values that add."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

__all__ = [
    "BINS",
    "EDGES",
    "KEYS",
    "count",
    "count_keys",
    "fold",
    "mean_shift_db",
    "wasserstein_db",
]

LOWEST_EXPONENT, HIGHEST_EXPONENT = -15, 15

EDGES: npt.NDArray[np.float64] = np.array(
    [
        math.ldexp(step, exponent)
        for exponent in range(LOWEST_EXPONENT, HIGHEST_EXPONENT + 1)
        for step in (1, 1.25, 1.5, 1.75)
    ]
    + [math.ldexp(1, HIGHEST_EXPONENT + 1)]
)
"""Bin edges in power, code^2: four an octave, from 2^-15 to 2^16."""

BINS = len(EDGES) + 1
"""With one bin below the edges and one above them."""

_FIRST = (127 + LOWEST_EXPONENT) * 4  # the top bits of the float32 2^-15
KEYS = 1024  # eight bits of exponent, two of mantissa


def count(power: torch.Tensor) -> torch.Tensor:
    """Count non-negative powers per row, (bands, cells) to (bands, BINS), int64."""
    return fold(count_keys(power))


def count_keys(power: torch.Tensor) -> torch.Tensor:
    """Counts by the top bits of the float32, (bands, cells) to (bands, 1024), int64.

    The exponent and the top two bits of the mantissa of a float are its bin: no logarithm, no
    comparison. Counts are int64, since float32 counts stop growing at 2^24.
    """
    keys = power.to(torch.float32).contiguous().view(torch.int32) >> 21
    rows = len(keys)
    keys += KEYS * torch.arange(rows, dtype=torch.int32, device=keys.device)[:, None]
    flat, bins = keys.view(-1), KEYS * rows
    if keys.device.type == "cpu":
        return torch.bincount(flat, minlength=bins).view(rows, KEYS)
    # Elsewhere bincount would wait for the device, to see the largest key.
    return _scatter_count(flat, bins).view(rows, KEYS)


def _scatter_count(keys: torch.Tensor, bins: int) -> torch.Tensor:
    index = keys.to(torch.int64)
    counts = torch.zeros(bins, dtype=torch.int64, device=keys.device)
    return counts.scatter_add_(0, index, torch.ones_like(index))


def fold(keys: torch.Tensor) -> torch.Tensor:
    """Counts by key to counts by bin, what lies outside the edges in the first and the last."""
    inside = slice(_FIRST, _FIRST + BINS - 2)
    below, above = keys[:, : inside.start], keys[:, inside.stop :]
    return torch.cat([below.sum(1, keepdim=True), keys[:, inside], above.sum(1, keepdim=True)], 1)


def _edges_db() -> npt.NDArray[np.float64]:
    return np.asarray(10 * np.log10(EDGES))


def _cumulative(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Share of the samples below each edge."""
    return np.asarray(np.cumsum(counts)[:-1] / counts.sum())


def wasserstein_db(pred: npt.NDArray[np.int64], ref: npt.NDArray[np.int64]) -> float | None:
    """Wasserstein-1 distance of two histograms on the dB axis; ``None`` where one is empty.

    The area between the cumulative distributions. What lies outside the edges counts as if it
    lay on the outermost one.
    """
    if not pred.sum() or not ref.sum():
        return None
    difference = _cumulative(pred) - _cumulative(ref)
    a, b = np.abs(difference[:-1]), np.abs(difference[1:])
    # Where the sign changes within a bin there are two triangles instead of a trapezoid.
    crosses = difference[:-1] * difference[1:] < 0
    total = np.where(a + b > 0, a + b, 1.0)
    return float(
        (np.diff(_edges_db()) * np.where(crosses, (a * a + b * b) / total, a + b)).sum() / 2
    )


def mean_shift_db(pred: npt.NDArray[np.int64], ref: npt.NDArray[np.int64]) -> float | None:
    """Mean over all quantiles of pred minus ref, dB; ``None`` where one is empty."""
    if not pred.sum() or not ref.sum():
        return None
    return float(np.trapezoid(_cumulative(ref) - _cumulative(pred), _edges_db()))
