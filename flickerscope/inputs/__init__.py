"""All that can be measured, as sources of frames: what a user gives is opened here."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flickerscope.errors import InputError, SettingsError
from flickerscope.inputs.arrays import ArraySource
from flickerscope.inputs.source import Source
from flickerscope.settings import Planes

__all__ = ["is_path", "open_source"]


def is_path(video: object) -> bool:
    """Whether a video is given by its file."""
    return isinstance(video, (str, os.PathLike))


def open_source(
    video: str | os.PathLike[str] | NDArray[Any] | torch.Tensor,
    *,
    fps: Fraction | float | int | None = None,
    planes: Planes = "y",
    threads: int | None = None,
) -> Source:
    """Make a source of a path, a numpy array or a torch tensor; ``fps`` is for the last two."""
    if isinstance(video, (str, os.PathLike)):
        if fps is not None:
            raise SettingsError("fps is for arrays; a file brings its own")
        from flickerscope.video import VideoFile  # arrays work without PyAV

        return VideoFile(video, planes=planes, threads=threads)
    if isinstance(video, (np.ndarray, torch.Tensor)):
        return ArraySource(video, fps=fps, planes=planes)
    raise InputError(
        f"got {type(video).__name__}; allowed are a path, a numpy array or a torch tensor"
    )
