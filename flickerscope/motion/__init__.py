"""Flicker told from motion, on tensors: all of the estimator at once, and each of its steps."""

from __future__ import annotations

from flickerscope.motion.carried import (
    CarriedReading,
    carried_moments,
    carried_tiles,
    pool_carried,
    read_carried,
)
from flickerscope.motion.estimate import (
    MIN_FRAMES,
    MIN_SIDE,
    flicker,
    motion_over_two,
    neighbour_motion,
    run_moments,
    run_motion,
)
from flickerscope.motion.filters import warp
from flickerscope.motion.flow import LucasKanade, MotionField
from flickerscope.motion.incoherence import (
    CoarseChange,
    IncoherenceReading,
    coarse_change,
    read_incoherence,
)
from flickerscope.motion.moments import BandMoments, TileMoments, smooth_acceleration, tile_moments
from flickerscope.motion.pictures import small_pictures
from flickerscope.motion.reading import FrameFlicker, MotionReading, frame_flicker, read_motion
from flickerscope.motion.score import (
    SlowFlicker,
    TileBand,
    TileFlicker,
    tile_flicker,
    weighted_quantile,
)

__all__ = [
    "MIN_FRAMES",
    "MIN_SIDE",
    "BandMoments",
    "CarriedReading",
    "CoarseChange",
    "FrameFlicker",
    "IncoherenceReading",
    "LucasKanade",
    "MotionField",
    "MotionReading",
    "SlowFlicker",
    "TileBand",
    "TileFlicker",
    "TileMoments",
    "carried_moments",
    "carried_tiles",
    "coarse_change",
    "flicker",
    "frame_flicker",
    "motion_over_two",
    "neighbour_motion",
    "pool_carried",
    "read_carried",
    "read_incoherence",
    "read_motion",
    "run_moments",
    "run_motion",
    "small_pictures",
    "smooth_acceleration",
    "tile_flicker",
    "tile_moments",
    "warp",
    "weighted_quantile",
]
