"""All that can be measured, as sources of frames: what a user gives is opened here."""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from flickerscope.errors import InputError, SettingsError
from flickerscope.inputs.arrays import ArraySource
from flickerscope.inputs.images import ImageSequence, is_image_sequence
from flickerscope.inputs.latents import LatentSource
from flickerscope.inputs.layout import guess_layout
from flickerscope.inputs.probe import check_file
from flickerscope.inputs.rate import FrameRate
from flickerscope.inputs.source import FileOptions, Source, Strict
from flickerscope.inputs.tensors import is_tensor_file, load_tensor
from flickerscope.resources import pick_resources
from flickerscope.settings import Planes
from flickerscope.suffixes import TENSOR_SUFFIXES

__all__ = ["check_input", "open_source", "refuse_unused", "taken_by"]

_ALL: Final = ("fps", "layout", "value_range", "key")

_FOR: Final = {
    "fps": "fps is for arrays and pictures; a file brings its own",
    "layout": "layout is for arrays; a video or a folder of pictures needs none",
    "value_range": "value_range is for arrays; a video or a folder of pictures needs none",
    "key": "key is for files that hold several arrays",
    "stream": "stream is for videos; pictures and arrays have none",
    "max_pixels": "max_pixels is for videos and pictures; an array is as large as it is",
}
"""What to say of an option that does not go with what was given."""


def taken_by(video: object) -> tuple[str, ...]:
    """Names of the options that go with a video: none with a file that brings its own."""
    if not isinstance(video, (str, os.PathLike)):
        return _ALL[:3]
    path = os.fsdecode(video)
    if is_image_sequence(path):
        return _ALL[:1]
    return _ALL if is_tensor_file(path) else ()


def _limits_on(video: object) -> tuple[str, ...]:
    """Names of the `FileOptions` that say something of a video and not of everything."""
    if not isinstance(video, (str, os.PathLike)):
        return ()
    path = os.fsdecode(video)
    if is_image_sequence(path):
        return ("max_pixels",)
    return () if is_tensor_file(path) else ("stream", "max_pixels")


def refuse_unused(options: dict[str, Any], *videos: object) -> None:
    """Raise `SettingsError` for an option that goes with none of the videos."""
    for name, value in options.items():
        if value is not None and not any(
            name in (*taken_by(video), *_limits_on(video)) for video in videos
        ):
            raise SettingsError(_FOR[name])


def check_input(path: str) -> None:
    """Refuse what cannot be measured at first sight, before a long run."""
    if not is_image_sequence(path):
        check_file(path)


def open_source(
    video: str | os.PathLike[str] | NDArray[Any] | torch.Tensor,
    *,
    fps: FrameRate | None = None,
    layout: str | None = None,
    value_range: str | tuple[float, float] | None = None,
    key: str | None = None,
    planes: Planes = "y",
    latent: bool = False,
    threads: int | None = None,
    memory: int | None = None,
    files: FileOptions | None = None,
) -> Source:
    """Make a source of a path, a numpy array or a torch tensor.

    Args:
        video: a video, a folder or pattern of pictures, a file of arrays, or an array.
        fps: frames a second of pictures and arrays.
        layout: of an array, such as ``THWC``; guessed for a file where only one fits.
        value_range: black and white of an array.
        key: which array of a file.
        planes: luma alone, or chroma too.
        latent: the array is a latent, of any channels and values; nothing else will do.
        threads: for decoding a video.
        memory: bytes that may be loaded; default: half of the machine's memory.
        files: which stream of a video, how large, whether damaged, in which process; pictures
            have no streams.
    """
    given = {"fps": fps, "layout": layout, "value_range": value_range, "key": key}
    form: dict[str, Any] = {"fps": fps, "planes": planes, "latent": latent, "layout": layout}
    form["range_"] = value_range
    if isinstance(video, (np.ndarray, torch.Tensor)):
        refuse_unused(given, video)
        return _of_array(video, None, **form)
    if not isinstance(video, (str, os.PathLike)):
        raise InputError(
            f"got {type(video).__name__}; allowed are a path, a numpy array or a torch tensor"
        )
    path = os.fsdecode(video)
    refuse_unused(given, path)
    if is_tensor_file(path) and not is_image_sequence(path):
        array = load_tensor(path, key=key, memory=memory or pick_resources("cpu").memory)
        return _of_array(array, path, **form)
    if latent:
        raise InputError(
            f"{path}: is no latent; with --latent (latent=True) give arrays or files of arrays "
            f"({', '.join(TENSOR_SUFFIXES)})"
        )
    files = files or FileOptions()
    source = _of_file(path, fps=fps, planes=planes, threads=threads, files=files)
    return Strict(source) if files.strict else source


def _of_file(
    path: str,
    *,
    fps: FrameRate | None,
    planes: Planes,
    threads: int | None,
    files: FileOptions,
) -> Source:
    """A video, or a folder or pattern of pictures."""
    if files.isolate or files.timeout is not None:
        from flickerscope.video.isolated import IsolatedFile

        return IsolatedFile(path, fps=fps, planes=planes, threads=threads, options=files)
    if is_image_sequence(path):
        return ImageSequence(path, fps=fps, planes=planes, options=files)
    from flickerscope.video import VideoFile  # arrays work without PyAV

    return VideoFile(path, planes=planes, threads=threads, options=files)


def _of_array(
    array: NDArray[Any] | torch.Tensor,
    path: str | None,
    *,
    fps: FrameRate | None,
    planes: Planes,
    latent: bool,
    layout: str | None,
    range_: str | tuple[float, float] | None,
) -> Source:
    """Pictures or a latent; ``path``: of their file, whose layout may be guessed."""
    name = path or "array"
    notes: tuple[str, ...] = ()
    if layout is None and path is not None:
        layout = guess_layout(tuple(int(n) for n in array.shape), name, latent=latent)
        notes = (f"layout taken as {layout}, which alone fits its shape",)
    if not latent:
        return ArraySource(
            array, fps=fps, planes=planes, layout=layout, value_range=range_, name=name,
            notes=notes,
        )  # fmt: skip
    if range_ is not None:
        raise SettingsError("value_range is for pictures; a latent has no black and white")
    return LatentSource(array, fps=fps, layout=layout, name=name, notes=notes)
