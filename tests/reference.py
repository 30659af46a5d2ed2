"""The measurement as its definitions state it, in plain float64 numpy and without the package."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDING = (255 / 219) ** 2 / 12
"""Variance of rounding to a luma step of limited range, code^2."""

BANDS = {"MF": (0.125, 0.25), "HF": (0.25, 0.5), "NYQ": (0.4, 0.5)}
"""Cycles/frame; LF starts at 1.5/N, see `band_limits`."""


def as_video(codes: Floats) -> Floats:
    """Code values to floats in 0..1, (time, rows, columns)."""
    return np.asarray(codes, dtype=np.float64) / 255


def as_flat_video(codes: Any, rows: int = 4, columns: int = 6) -> Floats:
    """A code value a frame to a video whose pixels are all alike."""
    series = np.asarray(codes, dtype=np.float64)
    return as_video(np.broadcast_to(series[:, None, None], (len(series), rows, columns)).copy())


def textured(codes: Any, rows: int = 32, columns: int = 48) -> Floats:
    """A code value a frame on top of one still texture: no flash or fade of it can be a cut."""
    texture = np.random.default_rng(7).normal(0, 20, (rows, columns)).clip(-60, 60)
    return as_video(np.asarray(codes, dtype=np.float64)[:, None, None] + texture)


def window(frames: int, kind: str = "hann") -> Floats:
    """Half-sample Hann, or ones."""
    if kind == "boxcar":
        return np.ones(frames)
    return np.asarray(np.sin(np.pi * (np.arange(frames) + 0.5) / frames) ** 2)


def power(x: Floats, kind: str = "hann") -> Floats:
    """Power per bin from DC on, (time, ...) to (time//2 + 1, ...), unit of x squared."""
    frames = len(x)
    w = window(frames, kind).reshape(-1, *[1] * (x.ndim - 1))
    rest = x - (w * x).sum(axis=0) / w.sum()
    out = np.asarray(np.abs(np.fft.rfft(w * rest, axis=0)) ** 2 / (frames * (w**2).sum()))
    out[1 : (frames + 1) // 2] *= 2
    return out


def band_limits(name: str, frames: int) -> tuple[float, float]:
    """Ends of a preset band, cycles/frame."""
    return (1.5 / frames, 0.125) if name == "LF" else BANDS[name]


def band_weights(low: float, high: float, frames: int) -> Floats:
    """Share of every bin from 1/N on that lies in a band."""
    weights = []
    for k in range(1, frames // 2 + 1):
        left, right = (k - 0.5) / frames, min((k + 0.5) / frames, 0.5)
        weights.append(max(0.0, min(high, right) - max(low, left)) / (right - left))
    return np.array(weights)


def band_power(mean_power: Floats, name: str, frames: int) -> float:
    """Power of a preset band from the power of the bins from 1/N on."""
    return float(band_weights(*band_limits(name, frames), frames) @ mean_power)


def rounding_floor(low: float, high: float) -> float:
    """Power of 8-bit rounding in a band, code^2."""
    return ROUNDING * (high - low) / 0.5


def second_difference_power(x: Floats) -> float:
    """Mean of ``((x[t-1] - 2 x[t] + x[t+1]) / 4)^2``."""
    return float(np.mean(((x[:-2] - 2 * x[1:-1] + x[2:]) / 4) ** 2))


def read(measurement: Any, name: str, scale: str = "pixel", plane: str = "y") -> float:
    """Power of a preset band in a measurement, at its longest segment length."""
    frames = max(measurement.rungs)
    spectrum = measurement.rungs[frames].spectra[f"{plane}/{scale}"]
    return band_power(spectrum.power / spectrum.samples, name, frames)


def bins_of(measurement: Any, scale: str = "pixel", plane: str = "y") -> Floats:
    """Mean power of the bins from 1/N on, at the longest segment length."""
    spectrum = measurement.rungs[max(measurement.rungs)].spectra[f"{plane}/{scale}"]
    return np.asarray(spectrum.power / spectrum.samples)


def segment_starts(frames: int, length: int) -> list[int]:
    """``round(linspace(0, T-N, S))`` with ``S = ceil((T-N)/(N/2)) + 1``, by numpy's linspace."""
    if frames < length:
        return []
    count = math.ceil(Fraction(2 * (frames - length), length)) + 1
    starts = np.round(np.linspace(0, frames - length, count)).astype(int)
    return [int(start) for start in starts]


def grid_shape(height: int, width: int) -> tuple[int, int]:
    """64 rows and columns by aspect, never more than the picture has."""
    rows = min(64, height)
    return rows, min(width, max(1, round(rows * width / height)))


def _overlaps(cell: int, cells: int, length: int) -> tuple[slice, Floats]:
    """The samples that a cell reaches and how much of each it covers."""
    low, high = cell * length / cells, (cell + 1) * length / cells
    first, last = math.floor(low + 1e-9), math.ceil(high - 1e-9)
    covered = [min(high, i + 1) - max(low, i) for i in range(first, last)]
    return slice(first, last), np.array(covered)


def block_average(x: Floats) -> Floats:
    """Area average over the block grid, cell by cell; time comes first and stays."""
    rows, columns = grid_shape(*x.shape[1:])
    out = np.empty((len(x), rows, columns))
    for i in range(rows):
        down, vertical = _overlaps(i, rows, x.shape[1])
        for j in range(columns):
            across, horizontal = _overlaps(j, columns, x.shape[2])
            area = vertical.sum() * horizontal.sum()
            patch = x[:, down, across] @ horizontal @ vertical
            out[:, i, j] = patch / area
    return out


def at_scale(x: Floats, scale: str) -> Floats:
    """(time, height, width) to the cells of a scale, (time, ...)."""
    if scale == "pixel":
        return x
    return block_average(x) if scale == "block" else np.asarray(x.mean(axis=(1, 2)))[:, None, None]


def mean_power(x: Floats, length: int, kind: str = "hann") -> Floats:
    """Mean over cells and segments of the power of the bins from 1/N on, (bins,)."""
    each = [
        power(x[start : start + length], kind)[1:].reshape(length // 2, -1).mean(axis=1)
        for start in segment_starts(len(x), length)
    ]
    return np.asarray(np.mean(each, axis=0))


def decode_luma(path: Path, frames: int | None = None) -> Floats:
    """Luma of a planar YUV file in full-range 8-bit code values, (time, height, width).

    Read plane by plane: no conversion of the decoder's library touches the samples.
    """
    pictures = []
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            layout = picture.format
            if not layout.name.startswith("yuv"):
                raise ValueError(f"{path}: {layout.name} is not planar YUV")
            bits = layout.components[0].bits
            plane = picture.planes[0]
            dtype = np.dtype("u1" if bits == 8 else "<u2")
            lines = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
            samples = lines[:, : plane.width].astype(np.float64)
            full = layout.name.startswith("yuvj") or picture.color_range == 2
            if full:
                codes = samples * 255 / (2**bits - 1)
            else:
                codes = (samples / 2 ** (bits - 8) - 16) * 255 / 219
            pictures.append(codes)
            if len(pictures) == frames:
                break
    return np.stack(pictures)
