"""What a video is, from its container and its first picture."""

from __future__ import annotations

import re
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from flickerscope.errors import InputError
from flickerscope.inputs.pixels import CONVERTED, Layout, layout_of
from flickerscope.inputs.probe import MATRICES, PRIMARIES, TRANSFERS, clock_of
from flickerscope.inputs.source import VideoInfo
from flickerscope.video.stream import Survey, fraction, video_streams

__all__ = [
    "FULL",
    "LIMITED",
    "describe",
    "is_full",
    "picture_notes",
    "plane_size",
    "readable",
    "shape_of",
]

LIMITED, FULL = 1, 2
"""FFmpeg's codes of the ranges."""


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
    if picture.rotation:
        yield (
            f"rotation metadata of {picture.rotation} degrees not applied: "
            "blocks are cut from the picture as it is stored"
        )
    container = stream.container
    if isinstance(container, InputContainer):
        if len(video_streams(container)) > 1:
            yield f"first of {len(video_streams(container))} video streams measured"
        if len(video_streams(container)) < len(container.streams.video):
            yield "cover art skipped"


def describe(
    path: str,
    container: InputContainer,
    stream: VideoStream,
    survey: Survey,
    layout: Layout,
    full: bool,
    notes: tuple[str, ...],
) -> VideoInfo:
    """Description from the container, the packets and the first frame."""
    picture = survey.first
    if picture is None:
        raise InputError(f"{path}: no frame can be decoded")
    rate, variable = clock_of(
        survey.ticks, fraction(stream.time_base), fraction(stream.average_rate)
    )
    promised = stream.frames - survey.discarded if stream.frames else None
    if promised is None and survey.whole and not picture.interlaced_frame:
        promised = survey.shown  # of two fields, each may be a packet
    if picture.interlaced_frame and stream.average_rate:
        rate = fraction(stream.average_rate)
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
        interlaced=bool(picture.interlaced_frame),
        notes=notes,
    )
