"""The flicker of a video in a few numbers, from that of its tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flickerscope.motion.incoherence import IncoherenceReading
from flickerscope.motion.records import map_records
from flickerscope.motion.score import SlowFlicker, TileBand, TileFlicker, weighted_quantile

__all__ = [
    "FrameFlicker",
    "MotionReading",
    "find_flickering",
    "find_followed",
    "frame_flicker",
    "mean_of_known",
    "read_motion",
    "tile_median",
    "tile_weights",
]

LUMA_FLOOR: Final = 0.3
"""Added to the error before it becomes a weight, code^2."""
CHROMA_FLOOR: Final = 0.1
TEXTURE_FLOOR: Final = 1.0
MIN_TILES: Final = 4
"""Of a frame, for its own readings."""
TRACKED: Final = 4.0
"""Error up to which a tile counts as followed, code^2."""
AREA_FLICKER: Final = 0.25
AREA_SHARE: Final = 0.5
FASTEST: Final = 0.8
MIN_RELATIVE_SPEED: Final = 0.3
MOVES: Final = 0.1
"""Pixels a frame."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFlicker:
    """What the tiles of each frame come to, (..., frames) each; NaN: nothing to read."""

    flicker: torch.Tensor
    """Weighted median of C, code^2."""
    level: torch.Tensor
    """The same of its running mean: smoother, for the eye."""
    moving: torch.Tensor
    """Weighted median of C's running mean in the tiles that move against the rest, code^2."""
    step: torch.Tensor
    """Weighted median of the squared change to the next frame, code^2."""
    speed: torch.Tensor
    """Median, pixels a frame."""
    measured: torch.Tensor
    """Tiles measured, in shares of a tile."""
    followed: torch.Tensor
    """Of these, tiles whose motion is followed."""
    flickering: torch.Tensor
    """Of these, tiles that flicker."""
    moves: torch.Tensor
    """Of these, tiles that move."""
    tiles: torch.Tensor
    """All tiles there are."""
    slow: torch.Tensor | None
    """Weighted median of the flicker near a quarter cycle/frame, code^2."""
    cb: torch.Tensor | None
    """As ``flicker``, of Cb, code^2."""
    cr: torch.Tensor | None
    renewed: torch.Tensor | None
    """Weighted sum of C in the texture, code^2."""
    detail: torch.Tensor | None
    """The same of its own product with the pixels beside."""
    map: torch.Tensor
    """(..., rows, columns): weighted sum of C over time."""
    weights: torch.Tensor
    """(..., rows, columns): the weights of that."""

    def unbind(self) -> list[FrameFlicker]:
        """One for each run, along the first dimension."""

        def run(i: int) -> FrameFlicker:
            return map_records(lambda x: x[i], self)

        return [run(i) for i in range(len(self.flicker))]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotionReading:
    """The motion-compensated flicker of one video."""

    flicker: float
    """Mean over time of the picture's weighted median of C, code^2: white flicker of variance
    sigma^2 reads sigma^2."""
    usual: float
    """Median over time instead of the mean, code^2: less for what flickers now and then."""
    coverage: float
    """Share of the picture and the time in which the motion can be followed, 0..1."""
    area: float
    """Share of the picture and the time that flickers, 0..1."""
    slow: float | None
    """Flicker near a quarter cycle/frame, to which ``flicker`` is blind, code^2: +-a two frames
    on, two off reads 4 a^2."""
    moving: float | None
    """Flicker where the picture moves against the rest, code^2: medians over tiles and time."""
    texture: float | None
    """Share of the fine detail that is renewed in each frame."""
    cb: float | None
    """As ``flicker``, of Cb, code^2."""
    cr: float | None
    pop: float | None
    """Largest step of the quiet tiles from one frame to the next, less the median, code^2."""
    speed: float
    """Median, pixels of a picture of 72 rows a frame."""
    moving_share: float
    """Share of the picture and the time that moves by over 0.1 pixels a frame."""
    coarse: IncoherenceReading | None
    """Of the coarse picture: why motion that cannot be followed cannot."""
    map: Floats
    """(rows, columns): weighted mean of C over time, code^2; NaN: not measured."""
    frames: list[int]
    """Frames that were held against both their neighbours."""
    series: Floats
    """(len(frames),): weighted median over the picture of C's running mean over 9 frames, code^2;
    NaN: not measured."""
    steps: Floats
    """(len(frames),): squared change of the quiet tiles to the next frame, code^2; NaN likewise."""


def frame_flicker(tiles: TileFlicker) -> FrameFlicker:
    """Pool the tiles of each frame.

    A tile weighs ``N / (max(E, median E) + 0.3)^2``: what is not followed has little say, and
    what flickers is not outvoted by what is still.

    Args:
        tiles: (..., frames, rows, columns).
    """
    share, luma, speed = tiles.share, tiles.luma, tiles.speed
    weights = tile_weights(tiles.counts, luma.error, LUMA_FLOOR)
    usual = tile_median(speed, tiles.counts)
    renewed, detail = _of_texture(tiles.texture, tiles.counts)
    objects = weights * _moves_apart(speed - usual[..., None, None])
    return FrameFlicker(
        flicker=tile_median(luma.flicker, weights),
        level=tile_median(luma.mean, weights),
        moving=tile_median(luma.mean, objects),
        step=tile_median(tiles.step, tile_weights(tiles.shown, luma.error, LUMA_FLOOR)),
        speed=usual,
        measured=share.sum((-1, -2)),
        followed=(share * find_followed(luma)).sum((-1, -2)),
        flickering=(share * find_flickering(luma)).sum((-1, -2)),
        moves=(share * (speed > MOVES)).sum((-1, -2)),
        tiles=torch.ones_like(share).sum((-1, -2)),
        slow=_of_slow(tiles.slow),
        cb=_of_chroma(tiles.cb, tiles.counts),
        cr=_of_chroma(tiles.cr, tiles.counts),
        renewed=renewed,
        detail=detail,
        map=(weights * luma.flicker).sum(-3),
        weights=weights.sum(-3),
    )


