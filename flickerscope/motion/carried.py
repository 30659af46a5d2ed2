"""Flicker of a prediction along the motion of its reference, for two videos in step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import torch

from flickerscope.motion.estimate import neighbour_motion
from flickerscope.motion.flow import Motion, MotionField
from flickerscope.motion.moments import TileMoments, smooth_acceleration, tile_moments
from flickerscope.motion.reading import (
    LUMA_FLOOR,
    find_flickering,
    find_followed,
    mean_of_known,
    tile_median,
    tile_weights,
)
from flickerscope.motion.records import map_records
from flickerscope.motion.score import WINDOW, TileFlicker, single_events, tile_flicker

__all__ = ["CarriedReading", "carried_moments", "carried_tiles", "pool_carried", "read_carried"]

REF, PRED, REST, OWN = range(4)
"""What is measured: reference, prediction and their difference along the reference's motion, and
the prediction along its own."""

MIN_FLICKER: Final = 0.5
"""Flicker of both from which their coherence is told, code^2: several times what clean clips
read by chance."""
MIN_AGREEMENT: Final = 0.8
MIN_OWN_POWER: Final = 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedReading:
    """A prediction and its reference, both along the motion that is found in the reference."""

    flicker: float
    """C of the prediction, code^2: mean over time of the weighted median over the picture."""
    ref_flicker: float
    """The same of the reference."""
    unexplained: float
    """The same of the difference of the two, code^2: flicker that the reference does not have.
    What the two share, its errors of motion included, cancels."""
    coherence: float | None
    """Share of the prediction's flicker that copies the reference's, 0..1; ``None`` unless both
    flicker."""
    area: float
    """Share of the picture and the time in which the difference flickers, 0..1."""
    coverage: float
    """Share of the picture and the time in which the motion of the reference can be followed."""
    own_coverage: float
    """The same of the prediction along its own motion."""
    agreement: float
    """Share of the followed part of the reference in which the prediction does not move in
    another way: where its own motion can be followed, the reference's fits it too."""
    own_power: float
    """What the prediction's own motion leaves of it, over what the reference's leaves: near 1
    where both move alike, near 0 where they do not."""
    triples: int
    """Frames that were held against both their neighbours."""

    @property
    def valid(self) -> bool:
        """Whether the prediction moves as the reference does: else the readings are of motion.

        ``agreement`` from 0.8, ``own_power`` from 1/3.
        """
        return self.agreement >= MIN_AGREEMENT and self.own_power >= MIN_OWN_POWER


def carried_moments(
    pred: torch.Tensor,
    ref: torch.Tensor,
    field: MotionField | None = None,
    *,
    pred_motion: Motion | None = None,
    ref_motion: Motion | None = None,
) -> TileMoments:
    """Moments of two runs in step, the prediction carried by the reference's motion.

    Strong flicker destroys the tracking in the prediction, and its threshold for what is followed
    too; the reference's tiles, weights and coverage do not know of it. Bringing a frame along a
    given motion is linear, so the difference of the videos has ``C = C_pp + C_rr - 2 C_pr``.

    Args:
        pred, ref: without a cut, (T, H, W) each, T >= 3, luma code values; the sizes of tiles and
            blur are made for a short side of 72 pixels. Frame t shows the same in both.
        field: finds the motion; default: `LucasKanade`.
        pred_motion, ref_motion: what `neighbour_motion` finds in each, where that is known.

    Returns:
        (4, T - 2, rows, columns): reference, prediction and prediction minus reference along the
        reference's motion, and the prediction along its own. Runs of one shot may be measured in
        pieces that overlap by two frames, and joined.
    """
    along = smooth_acceleration(*(ref_motion or neighbour_motion(ref, field)))
    own = smooth_acceleration(*(pred_motion or neighbour_motion(pred, field)))
    measured = (ref, along), (pred, along), (pred - ref, along), (pred, own)
    parts = [tile_moments(frames, *motion) for frames, motion in measured]
    moments = map_records(lambda *values: torch.stack(values), *parts)
    # The difference has no brightness of its own by which to leave tiles out.
    return replace(moments, mean=moments.mean[[REF, REF, REF, OWN]])


def carried_tiles(moments: TileMoments, window: int = WINDOW) -> TileFlicker:
    """Flicker and error of every tile in one run without a cut; see `tile_flicker`.

    Single steps and flashes of either video are left out of both.

    Args:
        moments: of `carried_moments`, all frames of the run.
        window: frames of the running means.
    """
    usual = ~single_events(moments.luma, moments.inside).any(0)
    return tile_flicker(moments, window, usual=usual.expand(len(moments.inside), -1))


def read_carried(runs: Sequence[TileFlicker]) -> CarriedReading | None:
    """Pool the tiles of two videos; ``None`` where no frame could be read.

    Tiles weigh by what the motion leaves in the reference; see `tile_weights`.

    Args:
        runs: of `carried_tiles`, (4, frames, rows, columns) each.
    """
    if not runs:
        return None
    tiles = map_records(lambda *parts: torch.cat(parts, 1), *runs)
    share, luma = tiles.share, tiles.luma
    weights = tile_weights(tiles.counts[REF], luma.error[REF])
    means = [mean_of_known(tile_median(luma.mean[i], weights)) for i in (PRED, REF, REST)]
    if any(mean is None for mean in means):
        return None
    ours, theirs, rest = (float(mean or 0) for mean in means)
    followed, flickers = find_followed(luma), find_flickering(luma)
    covered = (share * followed).sum((1, 2, 3)) / share[0].numel()
    known = share[REF] * followed[REF] * (share[OWN] > 0)
    astray = followed[OWN] & ~followed[PRED]
    # C + L is half of what is left of both neighbours' squared differences.
    left = luma.error + luma.mean + luma.mean.clamp(min=0) + LUMA_FLOOR
    return CarriedReading(
        flicker=ours,
        ref_flicker=theirs,
        unexplained=rest,
        coherence=_coherence(ours, theirs, rest),
        area=float((share[REF] * flickers[REST]).sum() / share[REF].sum()),
        coverage=float(covered[REF]),
        own_coverage=float(covered[OWN]),
        agreement=1 - _ratio(known * astray, known),
        own_power=_ratio(known * weights * left[OWN], known * weights * left[PRED]),
        triples=share.shape[1],
    )


def pool_carried(readings: Sequence[CarriedReading]) -> CarriedReading | None:
    """Of several runs, by how many frames each has; ``None`` of none."""
    total = sum(reading.triples for reading in readings)
    if not total:
        return None
    means = {
        item.name: sum(getattr(r, item.name) * r.triples for r in readings) / total
        for item in fields(CarriedReading)
        if item.name not in ("coherence", "triples")
    }
    coherence = _coherence(means["flicker"], means["ref_flicker"], means["unexplained"])
    return CarriedReading(coherence=coherence, triples=total, **means)


def _coherence(pred: float, ref: float, rest: float) -> float | None:
    """``C_pr^2 / (C_pp C_rr)``, where both are flicker: C of clean clips is 0 or a little below."""
    if min(pred, ref) < MIN_FLICKER:
        return None
    joint = max((pred + ref - rest) / 2, 0.0)
    return min(joint**2 / (pred * ref), 1.0)


def _ratio(part: torch.Tensor, whole: torch.Tensor) -> float:
    """Of sums; 1 where there is nothing."""
    total = float(whole.sum())
    return float(part.sum()) / total if total > 0 else 1.0
