"""Writes frames as a video file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import chain
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from flickerscope.errors import FlickerscopeError, OutputError
from flickerscope.files import replacing
from flickerscope.inputs.pixels import codes_of, layout_of, line_of, plane_samples
from flickerscope.video.description import FULL, LIMITED, plane_size
from flickerscope.video.stream import reason

__all__ = ["encode"]


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
    swscale unless the pixel format has no whole bytes, such as the ``rgb8`` of a GIF. The file is
    written whole or not at all; raises `OutputError`.
    """
    path = os.fsdecode(path)
    source = iter(frames)
    first = next(source, None)
    if first is None:
        raise OutputError(f"{path}: there are no frames to write")
    try:
        with replacing(path) as new, av.open(f"file:{new}", "w") as container:
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
        raise OutputError(f"{path}: {codec} in {pixel_format} failed: {reason(error)}") from error


def _tag(target: Any, pixel_format: str) -> None:
    """Say the range and the matrix, on a codec context or a picture."""
    layout = layout_of(pixel_format)
    if layout is None:
        return
    yuv = not layout.rgb and len(layout.taps) == 3
    target.color_range = LIMITED if yuv and not layout.full else FULL
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
        size = plane_size(picture, layout, name)
        line = "y" if layout.rgb else name
        scale, offset = line_of(line, bits=layout.bits, shift=0, full=full)
        code = codes_of(frame, name, size)
        stored = np.rint((code - offset) / scale).clip(0, (1 << layout.bits) - 1).astype(np.uint16)
        plane_samples(planes[tap[0]], tap, size, layout)[...] = stored << layout.shift
    return picture
