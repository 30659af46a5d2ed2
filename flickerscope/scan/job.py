"""Measures a reference and the predictions that are held against it."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from flickerscope.errors import DeviceError, InputError, SettingsError, TooShortError
from flickerscope.scan.remote import Cache, Copies
from flickerscope.settings import Settings
from flickerscope.suffixes import TENSOR_SUFFIXES

if TYPE_CHECKING:
    # What measures is loaded by the processes that measure: torch takes seconds to import.
    from fractions import Fraction

    from flickerscope.comparison.match import Keeper
    from flickerscope.inputs.source import FileOptions, Source
    from flickerscope.kernel import Workers
    from flickerscope.measurement import Measurement
    from flickerscope.scan.pool import Engine

__all__ = [
    "Choices",
    "ClipJob",
    "Job",
    "Result",
    "attempt",
    "check_form",
    "checked",
    "measure_clip",
    "open_clip",
    "run_job",
]

CRASHED = "crashed"
"""In a record: it failed for want of memory or time, and is tried again by the next run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How every clip of a scan is read and measured."""

    settings: Settings = field(default_factory=Settings)
    fps: str | None = None
    """Frames a second of pictures and arrays."""
    layout: str | None = None
    value_range: str | None = None
    key: str | None = None
    """Of an array in a file of several."""
    stream: int = 0
    max_pixels: int | None = None
    strict: bool = False
    vbench: bool = False
    """Measure VBench's temporal flickering of the predictions too."""
    threads: int = 1
    """Of every process; no number depends on it, nor on the memory."""
    memory: float | None = None
    """Megabytes for the buffers of every process."""
    cache: Cache | None = None
    """Where copies of remote files are kept; without one they are fetched for each use."""

    @property
    def form(self) -> dict[str, Any]:
        """What only pictures and arrays take."""
        names = ("fps", "layout", "value_range", "key")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """All that changes a number, as plain values."""
        files = {name: getattr(self, name) for name in ("stream", "max_pixels", "strict")}
        further = {"vbench": True} if self.vbench else {}
        return {"settings": self.settings.to_dict()} | self.form | files | further


def check_form(choices: Choices, paths: Sequence[str]) -> None:
    """Raise `SettingsError` for an option that goes with none of the files."""
    given = [name for name, value in choices.form.items() if value is not None]
    arrays = any(path.lower().endswith(TENSOR_SUFFIXES) for path in paths) if given else False
    pictures = "fps" in given and any(os.path.isdir(path) for path in paths)
    for name in given:
        if not (arrays or (pictures and name == "fps")):
            raise SettingsError(f"{name} is for arrays and pictures, and there are none")
    if paths and (choices.stream or choices.max_pixels):
        others = [path for path in paths if not path.lower().endswith(TENSOR_SUFFIXES)]
        if not others:
            raise SettingsError("stream and max_pixels are for videos, and there are none")
        if choices.stream and all(os.path.isdir(path) for path in others):
            raise SettingsError("stream is for videos, and there are none")


def checked(choices: Choices, engine: Engine) -> Choices:
    """The same; raises `SettingsError` for what would make every single clip fail.

    One job finds that out, as what reads clips takes seconds to load.
    """
    if choices != Choices(settings=choices.settings):
        (outcome,) = engine(check_choices, [choices])
        if outcome.status != "ok":
            raise SettingsError(str(outcome.reason))
    return choices


