"""Measures one video: frames in, a `Measurement` out, in one pass and bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean
from typing import IO, Final

import numpy as np
import numpy.typing as npt
import torch

from flickerscope.align import GAP, WIDE_GAP, Clock, take
from flickerscope.errors import DeviceError, InputError, OutputError, SettingsError, TooShortError
from flickerscope.kernel import Workers
from flickerscope.measurement import Clip, Measurement
from flickerscope.planes import Look, PlaneBuffers, small_picture
from flickerscope.rungs import RungSum
from flickerscope.segments import HORIZON, LOOKAHEAD, CutDetector, ShotSegments
from flickerscope.settings import LADDER, MIN_FRAMES, Settings
from flickerscope.source import Frame, Plane, Source

__all__ = ["BlockTrack", "Progress", "measure"]

Progress = Callable[[int], None]
"""Called with the number of frames read so far."""

DEFAULT_SEGMENT: Final = LADDER[0]
SAMPLE_EVERY: Final = 8  # frames, for the picture's contrast and sharpness
TRACK_IN_MEMORY: Final = 16 << 20  # bytes; longer tracks go to a temporary file
REPEAT_SHARE: Final = 0.2
REPEAT_RATIO: Final = 0.1
MIN_CADENCE: Final = 4  # repeats


@dataclass(frozen=True, slots=True)
class BlockTrack:
    """The luma's block grid of every frame of a video, kept for frame-by-frame readings."""

    shape: tuple[int, int]
    file: IO[bytes]
    frames: int
    shots: list[tuple[int, int]]

    def read(self, start: int, frames: int) -> torch.Tensor:
        """Frames ``start`` to ``start + frames``, (frames, rows, columns), float32 code values."""
        rows, columns = self.shape
        self.file.seek(4 * rows * columns * start)
        raw = bytearray(self.file.read(4 * rows * columns * frames))
        return torch.frombuffer(raw, dtype=torch.float32).view(frames, rows, columns)


def measure(
    source: Source,
    settings: Settings,
    workers: Workers,
    *,
    segment: int | None = None,
    ladder: bool = False,
    rate: Fraction | None = None,
    keep_track: bool = False,
    progress: Progress | None = None,
) -> tuple[Measurement, BlockTrack | None]:
    """Measure a video, and keep its block grids if asked to.

    Args:
        source: the video.
        settings: what to measure.
        workers: where to compute.
        segment: frames a segment, ahead of ``settings.segment``; default 32. Where no shot is
            that long, the longest shot's length, with a note.
        ladder: measure at every length of `LADDER` that fits instead.
        rate: decimate to this many frames a second.
        keep_track: keep every frame's block grid.
        progress: called once a frame.

    Raises:
        TooShortError: no shot of 3 frames or more.
        InputError: the video cannot be read, or is too large for the memory allowed.
    """
    wanted = segment or settings.segment or DEFAULT_SEGMENT
    lengths = LADDER if ladder else (wanted,)
    while True:
        run = _Pass(source, settings, workers, lengths, rate, keep_track, progress)
        measurement = run.measure()
        if measurement is not None:
            return measurement, run.track()
        run.close()
        lengths = (run.longest_shot,)


