"""Small clips of every codec, pixel format, range, size, rate and container, with what they hold.

Each holds one flicker: every second frame all samples of a component rise by a known number of
steps, and fall in the frames between. An alternation of +-a has the power a^2, all in the last two
bins. The clips are written by PyAV alone, sample by sample.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

FRAMES: Final = 16
NTSC: Final = Fraction(30000, 1001)
FILM: Final = Fraction(24000, 1001)

PACKED: Final = {
    "rgb24": "rgb", "bgr24": "bgr", "bgr0": "bgr0", "bgra": "bgra", "rgba": "rgba", "argb": "argb",
    "rgb48": "rgb", "rgba64": "rgba", "ya8": "ya", "ya16": "ya", "gray": "y",
}  # fmt: skip
"""Order of the components in formats of one plane, by their names without byte order."""

SWSCALED: Final = {
    "nv12": "yuv420p", "nv21": "yuv420p", "yuyv422": "yuv422p", "uyvy422": "yuv422p",
    "y210le": "yuv422p10le", "yuv444p10be": "yuv444p10le",
}  # fmt: skip
"""Formats that swscale makes of planar ones, sample for sample."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of the matrix."""

    name: str
    """The suffix is the container."""
    codec: str
    pixel_format: str
    size: tuple[int, int] = (48, 32)
    """Columns, rows."""
    rate: Fraction = Fraction(25)
    uneven: bool = False
    """Every other pair of frames comes a fifth of their distance late: a variable rate."""
    full: bool = False
    """The range with which YUV is tagged."""
    options: dict[str, str] = field(default_factory=dict)
    within: float = 0.0
    """How far off the power may be, of its expected value; 0: the codec is lossless."""
    stored: str | None = None
    """The format in which it comes back, if not that in which it was written."""
    interlaced: bool = False
    """Two fields a frame; the lower one, which is not measured, flickers twice as much."""
    turned: int = 0
    """Degrees, counter-clockwise, by which the file says that the picture is to be turned."""
    transfer: str | None = None
    """With which YUV is tagged, and then with the colours of BT.2020."""

    @property
    def base(self) -> str:
        """The format without its byte order."""
        return re.sub("(le|be)$", "", self.pixel_format)

    @property
    def bits(self) -> int:
        """Of a sample."""
        return av.VideoFormat(self.pixel_format).components[0].bits

    @property
    def shown(self) -> tuple[int, int]:
        """Columns and rows of what is measured."""
        width, height = self.size
        height = height // 2 if self.interlaced else height
        return (height, width) if self.turned % 180 else (width, height)

    @property
    def rgb(self) -> bool:
        """Whether the components are red, green and blue."""
        return av.VideoFormat(self.pixel_format).is_rgb

    def steps(self, index: int) -> int:
        """Of the flicker in Y, Cb, Cr or R, G, B, in samples: the lowest bit takes part."""
        part = ((2, 1, 3) if self.rgb else (1, 2, 0))[index]
        unit = 1 << (self.bits - 8)
        return part * unit * 8 if self.within else part * unit * 2 + (part > 0 and unit > 1)


LOSSLESS_264: Final = {"qp": "0", "preset": "ultrafast"}
SAFE_265: Final = "log-level=none:cutree=0"
"""Without its cutree: for pictures below 64 pixels the AVX2 code of libx265 4.2 writes past its own
tables, and the process ends with "corrupted size vs. prev_size", with PyAV alone as well."""
LOSSLESS_265: Final = {"x265-params": f"lossless=1:{SAFE_265}", "preset": "ultrafast"}
LOSSLESS_VP9: Final = {"lossless": "1", "deadline": "realtime", "cpu-used": "8"}
FINE: Final = {"qmin": "1", "qmax": "1", "b": "20000000"}
FINE_AV1: Final = {"crf": "1", "preset": "10", "svtav1-params": "enable-tf=0"}

