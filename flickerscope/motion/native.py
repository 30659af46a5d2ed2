"""Doors to the compiled loops: what of `LucasKanade` and `tile_moments` they compute on the CPU.

The same in torch, for every device and kind of number, is in flow.py and moments.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from flickerscope.compiled.door import as_array

__all__ = [
    "detail_sums",
    "enlarged",
    "fine_detail",
    "refined",
    "started",
    "triple_sums",
    "warped",
    "window_means",
]


def window_means(x: torch.Tensor, radius: int) -> torch.Tensor:
    """As `filters.window_mean`."""
    from flickerscope.compiled import motion as loops

    means = x.new_empty(x.shape)
    planes = as_array(x).reshape(-1, *x.shape[-2:])
    loops.average_windows(planes, radius, means.view(planes.shape).numpy())
    return means


def warped(x: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """As `filters.warp`, bilinear."""
    from flickerscope.compiled import motion as loops

    done = x.new_empty(x.shape)
    loops.warp(as_array(x), as_array(flow), done.numpy())
    return done


def started(
    anchors: torch.Tensor, neighbours: torch.Tensor, shifts: torch.Tensor, radius: int
) -> torch.Tensor:
    """Each pair's shift where it makes a window more alike, and 0 elsewhere.

    (N, H, W), (K, N, H, W) and (K, N, 2) to (K, N, 2, H, W).
    """
    from flickerscope.compiled import motion as loops

    flows = anchors.new_empty(*neighbours.shape[:2], 2, *anchors.shape[-2:])
    loops.choose_start(
        as_array(anchors), as_array(neighbours), as_array(shifts), radius, flows.numpy()
    )
    return flows


def refined(
    anchors: torch.Tensor,
    neighbours: torch.Tensor,
    flows: torch.Tensor,
    *,
    radius: int,
    steps: int,
    damping: float,
    longest: float,
) -> torch.Tensor:
    """One level of `LucasKanade`: (N, H, W), (K, N, H, W) and (K, N, 2, H, W) to the latter."""
    from flickerscope.compiled import motion as loops

    done = torch.empty_like(flows, memory_format=torch.contiguous_format)
    arrays = as_array(anchors), as_array(neighbours), as_array(flows)
    loops.refine(*arrays, radius, steps, damping, longest, done.numpy())
    return done


def enlarged(flows: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Flows for a picture of twice the size, bilinear, (K, N, 2, h, w) to (K, N, 2, H, W)."""
    from flickerscope.compiled import motion as loops

    done = flows.new_empty(*flows.shape[:3], height, width)
    loops.enlarge(as_array(flows), done.numpy())
    return done


def triple_sums(
    before: torch.Tensor,
    at: torch.Tensor,
    after: torch.Tensor,
    forward: torch.Tensor,
    backward: torch.Tensor,
    *,
    slack: float,
    tile: int,
) -> torch.Tensor:
    """Sums over tiles of what `tile_moments` wants to know, (N, 6, rows, columns).

    ``[inside, speed, d+ d+, d- d-, d+ d-, d+ + d-]``, all but the speed of the pixels inside.

    Args:
        before, at, after: (N, H, W), blurred.
        forward, backward: (N, 2, H, W), pixels.
        slack: pixels by which a place may lie out of the picture.
        tile: pixels.
    """
    from flickerscope.compiled import motion as loops

    frames = before, at, after
    return _summed(loops.sum_triples, 6, frames, (forward, backward), slack, tile)


def fine_detail(pictures: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """As `filters.fine_detail`, with the taps of the blur."""
    from flickerscope.compiled import motion as loops

    band = pictures.new_empty(pictures.shape)
    planes = as_array(pictures).reshape(-1, *pictures.shape[-2:])
    loops.take_off_blur(planes, as_array(taps.float()), band.view(planes.shape).numpy())
    return band


def detail_sums(
    before: torch.Tensor,
    at: torch.Tensor,
    after: torch.Tensor,
    forward: torch.Tensor,
    backward: torch.Tensor,
    *,
    slack: float,
    tile: int,
) -> torch.Tensor:
    """Sums over tiles of what the texture wants to know, (N, 7, rows, columns).

    ``[d+ beside d-, f beside f, inside, d+ d+, d- d-, d+ d-, d+ + d-]``, all of the pixels inside;
    "beside" is the mean of the four pixels beside one.

    Args:
        before, at, after: (N, 2 H, 2 W), a band of fine detail.
        forward, backward: (N, 2, H, W), pixels of half the size.
        slack: pixels of half the size by which a place may lie out of the picture.
        tile: pixels.
    """
    from flickerscope.compiled import motion as loops

    frames = before, at, after
    return _summed(loops.sum_details, 7, frames, (forward, backward), slack, tile)


def _summed(
    loop: Callable[..., None],
    count: int,
    frames: tuple[torch.Tensor, ...],
    flows: tuple[torch.Tensor, ...],
    slack: float,
    tile: int,
) -> torch.Tensor:
    """The ``count`` sums over tiles that a loop takes from three frames and two flows."""
    pictures, height, width = frames[1].shape
    sums = frames[1].new_empty(pictures, count, height // tile, width // tile)
    loop(*map(as_array, frames), *map(as_array, flows), slack, tile, sums.numpy())
    return sums