class _Pass:
    """One reading of a video, start to end."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        workers: Workers,
        lengths: tuple[int, ...],
        rate: Fraction | None,
        keep_track: bool,
        progress: Progress | None,
    ) -> None:
        self.source, self.settings, self.workers = source, settings, workers
        self.lengths = lengths
        self.progress = progress
        info = source.info
        step = settings.frame_range.step
        own = None if info.rate is None else info.rate / step
        if rate is None and info.variable_rate:
            rate = own
        self.rate = rate or own
        self.clock = Clock(
            interval=None if own is None else 1 / own,
            rate=rate,
            gap=WIDE_GAP if info.variable_rate else GAP,
        )
        device = workers.resources.device
        self._check_device(device)
        self._check_crop()
        # Beyond what must be known of a shot, room for the frames that come in while a segment
        # is measured.
        self.capacity = HORIZON * max(lengths) + LOOKAHEAD + 2 + max(lengths) // 4
        self._check_memory()
        self.planes = [
            PlaneBuffers(plane, source.planes[0], settings, self.capacity, device)
            for plane in source.planes
        ]
        self.rungs = {frames: self._new_rung(frames) for frames in lengths}
        self.plans: dict[int, ShotSegments] = {}
        self.cuts = CutDetector()
        self.shots: list[tuple[int, int]] = []
        self.shot_start = 0
        self.frames = 0
        self.times: list[Fraction] = []
        self.looks: list[Look] = []
        self.looking: list[Future[object]] = []
        self.picture: npt.NDArray[np.uint8] | None = None
        self.brightness = torch.zeros(self.planes[0].grid.shape, dtype=torch.float64, device="cpu")
        self.changes: list[float] = []
        self._last_blocks: torch.Tensor | None = None
        self._file: IO[bytes] | None = (
            tempfile.SpooledTemporaryFile(TRACK_IN_MEMORY) if keep_track else None  # noqa: SIM115
        )

    @property
    def longest_shot(self) -> int:
        return max((stop - start for start, stop in self.shots), default=0)

    def measure(self) -> Measurement | None:
        """Read it all; ``None`` where no shot was long enough for any of the lengths."""
        try:
            for _ in self._read():
                self._advance()
            self._finish()
            done = {frames: rung for frames, rung in self.rungs.items() if rung.starts}
            if not done:
                return None
            return Measurement(
                settings=self.settings,
                rungs={frames: rung.rung() for frames, rung in done.items()},
                clips=(self._clip(done),),
            )
        except BaseException:
            self.close()
            raise

    def track(self) -> BlockTrack | None:
        """The block grids of all frames, where they were kept."""
        if self._file is None:
            return None
        return BlockTrack(self.planes[0].grid.shape, self._file, self.frames, self.shots)

    def close(self) -> None:
        """Give temporary files back."""
        if self._file is not None:
            self._file.close()

    def _check_device(self, device: torch.device) -> None:
        if device.type == "mps" and any(p.dtype == torch.float64 for p in self.source.planes):
            raise DeviceError("device mps has no double precision: pass float32, or use the cpu")

    def _check_crop(self) -> None:
        crop, info = self.settings.crop_box, self.source.info
        if crop is None:
            return
        if crop.left + crop.width > info.width or crop.top + crop.height > info.height:
            raise InputError(
                f"{info.path}: crop {self.settings.crop} reaches beyond the picture of "
                f"{info.width}x{info.height}"
            )

    def _check_memory(self) -> None:
        if "pixel" not in self.settings.scales:
            return
        luma = self.source.planes[0]
        needed = self.capacity * sum(
            PlaneBuffers.cells(plane, luma, self.settings) * plane.dtype.itemsize
            for plane in self.source.planes
        )
        allowed = self.workers.resources.memory
        if needed > allowed:
            info = self.source.info
            raise InputError(
                f"{info.path}: frames of {info.width}x{info.height} need buffers of "
                f"{needed / 2**20:.1f} MB, {allowed / 2**20:.1f} MB are allowed: raise the memory, "
                "or take a smaller segment or crop"
            )

    def _new_rung(self, frames: int) -> RungSum:
        rung = RungSum(frames, self.settings, self.rate, self.planes, self.workers)
        if rung.headline.empty:
            raise SettingsError(
                f"{self.source.info.path}: band {rung.headline.name!r} lies outside the spectrum; "
                "choose others, or a lower one"
            )
        return rung

    def _read(self) -> Iterator[int]:
        """Frames on the clock into the buffers; yields how many there are."""
        frames = take(self._counted(self.source.frames()), self.settings.frame_range)
        for tick in self.clock.run(frames):
            self.times.append(tick.frame.time)
            blocks = self._store(tick.frame)
            cuts = self.cuts.push(blocks, restart=tick.gap)
            self._split(cuts)
            if tick.gap:
                self._end_shot(self.frames)
            self.frames += 1
            yield self.frames

    def _counted(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for count, frame in enumerate(frames, 1):
            if self.progress is not None:
                self.progress(count)
            yield frame

    def _store(self, frame: Frame) -> torch.Tensor:
        for rung in self.rungs.values():
            rung.keep_clear(self.frames - self.capacity)
        luma: torch.Tensor | None = None
        for buffers, samples in zip(self.planes, frame.planes, strict=True):
            part, blocks = buffers.append(samples)
            if luma is None:
                luma = blocks.cpu()
                if self.frames % SAMPLE_EVERY == 0:
                    self._look(part, buffers.plane)
        if luma is None:
            raise InputError(f"{self.source.info.path}: a frame without planes")
        self.brightness += luma
        if self._last_blocks is not None:
            self.changes.append(float((luma - self._last_blocks).abs().mean()))
        self._last_blocks = luma
        if self._file is not None:
            self._keep(self._file, luma)
        return luma

    def _keep(self, file: IO[bytes], blocks: torch.Tensor) -> None:
        try:
            file.write(blocks.to(torch.float32).numpy().tobytes())
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: no room for the block grids of {self.source.info.path} "
                f"({error.strerror}); free some, or switch paired readings off"
            ) from error

    def _look(self, samples: torch.Tensor, plane: Plane) -> None:
        """Take brightness, contrast and sharpness of a frame, in the background."""
        if self.picture is None:
            self.picture = small_picture(samples, plane)
        for future in self.looking:
            future.result()
        if "pixel" not in self.settings.scales:
            samples = samples.clone()  # the decoder's own memory, not the buffer's
        self.looks.append(Look(samples, plane))
        self.looking = self.workers.run([self.looks[-1].measure])

    def _advance(self) -> None:
        """Measure the segments that are settled: no cut can still turn up in them."""
        known = self.frames - LOOKAHEAD - self.shot_start
        for frames in self.lengths:
            for start in self._plan(frames).extend(known):
                self._segment(frames, start)

    def _plan(self, frames: int) -> ShotSegments:
        return self.plans.setdefault(frames, ShotSegments(frames))

    def _segment(self, frames: int, start: int) -> None:
        first = self.shot_start + start
        time = float(self.times[first])
        self.rungs[frames].add(first, time, len(self.shots))

    def _split(self, cuts: list[int]) -> None:
        for cut in cuts:
            self._end_shot(cut)

    def _end_shot(self, stop: int) -> None:
        length = stop - self.shot_start
        if length <= 0:
            return
        for frames, rung in self.rungs.items():
            if length < frames:
                rung.skipped_shots += 1
                rung.skipped_frames += length
            for start in self._plan(frames).finish(length):
                self._segment(frames, start)
        self.shots.append((self.shot_start, stop))
        self.shot_start = stop
        self.plans.clear()

    def _finish(self) -> None:
        self._split(self.cuts.flush())
        last = self.frames - self.shot_start
        if not self.shots and MIN_FRAMES <= last < min(self.lengths):
            # All of it is in the buffers: no second reading.
            self.lengths = (last,)
            self.rungs = {last: self._new_rung(last)}
        self._end_shot(self.frames)
        if self.longest_shot < MIN_FRAMES:
            name = self.source.info.path
            raise TooShortError(
                f"{name}: {_count(self.frames, 'frame')}, {self.longest_shot} in the longest shot; "
                f"{MIN_FRAMES} frames without a cut are the least that can be measured"
            )

    def _clip(self, rungs: dict[int, RungSum]) -> Clip:
        for future in self.looking:
            future.result()
        brightness = (self.brightness / max(1, self.frames)).numpy()
        return Clip(
            info=self.source.info,
            frames_decoded=self.clock.frames_in,
            frames=self.frames,
            rate=self.rate,
            start=float(self.times[0]),
            shots=self.shots,
            gaps=self.clock.gaps,
            mean=fmean(look.mean for look in self.looks),
            contrast=fmean(look.variance for look in self.looks) ** 0.5,
            gradient=fmean(look.gradient for look in self.looks),
            clipped=fmean(look.clipped for look in self.looks),
            readings={frames: rung.reading(brightness) for frames, rung in rungs.items()},
            notes=tuple(self._notes()),
            warnings=tuple(self._warnings(rungs)),
            picture=self.picture,
        )

    def _notes(self) -> Iterator[str]:
        yield from self.source.info.notes
        cuts = len(self.shots) - 1 - self.clock.gaps
        if cuts > 0:
            yield f"{_count(cuts, 'cut')} found; segments never cross one"
        if self.clock.rate is not None and self.frames != self.clock.frames_in:
            yield (
                f"{self.frames} of {self.clock.frames_in} frames taken by nearest timestamp, "
                f"for {float(self.clock.rate):.6g} frames/s"
            )

    def _warnings(self, rungs: dict[int, RungSum]) -> Iterator[str]:
        yield from self.source.problems()
        wanted = self.settings.segment or DEFAULT_SEGMENT
        if self.frames >= wanted > self.longest_shot:
            yield f"no shot has {wanted} frames: measured in segments of {max(rungs)}"
        elif self.settings.segment is not None and wanted not in rungs:
            yield f"measured in segments of {max(rungs)} frames, not of {wanted}"
        for rung in rungs.values():
            if rung.skipped_shots:
                yield (
                    f"{_count(rung.skipped_shots, 'shot')} shorter than {rung.frames} frames left "
                    f"out ({rung.skipped_frames} of {self.frames} frames)"
                )
        yield from self._timing_warnings()
        if self.source.info.interlaced:
            yield "interlaced and measured as stored: the combing of moving edges reads as flicker"
        repeats = _repeats(np.array(self.changes))
        if repeats:
            yield (
                f"{repeats} of {self.frames} frames repeat the one before, which takes power from "
                "the highest frequencies"
            )

    def _timing_warnings(self) -> Iterator[str]:
        clock = self.clock
        if clock.gaps:
            yield f"{_count(clock.gaps, 'gap')} in the timestamps; segments never cross one"
        if self.source.info.variable_rate:
            yield "the frame rate varies: frames were put on an even clock by nearest timestamp"
        if clock.displaced:
            yield (
                f"{clock.displaced} of {self.frames} frames lie over a quarter of a frame from "
                "their place on the clock"
            )
        if clock.repeated:
            yield f"{clock.repeated} of {self.frames} frames repeated to fill the clock"


def _repeats(changes: npt.NDArray[np.float64]) -> int:
    """How many frames all but equal the one before, in a video that moves otherwise.

    Fewer than a fifth of the frames count only in a fixed cadence, such as one in five: small
    changes are there by chance, too.
    """
    if not changes.size:
        return 0
    found = np.flatnonzero(changes < REPEAT_RATIO * np.percentile(changes, 75))
    cadence = len(found) >= MIN_CADENCE and np.ptp(np.diff(found)) <= 1
    return len(found) if cadence or len(found) > REPEAT_SHARE * (len(changes) + 1) else 0


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
