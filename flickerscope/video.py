"""Video files as sources of frames, decoded with PyAV (the only module that imports it)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Any

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from flickerscope.errors import FlickerscopeError, InputError, OutputError
from flickerscope.pixels import (
    CONVERTED,
    Layout,
    codes_of,
    layout_of,
    line_of,
    names_of,
    plane_samples,
    plane_tensor,
    rgb_fixed,
)
from flickerscope.probe import MATRICES, PRIMARIES, TRANSFERS, check_file, clock_of, is_shown
from flickerscope.settings import Planes
from flickerscope.source import Frame, Plane, VideoInfo

__all__ = ["VideoFile", "encode"]

_MOST_PIXELS = 1 << 28
_LIMITED, _FULL = 1, 2


@dataclass(slots=True)
class _Survey:
    """What one pass over the packets of a stream finds."""

    ticks: list[int] = field(default_factory=list)
    shown: int = 0
    """Packets that hold a picture to be shown."""
    discarded: int = 0
    """Packets that an edit list hides."""
    first: VideoFrame | None = None
    trouble: str | None = None
    """The first error."""
    whole: bool = False
    """The pass came to the end of the file."""


@dataclass(slots=True)
class _Tally:
    """What happened in one reading."""

    frames: int = 0
    failed: int = 0
    corrupt: int = 0
    unordered: int = 0
    trouble: str | None = None
    cut: str | None = None
    """Why the container could not be read to its end."""
    end: Fraction = Fraction(0)
    """Time of the last frame."""
    finished: bool = False


class VideoFile:
    """A video file, decoded anew by each `frames`; the planes view the decoder's memory."""

    def __init__(
        self, path: str | os.PathLike[str], *, planes: Planes = "y", threads: int | None = None
    ) -> None:
        self._path = os.fsdecode(path)
        self._threads = threads
        self._tally = _Tally()
        names = names_of(planes)
        check_file(self._path)
        with _opened(self._path) as (container, stream):
            survey = _survey(container, stream)
            picture = survey.first
            if picture is None:
                why = survey.trouble or "it holds no pictures"
                raise InputError(f"{self._path}: no frame can be decoded: {why}; is it complete?")
            self._base = stream.time_base or Fraction(1)
            self._last = None if picture.interlaced_frame else max(survey.ticks, default=None)
            self._end = _promised_end(container, stream)
            self._shape = _shape(picture)
            self._target, self._layout = _readable(picture, self._path)
            self._full, guessed = _is_full(picture, self._layout)
            if len(names) > len(self._layout.taps):
                raise InputError(
                    f"{self._path}: {picture.format.name} has no colour planes; use planes='y'"
                )
            notes = (*_picture_notes(picture, stream, self._target, self._layout, guessed),)
            self._info = _info(
                self._path, container, stream, survey, self._layout, self._full, notes
            )
        self._planes = tuple(self._plane(name, picture) for name in names)

    @property
    def info(self) -> VideoInfo:
        """Description, from the container and the first frame."""
        return self._info

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Luma, then Cb and Cr where they were asked for."""
        return self._planes

    def frames(self) -> Iterator[Frame]:
        """All frames in the order of their presentation; a damaged one is counted and left out."""
        tally = self._tally = _Tally()
        time: Fraction | None = None
        for picture in self._pictures(tally):
            time = tally.end = self._time(picture.pts, time, tally)
            tally.frames += 1
            yield Frame(time, self._samples(picture), bool(picture.key_frame))
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
            found.append(f"{tally.corrupt} of {tally.frames} decoded frames are marked as damaged")
        if tally.cut:
            found.append(f"reading ended early, after frame {tally.frames} ({tally.cut})")
        if tally.finished and promised is not None and tally.frames < promised:
            found.append(f"{tally.frames} frames decoded, the container promises {promised}")
        rate = self._info.rate
        if tally.finished and self._end and rate and tally.end + 5 / (2 * rate) < self._end:
            end = float(tally.end + 1 / rate)
            found.append(f"it ends at {end:.2f} s, the container promises {float(self._end):.2f} s")
        if tally.unordered:
            found.append(
                f"the times of {tally.unordered} frames do not increase; "
                "they were set one frame interval after the frame before"
            )
        return tuple(found)

    def _pictures(self, tally: _Tally) -> Iterator[VideoFrame]:
        """All pictures, by frame threads.

        An error while the threads are emptied loses all that they still hold, so that damage would
        cost more frames the more cores there are: such a tail is decoded again without them.
        """
        reached: int | None = None
        for picture in _decoded(self._path, "AUTO", self._threads, tally):
            reached = self._last if picture.pts is None else picture.pts
            yield picture
        if self._last is None or (reached is not None and reached >= self._last):
            return
        tally.failed = tally.corrupt = 0
        for picture in _decoded(self._path, "SLICE", self._threads, tally):
            if reached is None or (picture.pts is not None and picture.pts > reached):
                yield picture

    def _plane(self, name: str, picture: VideoFrame) -> Plane:
        """How the samples of one plane are to be read."""
        layout = self._layout
        bits, shift = (8, 8) if layout.rgb else (layout.bits, layout.shift)
        scale, offset = line_of(name, bits=bits, shift=shift, full=self._full)
        height, width = _size(picture, layout, name)
        wide = layout.rgb or layout.bits > 8
        dtype = torch.uint16 if wide else torch.uint8
        return Plane(name=name, height=height, width=width, dtype=dtype, scale=scale, offset=offset)

    def _samples(self, picture: VideoFrame) -> tuple[torch.Tensor, ...]:
        """The planes of one picture, or `InputError` where its size or format has changed."""
        if _shape(picture) != self._shape:
            was, now = ("{} {}x{}".format(*shape) for shape in (self._shape, _shape(picture)))
            raise InputError(
                f"{self._path}: changes from {was} to {now} in mid-stream; cut it at the change"
            )
        if self._target:
            picture = picture.reformat(format=self._target)
        layout, planes = self._layout, picture.planes
        if not layout.rgb:
            return tuple(
                plane_tensor(planes[tap[0]], tap, (plane.height, plane.width), layout)
                for tap, plane in zip(layout.taps, self._planes, strict=False)
            )
        size = self._planes[0].height, self._planes[0].width
        rgb = tuple(plane_tensor(planes[tap[0]], tap, size, layout) for tap in layout.taps)
        white = (1 << layout.bits) - 1 if self._full else 255 << (layout.bits - 8)
        return tuple(rgb_fixed(rgb, name=p.name, white=white) for p in self._planes)

    def _time(self, ticks: int | None, previous: Fraction | None, tally: _Tally) -> Fraction:
        """Seconds of a frame; one interval after the previous one where the file does not say."""
        rate = self._info.rate
        following = Fraction(0) if previous is None else previous + (1 / rate if rate else 1)
        if ticks is None or rate is None:
            return following
        time = ticks * self._base
        if previous is None or time > previous:
            return time
        tally.unordered += 1
        return following


@contextmanager
def _opened(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream, closed at the end."""
    # With "file:" a colon in a name is no protocol, and no playlist can reach for the network.
    limits = {"protocol_whitelist": "file"}
    try:
        container = av.open(
            f"file:{path}", "r", container_options=limits, metadata_errors="replace"
        )
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path}: not a video that FFmpeg can open: {_reason(error)}") from error
    with container:
        yield container, _stream(path, container)