def check_choices(choices: Choices) -> None:
    """Raise `SettingsError` for a value that is not allowed."""
    from flickerscope.inputs.arrays import parse_range
    from flickerscope.inputs.layout import check_layout
    from flickerscope.inputs.rate import rate_of
    from flickerscope.resources import pick_resources

    rate_of(choices.fps)
    parse_range(choices.value_range)
    if choices.layout is not None:
        check_layout(choices.layout)
    _file_options(choices)
    pick_resources("cpu", threads=choices.threads, memory=choices.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One reference and some of the predictions that are held against it."""

    ref: str
    """Path."""
    preds: tuple[str, ...]
    """Paths."""
    choices: Choices
    """With the segment length that all clips have."""
    device: str = "cpu"
    saved: str | None = None
    """The reference's measurement as JSON, where there is one instead of a file."""

    @property
    def files(self) -> int:
        """How many it reads, which is what its time is limited by."""
        return 1 + len(self.preds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipJob:
    """A clip that is measured by itself, for comparisons to come."""

    path: str
    choices: Choices
    device: str = "cpu"

    @property
    def files(self) -> int:
        """How many it reads."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one clip."""

    content: dict[str, Any]
    """Of its record: the status, and the readings or the reason why there are none."""
    seconds: float
    trace: str | None = None
    """Of an error that should not have been."""


def run_job(job: Job) -> Iterator[Result]:
    """One result for each prediction, in their order; the reference is measured once."""
    from flickerscope.kernel import Workers
    from flickerscope.resources import pick_resources

    choices = job.choices
    resources = pick_resources(job.device, threads=choices.threads, memory=choices.memory)
    copies = Copies(choices.cache)
    with Workers.start(resources) as workers, _reference(job, workers, copies) as ref:
        for pred in job.preds:
            yield attempt(pred, partial(_compare, pred, ref, job, workers, copies), copies)


@contextmanager
def _reference(job: Job, workers: Workers, copies: Copies) -> Iterator[_Reference]:
    ref = _Reference(job, workers, copies)
    try:
        yield ref
    finally:
        ref.close()


class _Reference:
    """A reference that is opened when it is first needed."""

    def __init__(self, job: Job, workers: Workers, copies: Copies) -> None:
        self._job, self._workers, self._copies = job, workers, copies
        self._held = ExitStack()
        self._side: Measurement | Keeper | None = None

    def side(self) -> Measurement | Keeper:
        """What the predictions are held against; raises `InputError`."""
        from flickerscope.comparison.match import Keeper
        from flickerscope.measurement import Measurement

        if self._side is None:
            saved = self._job.saved
            if saved is not None:
                self._side = Measurement.from_json(saved, self._job.ref)
            else:
                path = self._held.enter_context(self._copies.holding(self._job.ref))
                self._side = Keeper(open_clip(path, self._job.choices, self._workers))
        return self._side

    def close(self) -> None:
        """Give temporary files back."""
        from flickerscope.comparison.match import Keeper

        with self._held:
            if isinstance(self._side, Keeper):
                self._side.close()


def open_clip(path: str, choices: Choices, workers: Workers) -> Source:
    """A clip as it is to be read; raises `InputError`."""
    from flickerscope.inputs import open_source, taken_by

    resources = workers.resources
    return open_source(
        path,
        **{name: choices.form[name] for name in taken_by(path)},
        planes=choices.settings.planes,
        latent=choices.settings.latent,
        threads=resources.threads,
        memory=resources.memory,
        files=_file_options(choices),
    )


def open_header(path: str, choices: Choices) -> tuple[int | None, Fraction | None]:
    """Frames and frames a second that a clip promises, ``None`` each where it says nothing.

    Raises `InputError`.
    """
    from flickerscope.inputs import open_source, taken_by

    taken = taken_by(path)
    if not taken:
        from flickerscope.video.header import promised_length

        return promised_length(path, _file_options(choices))
    form = {name: choices.form[name] for name in taken}
    info = open_source(path, **form, latent=choices.settings.latent).info
    return info.promised_frames, info.rate


def _file_options(choices: Choices) -> FileOptions:
    from flickerscope.inputs.source import MOST_PIXELS, FileOptions

    return FileOptions(
        stream=choices.stream,
        max_pixels=MOST_PIXELS if choices.max_pixels is None else choices.max_pixels,
        strict=choices.strict,
    )


def measure_clip(job: ClipJob) -> Result:
    """The measurement of a clip at every segment length that fits, without its maps."""
    from flickerscope.kernel import Workers
    from flickerscope.measure import measure_new
    from flickerscope.resources import pick_resources
    from flickerscope.scan.record import measurement_content

    choices = job.choices
    resources = pick_resources(job.device, threads=choices.threads, memory=choices.memory)
    copies = Copies(choices.cache)
    with Workers.start(resources) as workers:

        def work() -> dict[str, Any]:
            with copies.holding(job.path) as path:
                source = open_clip(path, choices, workers)
                settings = choices.settings.of_one_video
                return measurement_content(measure_new(source, settings, workers, ladder=True)[0])

        return attempt(job.path, work, copies)


def attempt(path: str, work: Callable[[], dict[str, Any]], copies: Copies) -> Result:
    """What ``work`` makes of a clip, or why it makes nothing."""
    started = time.perf_counter()
    trace: str | None = None
    try:
        content = {"status": "measured", "reason": None} | work()
    except TooShortError as error:
        content = {"status": "not measurable", "reason": copies.named(str(error))}
    except (InputError, SettingsError) as error:
        content = {"status": "failed", "reason": copies.named(str(error))}
    except DeviceError:
        raise  # no other clip would fare better
    except Exception as error:  # noqa: BLE001 - one clip must not end a night's run
        content, trace = _failure(path, error), traceback.format_exc()
    return Result(content=content, seconds=time.perf_counter() - started, trace=trace)


def _failure(path: str, error: Exception) -> dict[str, Any]:
    """Of the machine, or of flickerscope."""
    text = str(error).partition("\n")[0]
    if isinstance(error, MemoryError) or "out of memory" in text or "alloc" in text:
        return {"status": "failed", "reason": f"{path}: out of memory", CRASHED: True}
    if isinstance(error, OSError):
        return {"status": "failed", "reason": f"{path}: {text}", CRASHED: True}
    return {"status": "failed", "reason": f"{path}: a bug: {type(error).__name__}: {text}"}


def _compare(
    pred: str, ref: _Reference, job: Job, workers: Workers, copies: Copies
) -> dict[str, Any]:
    from flickerscope.comparison import compare_sides
    from flickerscope.measurement import Measurement
    from flickerscope.scan.record import comparison_content

    settings, side = job.choices.settings, ref.side()
    if isinstance(side, Measurement):
        _check_length(job.ref, side, settings)
    with copies.holding(pred) as path:
        source = open_clip(path, job.choices, workers)
        result = compare_sides(source, side, settings, workers)
        further = vbench_content(path, job.choices) if job.choices.vbench else {}
    _check_length(pred, result.pred, settings)
    _check_length(job.ref, result.ref, settings)
    return comparison_content(result) | further


def vbench_content(path: str, choices: Choices) -> dict[str, Any]:
    """What a record has for VBench: ``None`` for what is no video file: VBench reads none other."""
    from flickerscope.inputs import taken_by
    from flickerscope.scan.vbench import temporal_flickering

    if taken_by(path):
        return {"vbench": None}
    value = temporal_flickering(path, _file_options(choices), choices.threads)
    return {"vbench": {"temporal_flickering": value}}


def _check_length(path: str, measured: Measurement, settings: Settings) -> None:
    """Raise `TooShortError` for a clip without a segment of the length that all have."""
    wanted = settings.segment
    if wanted is not None and wanted not in measured.rungs:
        repeats = sum(clip.repeats for clip in measured.clips)
        held = f"; {repeats} repeat the one before" if repeats else ""
        raise TooShortError(
            f"{path}: too short: no shot of {wanted} frames, measured in segments of "
            f"{measured.segment}{held}"
        )
