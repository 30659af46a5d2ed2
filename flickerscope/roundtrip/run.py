"""Sends a video through an autoencoder and holds what comes out against what went in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flickerscope.comparison import Comparison, Progress, compare_sides
from flickerscope.errors import InputError, OutputError, SettingsError
from flickerscope.inputs import open_source, refuse_unused
from flickerscope.inputs.arrays import ArraySource
from flickerscope.inputs.rate import FrameRate
from flickerscope.inputs.source import FileOptions, Source
from flickerscope.kernel import Workers
from flickerscope.resources import pick_resources
from flickerscope.roundtrip.autoencoder import Autoencoder
from flickerscope.roundtrip.pictures import matrix_of, rgb_frames
from flickerscope.settings import Settings

__all__ = ["Passage", "roundtrip"]

DEEPEST = 65535
"""White in the frames that are kept: steps of 1/257 code value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """How a video is sent through an autoencoder."""

    seed: int | None = None
    """Draws the latents from their distribution; none: their means are taken."""
    size: tuple[int, int] | None = None
    """Width and height to bring the frames to first; none: as they are."""
    at_once: int | None = None
    """Frames that go through together; none: what suits the autoencoder."""

    def __post_init__(self) -> None:
        if self.size is not None and not all(8 <= side <= 16384 for side in self.size):
            raise SettingsError(f"size: width and height from 8 to 16384, got {self.size}")
        if self.at_once is not None and self.at_once < 1:
            raise SettingsError(f"at once: 1 frame or more, got {self.at_once}")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise SettingsError(f"seed: from 0 to 2^63 - 1, got {self.seed}")


