"""What a video is, from its container and its first picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from flickerscope.errors import InputError
from flickerscope.inputs.pixels import CONVERTED, Layout, layout_of
from flickerscope.inputs.probe import MATRICES, PRIMARIES, TRANSFERS, clock_of
from flickerscope.inputs.source import VideoInfo
from flickerscope.video.promise import Promise
from flickerscope.video.stream import Survey, fraction, video_streams

__all__ = [
    "FULL",
    "LIMITED",
    "describe",
    "is_full",
    "picture_notes",
    "plane_size",
    "quarter_turns",
    "readable",
    "sample_aspect",
    "shape_of",
]

LIMITED, FULL = 1, 2
"""FFmpeg's codes of the ranges."""

_LINEAR = 8
_HDR = {16: "PQ", 18: "HLG"}


def shape_of(picture: VideoFrame) -> tuple[str, int, int]:
    """What may not change within a stream."""
    return picture.format.name, picture.width, picture.height


def plane_size(picture: VideoFrame, layout: Layout, name: str) -> tuple[int, int]:
    """Height and width of a plane."""
    if name == "y" or layout.rgb:
        return picture.height, picture.width
    kind = picture.format
    return kind.chroma_height(picture.height), kind.chroma_width(picture.width)


def readable(picture: VideoFrame, path: str) -> tuple[str | None, Layout]:
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


def is_full(picture: VideoFrame, layout: Layout) -> tuple[bool, bool]:
    """Whether the samples are of full range, and whether that is a guess."""
    if layout.full and not layout.rgb:
        return True, False
    if picture.color_range in (LIMITED, FULL):
        return picture.color_range == FULL, False
    return layout.rgb or len(layout.taps) == 1, True


def picture_notes(
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
        taken = "full" if is_full(picture, layout)[0] else "limited"
        yield f"range not tagged: taken as {taken}"
    yield from _geometry_notes(picture, stream)
    if curve := _HDR.get(stream.codec_context.color_trc):
        yield f"HDR ({curve}): measured in code values of that curve, not in light"
    if stream.codec_context.color_trc == _LINEAR:
        yield "linear light: measured as stored, values over 1 clipped; no code values of a display"
    container = stream.container
    if isinstance(container, InputContainer):
        streams = video_streams(container)
        if len(streams) > 1:
            yield f"video stream {streams.index(stream)} of {len(streams)} measured (from 0 on)"
        if len(video_streams(container)) < len(container.streams.video):
            yield "cover art skipped"


def _geometry_notes(picture: VideoFrame, stream: VideoStream) -> Iterator[str]:
    """What was done to turn, shape and fields of the picture."""
    if picture.rotation % 90:
        yield f"rotation metadata of {picture.rotation} degrees not applied: no quarter turn"
    elif picture.rotation:
        yield f"turned upright by {picture.rotation} degrees, as the file says"
    if (aspect := sample_aspect(stream)) != 1:
        yield (
            f"pixels shown {float(aspect):.4g} times as wide as high: "
            "blocks are square as shown, pixels are measured as stored"
        )
    if picture.interlaced_frame:
        yield "interlaced: the upper field of every frame measured, at the rate of the frames"


def sample_aspect(stream: VideoStream) -> Fraction:
    """Width of a stored pixel over its height; 1 where the file says nothing, or nonsense."""
    aspect = fraction(stream.sample_aspect_ratio) or Fraction(1)
    return aspect if Fraction(1, 8) <= aspect <= 8 else Fraction(1)


def quarter_turns(picture: VideoFrame) -> int:
    """How many times to turn the stored picture by 90 degrees, counter-clockwise, 0..3."""
    return 0 if picture.rotation % 90 else picture.rotation // 90 % 4


def describe(
    path: str,
    container: InputContainer,
    stream: VideoStream,
    survey: Survey,
    promise: Promise,
    layout: Layout,
    full: bool,
    notes: tuple[str, ...],
) -> VideoInfo:
    """Description from the container, the packets and the first frame."""
    picture = survey.first
    if picture is None:
        raise InputError(f"{path}: no frame can be decoded")
    height = -(-picture.height // 2) if picture.interlaced_frame else picture.height
    aspect = sample_aspect(stream) * (Fraction(1, 2) if picture.interlaced_frame else 1)
    turns = quarter_turns(picture)
    width, height = (height, picture.width) if turns % 2 else (picture.width, height)
    rate, variable = clock_of(
        survey.ticks, fraction(stream.time_base), fraction(stream.average_rate)
    )
    promised = None
    if counted := promise.frames or stream.frames:
        promised = counted - survey.discarded - promise.held
    if promised is None and survey.whole and not picture.interlaced_frame:
        promised = survey.shown  # of two fields, each may be a packet
    if picture.interlaced_frame and stream.average_rate:
        rate = fraction(stream.average_rate)
    return VideoInfo(
        path=path,
        width=width,
        height=height,
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
        interlaced=bool(picture.interlaced_frame),
        rotation=turns * 90,
        aspect=float(1 / aspect if turns % 2 else aspect),
        notes=notes,
    )
