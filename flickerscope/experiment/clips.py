"""The clips of the experiment: rendered from a seed, in three classes of content."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from flickerscope.losses import dct_basis

__all__ = [
    "CANVAS",
    "CLASSES",
    "FRAMES",
    "MIDDLE",
    "NOISE",
    "UNIT",
    "Content",
    "Motion",
    "moved",
    "render",
    "to_pixels",
    "to_spatial",
]

FRAMES: Final = 16
MIDDLE: Final = 128.0
"""Code value around which the clips lie."""
UNIT: Final = 40.0
"""Code values that are 1 to a sampler or a network: about the contrast of the clips."""
NOISE: Final = 20.0
"""Standard deviation of the noise that denoisers see, code values."""

CANVAS: Final = 64
"""Pixels of the repeating texture, of which a clip shows a part."""
STEEPNESS: Final = 1.2
"""Amplitudes of the texture fall like frequency to this power, as those of photographs do."""
FINEST: Final = 0.35
"""Cycles/pixel beyond which the texture fades out, so that it moves without shimmer."""
CONTRAST: Final = (20.0, 40.0)
"""Standard deviation of the texture, code values."""
LIGHT: Final = 0.3
"""Standard deviation of the drifting light, as a factor of what it falls on."""
GLOW: Final = 8.0
"""The same of the light that is added, code values."""
LIGHT_SIZE: Final = 1.5 / CANVAS
"""Cycles/pixel beyond which the light has no detail."""


@dataclass(frozen=True, slots=True)
class Motion:
    """How the clips of a class move, pixels a frame."""

    slowest: float
    fastest: float
    light: bool = False
    """Whether the light moves, and the texture does not."""


CLASSES: Final[Mapping[str, Motion]] = {
    "light": Motion(0.2, 0.8, light=True),
    "slow": Motion(0.05, 0.4),
    "fast": Motion(0.6, 2.5),
}
"""A still texture under drifting light, and textures that move slowly and fast."""


@dataclass(frozen=True, slots=True)
class Content:
    """Clips of one class of content."""

    name: str
    clips: Tensor
    """(clips, FRAMES, rows, columns), code values, float32, on the CPU."""
    sources: tuple[str, ...]
    """Of each clip: the video that it was taken from; clips of one source are not independent."""


def render(name: str, count: int, size: int, generator: torch.Generator) -> Tensor:
    """Clips of a class, (count, FRAMES, size, size), code values, float32, on the CPU.

    Every clip has a texture, a contrast, a direction and a speed of its own. At most `CANVAS`
    pixels of a texture can be shown.
    """
    motion = CLASSES[name]
    texture = _noise(count, generator, finest=FINEST)
    low, high = CONTRAST
    contrast = low + (high - low) * _uniform(count, generator)
    texture = contrast[:, None, None] * texture
    speed = motion.slowest + (motion.fastest - motion.slowest) * _uniform(count, generator)
    angle = 2 * math.pi * _uniform(count, generator)
    velocity = speed[:, None] * torch.stack([angle.sin(), angle.cos()], 1)
    if motion.light:
        light = moved(_noise(count, generator, finest=LIGHT_SIZE), velocity, size)
        still = moved(texture, torch.zeros_like(velocity), size)
        moving = still * (1 + LIGHT * light) + GLOW * light
    else:
        moving = moved(texture, velocity, size)
    return (MIDDLE + moving).float()


def to_spatial(clips: Tensor) -> Tensor:
    """Orthonormal DCT-II over square pictures, (..., rows, rows), same shape."""
    basis = dct_basis(clips.shape[-1]).to(clips)
    return basis @ clips @ basis.T


def to_pixels(spatial: Tensor) -> Tensor:
    """Inverse of `to_spatial`."""
    basis = dct_basis(spatial.shape[-1]).to(spatial)
    return basis.T @ spatial @ basis


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator, dtype=torch.float64)


def _noise(count: int, generator: torch.Generator, *, finest: float) -> Tensor:
    """Repeating textures of mean 0 and standard deviation 1, (count, CANVAS, CANVAS)."""
    white = torch.randn(count, CANVAS, CANVAS, generator=generator, dtype=torch.float64)
    down, across = _frequencies()
    frequency = torch.hypot(down, across)
    fade = torch.exp(-((frequency / finest) ** 6))
    amplitude = torch.where(frequency > 0, frequency.clamp(min=1e-9) ** -STEEPNESS, 0.0) * fade
    texture = torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=(CANVAS, CANVAS))
    unit: Tensor = texture / texture.flatten(1).std(1)[:, None, None]
    return unit


def moved(texture: Tensor, velocity: Tensor, size: int) -> Tensor:
    """What a window shows of repeating textures that move, (count, FRAMES, size, size).

    They are shifted in the Fourier domain, exactly by any part of a pixel.

    Args:
        texture: (count, CANVAS, CANVAS).
        velocity: (count, 2), pixels a frame down and across.
        size: rows and columns of the window.
    """
    down, across = _frequencies()
    turns = down * velocity[:, 0, None, None] + across * velocity[:, 1, None, None]
    time = torch.arange(FRAMES, dtype=torch.float64)[:, None, None]
    phases = torch.exp(-2j * math.pi * time * turns[:, None])
    spectra = (torch.fft.rfft2(texture)[:, None] * phases).to(torch.complex64)
    # One axis after the other: only what is shown is transformed along the second one.
    rows = torch.fft.ifft(spectra, dim=-2)[..., :size, :]
    shown: Tensor = torch.fft.irfft(rows, n=CANVAS, dim=-1)[..., :size]
    return shown


def _frequencies() -> tuple[Tensor, Tensor]:
    """Cycles/pixel down (CANVAS, 1) and across (CANVAS // 2 + 1,)."""
    down = torch.fft.fftfreq(CANVAS, dtype=torch.float64)[:, None]
    return down, torch.fft.rfftfreq(CANVAS, dtype=torch.float64)
