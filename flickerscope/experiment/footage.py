"""Cuts clips for the experiment out of the user's videos."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from flickerscope.errors import InputError
from flickerscope.experiment.clips import FRAMES, Content
from flickerscope.inputs import open_source
from flickerscope.kernel import Workers
from flickerscope.measure import measure
from flickerscope.repeats import find_repeats
from flickerscope.resources import Resources
from flickerscope.scan.finding import find_videos
from flickerscope.settings import Settings
from flickerscope.tracks import Tracks

__all__ = ["LEAST_SOURCES", "REAL", "Footage", "load_footage", "split"]

REAL: Final = "real"
"""Name of the class."""
LEAST_SOURCES: Final = 4
"""Videos: half of them are trained on."""
LEAST_CLIPS: Final = 4
PER_SOURCE: Final = 16
"""Clips of a video."""
MOST_FRAMES: Final = 300
"""Of a video that are looked at."""
DARK, BRIGHT = 16.0, 240.0
"""Mean code values beyond which a clip shows nothing."""
FLAT: Final = 2.0
"""Standard deviation within frames below which it does not either, code values."""
TRIES: Final = 20
"""For each clip."""


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """Clips of several videos."""

    sources: tuple[str, ...]
    """Names of the videos."""
    clips: tuple[Tensor, ...]
    """Of each, (clips, FRAMES, size, size), code values, float32."""
    left_out: tuple[str, ...]
    """Videos that gave none, and why, a sentence each."""

    @property
    def digest(self) -> str:
        """The same for the same clips of videos of the same names."""
        sum_of = hashlib.sha256("\n".join(self.sources).encode(errors="backslashreplace"))
        for clips in self.clips:
            sum_of.update(clips.numpy().tobytes())
        return sum_of.hexdigest()


def load_footage(
    folder: str | os.PathLike[str],
    *,
    size: int,
    resources: Resources,
    progress: Callable[[str, int, int], None] | None = None,
) -> Footage:
    """Clips of 16 frames of every video below a folder, from the block grid of 64 rows.

    They lie within a shot, at places and times drawn from the video's name; repeated frames are
    dropped, and what is dark, bright or flat is left out, as are videos that are damaged: what a
    decoder makes up is nothing to be met.

    Raises:
        InputError: no such folder, or fewer than 4 videos with 4 clips each.
    """
    names = find_videos(folder)
    kept: dict[str, Tensor] = {}
    left_out = []
    with Workers.start(resources) as workers:
        for done, name in enumerate(names):
            if progress is not None:
                progress("cutting clips", done, len(names))
            try:
                kept[name] = _clips_of(Path(folder) / name, name, size, workers)
            except InputError as error:
                left_out.append(str(error))
    if len(kept) < LEAST_SOURCES:
        why = f"; {left_out[0]}" if left_out else ""
        raise InputError(
            f"{folder}: {len(kept)} of {len(names)} videos give clips, "
            f"{LEAST_SOURCES} are needed{why}"
        )
    return Footage(tuple(kept), tuple(kept.values()), tuple(left_out))


def split(footage: Footage, seed: int) -> tuple[Content, Content]:
    """Training and test clips of a seed: no video gives both."""
    order = np.random.default_rng(seed).permutation(len(footage.sources)).tolist()
    half = len(order) // 2
    train, test = (_content(footage, sorted(part)) for part in (order[:half], order[half:]))
    return train, test


def _content(footage: Footage, chosen: Sequence[int]) -> Content:
    clips = [footage.clips[i] for i in chosen]
    sources = [footage.sources[i] for i in chosen for _ in footage.clips[i]]
    return Content(REAL, torch.cat(clips), tuple(sources))


def _clips_of(path: Path, name: str, size: int, workers: Workers) -> Tensor:
    settings = Settings(motion=False, scales=("block",), frames=f"0:{MOST_FRAMES}")
    source = open_source(path, threads=workers.resources.threads)
    _, tracks = measure(source, settings, workers, keep_tracks=True)
    if tracks is None:
        raise InputError(f"{path}: no pictures were kept")
    with closing(tracks):
        if source.lost() is not None:
            raise InputError(f"{path}: damaged: {'; '.join(source.problems())}")
        shots = [_frames(tracks, *shot) for shot in tracks.shots]
        rows, columns = tracks.blocks.shape
    if min(rows, columns) < size:
        raise InputError(f"{path}: {columns}x{rows} blocks; {size}x{size} are needed")
    longest = max(len(shot) for shot in shots)
    if longest < FRAMES:
        raise InputError(
            f"{path}: {longest} frames that do not repeat in its longest shot; {FRAMES} are needed"
        )
    clips = list(_draw(shots, size, _generator(name)))
    if len(clips) < LEAST_CLIPS:
        raise InputError(
            f"{path}: {len(clips)} of {TRIES * PER_SOURCE} clips tried are neither dark, bright "
            f"nor flat; {LEAST_CLIPS} are needed"
        )
    return torch.stack(clips)


def _draw(shots: Sequence[Tensor], size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Up to so many clips from places and times at random."""
    shots = [shot for shot in shots if len(shot) >= FRAMES]
    rows, columns = shots[0].shape[1:]
    starts = np.array([len(shot) - FRAMES + 1 for shot in shots])
    drawn = 0
    for _ in range(TRIES * PER_SOURCE):
        shot = shots[rng.choice(len(shots), p=starts / starts.sum())]
        first = rng.integers(len(shot) - FRAMES + 1)
        top, left = rng.integers(rows - size + 1), rng.integers(columns - size + 1)
        clip = shot[first : first + FRAMES, top : top + size, left : left + size]
        if DARK <= float(clip.mean()) <= BRIGHT and float(clip.std((1, 2)).mean()) >= FLAT:
            yield clip
            drawn += 1
        if drawn == PER_SOURCE:
            return


def _frames(tracks: Tracks, start: int, stop: int) -> Tensor:
    """The pictures of a shot that do not repeat the one before, (frames, rows, columns)."""
    pictures = tracks.blocks.read(start, stop - start)
    if len(pictures) < 2:
        return pictures
    changes = pictures.diff(dim=0).abs().mean((1, 2)).tolist()
    repeated = find_repeats(changes).tolist()
    return pictures[torch.tensor([True, *(not r for r in repeated)])]


def _generator(name: str) -> np.random.Generator:
    digest = hashlib.sha256(name.encode(errors="backslashreplace")).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
