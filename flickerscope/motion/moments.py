"""How far a picture differs from its neighbours along the motion, as means over tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch.nn import functional

from flickerscope.compiled.door import takes
from flickerscope.motion import native
from flickerscope.motion.filters import blur, fine_detail, is_inside, warp, window_mean
from flickerscope.motion.records import map_records

__all__ = ["BLUR", "TILE", "BandMoments", "TileMoments", "smooth_acceleration", "tile_moments"]

TILE: Final = 8
"""Pixels of a picture of 72 rows."""

BLUR: Final = 1.5
"""Sigma of the luminance band, pixels of a picture of 72 rows."""

DETAIL_BLUR: Final = 2.0
"""Sigma above which lies the texture band, pixels of a picture of 144 rows."""

ACCELERATION_RADIUS: Final = 2

SLACK: Final = 1e-3
"""Pixels by which a place may lie out of the picture: rounding, where nothing moves."""


@dataclass(frozen=True, slots=True)
class BandMoments:
    """Means over the pixels of a tile that stay in the frame, (..., frames, rows, columns) each.

    With the neighbours brought along the motion, ``d+ = f[t+1] - f[t]``, ``d- = f[t] - f[t-1]``.
    """

    plus: torch.Tensor
    """``<d+ d+>``, code^2."""
    minus: torch.Tensor
    """``<d- d->``, code^2."""
    product: torch.Tensor
    """``<d+ d->``, code^2; of the texture, d- is that of the pixels beside."""
    change: torch.Tensor
    """``<d+ + d->``, code values."""
    detail: torch.Tensor | None = None
    """Product of the frame itself with the pixels beside, code^2; of the texture only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileMoments:
    """What the triples of a run of frames come to, (..., frames, rows, columns) each."""

    inside: torch.Tensor
    """Share of the tile's pixels whose neighbours both lie in the frame, 0..1."""
    mean: torch.Tensor
    """Luma, code values."""
    speed: torch.Tensor
    """Mean length of the motion to the next frame, pixels a frame."""
    luma: BandMoments
    texture: BandMoments | None = None
    cb: BandMoments | None = None
    cr: BandMoments | None = None
    slow: TileMoments | None = None
    """The luma against the frames two away; nothing inside where there are none."""

    def __len__(self) -> int:
        """Frames."""
        return self.inside.shape[-3]

    def to(self, device: torch.device) -> TileMoments:
        """The same on another device."""
        return map_records(lambda x: x.to(device), self)

    def between(self, start: int, stop: int) -> TileMoments:
        """Frames ``start`` to ``stop``."""
        return map_records(lambda x: x[..., start:stop, :, :], self)

    @staticmethod
    def join(runs: Sequence[TileMoments]) -> TileMoments:
        """One run of frames after the other."""
        return map_records(lambda *parts: torch.cat(parts, -3), *runs)


