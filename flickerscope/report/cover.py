"""Which part of a picture the map of its flicker is about."""

from __future__ import annotations

from flickerscope.measurement import Clip
from flickerscope.motion.moments import TILE
from flickerscope.motion.pictures import picture_shape
from flickerscope.settings import Settings

__all__ = ["map_cover", "measured_shape"]


def measured_shape(clip: Clip, settings: Settings) -> tuple[int, int]:
    """Rows and columns of the small picture of the part that was measured."""
    crop = settings.crop_box
    height, width = clip.info.height, clip.info.width
    if crop is not None:
        height, width = crop.height, crop.width
    return picture_shape(height, width, aspect=clip.info.aspect)


def map_cover(clip: Clip, settings: Settings) -> tuple[float, float]:
    """Share of the picture's height and width that the tiles take; of a clip that has a map."""
    if clip.motion is None:
        return 1.0, 1.0
    high, wide = measured_shape(clip, settings)
    rows, columns = clip.motion.map.shape
    return TILE * rows / high, TILE * columns / wide
