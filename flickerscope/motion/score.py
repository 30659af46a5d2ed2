"""Flicker from the moments of tiles: the motion-compensated anti-covariance and its companions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

import torch
from torch.nn import functional

from flickerscope.motion.filters import running_sum
from flickerscope.motion.moments import BandMoments, TileMoments

__all__ = [
    "TileFlicker",
    "running_mean",
    "single_events",
    "tile_flicker",
    "weighted_quantile",
    "window_of",
]

WINDOW: Final = 9
"""Frames of the running means."""

SHORT_WINDOW: Final = 5
SHORT_RUN: Final = 20
"""Frames below which a run takes the shorter window."""

MIN_INSIDE: Final = 0.5
"""Share of a tile that both neighbours must show."""
MIN_SHARE: Final = 0.3
"""The same over the running mean."""
BLACK, CLIPPED = 6.0, 249.0
"""Code values beyond which a tile says nothing: letterbox, clipped light."""
FLOOR: Final = 0.3
"""Added to the error of the luminance before it becomes a weight, code^2."""
CHROMA_FLOOR: Final = 0.1
TEXTURE_FLOOR: Final = 1.0
MIN_TILES: Final = 4
"""Of a frame, for its step from the frame before."""


EVENT: Final = 16.0
"""Squared change of the whole picture above which it may be a step or a flash, code^2."""
EVENT_RATIO: Final = 25.0
"""The same over the median around it."""
EVENT_REACH: Final = 8
"""Frames on each side without another one that make it a single event."""
EVENT_CHANGES: Final = 2
"""Into a flash and out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileFlicker:
    """Every tile at every frame of a run, (..., frames, rows, columns) each."""

    share: torch.Tensor
    """N: running share of the tile that was measured, 0..1; 0 where it does not count."""
    flicker: torch.Tensor
    """C: anti-covariance along the motion, code^2."""
    error: torch.Tensor
    """L: what the motion does not explain, and the flicker itself, code^2."""
    speed: torch.Tensor
    """Pixels a frame."""
    step: torch.Tensor
    """(..., frames): squared change to the next frame in the quiet tiles, code^2; NaN: unknown."""
    renewed: torch.Tensor | None = None
    """Anti-covariance of the texture, weighted."""
    detail: torch.Tensor | None = None
    """Squared gradient of the texture, weighted alike."""
    cb: torch.Tensor | None = None
    """C and L of Cb, (..., frames, rows, columns, 2), code^2."""
    cr: torch.Tensor | None = None

    def between(self, start: int, stop: int) -> TileFlicker:
        """Frames ``start`` to ``stop``."""
        return self._map(lambda x, time: x.narrow(time, start, stop - start))

    def unbind(self) -> list[TileFlicker]:
        """One for each run, along the first dimension."""

        def run(i: int) -> TileFlicker:
            return self._map(lambda x, _: x[i])

        return [run(i) for i in range(len(self.step))]

    def to(self, device: torch.device) -> TileFlicker:
        """The same on another device."""
        return self._map(lambda x, _: x.to(device))

    def _map(self, function: Callable[[torch.Tensor, int], torch.Tensor]) -> TileFlicker:
        """Apply a function to each tensor and its dimension of time."""
        values: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        times = {"step": -1, "cb": -4, "cr": -4}
        mapped: dict[str, Any] = {
            name: None if value is None else function(value, times.get(name, -3))
            for name, value in values.items()
        }
        return TileFlicker(**mapped)


def window_of(frames: int) -> int:
    """Frames of the running means in a run of ``frames`` frames."""
    return WINDOW if frames >= SHORT_RUN else SHORT_WINDOW


def running_mean(x: torch.Tensor, window: int, dim: int = -3) -> torch.Tensor:
    """Centred mean over time; the ends are repeated, and the window fits the length."""
    length = x.shape[dim]
    radius = (min(window, length if length % 2 else length - 1)) // 2
    if radius < 1:
        return x
    shape = list(x.shape)
    shape[dim] = radius
    head, tail = x.narrow(dim, 0, 1).expand(shape), x.narrow(dim, length - 1, 1).expand(shape)
    sums = running_sum(torch.cat([head, x, tail], dim), 2 * radius + 1, dim)
    return sums / (2 * radius + 1)


