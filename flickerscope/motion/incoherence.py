"""Tells pictures that do not cohere from pictures that only move too fast to be followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from flickerscope.motion.filters import blur, halve, is_inside, warp
from flickerscope.motion.flow import LucasKanade, MotionField
from flickerscope.motion.records import map_records

__all__ = [
    "CoarseChange",
    "IncoherenceReading",
    "coarse_change",
    "read_incoherence",
]

COARSE: Final = 4
"""Pixels of a picture of 72 rows to one of the pictures in which motion is found here."""
FINE: Final = 2
"""The same of the pictures in which it is tried."""
BLUR: Final = 1.0
"""Sigma before the coarse picture is taken, pixels of the fine one: wider than boiling is."""
FIELD: Final = LucasKanade(rows=18, levels=2, radius=2)
NOISE: Final = 0.1
"""Added to squared changes before they are divided, code^2: what stands still has no share."""
MIN_INSIDE: Final = 0.1
"""Share of the picture that both neighbours must show for a frame to count."""

MIN_LEFT: Final = 0.4
MIN_UNDONE: Final = 0.35
MAX_SPEED: Final = 7.0
"""Pixels of a picture of 72 rows a frame: beyond it Lucas-Kanade loses what coheres, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoarseChange:
    """How frames differ from their neighbours along the motion of the coarse picture.

    With the neighbours brought along, ``d+ = f[t+1] - f[t]`` and ``d- = f[t] - f[t-1]``; means over
    the part of the picture that all three show; (frames,) each.
    """

    still: torch.Tensor
    """``<d+ d+ + d- d->/2`` without any motion, code^2."""
    along: torch.Tensor
    """The same along the motion, code^2."""
    product: torch.Tensor
    """``<d+ d->`` along the motion, code^2."""
    speed: torch.Tensor
    """Median over the picture, pixels of a picture of 72 rows a frame."""
    inside: torch.Tensor
    """Share of the picture that all three show, 0..1."""

    @staticmethod
    def join(runs: Sequence[CoarseChange]) -> CoarseChange:
        """The frames of one run after those of the other."""
        return map_records(lambda *parts: torch.cat(parts), *runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncoherenceReading:
    """What the coarse picture says about motion that cannot be followed in the fine one."""

    left: float
    """Share of the change that the motion of the coarse picture does not explain: near 0 where a
    picture moves as a whole, however fast; near 1 where it boils in its place. Median over frames.
    """
    undone: float
    """``-<d+ d->/<d d>``, -1..1: how much of a change the next one takes back. White flicker and
    texture drawn anew in each frame read 1/2, an alternation 1; what moves on reads below 0.
    Median over frames."""
    speed: float
    """Of the coarse picture, pixels of a picture of 72 rows a frame. Median over frames."""
    frames: int
    """That were held against both their neighbours."""

    @property
    def redrawn(self) -> bool:
        """Whether the picture is drawn anew rather than moved.

        Its change is not explained by motion (``left`` from 0.4) and is taken back (``undone``
        from 0.35), and the coarse picture does not move faster than motion can be followed
        (``speed`` up to 7).
        """
        return self.left >= MIN_LEFT and self.undone >= MIN_UNDONE and self.speed <= MAX_SPEED


def coarse_change(
    pictures: torch.Tensor, *, every: int = 1, field: MotionField | None = None
) -> CoarseChange:
    """Follow the coarse picture, and see what that leaves of the fine one's change.

    Boiling and texture drawn anew average out over a few pixels, so the coarse picture (a quarter
    of the size) shows what motion there is, up to four times as fast as in the fine one.

    Args:
        pictures: a run without a cut, (T, H, W), luma code values, T >= 3; made for a short side
            of 72 pixels.
        every: look at each ``every``-th frame but the first and the last.
        field: finds the motion in the coarse pictures; default: `LucasKanade` on two levels.
    """
    triples = pictures[1:-1:every], pictures[2::every], pictures[:-2:every]
    fine = halve(torch.cat(triples)[:, None])
    small = halve(blur(fine, BLUR))
    coarse = small.view(3, -1, *small.shape[2:])
    motion = (field or FIELD)(coarse[0], coarse[1:])
    flow = (COARSE / FINE) * functional.interpolate(
        motion.flatten(0, 1), size=fine.shape[-2:], mode="bilinear", align_corners=False
    )
    centre, after, before = fine.chunk(3)
    moved_after, moved_before = warp(torch.cat([after, before]), flow).chunk(2)
    inside = is_inside(flow).view(2, *centre.shape).all(0).to(fine.dtype)
    return CoarseChange(
        still=_mean((after - centre).square() + (centre - before).square(), inside) / 2,
        along=_mean((moved_after - centre).square() + (centre - moved_before).square(), inside) / 2,
        product=_mean((moved_after - centre) * (centre - moved_before), inside),
        speed=COARSE * motion[0].square().sum(1).sqrt().flatten(1).median(1).values,
        inside=inside.mean((1, 2, 3)),
    )


def _mean(x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Over the pixels inside, (N, 1, H, W) to (N,)."""
    return (x * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3)).clamp(min=1)


def read_incoherence(runs: Sequence[CoarseChange]) -> IncoherenceReading | None:
    """Pool the frames of a video; ``None`` where none was held against its neighbours."""
    if not runs:
        return None
    change = CoarseChange.join(runs)
    seen = change.inside >= MIN_INSIDE
    if not bool(seen.any()):
        return None
    still, along, product = (x[seen] for x in (change.still, change.along, change.product))
    return IncoherenceReading(
        left=float(((along + NOISE) / (still + NOISE)).median()),
        undone=float((-product / (along + NOISE)).median()),
        speed=float(change.speed[seen].median()),
        frames=int(seen.sum()),
    )
