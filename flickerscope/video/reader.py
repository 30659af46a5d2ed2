"""Video files as sources of frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from av.video.frame import VideoFrame

from flickerscope.errors import InputError
from flickerscope.inputs.pixels import line_of, names_of, plane_tensor, rgb_fixed
from flickerscope.inputs.probe import check_file
from flickerscope.inputs.source import Described, FileOptions, Frame, Plane
from flickerscope.settings import Planes
from flickerscope.video.description import (
    describe,
    is_full,
    picture_notes,
    plane_size,
    quarter_turns,
    readable,
    shape_of,
)
from flickerscope.video.promise import gaps_in, promise_of
from flickerscope.video.stream import (
    Replay,
    Tally,
    decoded,
    fraction,
    opened,
    survey_packets,
    use_threads,
)
from flickerscope.video.unreadable import why_unreadable

__all__ = ["VideoFile"]


class VideoFile(Described):
    """A video file, decoded anew by each `frames`; the planes view the decoder's memory."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        planes: Planes = "y",
        threads: int | None = None,
        options: FileOptions | None = None,
    ) -> None:
        self._options = options or FileOptions()
        self._path = os.fsdecode(path)
        self._threads = threads
        self._tally = Tally()
        names = names_of(planes)
        check_file(self._path)
        # An error while frame threads are emptied can take the only picture with it.
        picture = self._probe("AUTO") or self._probe("SLICE")
        if picture is None:
            large = " Are its frames over --max-pixels?" if self._sizeless else ""
            why = why_unreadable(self._path, self._options.max_pixels)
            why = why or f"no frame can be decoded: {self._trouble}; is it complete?{large}"
            raise InputError(f"{self._path}: {why}")
        if len(names) > len(self._layout.taps):
            raise InputError(
                f"{self._path}: {picture.format.name} has no colour planes; use planes='y'"
            )
        self._planes = tuple(self._plane(name, picture) for name in names)

    def _probe(self, kind: str) -> VideoFrame | None:
        """Learn all about the file from its packets and its first picture, which is returned."""
        with opened(self._path, self._options) as (container, stream):
            use_threads(stream, kind, self._threads)
            self._sizeless = not stream.codec_context.width  # FFmpeg forgets what is too large
            survey = survey_packets(container, stream)
            picture = survey.first
            if picture is None:
                self._trouble = survey.trouble or "it holds no pictures"
                return None
            self._base = fraction(stream.time_base) or Fraction(1)
            self._last = None if picture.interlaced_frame else max(survey.ticks, default=None)
            self._tail = survey.tail * self._base
            self._gaps = gaps_in(survey.ticks)
            self._promise = promise_of(self._path, container, stream, survey.shown, survey.reached)
            self._shape = shape_of(picture)
            self._rows = 2 if picture.interlaced_frame else 1  # of a frame to one of a field
            self._turns = quarter_turns(picture)
            self._target, self._layout = readable(picture, self._path)
            self._full, guessed = is_full(picture, self._layout)
            notes = (*picture_notes(picture, stream, self._target, self._layout, guessed),)
            self._info = describe(
                self._path,
                container,
                stream,
                survey,
                self._promise,
                self._layout,
                self._full,
                notes,
            )
            self._replay = Replay(stream, survey) if survey.packets else None
        return picture

    def frames(self) -> Iterator[Frame]:
        """All frames in the order of their presentation; a damaged one is counted and left out."""
        tally = self._tally = Tally()
        time: Fraction | None = None
        for picture in self._pictures(tally):
            time = tally.end = self._time(picture.pts, time, tally)
            tally.frames += 1
            tally.mixed += bool(picture.interlaced_frame) != self._info.interlaced
            planes = tuple(self._upright(samples) for samples in self._samples(picture))
            yield Frame(time, planes, bool(picture.key_frame))
        if not tally.frames:
            why = tally.trouble or tally.cut or "it holds no pictures"
            raise InputError(f"{self._path}: no frame can be decoded: {why}; is it complete?")
        tally.finished = True

    def problems(self) -> tuple[str, ...]:
        """What went wrong in the last reading, one sentence each."""
        tally, promised = self._tally, self._info.promised_frames
        found = []
        if tally.failed:
            total = max(promised or 0, tally.frames + tally.failed)
            found.append(
                f"{tally.failed} of {total} frames could not be decoded "
                f"(first error: {tally.trouble})"
            )
        if tally.corrupt:
            found.append(f"{tally.corrupt} of {tally.frames} decoded frames marked as damaged")
        if tally.cut:
            found.append(f"reading ended early, after frame {tally.frames} ({tally.cut})")
        if tally.finished and promised is not None and tally.frames < promised:
            found.append(f"{_frames(tally.frames)} decoded, the container promises {promised}")
        rate, promised_end = self._info.rate, self._promise.end
        if tally.finished and promised_end and rate and self._missing():
            end = float(tally.end + 1 / rate)
            found.append(
                f"it ends at {end:.2f} s, the container promises {float(promised_end):.2f} s"
            )
        if tally.finished and self._promise.cut:
            found.append("the file is cut off")
        if found and tally.finished and self._gaps:
            found.append(f"{_frames(self._gaps)} missing among the timestamps")
        return (*found, *self._oddities())

    def _oddities(self) -> Iterator[str]:
        """What is no damage."""
        tally = self._tally
        if tally.mixed:
            kind = "not interlaced" if self._info.interlaced else "interlaced"
            yield (
                f"{tally.mixed} of {tally.frames} frames {kind}, unlike the first; all were read "
                "alike"
            )
        if tally.unordered:
            yield (
                f"{_frames(tally.unordered)} with a time that does not increase, set one frame "
                "interval after the frame before"
            )

    def lost(self) -> int | None:
        """Frames that damage took from the last reading; ``None``: it is not damaged."""
        tally, info = self._tally, self._info
        lost = tally.failed
        if tally.finished:
            lost = max(lost, (info.promised_frames or 0) - tally.frames, self._missing())
        cut = tally.cut or (tally.finished and self._promise.cut)
        if not lost and not tally.corrupt and not cut:
            return None
        if tally.finished:  # a gap alone is no damage, but where there is some it is part of it
            lost = max(lost, self._gaps + max(tally.failed, self._missing()))
        return lost

    def _missing(self) -> int:
        """Frames between the last one and the end that the container names."""
        rate, end = self._info.rate, self._promise.end
        if not rate or not end:
            return 0
        slack = (5 if self._info.variable_rate else 3) / (2 * rate)
        if self._tally.end + slack >= end or self._tail + 1 / (2 * rate) >= end:
            return 0
        return round((end - self._tally.end) * rate) - 1

    def _upright(self, samples: torch.Tensor) -> torch.Tensor:
        """One field of a frame of two, turned as the file says it is to be shown."""
        if self._rows > 1:
            samples = samples[:: self._rows]
        if not self._turns:
            return samples
        return torch.from_numpy(np.ascontiguousarray(np.rot90(samples.numpy(), self._turns)))

    def _pictures(self, tally: Tally) -> Iterator[VideoFrame]:
        """All pictures, by frame threads.

        An error while the threads are emptied loses all that they still hold, so that damage would
        cost more frames the more cores there are: such a tail is decoded again without them.
        """
        replay, self._replay = self._replay, None
        first_reading = (
            decoded(self._path, "AUTO", self._threads, tally, self._options)
            if replay is None
            else replay.pictures(tally)
        )
        reached: int | None = None
        for picture in first_reading:
            reached = self._last if picture.pts is None else picture.pts
            yield picture
        if self._last is None or (reached is not None and reached >= self._last):
            return
        tally.failed = tally.corrupt = 0
        for picture in decoded(self._path, "SLICE", self._threads, tally, self._options):
            if reached is None or (picture.pts is not None and picture.pts > reached):
                yield picture

    def _plane(self, name: str, picture: VideoFrame) -> Plane:
        """How the samples of one plane are to be read."""
        layout = self._layout
        bits, shift = (8, 8) if layout.rgb else (layout.bits, layout.shift)
        scale, offset = line_of(name, bits=bits, shift=shift, full=self._full)
        height, width = plane_size(picture, layout, name)
        wide = layout.rgb or layout.bits > 8
        dtype = torch.uint16 if wide else torch.uint8
        height = -(-height // self._rows)
        if self._turns % 2:
            height, width = width, height
        return Plane(
            name=name,
            height=height,
            width=width,
            dtype=dtype,
            scale=scale,
            offset=offset,
            aspect=self._info.aspect,
        )

    def _samples(self, picture: VideoFrame) -> tuple[torch.Tensor, ...]:
        """The planes of one picture, or `InputError` where its size or format has changed."""
        if shape_of(picture) != self._shape:
            was, now = ("{} {}x{}".format(*shape) for shape in (self._shape, shape_of(picture)))
            raise InputError(
                f"{self._path}: changes from {was} to {now} in mid-stream; cut it at the change"
            )
        if self._target:
            picture = picture.reformat(format=self._target)
        layout, planes = self._layout, picture.planes
        if not layout.rgb:
            return tuple(
                plane_tensor(planes[tap[0]], tap, plane_size(picture, layout, plane.name), layout)
                for tap, plane in zip(layout.taps, self._planes, strict=False)
            )
        size = picture.height, picture.width
        rgb = tuple(plane_tensor(planes[tap[0]], tap, size, layout) for tap in layout.taps)
        white = (1 << layout.bits) - 1 if self._full else 255 << (layout.bits - 8)
        return tuple(rgb_fixed(rgb, name=p.name, white=white) for p in self._planes)

    def _time(self, ticks: int | None, previous: Fraction | None, tally: Tally) -> Fraction:
        """Seconds of a frame; one interval after the previous one where the file does not say."""
        rate = self._info.rate
        if ticks is not None and rate is not None:
            time = ticks * self._base
            if previous is None or time > previous:
                return time
            tally.unordered += 1
        return Fraction(0) if previous is None else previous + (1 / rate if rate else 1)


def _frames(number: int) -> str:
    return f"{number} frame{'' if number == 1 else 's'}"
