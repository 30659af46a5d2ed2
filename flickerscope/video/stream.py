"""Packets and pictures of a file as FFmpeg gives them, with a tally of what went wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Rational
from typing import Any

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from flickerscope.errors import InputError
from flickerscope.inputs.probe import is_shown
from flickerscope.inputs.source import FileOptions
from flickerscope.video.promise import is_cut_off
from flickerscope.video.unreadable import check_pixels, why_unreadable

__all__ = [
    "Replay",
    "Survey",
    "Tally",
    "decoded",
    "fraction",
    "opened",
    "reason",
    "survey_packets",
    "use_threads",
    "video_streams",
]

# Names and places that are not UTF-8 are no reason to refuse a video; PyAV 19 is lenient by itself.
_LENIENT: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)
_MOST_OF_FFMPEG = (1 << 31) - 1  # pixels
_MOST_KEPT = 1 << 24  # bytes of packets
_TEXT = ("tty", "bin", "adf", "idf", "xbin")
"""Formats of which FFmpeg draws the letters."""
_NO_DECODER = "FFmpeg has no decoder for its video; convert it first"


@dataclass(slots=True)
class Survey:
    """What one pass over the packets of a stream finds."""

    ticks: list[int] = field(default_factory=list)
    shown: int = 0
    """Packets that hold a picture to be shown."""
    discarded: int = 0
    """Packets that an edit list hides."""
    first: VideoFrame | None = None
    packets: deque[av.Packet[VideoStream]] = field(default_factory=deque)
    """All of them, where they are few bytes and the pass met no trouble; see `Replay`."""
    ready: deque[VideoFrame] = field(default_factory=deque)
    """Pictures that the packets before ``packets`` gave."""
    trouble: str | None = None
    """The first error."""
    kept: int = 0
    """Bytes of ``packets``."""
    whole: bool = False
    """The pass came to the end of the file."""
    cut_off: int = 0
    """Pictures in ``ready`` whose packets lack their end."""
    reached: int | None = None
    """Byte at which the last packet ends."""
    tail: int = 0
    """Tick at which the last picture ceases to be shown, as far as the packets say."""

    def take(self, decoder: VideoCodecContext, packet: av.Packet[VideoStream] | None) -> None:
        """Decode up to the first picture, and keep what follows for `Replay`."""
        if self.first is None:
            self.cut_off += is_cut_off(packet, decoder.name)
            try:
                self.ready.extend(decoder.decode(packet))
            except av.FFmpegError as error:
                self.trouble = self.trouble or reason(error)
            self.first = self.ready[0] if self.ready else None
        elif packet is not None and self.kept <= _MOST_KEPT:
            self.kept += packet.size
            self.packets.append(packet)


@dataclass(slots=True)
class Tally:
    """What happened in one reading."""

    frames: int = 0
    failed: int = 0
    corrupt: int = 0
    unordered: int = 0
    mixed: int = 0
    """Frames that are interlaced where the first one is not, or not where it is."""
    trouble: str | None = None
    cut: str | None = None
    """Why the container could not be read to its end."""
    end: Fraction = Fraction(0)
    """Time of the last frame."""
    finished: bool = False


@contextmanager
def opened(
    path: str, options: FileOptions, *, header: bool = False
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and the video stream that was asked for, closed at the end.

    ``header``: for what the container says alone. Else FFmpeg decodes the first pictures to learn
    in which order they are shown, and more.
    """
    # With "file:" a colon in a name is no protocol, and no playlist can reach for the network; nor
    # is a percent sign in the name of a picture a pattern.
    limits = {"protocol_whitelist": "file", "pattern_type": "none"}
    skipped = {"skip_frame": "all"} if header else {}
    try:
        container = av.open(
            f"file:{path}",
            "r",
            container_options=limits,
            options=_backstop(options) | skipped,  # also for what opening decodes
            **_LENIENT,
        )
    except (av.FFmpegError, ValueError) as error:
        why = why_unreadable(path, options.max_pixels)
        why = why or f"not a video that FFmpeg can open: {reason(error)}"
        raise InputError(f"{path}: {why}") from error
    with container:
        yield container, _stream(path, container, options)