def tile_flicker(moments: TileMoments, window: int = WINDOW, *, events: bool = True) -> TileFlicker:
    """Flicker and error of every tile in runs of frames without a cut.

    With ``S = <(d+ + d-)^2>``, the trend taken off, and ``D = <(d+ - d-)^2>``, both averaged over
    ``window`` frames: **C = (D - S) / 4**, which is ``-<d+ d->``, and **L = S / 2**. White flicker
    of variance sigma^2 reads ``C = sigma^2``, an alternation of +-a reads ``4 a^2``; a ramp, a
    fade, a random walk and an occlusion read 0.

    Args:
        moments: of all frames of the runs.
        window: frames of the running means.
        events: leave single steps and flashes out, which are no flicker; see ``step``.
    """
    bright = (moments.mean > BLACK) & (moments.mean < CLIPPED)
    seen = moments.inside * ((moments.inside >= MIN_INSIDE) & bright)
    usual = torch.ones_like(seen)
    if events:
        usual = usual * ~single_events(moments.luma, seen)[..., None, None]
    share = running_mean(seen * usual, window)
    means = _Means(seen * usual, usual, window)
    flicker, error = means.flicker(moments.luma, trend=True)
    values = {
        name: torch.stack(means.flicker(plane, trend=True), -1)
        for name, plane in (("cb", moments.cb), ("cr", moments.cr))
        if plane is not None
    }
    if moments.texture is not None and moments.texture.gradient is not None:
        renewed, rest = means.flicker(moments.texture, trend=False)
        weight = share / (rest + TEXTURE_FLOOR).square()
        values["renewed"] = weight * renewed
        values["detail"] = weight * (means.of(moments.texture.gradient) + TEXTURE_FLOOR)
    return TileFlicker(
        share=torch.where(share > MIN_SHARE, share, 0.0),
        flicker=flicker,
        error=error,
        speed=moments.speed,
        step=_steps(moments.luma.plus, seen, error),
        **values,
    )


class _Means:
    """Running means over the part of each tile that was seen, at the frames that are usual."""

    def __init__(self, seen: torch.Tensor, usual: torch.Tensor, window: int) -> None:
        self.seen, self.usual, self.window = seen, usual, window
        self.share = running_mean(seen, window).clamp(min=1e-6)
        self.usual_share = running_mean(usual, window).clamp(min=1e-6)

    def of(self, x: torch.Tensor) -> torch.Tensor:
        return running_mean(x * self.seen, self.window) / self.share

    def slope(self, change: torch.Tensor) -> torch.Tensor:
        """Change a frame, code values."""
        return running_mean(change * self.usual / 2, self.window) / self.usual_share

    def flicker(self, band: BandMoments, *, trend: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """C and L."""
        squares = band.plus + band.minus
        total, difference = squares + 2 * band.product, squares - 2 * band.product
        if trend:
            slope = self.slope(band.change)
            total = (total - 4 * slope * (band.change - slope)).clamp(min=0)
        total, difference = self.of(total), self.of(difference)
        return (difference - total) / 4, total / 2


def single_events(luma: BandMoments, seen: torch.Tensor) -> torch.Tensor:
    """Frames beside a step or in a flash of the whole picture that stands alone, (..., frames).

    A change of the median tile by 4 code values or more, 5 times the usual change around it, with
    at most one other within 8 frames. Left in, it would reach all of the picture over the length
    of the running means, and outweigh the quiet rest.
    """
    changes = torch.cat([luma.minus[..., :1, :, :], luma.plus], -3).flatten(-2)
    counts = torch.cat([seen[..., :1, :, :], seen], -3).flatten(-2)
    size = weighted_quantile(changes, (counts > 0).to(changes), 0.5)
    padded = functional.pad(size, (EVENT_REACH, EVENT_REACH), value=torch.nan)
    usual = padded.unfold(-1, 2 * EVENT_REACH + 1, 1).nanmedian(-1).values
    event = (size > EVENT) & (size > EVENT_RATIO * usual)
    near = functional.pad(event.to(size), (EVENT_REACH, EVENT_REACH)).unfold(
        -1, 2 * EVENT_REACH + 1, 1
    )
    single = event & (near.sum(-1) <= EVENT_CHANGES)
    return single[..., :-1] | single[..., 1:]


def _steps(plus: torch.Tensor, seen: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
    """Squared change of the quiet tiles from each frame to the next, (..., frames), code^2."""
    weights = (seen / (error + FLOOR).square()).flatten(-2)
    steps = weighted_quantile(plus.flatten(-2), weights, 0.5)
    enough = (weights > 0).sum(-1) >= MIN_TILES
    return torch.where(enough, steps, torch.nan)


def weighted_quantile(x: torch.Tensor, weights: torch.Tensor, q: float) -> torch.Tensor:
    """Quantile ``q`` of the last dimension, (..., n) to (...), linear between mid-weights.

    NaN where the weights add up to nothing.
    """
    x, order = torch.where(weights > 0, x, torch.inf).sort(-1)
    weights = weights.gather(-1, order)
    count = (weights > 0).sum(-1, keepdim=True)
    places = (weights.cumsum(-1) - weights / 2) / weights.sum(-1, keepdim=True)
    above = torch.searchsorted(places, torch.full_like(places[..., :1], q))
    above = above.clamp(max=count - 1).clamp(min=0)
    below = (above - 1).clamp(min=0)
    low, high = places.gather(-1, below), places.gather(-1, above)
    part = ((q - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    a, b = x.gather(-1, below), x.gather(-1, above)
    value = torch.where(part == 1, b, a + part * (b - a))
    return torch.where(count > 0, value, torch.nan)[..., 0]
