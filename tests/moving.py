"""Synthetic clips whose motion and flicker are known exactly: floats, without a codec.

Moved pictures are drawn, not resampled: a shift turns the phases of a periodic canvas (the shift
theorem), a zoom or a rotation those of a sum of plane waves. So no picture is sharper or softer
than the one before, at whatever fraction of a pixel it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft

from flickerscope.motion import MotionReading, flicker

Floats = NDArray[np.floating]

FRAMES, ROWS, COLUMNS = 24, 288, 416
MEAN, SD = 128.0, 40.0
"""Of the texture, code values."""

CANVAS = 512, 768
"""Rows and columns after which the canvas repeats: more than a frame shows."""

WAVES = 800
"""Plane waves in a picture that zooms or turns."""


@cache
def _spectrum(seed: int, finest: float) -> NDArray[np.complexfloating]:
    """White noise whose amplitudes are divided by the frequency, of up to ``finest``."""
    rows, columns = CANVAS
    rng = np.random.default_rng(seed)
    frequency = np.hypot(fft.fftfreq(rows)[:, None], fft.rfftfreq(columns))
    frequency[0, 0] = 1  # anything but zero: the mean is added last
    spectrum = fft.rfft2(rng.standard_normal(CANVAS)) / frequency
    spectrum[0, 0] = 0
    spectrum[rows // 2] = 0  # a shift by part of a pixel has no one meaning at the Nyquist
    spectrum[:, -1] = 0
    spectrum[frequency >= finest] = 0
    return (spectrum * (SD / fft.irfft2(spectrum, CANVAS).std())).astype(np.complex64)


def shifted(
    columns: Floats, rows: Floats | float = 0.0, *, seed: int = 0, finest: float = 1.0
) -> Floats:
    """A 1/f texture, (time, 288, 416), seen so many pixels further right and down at each time.

    Without detail of ``finest`` cycles a pixel or more: below 1/8 there is none that pictures of
    72 rows cannot hold.
    """
    spectrum = _spectrum(seed, finest)
    down, across = fft.fftfreq(CANVAS[0]), fft.rfftfreq(CANVAS[1])
    columns, rows = np.broadcast_arrays(columns, rows)
    frames = np.empty((len(columns), ROWS, COLUMNS), np.float32)
    for frame, x, y in zip(frames, columns, rows, strict=True):
        turn = np.exp(2j * np.pi * down * y)[:, None] * np.exp(2j * np.pi * across * x)
        frame[:] = fft.irfft2(spectrum * turn.astype(np.complex64), CANVAS)[:ROWS, :COLUMNS]
    return MEAN + frames


@lru_cache(maxsize=12)
def pan(speed: float, *, down: float = 0.0, seed: int = 0, finest: float = 1.0) -> Floats:
    """A pan at so many pixels a frame to the right, and down."""
    time = np.arange(FRAMES)
    return _frozen(shifted(speed * time, down * time, seed=seed, finest=finest))


def shaken(reach: float, speed: float, *, seed: int = 0) -> Floats:
    """A pan with every frame displaced at random by up to ``reach`` pixels each way."""
    shake = np.random.default_rng(seed).uniform(-reach, reach, (2, FRAMES))
    return shifted(shake[0] + speed * np.arange(FRAMES), shake[1], seed=seed)


def transformed(matrix: Callable[[int], Floats], *, seed: int = 0) -> Floats:
    """A texture of plane waves that is seen at ``matrix(t) @ x`` at x, from the middle, (x, y).

    Their wave vectors are spread evenly over directions and octaves from 1/512 to half a cycle a
    pixel, each with the same power: in two dimensions that is a spectrum of amplitude 1/f.
    """
    rng = np.random.default_rng(seed)
    length = 2 * np.pi * np.exp(rng.uniform(np.log(1 / 512), np.log(1 / 2), WAVES))
    angle, phase = rng.uniform(0, 2 * np.pi, (2, WAVES))
    waves = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    x, y = (np.arange(n) - (n - 1) / 2 for n in (COLUMNS, ROWS))
    frames = np.empty((FRAMES, ROWS, COLUMNS), np.float32)
    for time, frame in enumerate(frames):
        # cos(k.x + phase), as products of what depends on the column and on the row alone.
        across, down = (waves @ matrix(time)).T
        along, beside = np.outer(across, x) + phase[:, None], np.outer(y, down)
        along, beside = (np.remainder(z, 2 * np.pi).astype(np.float32) for z in (along, beside))
        left = np.concatenate([np.cos(beside), -np.sin(beside)], 1)
        right = np.concatenate([np.cos(along), np.sin(along)])
        np.matmul(left, right, out=frame)
    return MEAN + SD * np.sqrt(2 / WAVES) * frames


@cache
def zoomed(rate: float, *, seed: int = 0) -> Floats:
    """Enlarged by ``rate`` in each frame, 1.02: by 2 %."""
    return _frozen(transformed(lambda time: np.eye(2) * rate**-time, seed=seed))


@cache
def turned(angle: float, *, seed: int = 0) -> Floats:
    """Turned by ``angle`` radians in each frame."""

    def matrix(time: int) -> Floats:
        c, s = np.cos(angle * time), np.sin(angle * time)
        return np.array([[c, -s], [s, c]])

    return _frozen(transformed(matrix, seed=seed))


def constant(value: float = MEAN, shape: tuple[int, int] = (ROWS, COLUMNS)) -> Floats:
    """A flat picture that stays."""
    return np.full((FRAMES, *shape), value, np.float32)


def alternation(amplitude: float = 1.0, frames: int = FRAMES) -> Floats:
    """Plus and minus the amplitude in turn, (time, 1, 1)."""
    return amplitude * (-1.0) ** np.arange(frames)[:, None, None]


def on_and_off(amplitude: float = 1.0, frames: int = FRAMES) -> Floats:
    """Two frames of plus and two of minus the amplitude in turn, (time, 1, 1)."""
    return amplitude * np.where(np.arange(frames) // 2 % 2, -1.0, 1.0)[:, None, None]


def white(sd: float, seed: int, frames: int = FRAMES) -> Floats:
    """White noise that the whole picture shares, (time, 1, 1)."""
    return sd * np.random.default_rng(seed).standard_normal((frames, 1, 1))


def ramp(slope: float) -> Floats:
    """A fade by so many code values a frame, (time, 1, 1)."""
    return slope * np.arange(FRAMES)[:, None, None]


def step(size: float, at: int = FRAMES // 2) -> Floats:
    """Nothing, then ``size`` from frame ``at`` on, (time, 1, 1)."""
    return size * (np.arange(FRAMES) >= at)[:, None, None]


def flash(size: float, at: int = FRAMES // 2) -> Floats:
    """``size`` in frame ``at`` alone, (time, 1, 1)."""
    return size * (np.arange(FRAMES) == at)[:, None, None]


def upper_still(share: float) -> Floats:
    """0 over the upper share of the picture and 1 below, (rows, 1): where a flicker is."""
    return (np.arange(ROWS) >= round(share * ROWS))[:, None].astype(np.float32)


def letterboxed(frames: Floats, share: float) -> Floats:
    """With black bars over this share of the rows, above and below."""
    bar = round(share * ROWS)
    boxed = frames.copy()
    boxed[:, :bar] = boxed[:, ROWS - bar :] = 0
    return boxed


def with_insert(frames: Floats, speed: float, shape: tuple[int, int] = (120, 96)) -> Floats:
    """With a picture of another texture that crosses it at so many whole pixels a frame."""
    rows, columns = shape
    insert = pan(0, seed=99)[0, :rows, :columns]
    top = (ROWS - rows) // 2
    crossed = frames.copy()
    for time, frame in enumerate(crossed):
        left = round(speed * time)
        shown = max(0, min(columns, COLUMNS - left))
        frame[top : top + rows, left : left + shown] = insert[:, :shown]
    return crossed


def held(frames: Floats, every: int = 2) -> Floats:
    """Each frame shown ``every`` times over, in the same number of frames."""
    return np.repeat(frames, every, axis=0)[: len(frames)]


def own_flicker(trace: Floats) -> float:
    """What a trace of the whole picture's brightness is to read: ``-mean(d+ d-)``, code^2."""
    change = np.diff(trace.ravel())
    return float(-(change[1:] * change[:-1]).mean())


def measured(frames: Floats, **options: object) -> MotionReading:
    """The reading of one clip of code values, (time, rows, columns), as float32."""
    return flicker(torch.from_numpy(np.array(frames, np.float32, order="C")), **options)


def _frozen(frames: Floats) -> Floats:
    """Kept between tests, so that none of them may change it."""
    frames.flags.writeable = False
    return frames
