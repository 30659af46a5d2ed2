"""Measures one video: frames in, a `Measurement` out, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from statistics import fmean
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flickerscope.align import GAP, WIDE_GAP, Clock, take
from flickerscope.errors import DeviceError, InputError, SettingsError, TooShortError
from flickerscope.inputs.source import Frame, Plane, Source
from flickerscope.kernel import Workers
from flickerscope.measurement import Clip, Measurement
from flickerscope.motion.stream import MotionStream, open_stream
from flickerscope.planes import BlockSums, Look, PlaneBuffers, small_picture
from flickerscope.repeats import Held, find_held, find_repeats
from flickerscope.rungs import RungSum, main_planes
from flickerscope.segments import HORIZON, LOOKAHEAD, CutDetector, ShotSegments
from flickerscope.settings import LADDER, MIN_FRAMES, Settings
from flickerscope.tracks import KeptMotion, Track, Tracks
from flickerscope.units import CODE, Unit

__all__ = ["Progress", "measure", "measure_new", "unit_of"]

Progress = Callable[[int], None]
"""Called with the number of frames read so far."""

DEFAULT_SEGMENT: Final = LADDER[0]
SAMPLE_EVERY: Final = 8  # frames, for the picture's contrast and sharpness


def measure(
    source: Source,
    settings: Settings,
    workers: Workers,
    *,
    segment: int | None = None,
    ladder: bool = False,
    rate: Fraction | None = None,
    unit: Unit | None = None,
    held: Held | None = None,
    keep_tracks: bool = False,
    progress: Progress | None = None,
) -> tuple[Measurement, Tracks | None]:
    """Measure a video, and keep small pictures of its frames if asked to.

    Args:
        source: the video.
        settings: what to measure.
        workers: where to compute.
        segment: frames a segment, ahead of ``settings.segment``; default 32. Where no shot is
            that long, the longest shot's length, with a note.
        ladder: measure at every length of `LADDER` that fits instead.
        rate: decimate to this many frames a second.
        unit: of a latent, that of its reference; default: its own. Videos have code values.
        held: frames to leave out, in a video of a lower rate than it is stored at; those that a
            measurement finds are in its ``held``.
        keep_tracks: keep small pictures of every frame.
        progress: called once a frame.

    Raises:
        TooShortError: no shot of 3 frames or more.
        InputError: the video cannot be read, or is too large for the memory allowed.
    """
    wanted = segment or settings.segment or DEFAULT_SEGMENT
    lengths = LADDER if ladder else (wanted,)
    unit = unit or unit_of(source)
    while True:
        run = _Pass(source, settings, workers, unit, lengths, rate, held, keep_tracks, progress)
        measurement = run.measure()
        if measurement is not None:
            return measurement, run.tracks
        run.close()
        lengths = (run.longest_shot,)


def measure_new(
    source: Source, settings: Settings, workers: Workers, **options: Any
) -> tuple[Measurement, Tracks | None]:
    """`measure`, again without the frames that a video holds, where they are to be dropped."""
    measurement, tracks = measure(source, settings, workers, **options)
    held = measurement.clips[0].held
    if held is None or settings.repeats == "keep":
        return measurement, tracks
    if tracks is not None:
        tracks.close()
    return measure(source, settings, workers, held=held, **options)


def unit_of(source: Source) -> Unit:
    """Code values, or those of a latent by its own standard deviation."""
    info = source.info
    return CODE if info.channels is None else Unit.of_latents(info.deviation or 0.0)


class _Pass:
    """One reading of a video, start to end."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        workers: Workers,
        unit: Unit,
        lengths: tuple[int, ...],
        rate: Fraction | None,
        held: Held | None,
        keep_tracks: bool,
        progress: Progress | None,
    ) -> None:
        self.source, self.settings, self.workers = source, settings, workers
        self.unit, self.lengths = unit, lengths
        self.progress, self.held = progress, held
        info = source.info
        step = settings.frame_range.step
        own = None if info.rate is None else info.rate / step
        # Without a clock, times are the frames' numbers.
        self.interval = Fraction(step) if own is None else 1 / own
        ratio = Fraction(1) if held is None else held.ratio
        if own is not None:
            own *= ratio
        if rate is None and info.variable_rate:
            rate = own
        self.rate = rate or own
        self.clock = Clock(
            interval=self.interval / ratio,
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
            PlaneBuffers(_in_unit(plane, unit), source.planes[0], settings, self.capacity, device)
            for plane in source.planes
        ]
        self.main = main_planes(self.planes, settings)
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
        self.keys: list[int] = []
        self.motion = open_stream(self.planes, settings, workers)
        self.blocks = BlockSums()
        self._centre: torch.Tensor | None = None
        """Means of a latent's channels in its first frame."""
        self.changes: list[float] = []
        """Mean absolute difference of each frame to the one before, code values."""
        self.runs: list[int] = []
        """Frames at which a run without a gap begins, which may hold cuts."""
        self.repeats = np.zeros(0, dtype=bool)
        """Which frames repeat the one before in their shot."""
        self.tracks: Tracks | None = self._new_tracks() if keep_tracks else None

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
                unit=self.unit,
            )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give temporary files back."""
        if self.tracks is not None:
            self.tracks.close()

    def _new_tracks(self) -> Tracks:
        path, grid = self.source.info.path, self.planes[0].grid.shape
        shape = (len(self.planes), *grid) if self.settings.latent else grid
        pictures, motion = None, KeptMotion()
        if isinstance(self.motion, MotionStream):
            pictures, self.motion.kept = Track(self.motion.shape, path), motion
        return Tracks(Track(shape, path), pictures, self.shots, motion)

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
        rung = RungSum(frames, self.settings, self.rate, self.planes, self.workers, self.unit)
        if rung.headline.empty:
            raise SettingsError(
                f"{self.source.info.path}: band {rung.headline.name!r} lies outside the spectrum; "
                "choose others, or a lower one"
            )
        return rung

    def _read(self) -> Iterator[int]:
        """Frames on the clock into the buffers; yields how many there are."""
        frames = take(self._counted(self.source.frames()), self.settings.frame_range)
        if self.held is not None:
            frames = self.held.new(frames, self.interval)
        for tick in self.clock.run(frames):
            self.times.append(tick.frame.time)
            if tick.gap or not self.runs:
                self.runs.append(self.frames)
            if tick.frame.key:
                self.keys.append(self.frames)
            blocks = self._store(tick.frame)
            self._split(self.cuts.push(blocks, self.changes[-1], restart=tick.gap))
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
        grids: list[torch.Tensor] = []
        parts: list[tuple[torch.Tensor, Plane]] = []
        for buffers, samples in zip(self.planes, frame.planes, strict=True):
            part, own = buffers.append(samples)
            if buffers in self.main:
                grids.append(own)
                parts.append((part, buffers.plane))
        if self.frames % SAMPLE_EVERY == 0:
            self._look(parts)
        blocks = self._together(grids)
        change = self.blocks.add(blocks)
        self.changes.append(change)
        if isinstance(self.motion, MotionStream):
            picture = self.motion.take(self.planes, change)
            if self.tracks is not None and self.tracks.pictures is not None:
                self.tracks.pictures.append(picture)
        if self.tracks is not None:
            self.tracks.blocks.append(blocks)
        return blocks

    def _together(self, grids: list[torch.Tensor]) -> torch.Tensor:
        """Block grid of the luma, (rows, columns), or of a latent, (channels, rows, columns)."""
        if not self.settings.latent:
            return grids[0].cpu()
        blocks = torch.stack(grids).cpu()
        if self._centre is None:  # what all frames share would hide how they differ
            self._centre = blocks.mean((1, 2), keepdim=True)
        return blocks - self._centre

    def _look(self, parts: list[tuple[torch.Tensor, Plane]]) -> None:
        """Take brightness, contrast and sharpness of a frame, in the background."""
        if self.picture is None and not self.settings.latent:
            self.picture = small_picture(*parts[0])
        for future in self.looking:
            future.result()
        if "pixel" not in self.settings.scales:
            # the decoder's own memory, not the buffer's
            parts = [(samples.clone(), plane) for samples, plane in parts]
        looks = [Look(samples, plane) for samples, plane in parts]
        self.looks += looks
        self.looking = self.workers.run([look.measure for look in looks])

    def _advance(self) -> None:
        """Measure the segments that are settled: no cut can still turn up in them."""
        known = self.frames - LOOKAHEAD - self.shot_start
        if isinstance(self.motion, MotionStream):
            self.motion.advance(self.frames - LOOKAHEAD)
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
        if isinstance(self.motion, MotionStream):
            self.motion.end_shot(stop)
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
            damage = "" if self.source.lost() is None else "; ".join(self.source.problems())
            raise TooShortError(
                f"{name}: {_count(self.frames, 'frame')}, {self.longest_shot} in the longest shot; "
                f"{MIN_FRAMES} frames without a cut are the least that can be measured"
                + (damage and f"; damaged: {damage}")
            )
        self.repeats = self._find_repeats(self.shots)

    def _clip(self, rungs: dict[int, RungSum]) -> Clip:
        for future in self.looking:
            future.result()
        latent, unit = self.settings.latent, self.unit
        brightness = None if latent else self.blocks.mean()
        stream = self.motion
        motion = stream.reading() if isinstance(stream, MotionStream) else stream
        return Clip(
            info=self.source.info,
            frames_decoded=self.clock.frames_in + self._dropped,
            frames=self.frames,
            rate=self.rate,
            start=float(self.times[0]),
            shots=self.shots,
            gaps=self.clock.gaps,
            mean=fmean(look.mean for look in self.looks) * unit.size,
            contrast=fmean(look.variance for look in self.looks) ** 0.5 * unit.size,
            gradient=fmean(look.gradient for look in self.looks) * unit.square,
            clipped=0.0 if latent else fmean(look.clipped for look in self.looks),
            readings={frames: rung.reading(brightness) for frames, rung in rungs.items()},
            keys=self.keys,
            repeats=self._dropped + int(self.repeats.sum()),
            held=self._find_held(),
            lost=self.source.lost(),
            motion=None if isinstance(motion, str) else motion,
            motion_reason=motion if isinstance(motion, str) else None,
            notes=tuple(self._notes()),
            warnings=tuple(self._warnings(rungs)),
            picture=self.picture,
        )

    @property
    def _dropped(self) -> int:
        """Frames that were left out because they repeat the one before."""
        return 0 if self.held is None else len(self.held.repeats)

    def _find_held(self) -> Held | None:
        """What the video holds, if its frames came as they are and all of them."""
        if self.held is not None or self.clock.rate is not None:
            return None
        runs = list(pairwise([*self.runs, self.frames]))
        repeats = self.repeats if runs == self.shots else self._find_repeats(runs)
        changes = np.array(self.changes)
        changes[self.runs] = 0.0
        return find_held(repeats, changes, self.blocks.pictures())

    def _find_repeats(self, parts: list[tuple[int, int]]) -> npt.NDArray[np.bool_]:
        """Which frames repeat the one before in the same part of the video, (frames,)."""
        # What the first frame of a part changes is the cut, or the gap.
        flags = [find_repeats(self.changes[start + 1 : stop]) for start, stop in parts]
        return np.concatenate([np.append(False, part) for part in flags])

    def _notes(self) -> Iterator[str]:
        yield from self.source.info.notes
        if self.held is not None:
            total, rate = self.clock.frames_in + self._dropped, self.source.info.rate
            text = f"{self._dropped} of {total} frames repeat the one before: left out"
            if rate is None:
                yield f"{text}; {self.held.ratio} of the frames are new"
            else:
                stored = rate / self.settings.frame_range.step
                new = float(stored * self.held.ratio)
                yield f"{text}; {new:.6g} of {float(stored):.6g} frames/s are new"
        cuts = len(self.shots) - 1 - self.clock.gaps
        if cuts > 0:
            yield f"{_count(cuts, 'cut')} found; segments never cross one"
        if self.clock.rate is not None and self.frames != self.clock.frames_in:
            yield (
                f"{self.frames} of {self.clock.frames_in} frames taken by nearest timestamp, "
                f"for {float(self.clock.rate):.6g} frames/s"
            )

    def _warnings(self, rungs: dict[int, RungSum]) -> Iterator[str]:
        lost = self.source.lost()
        damage = "damaged: " if lost is not None else ""
        yield from (damage + problem for problem in self.source.problems())
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
        if repeats := int(self.repeats.sum()):
            yield (
                f"{repeats} of {self.frames} frames repeat the one before, which takes "
                "power from the highest frequencies"
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


def _in_unit(plane: Plane, unit: Unit) -> Plane:
    """With samples in code values or what stands for them."""
    return replace(plane, scale=plane.scale / unit.size, offset=plane.offset / unit.size)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
