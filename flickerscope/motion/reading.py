"""The flicker of a video in a few numbers, from that of its tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from flickerscope.motion.score import CHROMA_FLOOR, FLOOR, TileFlicker, weighted_quantile

__all__ = ["MotionReading", "read_motion"]

MIN_TILES: Final = 8
TRACKED: Final = 4.0
"""Error up to which a tile counts as followed, its flicker aside, code^2."""
AREA_FLICKER: Final = 0.25
AREA_SHARE: Final = 0.5
FASTEST: Final = 0.8
MIN_RELATIVE_SPEED: Final = 0.2
MOVING_QUANTILE: Final = 0.75
MOVES: Final = 0.1
"""Pixels a frame."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotionReading:
    """The motion-compensated flicker of one video."""

    flicker: float
    """Weighted median of C, code^2: white flicker of variance sigma^2 reads sigma^2."""
    coverage: float
    """Share of the picture and the time in which the motion can be followed, 0..1."""
    area: float
    """Share of the picture and the time that flickers, 0..1."""
    moving: float | None
    """Weighted upper quartile of C where the picture moves against the rest, code^2."""
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
    map: Floats
    """(rows, columns): weighted mean of C over time, code^2; NaN: not measured."""
    frames: list[int]
    """Frames that were held against both their neighbours."""
    series: Floats
    """(len(frames),): weighted median of C over the picture, code^2; NaN: not measured."""
    steps: Floats
    """(len(frames),): squared change of the quiet tiles to the next frame, code^2; NaN likewise."""


def read_motion(runs: Sequence[TileFlicker], frames: Sequence[int]) -> MotionReading | None:
    """Pool the tiles of a video; ``None`` where fewer than 8 tiles could be measured.

    Tiles weigh ``N / (max(L, median L) + 0.3)^2``: what is not followed has little say, and what
    flickers is not outvoted by what is still.

    Args:
        runs: (frames, rows, columns) each.
        frames: their frames' numbers.
    """
    share, flicker, error, speed = (
        torch.cat([getattr(run, name) for run in runs])
        for name in ("share", "flicker", "error", "speed")
    )
    seen = share > 0
    if int(seen.sum()) < MIN_TILES:
        return None
    weights = share / (error.clamp(min=error[seen].median()) + FLOOR).square()
    moving = _moving_objects(speed) & seen
    over_time = weighted_quantile(flicker.flatten(1), weights.flatten(1), 0.5)
    steps = torch.cat([run.step for run in runs])
    return MotionReading(
        flicker=_quantile(flicker, weights),
        coverage=float((share * (error - flicker.clamp(min=0) <= TRACKED)).sum() / share.numel()),
        area=_share(share, (flicker > AREA_FLICKER) & (flicker > AREA_SHARE * error)),
        moving=(
            _quantile(flicker, weights * moving, MOVING_QUANTILE)
            if int(moving.sum()) >= MIN_TILES
            else None
        ),
        texture=_texture(runs, seen),
        cb=_chroma([run.cb for run in runs], share),
        cr=_chroma([run.cr for run in runs], share),
        pop=_pop(steps),
        speed=float(speed[seen].median()),
        moving_share=_share(share, speed > MOVES),
        map=((weights * flicker).sum(0) / weights.sum(0)).double().cpu().numpy(),
        frames=list(frames),
        series=over_time.double().cpu().numpy(),
        steps=steps.double().cpu().numpy(),
    )


def _quantile(x: torch.Tensor, weights: torch.Tensor, q: float = 0.5) -> float:
    return float(weighted_quantile(x.flatten(), weights.flatten(), q))


def _share(share: torch.Tensor, which: torch.Tensor) -> float:
    return float((share * which).sum() / share.sum())


def _moving_objects(speed: torch.Tensor) -> torch.Tensor:
    """The fifth of the tiles that move most against the median of their frame."""
    relative = (speed - speed.flatten(1).median(1).values[:, None, None]).abs()
    ordered = relative.flatten().sort().values
    limit = float(ordered[round(FASTEST * (len(ordered) - 1))])
    return relative >= max(MIN_RELATIVE_SPEED, limit)


def _texture(runs: Sequence[TileFlicker], seen: torch.Tensor) -> float | None:
    renewed = [run.renewed for run in runs if run.renewed is not None]
    detail = [run.detail for run in runs if run.detail is not None]
    if not renewed:
        return None
    return float(torch.cat(renewed)[seen].sum() / torch.cat(detail)[seen].sum())


def _chroma(planes: Sequence[torch.Tensor | None], share: torch.Tensor) -> float | None:
    known = [plane for plane in planes if plane is not None]
    if not known:
        return None
    flicker, error = torch.cat(known).unbind(-1)
    return _quantile(flicker, share / (error + CHROMA_FLOOR).square())


def _pop(steps: torch.Tensor) -> float | None:
    known = steps[~steps.isnan()]
    return float(known.max() - known.median()) if len(known) else None
