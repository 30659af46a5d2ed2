"""A natural-looking video with known flicker, rendered from a seed.

The reference is a misty landscape under drifting clouds: the camera pans, the nearer hills pass
faster, two balloons float by, the light changes slowly and the film has grain.

    prediction = reference + amplitude * mask(row, column) * sin(2 pi frequency_hz t + phase)

The sum is taken in code values and rounded to 8 bits afterwards, as a camera would. What is read
back from the video can therefore be held against what was put in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flickerscope.demo.landscape import Floats, landscape, smooth
from flickerscope.errors import SettingsError

__all__ = ["DEMO_FLICKER", "Flicker", "prediction", "scene"]

Bytes: TypeAlias = NDArray[np.uint8]

FLAT_SHARE = 0.8
"""Of the radius of a place, the share in which its mask is exactly 1."""
GRAIN = 1.0
"""Standard deviation of the film grain, code values of luma."""
SMALLEST = 16
"""Rows and columns below which there is nothing to recognise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flicker:
    """Flicker of one frequency in one soft-edged, upright ellipse."""

    amplitude: float
    """Of the sine, in code values of luma."""
    frequency_hz: float
    """Cycles a second."""
    centre: tuple[float, float]
    """Row and column of the middle of the place, as fractions of the frame."""
    radius: tuple[float, float]
    """Half-height and half-width, as fractions of the frame; nothing changes outside."""
    phase: float = math.pi / 2
    """Radians at the first frame; a quarter turn, as a sine at Nyquist vanishes without one."""

    def __post_init__(self) -> None:
        for middle, reach in zip(self.centre, self.radius, strict=True):
            if not (reach > 0 and reach <= middle <= 1 - reach):
                raise SettingsError(
                    f"a place with centre {self.centre} and radius {self.radius} leaves the frame; "
                    "allowed: radius > 0 and radius <= centre <= 1 - radius"
                )

    def mask(self, height: int, width: int) -> Floats:
        """Share of the flicker at each pixel: 1 in the core, 0 outside, (height, width)."""
        rows = ((np.arange(height) + 0.5) / height - self.centre[0]) / self.radius[0]
        columns = ((np.arange(width) + 0.5) / width - self.centre[1]) / self.radius[1]
        distance = np.hypot(rows[:, None], columns)
        return smooth((1 - distance) / (1 - FLAT_SHARE)).astype(np.float32)

    def core(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the largest box, on even pixels, in which the mask is 1."""
        row, column = (
            _even_span(middle * size, FLAT_SHARE * math.sqrt(0.5) * reach * size)
            for middle, reach, size in zip(self.centre, self.radius, (height, width), strict=True)
        )
        return row, column

    def core_box(self, height: int, width: int) -> str:
        """The box of `core` as ``WxH+X+Y``, in pixels."""
        rows, columns = self.core(height, width)
        size = f"{columns.stop - columns.start}x{rows.stop - rows.start}"
        return f"{size}+{columns.start}+{rows.start}"

    def at(self, seconds: float) -> float:
        """What is added in the core at this time, code values."""
        return self.amplitude * math.sin(2 * math.pi * self.frequency_hz * seconds + self.phase)


DEMO_FLICKER = Flicker(amplitude=3.0, frequency_hz=9.0, centre=(0.3, 0.67), radius=(0.26, 0.3))
"""In the calm sky at the upper right; at 24 frames a second 0.375 cycles a frame."""


def scene(
    *,
    height: int = 360,
    width: int = 640,
    frames: int = 72,
    rate: float | Fraction = 24,
    seed: int = 0,
) -> Iterator[Bytes]:
    """The reference: RGB frames, each (height, width, 3); the same seed gives the same video."""
    for _, picture in _film(height, width, frames, rate, seed, seed):
        yield _to_bytes(picture)


def prediction(
    flicker: Flicker,
    *,
    height: int = 360,
    width: int = 640,
    frames: int = 72,
    rate: float | Fraction = 24,
    seed: int = 0,
    grain_seed: int | None = None,
) -> Iterator[Bytes]:
    """The video of `scene` with flicker: RGB frames, each (height, width, 3).

    Without a ``grain_seed`` it has the very grain of the reference, and differs in the place only.
    """
    if not 0 < flicker.frequency_hz <= rate / 2:
        raise SettingsError(
            f"{float(rate):g} frames a second cannot show flicker at {flicker.frequency_hz:g} Hz; "
            f"allowed: above 0 and up to {float(rate) / 2:g} Hz"
        )
    mask = flicker.mask(height, width)
    grain = seed if grain_seed is None else grain_seed
    for seconds, picture in _film(height, width, frames, rate, seed, grain):
        yield _to_bytes(picture + flicker.at(seconds) * mask)


def _film(
    height: int, width: int, frames: int, rate: float | Fraction, seed: int, grain_seed: int
) -> Iterator[tuple[float, Floats]]:
    """Time in seconds and picture before rounding, (3, height, width), of each frame."""
    if min(height, width) < SMALLEST:
        raise SettingsError(
            f"a scene of {width}x{height} pixels; allowed: at least {SMALLEST} each way"
        )
    place = landscape(np.random.default_rng([seed, 0]), height, width)
    for frame in range(frames):
        seconds = float(frame / rate)
        rng = np.random.default_rng([grain_seed, 1, frame])
        grain = rng.standard_normal((height, width), dtype=np.float32)
        yield seconds, place.at(seconds) + np.float32(GRAIN) * grain


def _to_bytes(picture: Floats) -> Bytes:
    """Rounded and clipped to 0..255, (3, height, width) to (height, width, 3)."""
    rounded = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(rounded.transpose(1, 2, 0))


def _even_span(middle: float, reach: float) -> slice:
    """The even pixels within ``reach`` of ``middle``."""
    start = 2 * math.ceil((middle - reach) / 2)
    return slice(start, max(start, 2 * math.floor((middle + reach) / 2)))
