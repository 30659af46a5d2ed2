"""Flicker told from motion, on tensors: all of the estimator at once, and each of its steps."""

from __future__ import annotations

from flickerscope.motion.estimate import MIN_FRAMES, MIN_SIDE, flicker, neighbour_motion
from flickerscope.motion.filters import warp
from flickerscope.motion.flow import LucasKanade, MotionField
from flickerscope.motion.moments import BandMoments, TileMoments, smooth_acceleration, tile_moments
from flickerscope.motion.pictures import small_pictures
from flickerscope.motion.reading import MotionReading, read_motion
from flickerscope.motion.score import TileFlicker, tile_flicker, weighted_quantile

__all__ = [
    "MIN_FRAMES",
    "MIN_SIDE",
    "BandMoments",
    "LucasKanade",
    "MotionField",
    "MotionReading",
    "TileFlicker",
    "TileMoments",
    "flicker",
    "neighbour_motion",
    "read_motion",
    "small_pictures",
    "smooth_acceleration",
    "tile_flicker",
    "tile_moments",
    "warp",
    "weighted_quantile",
]
