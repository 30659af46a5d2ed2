"""Carries a prediction along the motion of its reference, where the two are in step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
import torch

from flickerscope.comparison.paired import joint_runs
from flickerscope.kernel import Job, Workers
from flickerscope.motion import (
    MIN_FRAMES,
    CarriedReading,
    TileFlicker,
    TileMoments,
    carried_moments,
    carried_tiles,
    pool_carried,
    read_carried,
)
from flickerscope.motion.field import motion_field
from flickerscope.repeats import find_repeats
from flickerscope.resources import plain_arithmetic
from flickerscope.settings import Settings
from flickerscope.tracks import Track, Tracks

__all__ = ["carry"]

CHUNK: Final = 32
"""Frames that are measured at once."""
MOST_FRAMES: Final = 512
"""Frames of a run that are scored together; longer runs are divided."""


def carry(
    pred: Tracks, ref: Tracks, lag: int, settings: Settings, workers: Workers
) -> CarriedReading | None:
    """Both videos along the motion of the reference; ``None`` where there is too little to read.

    Args:
        pred, ref: small pictures of all frames.
        lag: frames by which the prediction comes late.
        settings: what finds the motion.
        workers: where to compute.
    """
    if pred.pictures is None or ref.pictures is None or pred.pictures.shape != ref.pictures.shape:
        return None
    device = workers.resources.device
    field = motion_field(settings.flow, device)
    readings: list[CarriedReading] = []
    for frames in _runs(pred, ref, lag):
        moments: list[TileMoments] = []
        jobs: deque[Job[TileMoments]] = deque()
        for start in range(0, len(frames) - 2, CHUNK):
            theirs = frames[start : start + CHUNK + 2]
            ours = [frame + lag for frame in theirs]
            work = partial(
                carried_moments,
                _pictures(pred.pictures, ours).to(device),
                _pictures(ref.pictures, theirs).to(device),
                field,
                pred_motion=pred.motion.of(ours),
                ref_motion=ref.motion.of(theirs),
            )
            jobs.append(Job(workers, work, moments.append))
            while len(jobs) > 2 * workers.count:
                jobs.popleft().finish()
        while jobs:
            jobs.popleft().finish()
        reading = read_carried([_tiles(moments)])
        if reading is not None:
            readings.append(reading)
    return pool_carried(readings)


def _tiles(moments: list[TileMoments]) -> TileFlicker:
    host = torch.device("cpu")
    with plain_arithmetic(host):
        return carried_tiles(TileMoments.join(moments).to(host))


def _runs(pred: Tracks, ref: Tracks, lag: int) -> Iterator[list[int]]:
    """Frames of the reference without a cut, those left out that repeat; in either video."""
    for first, last in joint_runs(pred, ref, lag):
        for start in range(first, last, MOST_FRAMES):
            stop = min(start + MOST_FRAMES, last)
            repeated = _repeats(ref, start, stop) | _repeats(pred, start + lag, stop + lag)
            frames = [frame for frame in range(start, stop) if frame - start not in repeated]
            if len(frames) >= MIN_FRAMES:
                yield frames


def _repeats(side: Tracks, start: int, stop: int) -> set[int]:
    """Which frames of a run repeat the one before, counted from its start."""
    changes = side.blocks.read(start, stop - start).diff(dim=0).abs().flatten(1).mean(1).tolist()
    return {1 + int(i) for i in np.flatnonzero(find_repeats(changes))}


def _pictures(track: Track, frames: list[int]) -> torch.Tensor:
    span = track.read(frames[0], frames[-1] - frames[0] + 1)
    return span[[frame - frames[0] for frame in frames]]