MATRIX: Final = (
    # ffv1 in Matroska: every depth, subsampling, alpha, gray and RGB.
    Clip("gray.mkv", "ffv1", "gray", (47, 31)),
    Clip("gray10.mkv", "ffv1", "gray10le", rate=NTSC),
    Clip("gray12.mkv", "ffv1", "gray12le", (33, 17)),
    Clip("gray16.mkv", "ffv1", "gray16le", (45, 31), uneven=True),
    Clip("ya8.mkv", "ffv1", "ya8"),
    Clip("yuv420.mkv", "ffv1", "yuv420p", (47, 31), full=True),
    Clip("yuv410.mkv", "ffv1", "yuv410p"),
    Clip("yuv411.mkv", "ffv1", "yuv411p"),
    Clip("yuv440.mkv", "ffv1", "yuv440p", (45, 31)),
    Clip("yuv422_9.mkv", "ffv1", "yuv422p9le", (45, 31), rate=FILM),
    Clip("yuv420_10.mkv", "ffv1", "yuv420p10le", (45, 31), full=True, uneven=True),
    Clip("yuv444_12.mkv", "ffv1", "yuv444p12le"),
    Clip("yuv422_14.mkv", "ffv1", "yuv422p14le", full=True),
    Clip("yuv420_16.mkv", "ffv1", "yuv420p16le"),
    Clip("yuv444_16.mkv", "ffv1", "yuv444p16le", (31, 45), full=True),
    Clip("yuva420.mkv", "ffv1", "yuva420p"),
    Clip("yuva444_10.mkv", "ffv1", "yuva444p10le", uneven=True),
    Clip("bgr0.mkv", "ffv1", "bgr0", (47, 31)),
    Clip("bgra.mkv", "ffv1", "bgra"),
    Clip("gbrp9.mkv", "ffv1", "gbrp9le"),
    Clip("gbrp14.mkv", "ffv1", "gbrp14le", (45, 31)),
    Clip("rgb48.mkv", "ffv1", "rgb48le", rate=NTSC, stored="gbrp16le"),
    Clip("gbrap16.mkv", "ffv1", "gbrap16le"),
    Clip("ffv1.avi", "ffv1", "yuv444p", rate=NTSC),
    Clip("ffv1.nut", "ffv1", "yuv422p10le", rate=FILM),
    # H.264 without loss, in every container that takes it.
    Clip("h264.mp4", "libx264", "yuv420p", rate=NTSC, options=LOSSLESS_264),
    Clip("h264_full.mp4", "libx264", "yuvj420p", full=True, options=LOSSLESS_264, uneven=True),
    Clip("h264_444.mkv", "libx264", "yuv444p", (47, 31), options=LOSSLESS_264),
    Clip("h264_10.mov", "libx264", "yuv422p10le", rate=FILM, options=LOSSLESS_264),
    Clip("h264_10.mp4", "libx264", "yuv444p10le", (45, 31), full=True, options=LOSSLESS_264),
    Clip("h264_gray.mkv", "libx264", "gray", options=LOSSLESS_264, stored="yuvj420p"),
    Clip("h264.ts", "libx264", "yuv422p", rate=NTSC, options=LOSSLESS_264),
    Clip("h264_uneven.ts", "libx264", "yuv420p", uneven=True, options=LOSSLESS_264),
    Clip("h264.avi", "libx264", "nv12", options=LOSSLESS_264, stored="yuv420p"),
    Clip("h264.flv", "libx264", "yuv420p", options=LOSSLESS_264, uneven=True),
    Clip("h264_rgb.mp4", "libx264rgb", "rgb24", options=LOSSLESS_264, stored="gbrp"),
    # HEVC without loss.
    Clip("hevc.mp4", "libx265", "yuv420p", rate=NTSC, options=LOSSLESS_265),
    Clip("hevc_12.mkv", "libx265", "yuv422p12le", full=True, options=LOSSLESS_265, uneven=True),
    Clip("hevc_gray.mkv", "libx265", "gray10le", options=LOSSLESS_265),
    Clip("hevc_rgb.mov", "libx265", "gbrp12le", options=LOSSLESS_265),
    Clip("hevc_444.ts", "libx265", "yuv444p10le", options=LOSSLESS_265),
    # Interlaced, turned, and with more than a display shows.
    Clip("fields.mkv", "libx264", "yuv420p", interlaced=True,
         options=LOSSLESS_264 | {"x264-params": "tff=1"}),
    Clip("fields.ts", "mpeg2video", "yuv422p", (64, 64), NTSC, interlaced=True, within=0.1,
         options=FINE | {"flags": "+ildct+ilme"}),
    Clip("turned_90.mp4", "libx264", "yuv420p", turned=90, options=LOSSLESS_264),
    Clip("turned_180.mov", "libx264", "yuv444p", (47, 31), turned=180, options=LOSSLESS_264),
    Clip("turned_270.mp4", "libx265", "yuv422p10le", turned=270, options=LOSSLESS_265),
    Clip("pq.mp4", "libx265", "yuv420p10le", transfer="smpte2084", options=LOSSLESS_265),
    Clip("pq.webm", "libsvtav1", "yuv420p10le", (64, 64), transfer="smpte2084", within=0.1,
         options=FINE_AV1 | {"preset": "6"}),
    Clip("hlg.mkv", "ffv1", "yuv422p10le", transfer="arib-std-b67"),
    Clip("hlg.mov", "libx264", "yuv420p10le", transfer="arib-std-b67", options=LOSSLESS_264),
    # VP9 without loss.
    Clip("vp9.webm", "libvpx-vp9", "yuv420p", (47, 31), rate=NTSC, options=LOSSLESS_VP9),
    Clip("vp9_440.webm", "libvpx-vp9", "yuv440p", options=LOSSLESS_VP9, uneven=True),
    Clip("vp9_444.mp4", "libvpx-vp9", "yuv444p", full=True, options=LOSSLESS_VP9),
    Clip("vp9_rgb.mkv", "libvpx-vp9", "gbrp", options=LOSSLESS_VP9),
    Clip("vp9_alpha.webm", "libvpx-vp9", "yuva420p", options=LOSSLESS_VP9, stored="yuv420p"),
    # Pictures one after the other.
    Clip("rgb.apng", "apng", "rgb24", (47, 31), uneven=True),
    Clip("rgba.apng", "apng", "rgba", rate=NTSC),
    Clip("gray.apng", "apng", "gray"),
    Clip("gray16.apng", "apng", "gray16be", (31, 45)),
    Clip("ya.apng", "apng", "ya8"),
    Clip("rgb48.apng", "apng", "rgb48be"),
    Clip("palette.apng", "apng", "pal8", stored="rgba"),
    Clip("png.nut", "png", "rgb48be", uneven=True),
    Clip("png.mov", "png", "rgba", (45, 31), rate=NTSC),
    Clip("png_palette.avi", "png", "pal8", (45, 31)),
    Clip("gray.gif", "gif", "gray", (47, 31), stored="bgra"),
    Clip("palette.gif", "gif", "pal8", rate=Fraction(10), uneven=True, stored="bgra"),
    Clip("jpegls.avi", "jpegls", "gray16le", (45, 31)),
    # The raw and the nearly raw.
    Clip("y4m.y4m", "wrapped_avframe", "yuv420p", (47, 31), rate=NTSC),
    Clip("full.y4m", "wrapped_avframe", "yuv422p", full=True),
    Clip("yuv411.y4m", "wrapped_avframe", "yuv411p", rate=FILM),
    Clip("gray.y4m", "wrapped_avframe", "gray", (45, 31)),
    Clip("yuv444_10.y4m", "wrapped_avframe", "yuv444p10le"),
    Clip("yuv420_16.y4m", "wrapped_avframe", "yuv420p16le", full=True),
    Clip("upwards.avi", "rawvideo", "bgr24", (47, 31)),
    Clip("raw.mov", "rawvideo", "uyvy422", rate=NTSC),
    Clip("raw.mkv", "rawvideo", "yuyv422", uneven=True),
    Clip("raw_y210.nut", "rawvideo", "y210le", rate=NTSC),
    Clip("raw_nv21.nut", "rawvideo", "nv21", (45, 31), uneven=True),
    Clip("raw_big.nut", "rawvideo", "yuv444p10be", (45, 31)),
    Clip("v210.mov", "v210", "yuv422p10le", rate=NTSC),
    Clip("v410.avi", "v410", "yuv444p10le", stored="v30xle"),
    Clip("r210.mov", "r210", "gbrp10le", uneven=True),
    Clip("huffyuv.avi", "huffyuv", "yuv422p", rate=FILM),
    # Even sizes: ffvhuff leaves out the last chroma of odd ones.
    Clip("ffvhuff.nut", "ffvhuff", "yuv420p12le", uneven=True),
    Clip("utvideo.avi", "utvideo", "gbrap"),
    Clip("magicyuv.mov", "magicyuv", "yuva444p", rate=NTSC),
    Clip("qtrle.mov", "qtrle", "argb", uneven=True),
    Clip("zmbv.avi", "zmbv", "bgr0"),
    Clip("jpeg2000.mxf", "jpeg2000", "yuv444p12le", options={"pred": "1"}, within=0.01),
    # Codecs with loss.
    Clip("hevc_fine.mp4", "libx265", "yuv420p10le", within=0.1, uneven=True,
         options={"x265-params": f"crf=1:{SAFE_265}"}),
    Clip("h264_fine.mp4", "libx264", "yuv420p", (64, 48), within=0.1, options={"crf": "4"}),
    Clip("vp8.webm", "libvpx", "yuv420p", (47, 31), uneven=True, within=0.1, options=FINE),
    Clip("vp9_fine.mkv", "libvpx-vp9", "yuv422p", full=True, within=0.1,
         options={"crf": "1", "b": "0"}),
    Clip("av1.mp4", "libsvtav1", "yuv420p", (64, 64), NTSC, within=0.1, options=FINE_AV1),
    Clip("av1_10.webm", "libsvtav1", "yuv420p10le", (64, 64), full=True, uneven=True, within=0.1,
         options=FINE_AV1 | {"preset": "6"}),
    Clip("av1.avif", "libsvtav1", "yuv420p", (64, 64), within=0.1, options=FINE_AV1),
    Clip("mpeg4.avi", "mpeg4", "yuv420p", (47, 31), NTSC, within=0.1, options=FINE),
    Clip("mpeg4.mov", "mpeg4", "yuv420p", uneven=True, within=0.1, options=FINE),
    Clip("xvid.mp4", "mpeg4", "yuv420p", rate=FILM, within=0.1, options=FINE | {"bf": "2"}),
    Clip("mpeg2.ts", "mpeg2video", "yuv422p", rate=NTSC, within=0.1, options=FINE),
    Clip("mpeg1.mpg", "mpeg1video", "yuv420p", within=0.1, options=FINE),
    Clip("wmv2.asf", "wmv2", "yuv420p", within=0.1, options=FINE, uneven=True),
    Clip("mjpeg.mov", "mjpeg", "yuvj422p", (47, 31), full=True, within=0.1, options=FINE),
    Clip("mjpeg.avi", "mjpeg", "yuvj444p", rate=NTSC, full=True, within=0.1, options=FINE),
    Clip("mjpeg_limited.mkv", "mjpeg", "yuv420p", within=0.1, options=FINE | {"strict": "-1"}),
    Clip("prores.mov", "prores_ks", "yuv422p10le", (47, 31), NTSC, within=0.05,
         options={"profile": "hq"}),
    Clip("prores_alpha.mov", "prores_ks", "yuva444p10le", within=0.05,
         options={"profile": "4444"}, stored="yuva444p12le"),
    Clip("prores.mkv", "prores", "yuv444p10le", uneven=True, within=0.05, stored="yuv444p12le"),
    Clip("dnxhr.mov", "dnxhd", "yuv422p", (256, 120), within=0.1, options={"profile": "dnxhr_hq"}),
    Clip("cineform.mov", "cfhd", "gbrp12le", (64, 48), within=0.1),
)  # fmt: skip


