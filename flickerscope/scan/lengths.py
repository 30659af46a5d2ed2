"""Finds the one segment length of a scan: the longest that almost all of its clips reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flickerscope.errors import InputError, SettingsError
from flickerscope.scan.job import Choices, open_header
from flickerscope.scan.pool import Engine
from flickerscope.scan.remote import Copies
from flickerscope.scan.sets import Saved
from flickerscope.settings import LADDER, MIN_FRAMES, Settings

__all__ = ["Length", "LengthJob", "find_segment", "fit_segment", "frames_compared", "read_lengths"]

REACHED_BY: Final = 0.95
"""Share of the clips that must be as long as a segment."""


FILES_A_JOB: Final = 64
"""Files that one job looks at."""


@dataclass(frozen=True, slots=True)
class Length:
    """Of a clip, as its container says."""

    frames: int
    rate: float | None
    """Frames a second."""


@dataclass(frozen=True, slots=True)
class LengthJob:
    """Some files whose lengths are wanted."""

    paths: tuple[str, ...]
    choices: Choices

    @property
    def files(self) -> int:
        """How many it reads."""
        return len(self.paths)


def find_segment(
    pairs: Sequence[tuple[str, str]],
    choices: Choices,
    engine: Engine,
    *,
    saved: Mapping[str, Saved] | None = None,
) -> int:
    """The segment length for pairs of a prediction and a reference, by what their files say.

    ``saved``: references measured before, by their path; the segment is then one of theirs.
    """
    saved = saved or {}
    paths = [path for path in dict.fromkeys(p for pair in pairs for p in pair) if path not in saved]
    jobs = [
        LengthJob(tuple(paths[i : i + FILES_A_JOB]), choices)
        for i in range(0, len(paths), FILES_A_JOB)
    ]
    found: dict[str, Length | None] = {
        path: Length(side.frames, side.rate) for path, side in saved.items()
    }
    for outcome in engine(read_lengths, jobs):
        if outcome.status == "ok":
            found.update(zip(jobs[outcome.index].paths, outcome.value, strict=True))
    held = {frames for side in saved.values() for frames in side.segments if frames in LADDER}
    return fit_segment(
        (frames_compared(found.get(pred), found.get(ref), choices.settings) for pred, ref in pairs),
        sorted(held) or LADDER,
    )


def read_lengths(job: LengthJob) -> list[Length | None]:
    """Of each file; ``None`` where it does not say or cannot be read."""
    return [_read(path, job.choices) for path in job.paths]


def _read(path: str, choices: Choices) -> Length | None:
    try:
        with Copies(choices.cache).holding(path) as place:
            frames, rate = open_header(place, choices)
    except (InputError, SettingsError, OSError):
        return None  # found out again, and said, when it is to be measured
    return None if frames is None else Length(frames, None if rate is None else float(rate))


def frames_compared(pred: Length | None, ref: Length | None, settings: Settings) -> int | None:
    """Frames of the shorter of two clips, once the faster one has the other's rate."""
    if pred is None or ref is None:
        return None
    counts = [_in_range(side.frames, settings) for side in (pred, ref)]
    if settings.axis == "auto" and pred.rate and ref.rate:
        slower = min(pred.rate, ref.rate)
        rates = pred.rate, ref.rate
        counts = [round(count * slower / rate) for count, rate in zip(counts, rates, strict=True)]
    return min(counts)


def _in_range(frames: int, settings: Settings) -> int:
    chosen = settings.frame_range
    stop = frames if chosen.stop is None else min(frames, chosen.stop)
    return len(range(chosen.start, stop, chosen.step))


def fit_segment(lengths: Iterable[int | None], allowed: Sequence[int] = LADDER) -> int:
    """The longest of the allowed segment lengths that 95 % of the clips reach.

    Clips of unknown length have no say. Where more than 5 % are shorter than all of them, these
    have none either; and where most are, segments have 3 frames and are measured by their second
    difference.
    """
    known = [length for length in lengths if length is not None]
    if not known:
        return max(allowed)
    enough = [length for length in known if length >= min(allowed)]
    for clips in (known, enough):
        for frames in sorted(allowed, reverse=True):
            if sum(length >= frames for length in clips) >= REACHED_BY * len(clips):
                return frames
        if 2 * len(enough) < len(known):
            break
    return MIN_FRAMES
