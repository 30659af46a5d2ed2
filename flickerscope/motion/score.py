"""Flicker from the moments of tiles: the motion-compensated anti-covariance and its companions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn import functional

from flickerscope.motion.filters import running_sum
from flickerscope.motion.moments import BandMoments, TileMoments
from flickerscope.motion.records import map_records

__all__ = [
    "SlowFlicker",
    "TileBand",
    "TileFlicker",
    "running_mean",
    "single_events",
    "tile_flicker",
    "weighted_quantile",
]

WINDOW: Final = 9
"""Frames of the running means; in shorter runs, as many as there are."""

MIN_INSIDE: Final = 0.5
"""Share of a tile that both neighbours must show."""
MIN_SHARE: Final = 0.3
"""The same over the running mean."""
BLACK, CLIPPED = 6.0, 249.0
"""Code values beyond which a tile says nothing: letterbox, clipped light."""


SLOW_PART: Final = 0.75
"""Of L, taken off the flicker near a quarter cycle/frame."""
EVENT: Final = 16.0
"""Squared change of the whole picture above which it may be a step or a flash, code^2."""
EVENT_RATIO: Final = 16.0
"""The same over the third largest one around it."""
EVENT_REACH: Final = 8
"""Frames on each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileFlicker:
    """Every tile at every frame of a run, (..., frames, rows, columns) each."""

    share: torch.Tensor
    """N: running share of the tile that was measured, 0..1; 0 where it does not count."""
    counts: torch.Tensor
    """N where the tile was measured at this very frame and the frame is no single event, else 0."""
    shown: torch.Tensor
    """Share of the tile that the frame and both its neighbours show, 0..1."""
    speed: torch.Tensor
    """Pixels a frame."""
    step: torch.Tensor
    """Squared change to the next frame (of the first frame: or from the one before), code^2."""
    luma: TileBand
    texture: TileBand | None = None
    cb: TileBand | None = None
    cr: TileBand | None = None
    slow: SlowFlicker | None = None

    def between(self, start: int, stop: int) -> TileFlicker:
        """Frames ``start`` to ``stop``."""
        return map_records(lambda x: x[..., start:stop, :, :], self)


