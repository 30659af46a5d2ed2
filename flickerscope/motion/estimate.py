"""The estimator from pictures to a reading, for runs of frames in memory."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional

from flickerscope.errors import InputError, TooShortError
from flickerscope.grid import AreaGrid
from flickerscope.motion.filters import blur, warp
from flickerscope.motion.flow import LucasKanade, Motion, MotionField
from flickerscope.motion.moments import BLUR, TileMoments, smooth_acceleration, tile_moments
from flickerscope.motion.pictures import DETAIL, ROWS, picture_scale, shrink, small_pictures
from flickerscope.motion.reading import FrameFlicker, MotionReading, frame_flicker, read_motion
from flickerscope.motion.records import map_records
from flickerscope.motion.score import tile_flicker

__all__ = [
    "MIN_FRAMES",
    "MIN_SIDE",
    "flicker",
    "motion_over_two",
    "neighbour_motion",
    "run_moments",
    "run_motion",
]

MIN_FRAMES = 5
"""Fewer frames without a cut are not measured; three are the arithmetic minimum."""

MIN_SIDE = 16
"""Pixels of the short side, for two rows of tiles."""


def neighbour_motion(frames: torch.Tensor, field: MotionField | None = None) -> Motion:
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


def run_motion(pictures: torch.Tensor, small: torch.Tensor, field: MotionField) -> Motion:
    """As `neighbour_motion` of small pictures, found in larger ones if the field wants them.

    Args:
        pictures: (..., T, scale h, scale w), luma code values; see `picture_shape`.
        small: the same, (..., T, h, w).
        field: finds the motion, in pictures as large as it wants them and these allow.
    """
    scale = pictures.shape[-2] // small.shape[-2]
    seen = min(scale, field.rows // ROWS)
    if seen == 1:
        return neighbour_motion(small, field)
    forward, backward = neighbour_motion(shrink(pictures, scale // seen), field)
    return shrink(forward, seen) / seen, shrink(backward, seen) / seen


def run_moments(
    small: torch.Tensor,
    motion: Motion,
    *,
    detail: torch.Tensor | None = None,
    chroma: torch.Tensor | None = None,
) -> TileMoments:
    """Moments of runs of small pictures, along the motion in them.

    Args:
        small: (..., T, h, w), luma code values; see `picture_shape`.
        motion: of `run_motion`.
        detail: the pictures at twice the size, (..., T, 2 h, 2 w), for the texture.
        chroma: Cb and Cr, (..., T, 2, h, w), code values.
    """
    forward, backward = motion
    smooth = blur(small, BLUR)
    moments = tile_moments(
        small,
        *smooth_acceleration(forward, backward),
        detail=detail,
        chroma=chroma,
        smooth=smooth,
    )
    if len(moments) < 3:
        luma_only = replace(moments, texture=None, cb=None, cr=None)
        return replace(moments, slow=map_records(torch.zeros_like, luma_only))
    over_two = smooth_acceleration(*motion_over_two(forward, backward))
    return replace(
        moments, slow=_with_empty_ends(tile_moments(small, *over_two, smooth=smooth, stride=2))
    )


def motion_over_two(
    forward: torch.Tensor, backward: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Motion to the frames two away, from that to the neighbours: ``F[t] + F[t+1](x + F[t])``.

    (..., n, 2, H, W) each to (..., n - 2, 2, H, W): the first and the last have no second step.
    """

    def joined(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return first + warp(second.flatten(0, -4), first.flatten(0, -4)).view(first.shape)

    count = forward.shape[-4] - 2
    here, after = forward.narrow(-4, 1, count), forward.narrow(-4, 2, count)
    back, before = backward.narrow(-4, 1, count), backward.narrow(-4, 0, count)
    return joined(here, after), joined(back, before)


def _with_empty_ends(moments: TileMoments) -> TileMoments:
    """A frame more at both ends, of which nothing is inside the picture."""
    return map_records(lambda x: functional.pad(x, (0, 0, 0, 0, 1, 1)), moments)


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
    ``d- = f[t] - f[t-1]``. A tile's flicker is ``C = -<d+ d->`` without its trend; see
    `tile_flicker`. That of a frame is the weighted median over its tiles, see `frame_flicker`, and
    the reading is the mean over the frames.

    Args:
        frames: luma code values 0..255, (T, H, W), T >= 5, or (B, T, H, W); any device.
        chroma: Cb and Cr of any size, (..., T, 2, H', W'), code values.
        texture: measure the renewal of fine detail too, where there are 144 rows.
        field: finds the motion; default: `LucasKanade`.

    Returns:
        One reading, or a list of B.

    Raises:
        TooShortError: fewer than 5 frames.
        InputError: a short side of fewer than 16 pixels, values that are no finite numbers, or
            nothing but black and clipped tiles.
    """
    count, height, width = frames.shape[-3:]
    if count < MIN_FRAMES:
        raise TooShortError(f"{count} frames; motion needs {MIN_FRAMES}")
    if min(height, width) < MIN_SIDE:
        raise InputError(f"frames of {height}x{width}; motion needs {MIN_SIDE} pixels")
    find = field or LucasKanade()
    if frames.dtype not in (torch.float32, torch.float64):
        frames = frames.float()
    if not bool(frames.isfinite().all()):
        raise InputError("frames with values that are no numbers")
    scale = picture_scale(height, width, max(find.rows, DETAIL if texture else ROWS))
    pictures = small_pictures(frames, scale * ROWS)
    if chroma is not None:
        size = pictures.shape[-2] // scale, pictures.shape[-1] // scale
        rows, columns = chroma.shape[-2:]
        grid = AreaGrid(rows, columns, size, dtype=frames.dtype, device=frames.device)
        chroma = grid.average(chroma.to(frames))
    small = shrink(pictures, scale)
    detail = shrink(pictures, scale // 2) if texture and scale > 1 else None
    motion = run_motion(pictures, small, find)
    moments = run_moments(small, motion, detail=detail, chroma=chroma)
    pooled = frame_flicker(tile_flicker(moments))
    if frames.dim() == 3:
        return _read(pooled)
    return [_read(one) for one in pooled.unbind()]


def _read(pooled: FrameFlicker) -> MotionReading:
    reading = read_motion([pooled], range(1, 1 + len(pooled.flicker)))
    if reading is None:
        raise InputError("nothing to measure: all tiles are black, clipped or out of the picture")
    return reading
