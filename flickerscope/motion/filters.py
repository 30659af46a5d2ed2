"""Small filters for batches of pictures: window means, blur, medians, warping."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal

import torch
from torch.nn import functional

from flickerscope.compiled.door import takes
from flickerscope.motion import native

__all__ = [
    "blur",
    "fine_detail",
    "gaussian",
    "halve",
    "is_inside",
    "median_of_neighbours",
    "running_sum",
    "warp",
    "window_mean",
]

CACHED: Final = 1 << 18
"""Pixels that are filtered at once on a CPU: what they take should fit the second-level cache."""


def window_mean(x: torch.Tensor, radius: int) -> torch.Tensor:
    """Mean over windows of ``2 radius + 1`` squared, (N, C, H, W) alike; the border is repeated."""
    if takes(x):
        return native.window_means(x, radius)
    taps = 2 * radius + 1
    sums = _along_both(x, radius, lambda row, step: running_sum(row, taps, 0, step=step))
    return sums.mul_(1 / taps**2)


def _along_both(
    x: torch.Tensor, radius: int, work: Callable[[torch.Tensor, int], torch.Tensor]
) -> torch.Tensor:
    """Filter along rows, then along columns, (..., H, W) alike; the border is repeated.

    Padded pictures are taken as one long row, which is quicker than many short ones: what is
    mixed beyond the end of a picture's row is just what the padding makes too much.

    Args:
        x: pictures.
        radius: of the filter.
        work: filters values that lie ``step`` apart in a row, which gets shorter by
            ``2 radius step``.
    """
    planes = x.reshape(-1, *x.shape[-2:])
    done = torch.empty_like(planes)
    at_once = max(1, CACHED // planes[0].numel()) if x.device.type == "cpu" else len(planes)
    for part, target in zip(torch.split(planes, at_once), torch.split(done, at_once), strict=True):
        padded = functional.pad(part, (radius,) * 4, mode="replicate")
        row = padded.flatten()
        for step in (1, padded.shape[-1]):
            row = work(row, step)
        target.copy_(row.as_strided(part.shape, padded.stride()))
    return done.view(x.shape)


def running_sum(x: torch.Tensor, taps: int, dim: int, *, step: int = 1) -> torch.Tensor:
    """Sums of ``taps`` values ``step`` apart along ``dim``, shorter by ``(taps - 1) step``.

    In about ``log2(taps)`` additions of whole tensors, and without the cancellation that
    differences of cumulative sums suffer.
    """
    length = x.shape[dim] - (taps - 1) * step
    # Sums of 1, 2, 4, ... values; taps is put together from those in its binary form.
    parts, power, size, done = [], x, 1, 0
    while True:
        if taps & size:
            parts.append(power.narrow(dim, done * step, length))
            done += size
        if 2 * size > taps:
            break
        kept = power.shape[dim] - size * step
        power = power.narrow(dim, 0, kept) + power.narrow(dim, size * step, kept)
        size *= 2
    total = parts[0] + parts[1] if len(parts) > 1 else parts[0]
    for part in parts[2:]:
        total += part
    return total


def blur(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian of ``sigma`` pixels cut off at 3 sigma, (..., H, W) alike; mirrored borders."""
    height, width = x.shape[-2:]
    return _blur_matrix(height, sigma).to(x) @ x @ _blur_matrix(width, sigma).to(x).T


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # what is kept may be asked for again with gradients
def _blur_matrix(length: int, sigma: float) -> torch.Tensor:
    taps = gaussian(sigma)
    radius = len(taps) // 2
    offsets = torch.arange(-radius, radius + 1, device="cpu")
    # Mirrored as often as it takes: the picture may be smaller than the Gaussian.
    period = max(1, 2 * (length - 1))
    places = (torch.arange(length, device="cpu")[:, None] + offsets).remainder(period)
    places = torch.where(places < length, places, period - places)
    matrix = torch.zeros(length, length, dtype=torch.float64, device="cpu")
    return matrix.scatter_add_(1, places, taps.repeat(length, 1))


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)
def gaussian(sigma: float) -> torch.Tensor:
    """Taps of a Gaussian of ``sigma`` pixels cut off at 3 sigma, that sum to 1; float64."""
    radius = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64, device="cpu")
    taps = torch.exp(-(offsets**2) / (2 * sigma**2))
    return taps / taps.sum()


def fine_detail(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """What `blur` takes out of pictures, (..., H, W) alike."""
    if takes(x):
        return native.fine_detail(x, gaussian(sigma))
    return x - blur(x, sigma)


def halve(x: torch.Tensor) -> torch.Tensor:
    """Means of 2x2 pixels, (..., H, W) to (..., ceil(H/2), ceil(W/2)); at odd ends, of fewer."""
    height, width = x.shape[-2:]
    rest = height % 2, width % 2
    if any(rest):
        x = functional.pad(x, (0, rest[1], 0, rest[0]))
    # Slices: torch's pooling takes several times as long.
    means = x[..., ::2, ::2] + x[..., ::2, 1::2]
    means += x[..., 1::2, ::2]
    means += x[..., 1::2, 1::2]
    means /= 4
    if rest[1]:
        means[..., -1] *= 2
    if rest[0]:
        means[..., -1, :] *= 2
    return means


def median_of_neighbours(x: torch.Tensor) -> torch.Tensor:
    """Median of 3 along rows, then along columns, (N, C, H, W) alike; the border is repeated."""

    def median(row: torch.Tensor, step: int) -> torch.Tensor:
        return _median_of_three(row[: -2 * step], row[step:-step], row[2 * step :])

    return _along_both(x, 1, median)


def _median_of_three(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    return torch.maximum(torch.minimum(a, b), torch.minimum(torch.maximum(a, b), c))


def warp(
    x: torch.Tensor, flow: torch.Tensor, mode: Literal["bilinear", "bicubic"] = "bilinear"
) -> torch.Tensor:
    """Values at the places that ``flow`` points to from each pixel, (N, C, H, W) alike.

    Args:
        x: (N, C, H, W).
        flow: (N, 2, H, W), pixels, columns first; beyond the border the border is repeated.
        mode: of interpolation.
    """
    if mode == "bilinear" and takes(x, flow) and flow.shape == (len(x), 2, *x.shape[2:]):
        return native.warped(x, flow)
    height, width = x.shape[-2:]
    places, scale = _grid(height, width, x.device, x.dtype)
    grid = torch.addcmul(places, flow.movedim(-3, -1), scale)
    return functional.grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=True)


def is_inside(flow: torch.Tensor, slack: float = 0.0) -> torch.Tensor:
    """Whether the place that each pixel moves to lies in the picture, (N, 2, H, W) to (N, H, W).

    ``slack``: pixels by which it may lie beyond the border.
    """
    height, width = flow.shape[-2:]
    columns = torch.arange(width, device=flow.device) + flow[:, 0]
    rows = torch.arange(height, device=flow.device)[:, None] + flow[:, 1]
    right, bottom = width - 1 + slack, height - 1 + slack
    return (columns >= -slack) & (columns <= right) & (rows >= -slack) & (rows <= bottom)


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)
def _grid(
    height: int, width: int, device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the pixels are in the coordinates of ``grid_sample``, (H, W, 2), and a pixel there."""
    steps = torch.tensor([2 / max(1, width - 1), 2 / max(1, height - 1)], dtype=torch.float64)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([x, y], -1) * steps - 1
    return places.to(device, dtype), steps.to(device, dtype)