@dataclass(frozen=True, slots=True)
class TileBand:
    """Flicker of one band, (..., frames, rows, columns) each, code^2."""

    flicker: torch.Tensor
    """C: anti-covariance along the motion."""
    mean: torch.Tensor
    """Its running mean over time."""
    error: torch.Tensor
    """E = L - max(C, 0) of the running means: what the motion does not explain."""
    detail: torch.Tensor | None = None
    """Running mean of the product of neighbouring pixels; of the texture only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowFlicker:
    """Flicker near a quarter cycle/frame, (..., frames, rows, columns) each."""

    counts: torch.Tensor
    """As of `TileFlicker`."""
    flicker: torch.Tensor
    """C - 3/4 L against the frames two away, code^2: +-a two frames on, two off reads 4 a^2."""
    error: torch.Tensor
    """L: running mean, code^2."""


def running_mean(x: torch.Tensor, window: int, dim: int = -3) -> torch.Tensor:
    """Centred mean over time, alike in shape; the ends are repeated, the window fits the length."""
    length = x.shape[dim]
    radius = min(window, length if length % 2 else length - 1) // 2
    if radius < 1:
        return x
    shape = list(x.shape)
    shape[dim] = radius
    head, tail = x.narrow(dim, 0, 1).expand(shape), x.narrow(dim, length - 1, 1).expand(shape)
    sums = running_sum(torch.cat([head, x, tail], dim), 2 * radius + 1, dim)
    return sums / (2 * radius + 1)


def tile_flicker(
    moments: TileMoments, window: int = WINDOW, *, usual: torch.Tensor | None = None
) -> TileFlicker:
    """Flicker and error of every tile in runs of frames without a cut.

    With ``S = (d+ + d-)^2``, the trend taken off, and ``D = (d+ - d-)^2``: **C = (D - S) / 4**,
    which is ``-d+ d-``, and **L = S / 2**. White flicker of variance sigma^2 reads
    ``C = sigma^2``, an alternation of +-a reads ``4 a^2``; a ramp,
    a fade and an occlusion read 0, a random walk a tenth of the variance of its steps.

    The trend tau is the running mean of ``(d+ + d-) / 2`` over ``window`` frames, and
    ``S = max(0, (d+ + d-)^2 - 4 tau (d+ + d-) + 4 tau^2)``.

    Args:
        moments: of all frames of the runs.
        window: frames of the running means.
        usual: which frames to take, (..., frames); default: all but single steps and flashes,
            which are no flicker; see `single_events`.
    """
    bright = (moments.mean > BLACK) & (moments.mean < CLIPPED)
    seen = moments.inside * ((moments.inside >= MIN_INSIDE) & bright)
    if usual is None:
        usual = ~single_events(moments.luma, seen)
    usual = usual[..., None, None].to(seen).expand_as(seen)
    means = _Means(seen * usual, usual, window)
    others: dict[str, Any] = {
        name: means.band(band, trend=name != "texture")
        for name in ("texture", "cb", "cr")
        if (band := getattr(moments, name)) is not None
    }
    if moments.slow is not None:
        others["slow"] = _slow_flicker(moments.slow, usual, window)
    share = torch.where(means.share > MIN_SHARE, means.share, 0.0)
    plus, minus = moments.luma.plus, moments.luma.minus
    first = torch.maximum(plus[..., :1, :, :], minus[..., :1, :, :])
    return TileFlicker(
        share=share,
        counts=share * (seen * usual > 0),
        shown=seen,
        speed=moments.speed,
        step=torch.cat([first, plus[..., 1:, :, :]], -3),
        luma=means.band(moments.luma, trend=True),
        **others,
    )


class _Means:
    """Running means over the part of each tile that was seen, at the frames that are usual."""

    def __init__(self, seen: torch.Tensor, usual: torch.Tensor, window: int) -> None:
        self.seen, self.usual, self.window = seen, usual, window
        self.share = running_mean(seen, window)
        self.usual_share = running_mean(usual, window)

    def of(self, x: torch.Tensor) -> torch.Tensor:
        return running_mean(x * self.seen, self.window) / self.share.clamp(min=1e-6)

    def slope(self, change: torch.Tensor) -> torch.Tensor:
        """Change a frame, code values."""
        total = running_mean(change * self.usual / 2, self.window)
        return total / self.usual_share.clamp(min=1e-6)

    def squares(self, band: BandMoments, *, trend: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """S and D."""
        squares = band.plus + band.minus
        total, difference = squares + 2 * band.product, squares - 2 * band.product
        if trend:
            slope = self.slope(band.change)
            total = (total - 4 * slope * (band.change - slope)).clamp(min=0)
        return total, difference

    def band(self, band: BandMoments, *, trend: bool) -> TileBand:
        total, difference = self.squares(band, trend=trend)
        mean_total = self.of(total)
        mean = (self.of(difference) - mean_total) / 4
        error = (mean_total / 2 - mean.clamp(min=0)).clamp(min=0)
        detail = None if band.detail is None else self.of(band.detail)
        return TileBand((difference - total) / 4, mean, error, detail)


def _slow_flicker(moments: TileMoments, usual: torch.Tensor, window: int) -> SlowFlicker:
    """Of the luma against the frames two away.

    C weighs the spectrum along the motion with ``(2 - 2 cos 2w)(-cos 2w)``, 4 at a quarter
    cycle/frame. Motion over two frames is harder to follow, so that of L, which it leaves, three
    quarters are taken off: what the motion leaves then reads below 0.
    """
    bright = (moments.mean > BLACK) & (moments.mean < CLIPPED)
    around = functional.pad(1 - usual, (0, 0, 0, 0, 1, 1)).unfold(-3, 3, 1).amax(-1)
    seen = moments.inside * ((moments.inside >= MIN_INSIDE) & bright) * (1 - around)
    means = _Means(seen, 1 - around, window)
    total, difference = means.squares(moments.luma, trend=True)
    share = torch.where(means.share > MIN_SHARE, means.share, 0.0)
    return SlowFlicker(
        counts=share * (seen > 0),
        flicker=(difference - total) / 4 - SLOW_PART * total / 2,
        error=means.of(total) / 2,
    )


def single_events(luma: BandMoments, seen: torch.Tensor) -> torch.Tensor:
    """Frames beside a step or in a flash of the whole picture that stands alone, (..., frames).

    A change of the median tile by 4 code values or more, 4 times the third largest change within
    8 frames: a step is one such change, a flash two. Left in, it would reach all of the picture
    over the length of the running means, and outweigh the quiet rest.
    """
    changes = torch.cat([luma.minus[..., :1, :, :], luma.plus], -3).flatten(-2)
    known = (torch.cat([seen[..., :1, :, :], seen], -3) > 0).to(changes).flatten(-2)
    size = weighted_quantile(changes, known, 0.5).nan_to_num()
    near = functional.pad(size, (EVENT_REACH, EVENT_REACH)).unfold(-1, 2 * EVENT_REACH + 1, 1)
    third = near.topk(3, -1).values[..., 2]
    event = (size > EVENT) & (size > EVENT_RATIO * third)
    return event[..., :-1] | event[..., 1:]


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