def find_followed(band: TileBand) -> torch.Tensor:
    """Where the motion is followed: ``E <= 4`` code^2."""
    return band.error <= TRACKED


def find_flickering(band: TileBand) -> torch.Tensor:
    """Where there is flicker: ``C > .25`` code^2 and ``C > L / 2``."""
    error = band.error + band.mean.clamp(min=0)
    return (band.mean > AREA_FLICKER) & (band.mean > AREA_SHARE * error)


def tile_weights(
    counts: torch.Tensor, error: torch.Tensor, floor: float = LUMA_FLOOR
) -> torch.Tensor:
    """``N / (max(E, median E) + floor)^2``, the median over each frame; (..., rows, columns)."""
    known = torch.where(counts > 0, error, torch.nan).flatten(-2)
    middle = known.nanmedian(-1).values.nan_to_num()[..., None, None]
    return counts / (torch.maximum(error, middle) + floor).square()


def tile_median(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted, over the tiles of each frame, (..., frames); NaN where there are too few."""
    x, weights = x.flatten(-2), weights.flatten(-2)
    enough = (weights > 0).sum(-1) >= min(MIN_TILES, x.shape[-1])
    return torch.where(enough, weighted_quantile(x, weights, 0.5), torch.nan)


def _of_slow(slow: SlowFlicker | None) -> torch.Tensor | None:
    if slow is None:
        return None
    return tile_median(slow.flicker, tile_weights(slow.counts, slow.error, LUMA_FLOOR))


def _of_chroma(band: TileBand | None, counts: torch.Tensor) -> torch.Tensor | None:
    return (
        None
        if band is None
        else tile_median(band.flicker, tile_weights(counts, band.error, CHROMA_FLOOR))
    )


def _of_texture(
    band: TileBand | None, counts: torch.Tensor
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    if band is None or band.detail is None:
        return None, None
    weights = tile_weights(counts, band.error + band.mean.clamp(min=0), TEXTURE_FLOOR)
    detail = band.detail + TEXTURE_FLOOR
    return (weights * band.mean).sum((-1, -2)), (weights * detail).sum((-1, -2))


def _moves_apart(relative: torch.Tensor) -> torch.Tensor:
    """The fifth of the tiles of each frame that move most against its median."""
    size = relative.abs()
    limit = size.flatten(-2).quantile(FASTEST, -1, interpolation="nearest")
    return size >= limit.clamp(min=MIN_RELATIVE_SPEED)[..., None, None]


def read_motion(
    runs: Sequence[FrameFlicker],
    frames: Sequence[int],
    coarse: IncoherenceReading | None = None,
) -> MotionReading | None:
    """Pool the frames of a video; ``None`` where no frame could be read.

    Args:
        runs: (frames,) each.
        frames: their frames' numbers.
        coarse: what the coarse pictures say, where they were looked at.
    """
    joined = _join(runs)
    flicker = mean_of_known(joined["flicker"])
    if flicker is None:
        return None
    measured = float(joined["measured"].sum())
    return MotionReading(
        flicker=flicker,
        usual=_middle(joined["level"]) or 0.0,
        coverage=float(joined["followed"].sum() / joined["tiles"].sum()),
        area=float(joined["flickering"].sum()) / measured,
        slow=mean_of_known(joined["slow"]) if "slow" in joined else None,
        moving=_middle(joined["moving"]),
        texture=(
            max(0.0, float(joined["renewed"].sum() / joined["detail"].sum()))
            if "renewed" in joined
            else None
        ),
        cb=mean_of_known(joined["cb"]) if "cb" in joined else None,
        cr=mean_of_known(joined["cr"]) if "cr" in joined else None,
        pop=_pop(joined["step"]),
        speed=float(joined["speed"].nanmedian()),
        moving_share=float(joined["moves"].sum()) / measured,
        coarse=coarse,
        map=_array(_total("map", runs) / _total("weights", runs)),
        frames=list(frames),
        series=_array(joined["level"]),
        steps=_array(joined["step"]),
    )


def _join(runs: Sequence[FrameFlicker]) -> dict[str, torch.Tensor]:
    """One run after the other, by name; what is not measured is left out."""
    columns: dict[str, list[Any]] = {
        item.name: [getattr(run, item.name) for run in runs] for item in fields(FrameFlicker)
    }
    return {
        name: torch.cat(values)
        for name, values in columns.items()
        if values[0] is not None and name not in ("map", "weights")
    }


def _total(name: str, runs: Sequence[FrameFlicker]) -> torch.Tensor:
    return torch.stack([getattr(run, name) for run in runs]).sum(0)


def mean_of_known(x: torch.Tensor) -> float | None:
    """Mean of what is not NaN; ``None`` where all is."""
    known = x[~x.isnan()].double()
    return float(known.mean()) if len(known) else None


def _middle(x: torch.Tensor) -> float | None:
    known = x[~x.isnan()].double()
    return float(known.median()) if len(known) else None


def _pop(steps: torch.Tensor) -> float | None:
    known = steps[~steps.isnan()]
    return float(known.max() - known.median()) if len(known) else None


def _array(x: torch.Tensor) -> Floats:
    return x.double().cpu().numpy()