def _stream(path: str, container: InputContainer) -> VideoStream:
    """The first video stream that is not cover art."""
    streams = _videos(container)
    if not streams:
        kind = "nothing but cover art" if container.streams.video else "no video stream"
        raise InputError(f"{path}: holds {kind}; give a file with video")
    stream = streams[0]
    if stream.codec_context is None:
        raise InputError(f"{path}: FFmpeg has no decoder for its video; convert it first")
    _check_pixels(path, stream.codec_context.width, stream.codec_context.height)
    return stream


def _videos(container: InputContainer) -> list[VideoStream]:
    """The video streams, cover art left out."""
    art = av.stream.Disposition.attached_pic
    return [s for s in container.streams.video if not s.disposition & art]


def _check_pixels(path: str, width: int, height: int) -> None:
    """Refuse sizes that no memory holds."""
    if width * height > _MOST_PIXELS:
        raise InputError(f"{path}: {width}x{height} is over the limit of 2^28 pixels a frame")


def _reason(error: Exception) -> str:
    """What an exception says, without number and file name."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _survey(container: InputContainer, stream: VideoStream) -> _Survey:
    """Read all packets, decode the first frame."""
    survey = _Survey()
    codec = stream.codec.name
    try:
        for packet in container.demux(stream):
            if packet.size and packet.is_discard:
                survey.discarded += 1
            elif packet.size and is_shown(memoryview(packet), codec):
                survey.shown += 1
                if packet.pts is not None:
                    survey.ticks.append(packet.pts)
            if survey.first is None:
                try:
                    survey.first = next(iter(stream.decode(packet)), None)
                except av.FFmpegError as error:
                    survey.trouble = survey.trouble or _reason(error)
        survey.whole = True
    except av.FFmpegError as error:
        survey.trouble = survey.trouble or _reason(error)
        if survey.first is None:
            with suppress(av.FFmpegError):
                survey.first = next(iter(stream.decode(None)), None)
    return survey


def _decoded(path: str, threading: str, threads: int | None, tally: _Tally) -> Iterator[VideoFrame]:
    """All pictures that can be decoded; errors are counted and passed over."""
    with _opened(path) as (container, stream):
        stream.codec_context.thread_type = threading
        stream.codec_context.thread_count = threads or 0
        for packet in _packets(container, stream, tally):
            try:
                pictures = stream.decode(packet)
            except av.FFmpegError as error:
                tally.failed += 1
                tally.trouble = tally.trouble or _reason(error)
                continue
            for picture in pictures:
                tally.corrupt += picture.is_corrupt
                yield picture


def _packets(
    container: InputContainer, stream: VideoStream, tally: _Tally
) -> Iterator[av.Packet[VideoStream] | None]:
    """The packets of the stream, the last one empties the decoder."""
    try:
        yield from container.demux(stream)
        return
    except av.FFmpegError as error:
        tally.cut = _reason(error)
    yield None


def _promised_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds at which Matroska says that its video ends.

    It names no number of frames, and FFmpeg reads a damaged or cut file as one that just ends.
    """
    if "matroska" not in container.format.name:
        return None
    if m := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):
        return int(m[1]) * 3600 + int(m[2]) * 60 + Fraction(m[3])
    if len(container.streams) == 1 and container.duration:
        return Fraction(container.duration, 1_000_000)
    return None


