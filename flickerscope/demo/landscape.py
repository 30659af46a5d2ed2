"""A painted landscape: a still sky, layers that pass, and balloons between far and near ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Landscape", "landscape", "smooth"]

Floats: TypeAlias = NDArray[np.floating[Any]]
Colour: TypeAlias = tuple[float, float, float]

PAN = 0.045
"""Speed of the nearest layer, picture widths a second."""
HORIZON = 0.64
"""Where the sky ends, as a fraction of the height."""

HAZE: Colour = (212, 192, 178)
SKY: tuple[tuple[float, Colour], ...] = (
    (0.0, (72, 108, 154)),
    (0.35, (112, 144, 178)),
    (0.62, (164, 176, 186)),
    (0.82, (212, 192, 174)),
    (1.0, (232, 204, 166)),
)
"""Colours from the top of the picture (0) to the horizon (1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A see-through picture, wider than the frame and repeating, that passes sideways."""

    texture: Floats
    """Red, green and blue times coverage, then coverage, (4, rows, period)."""
    top: int
    """Row of the frame at which the texture begins."""
    speed: float
    """Picture widths a second, to the left."""

    def draw_on(self, canvas: Floats, travel: float) -> None:
        """Composite onto (3, height, width); the nearest layer is ``travel`` picture widths on."""
        width = canvas.shape[2]
        view = _window(self.texture, travel * self.speed / PAN * width, width)
        part = canvas[:, self.top :]
        part[:, : view.shape[1]] *= 1 - view[3]
        part[:, : view.shape[1]] += view[:3]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Balloon:
    """A striped hot-air balloon, lit from the upper left."""

    centre: tuple[float, float]
    """Row and column at the start, as fractions of the frame."""
    drift: tuple[float, float]
    """Fractions of the frame a second."""
    radius: float
    """Fraction of the frame's height."""
    spin: float
    """Radians a second."""
    stripes: tuple[Colour, ...]
    haze: float
    """0 near .. 1 lost in the mist."""

    def draw_on(self, canvas: Floats, seconds: float) -> None:
        """Composite onto (3, height, width), edges antialiased at any sub-pixel place."""
        _, height, width = canvas.shape
        radius = self.radius * height
        bob = 0.006 * math.sin(2 * math.pi * 0.13 * seconds)
        row = (self.centre[0] + self.drift[0] * seconds + bob) * height
        column = (self.centre[1] + self.drift[1] * seconds) * width
        rows = _clipped_span(row - 1.1 * radius - 1, row + 2.1 * radius + 1, height)
        columns = _clipped_span(column - 1.1 * radius - 1, column + 1.1 * radius + 1, width)
        y = ((np.arange(height)[rows, None] + 0.5 - row) / radius).astype(np.float32)
        x = ((np.arange(width)[columns] + 0.5 - column) / radius).astype(np.float32)
        part = canvas[:, rows, columns]
        for colour, cover in (_basket(x, y, radius), self._envelope(x, y, radius, seconds)):
            part += cover * ((1 - self.haze) * colour + self.haze * _rgb(HAZE) - part)

    def _envelope(
        self, x: Floats, y: Floats, radius: float, seconds: float
    ) -> tuple[Floats, Floats]:
        """Colour (3, rows, columns) and coverage (rows, columns) of the cloth.

        x and y are in radii, the radius in pixels: half a ball above, a cone down to the mouth.
        """
        # The cone touches the ball where it ends, so that the outline has no corner.
        round_end, slope = 0.55, 0.55 / math.sqrt(1 - 0.55**2)
        cone = math.sqrt(1 - round_end**2) - slope * (y - round_end)
        half = np.where(y < round_end, np.sqrt(np.maximum(1 - y * y, 1e-6)), np.maximum(cone, 1e-3))
        ball = 1 - np.hypot(x, y)
        inside = np.where(y < round_end, ball, (cone - abs(x)) / math.hypot(1, slope))
        cover = _coverage(np.minimum(inside, 1.42 - y) * radius)
        sine = np.clip(x / half, -0.999, 0.999)
        cosine = np.sqrt(1 - sine * sine)
        gore = (np.arcsin(sine) + self.spin * seconds) * 12 / math.pi
        puff = 1 - 0.16 * (2 * (gore - np.floor(gore)) - 1) ** 2
        light = np.maximum(-0.62 * sine * half - 0.42 * y + 0.66 * cosine * half, 0)
        seam = np.rint(gore)
        blend = _coverage((gore - seam) * math.pi / 12 * half * cosine * radius)
        colours = np.array(self.stripes, np.float32)
        stripe = seam.astype(int) % len(colours)
        left = np.moveaxis(colours[stripe], 2, 0)
        right = np.moveaxis(np.roll(colours, -1, axis=0)[stripe], 2, 0)
        return (left + blend * (right - left)) * puff * (0.42 + 0.62 * light), cover


def _basket(x: Floats, y: Floats, radius: float) -> tuple[Floats, Floats]:
    """Colour (3, 1, 1) and coverage (rows, columns) of basket and ropes; x and y in radii."""
    box = np.minimum(0.13 - abs(x), 0.12 - abs(y - 1.86))
    rope = 0.012 - abs(abs(x) - (0.23 - 0.3 * (y - 1.42)))
    rope = np.minimum(rope, np.minimum(y - 1.38, 1.8 - y))
    return _rgb((74, 50, 36)), _coverage(np.maximum(box, rope) * radius)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landscape:
    """Everything that stays the same from frame to frame."""

    sky: Floats
    """(3, height, width)."""
    far: tuple[_Layer, ...]
    balloons: tuple[_Balloon, ...]
    near: tuple[_Layer, ...]
    vignette: Floats
    """Gain, (height, width)."""

    def at(self, seconds: float) -> Floats:
        """The picture at this time, without grain, (3, height, width)."""
        canvas = self.sky.copy()
        travel = PAN * seconds + 0.004 * math.sin(2 * math.pi * 0.15 * seconds)
        for layer in self.far:
            layer.draw_on(canvas, travel)
        for balloon in self.balloons:
            balloon.draw_on(canvas, seconds)
        for layer in self.near:
            layer.draw_on(canvas, travel)
        light = 1 + 0.014 * math.sin(2 * math.pi * 0.12 * seconds + 0.5)
        canvas *= np.float32(light) * self.vignette
        return canvas


def landscape(rng: np.random.Generator, height: int, width: int) -> Landscape:
    """Lay out the scene; the layers come back to front."""
    size = (height, width)
    far = (
        _clouds(rng, size, amount=0.75, scale=1.0, speed=0.003),
        _clouds(rng, size, amount=0.1, scale=1.6, speed=0.006),
        _hills(rng, size, ridge=0.565, rise=0.07, colour=(84, 98, 134), haze=0.5, speed=0.008),
        _hills(rng, size, ridge=0.645, rise=0.055, colour=(62, 82, 100), haze=0.3, speed=0.013),
    )
    near = (
        _forest(rng, size, ridge=0.735, rise=0.045, tall=0.045, haze=0.3, speed=0.02),
        _forest(rng, size, ridge=0.83, rise=0.045, tall=0.08, haze=0.12, speed=0.03),
        _forest(rng, size, ridge=0.97, rise=0.02, tall=0.16, haze=0.0, speed=PAN),
    )
    return Landscape(
        sky=_sky(height, width),
        far=far,
        balloons=_balloons(),
        near=near,
        vignette=_vignette(height, width),
    )


def _balloons() -> tuple[_Balloon, ...]:
    small = _Balloon(
        centre=(0.5, 0.385),
        drift=(-0.006, -0.008),
        radius=0.042,
        spin=0.1,
        stripes=((232, 190, 92), (224, 214, 196), (64, 120, 150)),
        haze=0.28,
    )
    large = _Balloon(
        centre=(0.34, 0.17),
        drift=(-0.012, 0.012),
        radius=0.15,
        spin=-0.16,
        stripes=((206, 62, 48), (238, 150, 60), (240, 222, 190)),
        haze=0.03,
    )
    return small, large


def _sky(height: int, width: int) -> Floats:
    """Gradient with the glow of a low sun at the left, (3, height, width)."""
    rows, columns = _grid(height, width)
    stops, colours = zip(*SKY, strict=True)
    down = np.arange(height) / (HORIZON * height)
    sky = np.stack([np.interp(down, stops, [c[k] for c in colours]) for k in range(3)])
    glow = np.exp(-((columns - 0.2) ** 2) / 0.06 - (rows - 0.56) ** 2 / 0.035)
    sun = 0.65 * glow
    return np.asarray(sky[..., None] * (1 - sun) + sun * _rgb((248, 222, 176)), np.float32)


def _vignette(height: int, width: int) -> Floats:
    rows, columns = _grid(height, width)
    return np.asarray(1 - 0.35 * ((rows - 0.5) ** 2 + (columns - 0.5) ** 2), np.float32)


def _clouds(
    rng: np.random.Generator, size: tuple[int, int], *, amount: float, scale: float, speed: float
) -> _Layer:
    """Clouds lit from the left, flatter towards the horizon."""
    height, width = size
    rows = max(2, round(HORIZON * height))
    noise = _noise(rng, 2 * rows, 2 * width, power=1.75, wide=2.6 / scale)
    # A step down the picture is a longer step through the clouds the nearer the horizon is.
    down = np.linspace(0, 1, rows)
    noise = noise[((0.35 * down + 0.6 * down**3) * 2 * rows).astype(int)]
    dense = smooth((noise + amount) / 2.2)
    step = max(1, width // 64)
    lit = np.clip(0.75 + 1.3 * (dense - np.roll(dense, step, axis=1)) - 0.35 * dense, 0, 1)
    colour = lit * _rgb((246, 232, 214)) + (1 - lit) * _rgb((142, 146, 164))
    return _layer(colour, 0.85 * dense, 0, speed)


def _hills(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    ridge: float,
    rise: float,
    colour: Colour,
    haze: float,
    speed: float,
) -> _Layer:
    """Bare mountains whose slopes are lit from the left and whose feet are lost in mist."""
    height, width = size
    line = height * (ridge - rise * np.tanh(0.7 * _noise(rng, 1, 2 * width, power=1.1)[0]))
    top = int((ridge - rise) * height)
    y = np.arange(top, height)[:, None] + 0.5
    relief = _noise(rng, height, 2 * width, power=1.45, wide=0.6)[top:]
    step = max(1, width // 320)
    slope = np.roll(relief, -step, axis=1) - np.roll(relief, step, axis=1)
    light = np.tanh(0.7 * slope / max(float(slope.std()), 1e-12))
    mist = np.clip(haze + 0.9 * (y / height - ridge) / 0.15, haze, 0.96)
    stone = _rgb(colour) * (1 + 0.26 * light + 0.06 * np.tanh(relief))
    return _layer(stone + mist * (_rgb(HAZE) - stone), _coverage(y - line), top, speed)


def _forest(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    ridge: float,
    rise: float,
    tall: float,
    haze: float,
    speed: float,
) -> _Layer:
    """A wooded slope: rows of conifers, painted from the ridge down to the mist at its foot."""
    height, width = size
    line = height * (ridge - rise * np.tanh(_noise(rng, 1, 2 * width, power=1.6)[0]))
    top = max(0, int((ridge - rise - tall) * height))
    y = (np.arange(top, height)[:, None] + 0.5).astype(np.float32)
    tone = np.full((height - top, 2 * width), 0.7, np.float32)
    cover = _coverage(y - line)
    for step in range(7):
        light, tree = _conifers(rng, line + 0.32 * step * tall * height, y, tall * height)
        tone += tree * (light * (0.8 + 0.06 * step) - tone)
        cover = np.maximum(cover, tree)
    mist = np.clip(haze + 6 * haze * (y / height - ridge) / 0.2, haze, 0.85)
    leaf = tone * _rgb((58, 74, 58)) + 16 * np.maximum(tone - 0.75, 0) * _rgb((3, 2, 0))
    return _layer(leaf + mist * (_rgb(HAZE) - leaf), cover, top, speed)


def _conifers(
    rng: np.random.Generator, foot: Floats, y: Floats, tall: float
) -> tuple[Floats, Floats]:
    """Brightness and coverage of one row of trees, both (rows, columns); all lengths in pixels."""
    period = foot.shape[0]
    count = max(1, round(period / (0.36 * tall)))
    spacing = period / count
    middle = (np.arange(count) + rng.uniform(0.1, 0.9, count)) * spacing
    grown = tall * rng.uniform(0.45, 1.0, count)
    shade = rng.uniform(0.6, 1.15, count)
    x = np.arange(period) + 0.5
    cover = np.zeros((y.shape[0], period), np.float32)
    tone = np.zeros_like(cover)
    for neighbour in (-1, 1, 0):
        tree = (x // spacing).astype(int) + neighbour
        aside = (x - middle[tree % count] - (tree - tree % count) * spacing).astype(np.float32)
        tree %= count
        tip = (foot[middle[tree].astype(int)] - grown[tree]).astype(np.float32)
        below = (y - tip) / tall
        branch = below * 7 - np.floor(below * 7)
        half = tall * 0.24 * below * (0.68 + 0.45 * branch)
        this = _coverage(half - abs(aside)) * (below > 0)
        side = np.clip(aside / np.maximum(half, 1), -1, 1)
        tone += this * (shade[tree].astype(np.float32) * (1 - 0.3 * side) - tone)
        cover = np.maximum(cover, this)
    return tone, cover


# Small tools.


def _layer(colour: Floats, cover: Floats, top: int, speed: float) -> _Layer:
    """Colour (3, rows, period) and coverage (rows, period) as a layer."""
    texture = np.concatenate([colour * cover, cover[None]]).astype(np.float32)
    return _Layer(texture=texture, top=top, speed=speed)


def _window(texture: Floats, start: float, width: int) -> Floats:
    """``width`` columns of a repeating texture from any sub-pixel start on (Catmull-Rom)."""
    whole = math.floor(start)
    f = start - whole
    weights = (
        f * (-0.5 + f * (1 - 0.5 * f)),
        1 + f * f * (-2.5 + 1.5 * f),
        f * (0.5 + f * (2 - 1.5 * f)),
        f * f * (-0.5 + 0.5 * f),
    )
    columns = np.arange(whole - 1, whole + width + 2) % texture.shape[2]
    taps = texture[:, :, columns]
    view = np.float32(weights[0]) * taps[:, :, :width]
    for k in (1, 2, 3):
        view += np.float32(weights[k]) * taps[:, :, k : k + width]
    return view


def _noise(
    rng: np.random.Generator, height: int, width: int, *, power: float, wide: float = 1.0
) -> Floats:
    """Repeating noise of amplitude 1/f^power, mean 0 and standard deviation 1, (height, width).

    Features are ``wide`` times as wide as high. The finest are left out: resampled at sub-pixel
    steps they would shimmer.
    """
    size = max(height, width)
    down = np.fft.fftfreq(height)[:, None] * size
    across = np.fft.rfftfreq(width) * size
    frequency = np.hypot(down, across * wide)
    frequency[0, 0] = np.inf
    fine = np.hypot(down, across) / (0.3 * size)
    shape = frequency.shape
    spectrum = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    noise = np.fft.irfft2(spectrum * frequency**-power * np.exp(-(fine**4)), (height, width))
    return np.asarray(noise / max(float(noise.std()), 1e-12), np.float32)


def _rgb(colour: Colour) -> Floats:
    """Colour as (3, 1, 1)."""
    return np.array(colour, np.float32)[:, None, None]


def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    """Row (height, 1) and column (width,) of the pixel centres, as fractions of the frame."""
    rows = ((np.arange(height)[:, None] + 0.5) / height).astype(np.float32)
    return rows, ((np.arange(width) + 0.5) / width).astype(np.float32)


def _coverage(inside: Floats) -> Floats:
    """Share of a pixel that is covered, from its signed distance to the edge in pixels."""
    return np.asarray(np.clip(inside + 0.5, 0, 1), np.float32)


def smooth(x: Floats) -> Floats:
    """0 below 0, 1 above 1, without a corner in between."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def _clipped_span(low: float, high: float, size: int) -> slice:
    """The pixels of low .. high that lie within the frame."""
    return slice(max(0, math.floor(low)), max(0, min(size, math.ceil(high))))
