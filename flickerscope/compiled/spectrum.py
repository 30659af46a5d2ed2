"""Power, bands and histograms of many cells, for float32 on the CPU; the door is kernel.py."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flickerscope.compiled.jit import compiled, part

__all__ = ["BLOCK", "measure_cells"]

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]

BLOCK: Final = 128
"""Cells that are transformed at once: what they take should fit the nearest caches."""
HALF: Final = np.float32(0.5)


@part
def _load(
    head: npt.NDArray[Any],
    tail: npt.NDArray[Any],
    first: int,
    count: int,
    window: Floats,
    waves: Floats,
) -> None:
    """Differences to the middle frame under the window; even frames real, odd ones imaginary.

    A still picture is exactly 0, and so are the cells beyond ``count``.
    """
    frames = len(window)
    middle = frames // 2
    base = head[middle] if middle < len(head) else tail[middle - len(head)]
    for t in range(frames):
        row = head[t] if t < len(head) else tail[t - len(head)]
        target, weight = waves[t % 2, t // 2], window[t]
        here, still = row[first : first + count], base[first : first + count]
        for x in range(count):
            target[x] = (np.float32(here[x]) - np.float32(still[x])) * weight
        for x in range(count, BLOCK):
            target[x] = np.float32(0)


@part
def _transform(waves: Floats, spare: Floats, cosines: Floats, sines: Floats) -> Floats:
    """Complex Fourier transform along the frames of a power of two, by Stockham's passes.

    (2, frames, cells) alike; returns that one of the two arrays that it ends in.
    """
    source, target = waves, spare
    length = waves.shape[1]
    size, stride = length, 1
    while size > 1:
        half = size // 2
        for p in range(half):
            c, s = cosines[2 * p * stride], sines[2 * p * stride]
            for q in range(stride):
                one, two = q + stride * p, q + stride * (p + half)
                a, b = source[0, one], source[1, one]
                d, e = source[0, two], source[1, two]
                here = q + 2 * stride * p
                sum_real, sum_imaginary = target[0, here], target[1, here]
                real, imaginary = target[0, here + stride], target[1, here + stride]
                for x in range(BLOCK):
                    u, v = a[x] - d[x], b[x] - e[x]
                    sum_real[x] = a[x] + d[x]
                    sum_imaginary[x] = b[x] + e[x]
                    real[x] = u * c + v * s
                    imaginary[x] = v * c - u * s
        source, target = target, source
        size, stride = half, 2 * stride
    return source


@part
def _powers(
    z: Floats, cosines: Floats, sines: Floats, leaks: Floats, gains: Floats, powers: Floats
) -> None:
    """Powers of the bins from 1 on, from the transform of the even and the odd frames."""
    half = z.shape[1]
    total_real, total_imaginary = z[0, 0], z[1, 0]
    for k in range(1, half + 1):
        a, b = z[0, k % half], z[1, k % half]
        d, e = z[0, (half - k) % half], z[1, (half - k) % half]
        c, s, gain = cosines[k], sines[k], gains[k - 1]
        leak_real, leak_imaginary = leaks[0, k - 1], leaks[1, k - 1]
        power = powers[k - 1]
        for x in range(BLOCK):
            odd_real, odd_imaginary = (b[x] + e[x]) * HALF, (d[x] - a[x]) * HALF
            constant = total_real[x] + total_imaginary[x]
            real = (a[x] + d[x]) * HALF + odd_real * c + odd_imaginary * s
            imaginary = (b[x] - e[x]) * HALF + odd_imaginary * c - odd_real * s
            real -= leak_real * constant
            imaginary -= leak_imaginary * constant
            power[x] = gain * (real * real + imaginary * imaginary)


@part
def _add_bins(powers: Floats, lanes: Floats) -> None:
    for k in range(len(powers)):
        lane, power = lanes[k], powers[k]
        for x in range(BLOCK):
            lane[x] += power[x]


@part
def _add_bands(weights: Floats, powers: Floats, band: Floats) -> None:
    """The power of one band in each cell."""
    band[:] = np.float32(0)
    for k in range(len(powers)):
        weight, power = weights[k], powers[k]
        if weight > 0:
            for x in range(BLOCK):
                band[x] += weight * power[x]


@part
def _count(band: Floats, cells: int, counts: npt.NDArray[np.int32]) -> None:
    """Count by the top bits, as `histogram.count_keys` does."""
    bits = band.view(np.int32)
    for x in range(cells):
        counts[(bits[x] >> 21) & 1023] += 1


@compiled(
    *(
        f"void({kind}[:,::1], {kind}[:,::1], i8, i8, f4[::1], f4[:,::1], f4[::1], f4[:,::1],"
        " f8[::1], i8[:,::1], f4[:,::1])"
        for kind in ("u1", "u2", "f4")
    )
)
def measure_cells(
    head: npt.NDArray[Any],
    tail: npt.NDArray[Any],
    start: int,
    stop: int,
    window: Floats,
    leaks: Floats,
    gains: Floats,
    weights: Floats,
    sums: npt.NDArray[np.float64],
    keys: Counts,
    kept: Floats,
) -> None:
    """Add cells ``start`` to ``stop`` of a segment to sums and histograms.

    Args:
        head, tail: the segment, (frames, cells) in two pieces along time; frames a power of two.
        start, stop: of the cells.
        window: (frames,).
        leaks: (2, bins), real and imaginary part of the window's transform over its sum: what a
            constant adds to a bin.
        gains: (bins,), power a squared amplitude.
        weights: (bands, bins), share of each bin that each band holds.
        sums: (bins,), code^2.
        keys: (bands, 1024), counts by the top bits of the band's power; see `histogram.count_keys`.
        kept: (bands or more, cells), becomes the powers of the bands and, in the last row, their
            total; or without cells.
    """
    frames, (bands, bins) = len(window), weights.shape
    waves = np.empty((2, frames // 2, BLOCK), np.float32)
    spare = np.empty((2, frames // 2, BLOCK), np.float32)
    powers = np.empty((bins, BLOCK), np.float32)
    lanes = np.zeros((bins, BLOCK), np.float32)
    counts = np.zeros((bands, keys.shape[1]), np.int32)
    band = np.empty(BLOCK, np.float32)
    everything = np.ones(bins, np.float32)
    angles = 2 * np.pi / frames * np.arange(frames)
    cosines, sines = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        _load(head, tail, first, count, window, waves)
        z = _transform(waves, spare, cosines, sines)
        _powers(z, cosines, sines, leaks, gains, powers)
        _add_bins(powers, lanes)
        for i in range(bands):
            _add_bands(weights[i], powers, band)
            _count(band, count, counts[i])
            if kept.shape[1]:
                kept[i, first : first + count] = band[:count]
        if kept.shape[1]:
            _add_bands(everything, powers, band)
            kept[bands, first : first + count] = band[:count]
    for k in range(bins):
        for x in range(BLOCK):
            sums[k] += lanes[k, x]
    for i in range(bands):
        for j in range(keys.shape[1]):
            keys[i, j] += counts[i, j]