def _shape(picture: VideoFrame) -> tuple[str, int, int]:
    """What may not change within a stream."""
    return picture.format.name, picture.width, picture.height


def _size(picture: VideoFrame, layout: Layout, name: str) -> tuple[int, int]:
    """Height and width of a plane."""
    if name == "y" or layout.rgb:
        return picture.height, picture.width
    kind = picture.format
    return kind.chroma_height(picture.height), kind.chroma_width(picture.width)


def _readable(picture: VideoFrame, path: str) -> tuple[str | None, Layout]:
    """The format to convert to, if any, and the layout of what is then read."""
    name = picture.format.name
    if layout := layout_of(name):
        return None, layout
    for pattern, target in CONVERTED.items():
        layout = layout_of(target)
        if layout and re.fullmatch(pattern, name):
            try:
                picture.reformat(format=target)
            except (av.FFmpegError, ValueError) as error:
                raise InputError(f"{path}: {name} cannot be converted to {target}") from error
            return target, layout
    raise InputError(
        f"{path}: pixel format {name} is not supported; convert it to yuv or rgb first"
    )


def _is_full(picture: VideoFrame, layout: Layout) -> tuple[bool, bool]:
    """Whether the samples are of full range, and whether that is a guess."""
    if layout.full and not layout.rgb:
        return True, False
    if picture.color_range in (_LIMITED, _FULL):
        return picture.color_range == _FULL, False
    return layout.rgb or len(layout.taps) == 1, True


def _picture_notes(
    picture: VideoFrame, stream: VideoStream, target: str | None, layout: Layout, guessed: bool
) -> Iterator[str]:
    """What was assumed or converted, one sentence each."""
    if target:
        yield f"converted from {picture.format.name} to {target}"
    if layout.rgb:
        yield "luma by BT.709 weights from RGB"
    if layout.alpha:
        yield "alpha ignored"
    if guessed and not layout.rgb:
        taken = "full" if _is_full(picture, layout)[0] else "limited"
        yield f"range not tagged: taken as {taken}"
    if picture.rotation:
        yield (
            f"rotation metadata of {picture.rotation} degrees not applied: "
            "the measurement does not depend on it"
        )
    if picture.interlaced_frame:
        yield "interlaced: measured as stored, where the combing of moving edges reads as flicker"
    container = stream.container
    if isinstance(container, InputContainer):
        if len(_videos(container)) > 1:
            yield f"first of {len(_videos(container))} video streams measured"
        if len(_videos(container)) < len(container.streams.video):
            yield "cover art skipped"


