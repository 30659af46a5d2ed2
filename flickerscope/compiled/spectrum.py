"""Power, bands and histograms of many cells, for float32 on the CPU; the door is kernel.py."""

from __future__ import annotations

import math
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
TWO: Final = np.float32(2)
EIGHTH: Final = np.float32(0.5**0.5)
"""Cosine and sine of an eighth of a circle."""
GROUP: Final = 8
"""Complex values that are transformed at once."""


@part
def _row(half: int, imaginary: int, k: int) -> int:
    """Where value ``k`` of ``half`` complex ones stands: in groups of 8, real parts first."""
    group = min(half, GROUP)
    return 2 * group * (k // group) + group * imaginary + k % group


@part
def _first_size(half: int) -> int:
    """Complex values that `_transform` takes together to begin with."""
    return GROUP if half >= GROUP else 1


@part
def _reverse(k: int, count: int) -> int:
    """The bits of a number below ``count``, a power of two, in the other order."""
    done = 0
    while count > 1:
        done, k, count = 2 * done + k % 2, k // 2, count // 2
    return done


@part
def _load(
    head: npt.NDArray[Any],
    tail: npt.NDArray[Any],
    first: int,
    count: int,
    window: Floats,
    waves: Floats,
) -> None:
    """Half the differences to the middle frame, windowed; even frames real, odd ones imaginary.

    A still picture is exactly 0, and so are the cells beyond ``count``. In the order in which
    `_transform` wants them.
    """
    frames = len(window)
    half = frames // 2  # and the middle one
    size = _first_size(half)
    groups = half // size
    base = head[half] if half < len(head) else tail[half - len(head)]
    still = base[first : first + count]
    for t in range(frames):
        row = head[t] if t < len(head) else tail[t - len(head)]
        n = t // 2
        place = size * _reverse(n % groups, groups) + n // groups
        target, weight = waves[_row(half, t % 2, place)], HALF * window[t]
        here = row[first : first + count]
        for x in range(count):
            target[x] = (np.float32(here[x]) - np.float32(still[x])) * weight
        for x in range(count, BLOCK):
            target[x] = np.float32(0)


@part
def _transform_group(z: Floats) -> None:
    """Fourier transform of 8 complex values, (16 * BLOCK,), real parts first, in their place.

    All offsets are constants, so that it runs in the registers.
    """
    for x in range(BLOCK):
        # Two transforms of four values each, of the even and of the odd ones.
        a, c = z[x] + z[x + 4 * BLOCK], z[x] - z[x + 4 * BLOCK]
        b, d = z[x + 8 * BLOCK] + z[x + 12 * BLOCK], z[x + 8 * BLOCK] - z[x + 12 * BLOCK]
        e, g = z[x + 2 * BLOCK] + z[x + 6 * BLOCK], z[x + 2 * BLOCK] - z[x + 6 * BLOCK]
        f, h = z[x + 10 * BLOCK] + z[x + 14 * BLOCK], z[x + 10 * BLOCK] - z[x + 14 * BLOCK]
        even_0, even_2, even_1, even_3 = a + e, a - e, c + h, c - h
        even_0i, even_2i, even_1i, even_3i = b + f, b - f, d - g, d + g
        a, c = z[x + BLOCK] + z[x + 5 * BLOCK], z[x + BLOCK] - z[x + 5 * BLOCK]
        b, d = z[x + 9 * BLOCK] + z[x + 13 * BLOCK], z[x + 9 * BLOCK] - z[x + 13 * BLOCK]
        e, g = z[x + 3 * BLOCK] + z[x + 7 * BLOCK], z[x + 3 * BLOCK] - z[x + 7 * BLOCK]
        f, h = z[x + 11 * BLOCK] + z[x + 15 * BLOCK], z[x + 11 * BLOCK] - z[x + 15 * BLOCK]
        odd_0, odd_2, odd_1, odd_3 = a + e, a - e, c + h, c - h
        odd_0i, odd_2i, odd_1i, odd_3i = b + f, b - f, d - g, d + g
        # The odd ones turned by eighths of a circle.
        turned_1, turned_1i = (odd_1 + odd_1i) * EIGHTH, (odd_1i - odd_1) * EIGHTH
        turned_3, turned_3i = (odd_3i - odd_3) * EIGHTH, (odd_3 + odd_3i) * EIGHTH
        z[x], z[x + 8 * BLOCK] = even_0 + odd_0, even_0i + odd_0i
        z[x + BLOCK], z[x + 9 * BLOCK] = even_1 + turned_1, even_1i + turned_1i
        z[x + 2 * BLOCK], z[x + 10 * BLOCK] = even_2 + odd_2i, even_2i - odd_2
        z[x + 3 * BLOCK], z[x + 11 * BLOCK] = even_3 + turned_3, even_3i - turned_3i
        z[x + 4 * BLOCK], z[x + 12 * BLOCK] = even_0 - odd_0, even_0i - odd_0i
        z[x + 5 * BLOCK], z[x + 13 * BLOCK] = even_1 - turned_1, even_1i - turned_1i
        z[x + 6 * BLOCK], z[x + 14 * BLOCK] = even_2 - odd_2i, even_2i + odd_2
        z[x + 7 * BLOCK], z[x + 15 * BLOCK] = even_3 - turned_3, even_3i + turned_3i


@part
def _transform(waves: Floats, cosines: Floats, sines: Floats) -> None:
    """Complex Fourier transform along the frames of a power of two, in its place.

    Groups of 8 first, then two halves to one each time. (Cooley & Tukey 1965, in time.)
    """
    half = len(waves) // 2
    size = _first_size(half)
    if size == GROUP:
        flat, step = waves.reshape(-1), 2 * GROUP * BLOCK
        for start in range(0, len(flat), step):
            _transform_group(flat[start : start + step])
    while size < half:
        for start in range(0, half, 2 * size):
            for k in range(size):
                turn = k * (half // size)
                c, s = cosines[turn], sines[turn]
                one, two = start + k, start + k + size
                a, b = waves[_row(half, 0, one)], waves[_row(half, 1, one)]
                d, e = waves[_row(half, 0, two)], waves[_row(half, 1, two)]
                for x in range(BLOCK):
                    u, v = d[x] * c + e[x] * s, e[x] * c - d[x] * s
                    here, there = a[x], b[x]
                    a[x], b[x], d[x], e[x] = here + u, there + v, here - u, there - v
        size *= 2


@part
def _powers(
    waves: Floats, cosines: Floats, sines: Floats, leak: Floats, gains: Floats, constant: Floats
) -> None:
    """Powers of the bins from 1 on, from half the transform of the even and the odd frames.

    In the places of the real parts, that of the last bin in the first one; two bins at once,
    which are sum and difference of the same.
    """
    half = len(waves) // 2
    a, b = waves[_row(half, 0, 0)], waves[_row(half, 1, 0)]
    gain = gains[half - 1]
    for x in range(BLOCK):
        first, last = TWO * (a[x] + b[x]), TWO * (a[x] - b[x])
        constant[x] = first
        a[x] = gain * (last * last)
    k = half // 2
    a, b, gain = waves[_row(half, 0, k)], waves[_row(half, 1, k)], gains[k - 1]
    for x in range(BLOCK):
        real, imaginary = TWO * a[x], TWO * b[x]
        a[x] = gain * (real * real + imaginary * imaginary)
    for k in range(1, half // 2):
        a, b = waves[_row(half, 0, k)], waves[_row(half, 1, k)]
        d, e = waves[_row(half, 0, half - k)], waves[_row(half, 1, half - k)]
        c, s = cosines[k], sines[k]
        gain, other_gain = gains[k - 1], gains[half - k - 1]
        leak_real, leak_imaginary = leak[0], leak[1]
        if k > 1:
            leak_real, leak_imaginary = np.float32(0), np.float32(0)
        for x in range(BLOCK):
            even_real, even_imaginary = a[x] + d[x], b[x] - e[x]
            odd_real, odd_imaginary = b[x] + e[x], d[x] - a[x]
            turned_real = odd_real * c + odd_imaginary * s
            turned_imaginary = odd_imaginary * c - odd_real * s
            real = (even_real + turned_real) - leak_real * constant[x]
            imaginary = (even_imaginary + turned_imaginary) - leak_imaginary * constant[x]
            a[x] = gain * (real * real + imaginary * imaginary)
            real, imaginary = even_real - turned_real, turned_imaginary - even_imaginary
            d[x] = other_gain * (real * real + imaginary * imaginary)


@part
def _add_bins(waves: Floats, lanes: Floats) -> None:
    half = len(lanes)
    for k in range(half):
        lane, power = lanes[k], waves[_row(half, 0, (k + 1) % half)]
        for x in range(BLOCK):
            lane[x] += power[x]


@part
def _sum_band(weights: Floats, waves: Floats, band: Floats) -> None:
    """The power of one band in each cell."""
    half = len(weights)
    for x in range(BLOCK):
        band[x] = np.float32(0)
    for k in range(half):
        weight, power = weights[k], waves[_row(half, 0, (k + 1) % half)]
        if weight > 0:
            for x in range(BLOCK):
                band[x] += weight * power[x]


@part
def _count(band: Floats, cells: int, counts: npt.NDArray[np.int32]) -> None:
    """Count by the top bits, as `histogram.count_keys` does."""
    bits = band.view(np.int32)
    for x in range(cells):
        counts[(bits[x] >> 21) & 1023] += 1


@part
def _go_round(cosines: Floats, sines: Floats) -> None:
    """Of as many steps as there are, once around the circle."""
    for t in range(len(cosines)):
        angle = 2 * math.pi / len(cosines) * t
        cosines[t], sines[t] = np.float32(math.cos(angle)), np.float32(math.sin(angle))


@part
def _keep(band: Floats, cells: int, kept: Floats) -> None:
    for x in range(cells):
        kept[x] = band[x]


@compiled(
    *(
        f"void({kind}[:,::1], {kind}[:,::1], i8, i8, f4[::1], f4[::1], f4[::1], f4[:,::1],"
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
    leak: Floats,
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
        leak: (2,), real and imaginary part of the window's transform over its sum: what a constant
            adds to the first bin. It must add nothing to the others.
        gains: (bins,), power a squared amplitude.
        weights: (bands, bins), share of each bin that each band holds.
        sums: (bins,), code^2.
        keys: (bands, 1024), counts by the top bits of the band's power; see `histogram.count_keys`.
        kept: (bands or more, cells), becomes the powers of the bands and, in the last row, their
            total; or without cells.
    """
    frames, (bands, bins) = len(window), weights.shape
    waves = np.empty((frames, BLOCK), np.float32)
    lanes = np.zeros((bins, BLOCK), np.float32)
    counts = np.zeros((bands, keys.shape[1]), np.int32)
    band, constant = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    everything = np.ones(bins, np.float32)
    cosines, sines = np.empty(frames, np.float32), np.empty(frames, np.float32)
    _go_round(cosines, sines)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        _load(head, tail, first, count, window, waves)
        _transform(waves, cosines, sines)
        _powers(waves, cosines, sines, leak, gains, constant)
        _add_bins(waves, lanes)
        for i in range(bands):
            _sum_band(weights[i], waves, band)
            _count(band, count, counts[i])
            if kept.shape[1]:
                _keep(band, count, kept[i, first:])
        if kept.shape[1]:
            _sum_band(everything, waves, band)
            _keep(band, count, kept[bands, first:])
    for k in range(bins):
        for x in range(BLOCK):
            sums[k] += lanes[k, x]
    for i in range(bands):
        for j in range(keys.shape[1]):
            keys[i, j] += counts[i, j]
