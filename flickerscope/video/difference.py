"""How much successive frames of a file differ in RGB: what VBench calls temporal flickering."""

from __future__ import annotations

import os

import numpy as np

from flickerscope.errors import InputError, TooShortError
from flickerscope.inputs.probe import check_file
from flickerscope.inputs.source import FileOptions
from flickerscope.video.stream import Tally, decoded

__all__ = ["mean_difference"]


def mean_difference(
    path: str | os.PathLike[str],
    *,
    threads: int | None = None,
    options: FileOptions | None = None,
) -> tuple[float, int]:
    """Mean of ``|x_t - x_(t-1)|`` over the 8-bit RGB samples of all frames, and how many these are.

    As OpenCV reads them: every frame that can be decoded, in the order of presentation. Source:
    Huang et al. 2024 (VBench), ``temporal_flickering``.

    Raises:
        TooShortError: there are fewer than two frames.
        InputError: the file cannot be read, or its frames change in size.
    """
    name = os.fsdecode(path)
    check_file(name)
    before: np.ndarray | None = None
    total, frames = 0.0, 0
    for picture in decoded(name, "AUTO", threads, Tally(), options or FileOptions()):
        now = picture.to_ndarray(format="rgb24").astype(np.int16)
        if before is not None:
            if before.shape != now.shape:
                raise InputError(f"{name}: its frames change in size: they have no difference")
            total += float(np.abs(now - before).mean())
        before, frames = now, frames + 1
    if frames < 2:
        raise TooShortError(f"{name}: too few frames for a difference: {frames}, two are needed")
    return total / (frames - 1), frames