def roundtrip(
    video: Any,
    autoencoder: Autoencoder,
    *,
    passage: Passage | None = None,
    fps: FrameRate | None = None,
    layout: str | None = None,
    value_range: str | tuple[float, float] | None = None,
    key: str | None = None,
    settings: Settings | None = None,
    threads: int | None = None,
    memory: float | None = None,
    files: FileOptions | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Comparison:
    """Measure how much more a video flickers after an autoencoder than before.

    The reference are the very frames that went in, the prediction those that came out; both are
    kept in temporary files of 6 bytes a pixel meanwhile.

    Args:
        video: as in `compare`; gray is sent through as RGB.
        autoencoder: what encodes and decodes.
        passage: how it is sent through.
        fps, layout, value_range, key, settings, threads, memory, options: as in `compare`.
            ``frames`` chooses what is sent through, ``crop`` what is measured of it.
        files: how a video file is read.
        progress: called with the video's name and the frames done.

    Raises:
        InputError: the video cannot be read or measured, or what comes out is not finite.
        SettingsError: a setting makes no sense.
        DeviceError: out of memory.
        OutputError: no room for the temporary files.
    """
    passage = passage or Passage()
    chosen = (settings or Settings()).with_changes(**options)
    if chosen.latent:
        raise SettingsError("latents have been through an autoencoder already: give pictures")
    resources = pick_resources(str(autoencoder.device), threads=threads, memory=memory)
    form: dict[str, Any] = {"fps": fps, "layout": layout, "value_range": value_range, "key": key}
    form |= {"threads": resources.threads, "memory": resources.memory, "files": files}
    refuse_unused({} if files is None else files.chosen, video)
    source = _open(video, form)
    matrix, guess = matrix_of(source)
    height, width = source.info.height, source.info.width
    if passage.size is not None:
        width, height = passage.size
    pictures = rgb_frames(source, matrix, chosen.frame_range, (height, width))
    with _room() as folder:
        before, after = (_Kept(Path(folder) / name) for name in ("before", "after"))
        _send(_counted(pictures, source, progress), autoencoder, passage, (before, after))
        rate = source.info.rate and source.info.rate / chosen.frame_range.step
        name = source.info.path
        sides = [
            ArraySource(kept.array(), fps=rate, planes=chosen.planes, name=role, notes=notes)
            for kept, role, notes in (
                (after, f"{name} ({autoencoder.name})", _passed(autoencoder, passage, before)),
                (before, name, _prepared(source, passage, guess)),
            )
        ]
        with Workers.start(resources) as workers:
            result = compare_sides(
                sides[0],
                sides[1],
                chosen.with_changes(frames=None, lag=0),
                workers,
                progress=progress,
            )
    damage = tuple(f"{name}: damaged: {problem}" for problem in source.problems())
    return replace(result, warnings=(*damage, *result.warnings))


class _Kept:
    """Frames in a file, (frames, 3, height, width), 16 bits a value."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames = 0
        self.shape = (0, 0)

    def append(self, pictures: torch.Tensor) -> None:
        """Add frames, (frames, 3, height, width) in 0..1."""
        self.frames += len(pictures)
        self.shape = pictures.shape[-2], pictures.shape[-1]
        values = pictures.double().mul(DEEPEST).round().numpy().astype(np.uint16)
        try:
            with open(self.path, "ab") as file:
                file.write(values.tobytes())
        except OSError as error:
            raise OutputError(
                f"{self.path.parent}: no room for the frames ({error.strerror}); take fewer, a "
                "smaller size, or another folder by the variable TMPDIR"
            ) from error

    def array(self) -> NDArray[np.uint16]:
        """All of them, read from the disk where they are used."""
        return np.memmap(self.path, np.uint16, "r", shape=(self.frames, 3, *self.shape))


def _room() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="flickerscope-")
    except OSError as error:
        raise OutputError(
            f"no folder for temporary files ({error.strerror}): name one by the variable TMPDIR"
        ) from error


def _open(video: Any, form: dict[str, Any]) -> Source:
    """In colour, or gray where there is none."""
    try:
        return open_source(video, planes="yuv", **form)
    except InputError as error:
        if "colour" not in str(error):
            raise
        return open_source(video, planes="y", **form)


def _counted(
    pictures: Iterable[torch.Tensor], source: Source, progress: Progress | None
) -> Iterator[torch.Tensor]:
    for count, picture in enumerate(pictures, 1):
        yield picture
        if progress is not None:
            progress(f"{source.info.path} through", count, source.info.promised_frames)


def _send(
    pictures: Iterator[torch.Tensor],
    autoencoder: Autoencoder,
    passage: Passage,
    kept: tuple[_Kept, _Kept],
) -> None:
    """Send the frames through, in groups, and keep them as they went in and as they came out."""
    noise = None if passage.seed is None else torch.Generator().manual_seed(passage.seed)
    at_once = passage.at_once or autoencoder.at_once
    while group := list(islice(pictures, at_once)):
        frames = torch.stack(group)
        kept[0].append(frames)
        kept[1].append(autoencoder.run(frames, noise))
    if not kept[0].frames:
        raise InputError("there are no frames to send through the autoencoder")


def _passed(autoencoder: Autoencoder, passage: Passage, before: _Kept) -> tuple[str, ...]:
    """What was done to the frames on their way."""
    at_once = passage.at_once or autoencoder.at_once
    latents = "means of the latents"
    if passage.seed is not None:
        latents = f"latents drawn with seed {passage.seed}"
    together = {
        "image": "each frame by itself",
        "temporal decoder": f"each frame encoded by itself, {at_once} decoded together",
        "video": "the frames as one clip" if at_once is None else f"clips of {at_once} frames",
    }[autoencoder.kind]
    dtype = str(autoencoder.dtype).removeprefix("torch.")
    notes = [f"through {autoencoder.name}: {together}, {latents}, {dtype}"]
    height, width = before.shape
    padded = [side + -side % autoencoder.stride for side in (width, height)]
    if padded != [width, height]:
        notes.append(
            f"{width}x{height} padded to {padded[0]}x{padded[1]}, a multiple of "
            f"{autoencoder.stride}, by repeating the edges, and cropped again"
        )
    more = -(before.frames - 1) % autoencoder.temporal_stride
    if more and at_once is None:
        notes.append(
            f"{before.frames} frames padded to {before.frames + more}, one and a multiple of "
            f"{autoencoder.temporal_stride}, by repeating the last, and cropped again"
        )
    return tuple(notes)


def _prepared(source: Source, passage: Passage, guess: str | None) -> tuple[str, ...]:
    """What was done to the frames before."""
    info, notes = source.info, []
    if passage.size is not None and passage.size != (info.width, info.height):
        width, height = passage.size
        notes.append(f"resized from {info.width}x{info.height} to {width}x{height}")
    if guess is not None:
        notes.append(guess)
    if info.variable_rate:
        notes.append("the frame rate varies: frames were taken one after the other")
    return (*(note for note in info.notes if not note.startswith("luma by")), *notes)