def smooth_acceleration(
    forward: torch.Tensor, backward: torch.Tensor, radius: int = ACCELERATION_RADIUS
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both motions with their sum, the acceleration, averaged over a window.

    Errors that the two have apart would look like flicker; those they have in common look like
    motion that was not followed. (..., N, 2, H, W) each.
    """
    bend = (forward + backward).div_(2)
    smooth = window_mean(bend.flatten(0, -4), radius).view(bend.shape)
    correction = smooth.sub_(bend)
    return forward + correction, backward + correction


def tile_moments(
    frames: torch.Tensor,
    forward: torch.Tensor,
    backward: torch.Tensor,
    *,
    detail: torch.Tensor | None = None,
    chroma: torch.Tensor | None = None,
    smooth: torch.Tensor | None = None,
    stride: int = 1,
) -> TileMoments:
    """Moments of runs of frames under a given motion.

    Args:
        frames: (..., T, H, W), luma code values; the sizes of tiles and blur are made for a short
            side of 72 pixels.
        forward: motion of the frames but the first and the last to the next one,
            (..., T - 2, 2, H, W), pixels.
        backward: the same to the frame before.
        detail: the frames at twice the size, (..., T, 2 H, 2 W), for the texture.
        chroma: Cb and Cr, (..., T, 2, H, W), code values.
        smooth: the frames blurred by `BLUR`, where that is done already.
        stride: hold frames against those so many frames away: the motion is to these, and so many
            frames at both ends have none.
    """
    runs = frames.shape[:-3]
    forward, backward = forward.flatten(0, -4), backward.flatten(0, -4)
    mean = _tile_sums(_triples(frames, stride)[1]) / TILE**2
    smooth = blur(frames, BLUR) if smooth is None else smooth
    sums = _sums(_triples(smooth, stride), forward, backward)
    bands: dict[str, Any] = {"luma": _means(sums)}
    if chroma is not None:
        colours = blur(chroma, BLUR)
        for name, plane in zip(("cb", "cr"), colours.unbind(-3), strict=True):
            bands[name] = _means(_sums(_triples(plane, stride), forward, backward))
    if detail is not None:
        bands["texture"] = _texture(detail, forward, backward)
    share, speed = sums[:, 0] / TILE**2, sums[:, 1] / TILE**2
    flat = TileMoments(inside=share, mean=mean[:, 0], speed=speed, **bands)
    return map_records(lambda x: x.view(*runs, -1, *x.shape[1:]), flat)


def _triples(
    frames: torch.Tensor, stride: int = 1
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Before, at and after, (..., T, H, W) to (N, 1, H, W) each."""
    count = frames.shape[-3] - 2 * stride
    before, at, after = (
        frames.narrow(-3, start * stride, count).flatten(0, -3)[:, None] for start in range(3)
    )
    return before, at, after


def _tile_sums(x: torch.Tensor, tile: int = TILE) -> torch.Tensor:
    """Sums over tiles, (N, C, H, W) to (N, C, H // tile, W // tile)."""
    count, channels, height, width = x.shape
    rows, columns = height // tile, width // tile
    x = x[..., : rows * tile, : columns * tile]
    # One after the other: torch takes four times as long for both sums at once.
    x = x.reshape(count, channels, rows, tile, columns * tile).sum(3)
    return x.view(count, channels, rows, columns, tile).sum(-1)


def _sums(
    triples: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    forward: torch.Tensor,
    backward: torch.Tensor,
) -> torch.Tensor:
    """Sums over tiles, (N, 6, rows, columns): ``[inside, speed, d+ d+, d- d-, d+ d-, d+ + d-]``.

    All but the speed of the pixels inside.
    """
    before, at, after = triples
    fits = forward.shape == backward.shape == (len(at), 2, *at.shape[2:])
    if takes(*triples, forward, backward) and fits:
        before, at, after = (x[:, 0] for x in triples)
        return native.triple_sums(before, at, after, forward, backward, slack=SLACK, tile=TILE)
    inside = _inside(forward, backward)
    speed = forward.square().sum(1, keepdim=True).sqrt()
    second = _second_differences(at)
    plus = (warp(after, forward) - _as_if_sampled(at, second, forward)) * inside
    minus = (_as_if_sampled(at, second, backward) - warp(before, backward)) * inside
    return _tile_sums(torch.cat([inside, speed, *_products(plus, minus)], 1))


def _inside(forward: torch.Tensor, backward: torch.Tensor) -> torch.Tensor:
    """1 where both neighbours show the pixel, else 0, (N, 1, H, W)."""
    seen = is_inside(forward, SLACK) & is_inside(backward, SLACK)
    return seen[:, None].to(forward.dtype)


def _products(plus: torch.Tensor, minus: torch.Tensor) -> list[torch.Tensor]:
    return [plus * plus, minus * minus, plus * minus, plus + minus]


def _means(sums: torch.Tensor, tile: int = TILE) -> BandMoments:
    """From sums of what is inside and of the four products, in the order of `_sums`."""
    pixels = sums[:, :1].clamp(min=1e-6 * tile**2)
    return BandMoments(*(sums[:, -4:] / pixels).unbind(1))


def _second_differences(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Along columns and rows, (N, 1, H, W) each; the border is repeated."""
    p = functional.pad(x, (1, 1, 1, 1), mode="replicate")
    middle = p[..., 1:-1, 1:-1]
    return (
        p[..., 1:-1, 2:] - 2 * middle + p[..., 1:-1, :-2],
        p[..., 2:, 1:-1] - 2 * middle + p[..., :-2, 1:-1],
    )


def _as_if_sampled(
    x: torch.Tensor, second: tuple[torch.Tensor, torch.Tensor], flow: torch.Tensor
) -> torch.Tensor:
    """A frame with the blur that bilinear sampling between pixels gives to its neighbours.

    At the fraction delta that is ``delta (1 - delta) / 2`` times the second difference, to first
    order: without it a pan by half pixels would look like an alternation of sharpness.
    """
    fraction = flow - flow.floor()
    weight = fraction * (1 - fraction) / 2
    return x + weight[:, :1] * second[0] + weight[:, 1:] * second[1]


def _texture(detail: torch.Tensor, forward: torch.Tensor, backward: torch.Tensor) -> BandMoments:
    tile = 2 * TILE
    sums = _detail_sums(_triples(fine_detail(detail, DETAIL_BLUR)), forward, backward, tile)
    means = _means(sums[:, 2:], tile)
    # Of pixels beside each other: texture has that in common with its neighbours, grain has not.
    product, own = (sums[:, :2] / sums[:, 2:3].clamp(min=1e-6 * tile**2)).unbind(1)
    return replace(means, product=product, detail=own.clamp(min=0))


def _detail_sums(
    triples: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    forward: torch.Tensor,
    backward: torch.Tensor,
    tile: int,
) -> torch.Tensor:
    """See `native.detail_sums`."""
    before, at, after = triples
    height, width = at.shape[-2:]
    fits = forward.shape == backward.shape == (len(at), 2, height / 2, width / 2)
    if takes(*triples, forward, backward) and fits:
        return native.detail_sums(
            before[:, 0], at[:, 0], after[:, 0], forward, backward, slack=SLACK, tile=tile
        )
    size = at.shape[-2:]

    def enlarged(flow: torch.Tensor) -> torch.Tensor:
        return 2 * functional.interpolate(flow, size=size, mode="bilinear", align_corners=False)

    inside = functional.interpolate(_inside(forward, backward), size=size)
    plus = (warp(after, enlarged(forward), "bicubic") - at) * inside
    minus = (at - warp(before, enlarged(backward), "bicubic")) * inside
    beside = [plus * _beside(minus), at * _beside(at) * inside]
    return _tile_sums(torch.cat([*beside, inside, *_products(plus, minus)], 1), tile)


def _beside(x: torch.Tensor) -> torch.Tensor:
    """Mean of the four pixels beside each one, (N, 1, H, W) alike; the border is repeated."""
    p = functional.pad(x, (1, 1, 1, 1), mode="replicate")
    across = p[..., 1:-1, 2:] + p[..., 1:-1, :-2]
    return (across + p[..., 2:, 1:-1] + p[..., :-2, 1:-1]) / 4