# --- Writing --------------------------------------------------------------------------------------


def views(picture: av.VideoFrame) -> list[NDArray[Any]]:
    """Samples to be written, (rows, columns), of Y, Cb, Cr or R, G, B, then of alpha."""
    kind = picture.format
    base, big = re.sub("(le|be)$", "", kind.name), kind.name.endswith("be")
    dtype = np.dtype((">u2" if big else "<u2") if kind.components[0].bits > 8 else "u1")
    found = []
    for index, component in enumerate(kind.components):
        chroma = index in (1, 2) and not kind.is_rgb and len(kind.components) > 2
        width = kind.chroma_width(picture.width) if chroma else picture.width
        height = kind.chroma_height(picture.height) if chroma else picture.height
        plane = picture.planes[component.plane]
        first, step = 0, 1
        if order := PACKED.get(base):
            names = "rgba" if kind.is_rgb else "ya"
            first, step = order.index(names[index]), len(order)
        shape, strides = (height, width), (plane.line_size, step * dtype.itemsize)
        found.append(np.ndarray(shape, dtype, plane, first * dtype.itemsize, strides))
    return found


def rise(clip: Clip, index: int, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Steps by which component ``index`` goes up and down: one, two, three times its unit."""
    across = 1 + 3 * np.arange(shape[1]) // shape[1]
    down = 1 + np.arange(shape[0])[:, None] % 2 * clip.interlaced
    return np.broadcast_to(clip.steps(index) * across * down, shape)


def levels(clip: Clip, index: int, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Samples of a component without its flicker: noise; a slope where the codec is lossy."""
    unit = 1 << (clip.bits - 8)
    if clip.within:
        slope = 90 + 40 * np.arange(shape[1]) / shape[1] + 20 * np.arange(shape[0])[:, None] / 99
        return np.rint(unit * slope).astype(np.int64)
    return np.random.default_rng(index).integers(64 * unit, 160 * unit, shape)


def pictures(clip: Clip) -> Iterator[av.VideoFrame]:
    """The frames, tagged with range and matrix."""
    for time in range(FRAMES):
        if clip.pixel_format == "pal8":
            yield palette_picture(clip, time)
            continue
        kind = SWSCALED.get(clip.pixel_format, clip.pixel_format)
        picture = av.VideoFrame(*clip.size, kind)
        for index, samples in enumerate(views(picture)):
            if index == 3 or (index == 1 and clip.base.startswith("ya")):
                samples[...] = np.iinfo(samples.dtype).max // (1 + time % 2)  # of alpha
                continue
            sign = -1 if time % 2 else 1
            samples[...] = levels(clip, index, samples.shape) + sign * rise(
                clip, index, samples.shape
            )
        tag(clip, picture)
        if kind != clip.pixel_format:
            picture = picture.reformat(format=clip.pixel_format)
            tag(clip, picture)
        yield picture


def palette_picture(clip: Clip, time: int) -> av.VideoFrame:
    """A picture with a palette: entry i is the gray of 255 - i."""
    shape = clip.size[::-1]
    sign = -1 if time % 2 else 1
    gray = levels(clip, 0, shape) + sign * rise(clip, 0, shape)
    palette = np.full((256, 4), 255, np.uint8)  # alpha, red, green, blue
    palette[:, 1:] = 255 - np.arange(256)[:, None]
    return av.VideoFrame.from_ndarray(((255 - gray).astype(np.uint8), palette), format="pal8")


def tag(clip: Clip, target: Any) -> None:
    """Range and matrix, of a picture or a codec."""
    whole = clip.full or clip.rgb or clip.base.startswith(("gray", "ya"))
    target.color_range = 2 if whole else 1
    target.colorspace = 0 if clip.rgb else 9 if clip.transfer else 1
    if clip.transfer:
        target.color_trc = {"smpte2084": 16, "arib-std-b67": 18}[clip.transfer]
        target.color_primaries = 9


def write(clip: Clip, folder: Path) -> Path:
    """The file of a row."""
    path = folder / clip.name
    strict = {"strict": "-1"} if path.suffix == ".y4m" else {}  # for over 8 bits
    with av.open(str(path), "w", options=strict) as container:
        stream = container.add_stream(clip.codec, rate=clip.rate, options=clip.options)
        stream.width, stream.height = clip.size
        stream.pix_fmt = clip.pixel_format
        if clip.pixel_format != "pal8":
            tag(clip, stream.codec_context)
        ticks = 50 if clip.uneven else 1
        stream.codec_context.time_base = 1 / (ticks * clip.rate)
        for index, picture in enumerate(pictures(clip)):
            picture.pts = ticks * index + (10 * (index % 4 // 2) if clip.uneven else 0)
            picture.time_base = 1 / (ticks * clip.rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    if clip.turned:
        turn(path, clip.turned)
    return path


TURNS: Final = {0: (1, 0, 0, 1), 90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}
"""Matrices of a track header, by the degrees that they turn a picture counter-clockwise."""


def turn(path: Path, degrees: int) -> None:
    """Have an MP4 say that its picture is to be turned."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in TURNS[degrees])
    data[at : at + 20] = struct.pack(">5i", a, b, 0, c, d)
    path.write_bytes(data)


# --- Theory ---------------------------------------------------------------------------------------


def amplitudes(clip: Clip) -> dict[str, NDArray[np.float64]]:
    """What theory says of Y, Cb and Cr: the amplitude of every sample, 8-bit full-range codes."""
    kind = av.VideoFormat(clip.pixel_format)
    shape = clip.size[::-1]
    if clip.rgb or clip.pixel_format == "pal8":
        steps = [rise(clip, index, shape) * 255 / ((1 << clip.bits) - 1) for index in range(3)]
        if clip.pixel_format == "pal8":
            steps = steps[:1] * 3
        luma = 0.2126 * steps[0] + 0.7152 * steps[1] + 0.0722 * steps[2]
        return {"y": luma, "cb": (steps[2] - luma) / 1.8556, "cr": (steps[0] - luma) / 1.5748}
    gray = len(kind.components) < 3
    peak = (1 << clip.bits) - 1
    of_luma, of_chroma = 219 << (clip.bits - 8), 224 << (clip.bits - 8)
    if clip.full or gray:
        of_luma = of_chroma = peak
    rows = slice(None, None, 1 + clip.interlaced)
    found = {"y": rise(clip, 0, shape)[rows] * 255 / of_luma}
    if not gray:
        small = kind.chroma_height(shape[0]), kind.chroma_width(shape[1])
        for index, name in enumerate(("cb", "cr"), 1):
            found[name] = rise(clip, index, small)[rows] * 255 / of_chroma
    return found