def _stream(path: str, container: InputContainer, options: FileOptions) -> VideoStream:
    """The video stream that was asked for; cover art is none."""
    if container.format.name in _TEXT:
        raise InputError(f"{path}: is text, not a video")
    streams = video_streams(container)
    if not streams:
        kind = "nothing but cover art" if container.streams.video else "no video stream"
        raise InputError(f"{path}: holds {kind}; give a file with video")
    if options.stream >= len(streams):
        sizes = ", ".join(f"{i}: {s.width}x{s.height} {_codec(s)}" for i, s in enumerate(streams))
        raise InputError(
            f"{path}: has no video stream {options.stream}; there are {len(streams)} ({sizes})"
        )
    stream = streams[options.stream]
    if stream.codec_context is None:
        raise InputError(f"{path}: {why_unreadable(path, options.max_pixels) or _NO_DECODER}")
    check_pixels(path, stream.codec_context.width, stream.codec_context.height, options.max_pixels)
    stream.codec_context.options = _backstop(options)
    return stream


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams; cover art and the still that leads an animated AVIF are left out."""
    art = av.stream.Disposition.attached_pic
    found = [s for s in container.streams.video if not s.disposition & art]
    if "avis" in container.metadata.get("compatible_brands", ""):
        # Its tracks have a length, its pictures none.
        return [s for s in found if s.duration] or found
    return found


def _backstop(options: FileOptions) -> dict[str, str]:
    """FFmpeg's own limit, wider than ours, since it forgets sizes over it, and pads sizes."""
    return {"max_pixels": str(min(2 * options.max_pixels + (1 << 16), _MOST_OF_FFMPEG))}


def _codec(stream: VideoStream) -> str:
    return getattr(stream.codec_context, "name", "of an unknown codec")


def fraction(value: Rational | None) -> Fraction | None:
    """Of Python's own kind: from PyAV 19 on its numbers are of another, written ``24/1``."""
    if value is None:
        return None
    parts = int(value.numerator), int(value.denominator)
    return Fraction(*parts) if parts[1] else None  # FFmpeg's 0/0 stands for what is not known


def reason(error: Exception) -> str:
    """What an exception says, without number and file name."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def survey_packets(container: InputContainer, stream: VideoStream) -> Survey:
    """Read all packets, decode the first frame."""
    survey = Survey()
    codec = stream.codec.name
    try:
        for packet in container.demux(stream):
            if packet.size and packet.is_discard:
                survey.discarded += 1
            elif packet.size and is_shown(memoryview(packet), codec):
                survey.shown += 1
                if packet.pts is not None:
                    survey.ticks.append(packet.pts)
                    survey.tail = max(survey.tail, packet.pts + (packet.duration or 0))
            if packet.pos is not None:
                survey.reached = packet.pos + packet.size
            survey.take(stream.codec_context, packet)
        survey.whole = True
    except av.FFmpegError as error:
        survey.trouble = survey.trouble or reason(error)
        survey.take(stream.codec_context, None)
    if survey.kept > _MOST_KEPT or survey.trouble is not None:
        survey.packets.clear()
        survey.ready.clear()
    return survey


def use_threads(stream: VideoStream, kind: str, threads: int | None) -> None:
    """Set the decoder's threads, before its first packet."""
    stream.codec_context.thread_type = kind
    stream.codec_context.thread_count = threads or 0


def decoded(
    path: str, kind: str, threads: int | None, tally: Tally, options: FileOptions
) -> Iterator[VideoFrame]:
    """All pictures that can be decoded; errors are counted and passed over."""
    with opened(path, options) as (container, stream):
        use_threads(stream, kind, threads)
        yield from _pictures(stream.codec_context, _packets(container, stream, tally), tally)


class Replay:
    """The pictures of a file whose packets the survey has kept, decoded by the survey's decoder.

    For a short clip, opening it again would cost as much as decoding several frames.
    """

    def __init__(self, stream: VideoStream, survey: Survey) -> None:
        self._decoder = stream.codec_context
        self._packets, self._ready = survey.packets, survey.ready
        self._cut_off = survey.cut_off

    def pictures(self, tally: Tally) -> Iterator[VideoFrame]:
        """All pictures, once; errors are counted and passed over."""
        tally.corrupt += self._cut_off
        while self._ready:
            picture = self._ready.popleft()
            tally.corrupt += picture.is_corrupt
            yield picture
        yield from _pictures(self._decoder, _emptied(self._packets), tally)


def _emptied(packets: deque[av.Packet[VideoStream]]) -> Iterator[av.Packet[VideoStream]]:
    """From the left, each let go of at once."""
    while packets:
        yield packets.popleft()


def _pictures(
    decoder: VideoCodecContext, packets: Iterable[av.Packet[VideoStream] | None], tally: Tally
) -> Iterator[VideoFrame]:
    for packet in packets:
        tally.corrupt += is_cut_off(packet, decoder.name)
        try:
            pictures = decoder.decode(packet)
        except av.FFmpegError as error:
            tally.failed += 1
            tally.trouble = tally.trouble or reason(error)
            continue
        for picture in pictures:
            tally.corrupt += picture.is_corrupt
            yield picture


def _packets(
    container: InputContainer, stream: VideoStream, tally: Tally
) -> Iterator[av.Packet[VideoStream] | None]:
    """The packets of the stream, the last one empties the decoder."""
    try:
        yield from container.demux(stream)
        return
    except av.FFmpegError as error:
        tally.cut = reason(error)
    yield None
