"""The estimator from pictures to a reading, for runs of frames in memory."""

from __future__ import annotations

import torch

from flickerscope.errors import InputError, TooShortError
from flickerscope.grid import AreaGrid
from flickerscope.motion.flow import LucasKanade, MotionField
from flickerscope.motion.moments import TileMoments, smooth_acceleration, tile_moments
from flickerscope.motion.pictures import DETAIL, ROWS, picture_scale, shrink, small_pictures
from flickerscope.motion.reading import MotionReading, read_motion
from flickerscope.motion.score import TileFlicker, tile_flicker, window_of

__all__ = ["MIN_FRAMES", "MIN_SIDE", "flicker", "neighbour_motion", "run_moments"]

MIN_FRAMES = 5
"""Fewer frames without a cut are not measured; three are the arithmetic minimum."""

MIN_SIDE = 16
"""Pixels of the short side, for two rows of tiles."""


def neighbour_motion(
    frames: torch.Tensor, field: MotionField | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Motion of all frames but the first and the last, to the next one and to the one before.

    Args:
        frames: (..., T, H, W), luma code values, T >= 3.
        field: finds the motion; default: `LucasKanade`.

    Returns:
        Two of (..., T - 2, 2, H, W), pixels, columns first.
    """
    count = frames.shape[-3]
    before, at, after = (frames.narrow(-3, start, count - 2) for start in range(3))
    find = field or LucasKanade()
    motion = find(at.flatten(0, -3), torch.stack([after.flatten(0, -3), before.flatten(0, -3)]))
    forward, backward = motion.view(2, *at.shape[:-2], *motion.shape[2:])
    return forward, backward


def run_moments(
    pictures: torch.Tensor,
    field: MotionField,
    *,
    scale: int = 1,
    texture: bool = False,
    chroma: torch.Tensor | None = None,
) -> TileMoments:
    """Moments of runs of small pictures, along the motion in them.

    Args:
        pictures: (..., T, scale h, scale w), luma code values; see `picture_shape`.
        field: finds the motion, in pictures as large as it wants them and these allow.
        scale: how much larger the pictures are than those for the luminance, h x w.
        texture: measure the texture too, where the scale is 2 or more.
        chroma: Cb and Cr, (..., T, 2, h, w), code values.
    """
    seen = min(scale, field.rows // ROWS)
    forward, backward = neighbour_motion(shrink(pictures, scale // seen), field)
    forward, backward = (shrink(u, seen) / seen for u in (forward, backward))
    straight = smooth_acceleration(forward.flatten(0, -4), backward.flatten(0, -4))
    forward, backward = (u.view(forward.shape) for u in straight)
    return tile_moments(
        shrink(pictures, scale),
        forward,
        backward,
        detail=shrink(pictures, scale // 2) if texture and scale > 1 else None,
        chroma=chroma,
    )


@torch.inference_mode()
def flicker(
    frames: torch.Tensor,
    *,
    chroma: torch.Tensor | None = None,
    texture: bool = False,
    field: MotionField | None = None,
) -> MotionReading | list[MotionReading]:
    """Motion-compensated flicker of runs of frames without a cut or a repeated frame.

    The neighbours of each frame t are brought along the motion: ``d+ = f[t+1] - f[t]`` and
    ``d- = f[t] - f[t-1]``. A tile's flicker is ``C = -<d+ d->`` without its trend, over 9 frames
    (5 in runs below 20 frames); see `tile_flicker`. The reading is its weighted median; see
    `read_motion`.

    Args:
        frames: luma code values 0..255, (T, H, W), T >= 5, or (B, T, H, W); any device.
        chroma: Cb and Cr of any size, (..., T, 2, H', W'), code values.
        texture: measure the renewal of fine detail too, where there are 144 rows.
        field: finds the motion; default: `LucasKanade`.

    Returns:
        One reading, or a list of B.

    Raises:
        TooShortError: fewer than 5 frames.
        InputError: a short side of fewer than 16 pixels, or nothing but black and clipped tiles.
    """
    count, height, width = frames.shape[-3:]
    if count < MIN_FRAMES:
        raise TooShortError(f"{count} frames; motion needs {MIN_FRAMES}")
    if min(height, width) < MIN_SIDE:
        raise InputError(f"frames of {height}x{width}; motion needs {MIN_SIDE} pixels")
    find = field or LucasKanade()
    frames = frames if frames.is_floating_point() else frames.float()
    scale = picture_scale(height, width, max(find.rows, DETAIL if texture else ROWS))
    pictures = small_pictures(frames, scale * ROWS)
    if chroma is not None:
        size = pictures.shape[-2] // scale, pictures.shape[-1] // scale
        rows, columns = chroma.shape[-2:]
        grid = AreaGrid(rows, columns, size, dtype=frames.dtype, device=frames.device)
        chroma = grid.average(chroma.to(frames))
    moments = run_moments(pictures, find, scale=scale, texture=texture, chroma=chroma)
    tiles = tile_flicker(moments, window_of(count))
    if frames.dim() == 3:
        return _read(tiles)
    return [_read(one) for one in tiles.unbind()]


def _read(tiles: TileFlicker) -> MotionReading:
    reading = read_motion([tiles], range(1, 1 + tiles.step.shape[-1]))
    if reading is None:
        raise InputError("nothing to measure: all tiles are black, clipped or out of the picture")
    return reading