def _info(
    path: str,
    container: InputContainer,
    stream: VideoStream,
    survey: _Survey,
    layout: Layout,
    full: bool,
    notes: tuple[str, ...],
) -> VideoInfo:
    """Description from the container, the packets and the first frame."""
    picture = survey.first
    if picture is None:
        raise InputError(f"{path}: no frame can be decoded")
    rate, variable = clock_of(survey.ticks, stream.time_base, stream.average_rate)
    promised = stream.frames - survey.discarded if stream.frames else None
    if promised is None and survey.whole and not picture.interlaced_frame:
        promised = survey.shown  # of two fields, each may be a packet
    if picture.interlaced_frame and stream.average_rate:
        rate = stream.average_rate
    return VideoInfo(
        path=path,
        width=picture.width,
        height=picture.height,
        rate=rate,
        container=container.format.name,
        codec=stream.codec.canonical_name,
        pixel_format=picture.format.name,
        bits=layout.bits,
        range="full" if full else "limited",
        matrix="bt709" if layout.rgb else MATRICES.get(picture.colorspace),
        transfer=TRANSFERS.get(stream.codec_context.color_trc),
        primaries=PRIMARIES.get(stream.codec_context.color_primaries),
        promised_frames=promised,
        variable_rate=variable,
        notes=notes,
    )


def encode(
    path: str | os.PathLike[str],
    frames: Iterable[NDArray[np.uint8]],
    *,
    rate: Fraction | int,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    pixel_format: str = "yuv420p",
) -> None:
    """Write (height, width) luma or (height, width, 3) RGB, uint8 full-range code values, as video.

    YUV is written as limited-range BT.709, gray and RGB as full range. Nothing passes through
    swscale unless the pixel format has no whole bytes, such as the ``rgb8`` of a GIF.
    """
    path = os.fsdecode(path)
    source = iter(frames)
    first = next(source, None)
    if first is None:
        raise OutputError(f"{path}: there are no frames to write")
    try:
        with av.open(f"file:{path}", "w") as container:
            stream = container.add_stream(codec, rate=rate, options=dict(options or {}))
            if not isinstance(stream, VideoStream):
                raise OutputError(f"{path}: {codec} is not a video codec")
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt = pixel_format
            _tag(stream.codec_context, pixel_format)
            for index, frame in enumerate(chain([first], source)):
                if frame.shape != first.shape or frame.dtype != np.uint8:
                    raise OutputError(
                        f"{path}: frame {index} is {frame.dtype} {frame.shape}, "
                        f"not uint8 {first.shape} like the first"
                    )
                picture = _picture(frame, pixel_format)
                picture.pts, picture.time_base = index, 1 / Fraction(rate)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
    except FlickerscopeError:
        raise
    except (av.FFmpegError, ValueError) as error:
        raise OutputError(f"{path}: {codec} in {pixel_format} failed: {_reason(error)}") from error


def _tag(target: Any, pixel_format: str) -> None:
    """Say the range and the matrix, on a codec context or a picture."""
    layout = layout_of(pixel_format)
    if layout is None:
        return
    yuv = not layout.rgb and len(layout.taps) == 3
    target.color_range = _LIMITED if yuv and not layout.full else _FULL
    target.colorspace = 0 if layout.rgb else 1
    target.color_primaries = target.color_trc = 1


def _picture(frame: NDArray[np.uint8], pixel_format: str) -> VideoFrame:
    """One frame as a picture of PyAV."""
    layout = layout_of(pixel_format)
    if layout is None:
        rgb = np.repeat(frame[..., None], 3, axis=2) if frame.ndim == 2 else frame
        return VideoFrame.from_ndarray(np.ascontiguousarray(rgb)).reformat(format=pixel_format)
    height, width = frame.shape[:2]
    picture = VideoFrame(width, height, pixel_format)
    _tag(picture, pixel_format)
    names = ("r", "g", "b") if layout.rgb else ("y", "cb", "cr")
    full = layout.rgb or layout.full or len(layout.taps) == 1
    planes = picture.planes
    for name, tap in zip(names, layout.taps, strict=False):
        size = _size(picture, layout, name)
        line = "y" if layout.rgb else name
        scale, offset = line_of(line, bits=layout.bits, shift=0, full=full)
        code = codes_of(frame, name, size)
        stored = np.rint((code - offset) / scale).clip(0, (1 << layout.bits) - 1).astype(np.uint16)
        plane_samples(planes[tap[0]], tap, size, layout)[...] = stored << layout.shift
    return picture
