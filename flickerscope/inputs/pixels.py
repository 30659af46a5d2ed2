"""Pixel formats: where their samples lie, how they become code values, luma from RGB."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flickerscope.errors import SettingsError
from flickerscope.settings import Planes

__all__ = [
    "BT709",
    "CONVERTED",
    "Layout",
    "layout_of",
    "line_of",
    "names_of",
    "rgb_fixed",
    "rgb_float",
]

BT709 = {
    "y": (0.2126, 0.7152, 0.0722),
    "cb": (-0.2126 / 1.8556, -0.7152 / 1.8556, 0.5),
    "cr": (0.5, -0.7152 / 1.5748, -0.0722 / 1.5748),
}
_BITS = 22
_CHUNK = 1 << 15  # torch's grain: its threads would stall a decoder that uses all cores

# Formats whose samples do not lie at whole bytes, and the planar or packed ones that hold the same.
CONVERTED = {
    r"pal8": "bgra",
    r"uyyvyy411": "yuv411p",
    r"(xv|v)30x?(le|be)": "yuv444p10le",
    r"x2(rgb|bgr)10(le|be)": "gbrp10le",
    r"(rgb|bgr)(565|555|444)(le|be)|(rgb|bgr)(8|4|4_byte)": "rgb24",
    r"mono[wb]": "gray",
    r"(gbra?pf|rgba?f)(16|32)(le|be)": "gbrp16le",
    r"(grayf|yaf)(16|32)(le|be)": "gray16le",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the samples of a pixel format lie."""

    taps: tuple[tuple[int, int, int], ...]
    """(plane, first sample, step) of Y, Cb, Cr, or of R, G, B."""
    bits: int = 8
    shift: int = 0
    """Bits below the sample in its 16-bit word."""
    big: bool = False
    """Big-endian."""
    rgb: bool = False
    full: bool = False
    """The format itself says full range."""
    alpha: bool = False


def layout_of(pixel_format: str) -> Layout | None:
    """Where the samples of a pixel format lie; None if not at whole bytes, or unknown."""
    base, big = re.sub("(le|be)$", "", pixel_format), pixel_format.endswith("be")
    three = ((0, 0, 1), (1, 0, 1), (2, 0, 1))
    if m := re.fullmatch(r"yuv([aj]?)4\d\dp(\d*)(msb)?", base):
        bits, shift = _depth(m[2], m[3])
        return Layout(three, bits, shift, big, full=m[1] == "j", alpha=m[1] == "a")
    if (m := re.fullmatch(r"gray(\d*)(msb)?", base)) and m[1] != "32":
        return Layout(three[:1], *_depth(m[1], m[2]), big)
    if m := re.fullmatch(r"ya(8|16)", base):
        return Layout(((0, 0, 2),), int(m[1]), 0, big, alpha=True)
    if (m := re.fullmatch(r"gbr(a?)p(\d*)(msb)?", base)) and m[2] != "32":
        bits, shift = _depth(m[2], m[3])
        return Layout(((2, 0, 1), (0, 0, 1), (1, 0, 1)), bits, shift, big, True, True, bool(m[1]))
    if m := re.fullmatch(r"nv(12|16|24|21|42|20)", base):
        first = 1 if m[1] in ("21", "42") else 0
        taps = ((0, 0, 1), (1, first, 2), (1, 1 - first, 2))
        return Layout(taps, 10 if m[1] == "20" else 8, 0, big)
    if m := re.fullmatch(r"p[024](10|12|16)", base):
        return Layout(((0, 0, 1), (1, 0, 2), (1, 1, 2)), int(m[1]), 16 - int(m[1]), big)
    return _packed(base, big)


def _depth(bits: str, high: str | None) -> tuple[int, int]:
    """Bits of a sample, and the shift where they are the high bits of their word."""
    depth = int(bits or 8)
    return depth, 16 - depth if high else 0


def _packed(base: str, big: bool) -> Layout | None:
    """Where the samples of a format of one plane lie."""
    if (m := re.fullmatch(r"([argb0]{3,4})(24|48|64)?", base)) and "r" in m[1]:
        order, bits = m[1], 16 if m[2] in ("48", "64") else 8
        taps = tuple((0, order.index(c), len(order)) for c in "rgb")
        return Layout(taps, bits, 0, big, True, True, "a" in order)
    known = {"y210": ("yuyv", 10), "y212": ("yuyv", 12), "y216": ("yuyv", 16)}
    known |= {"xv36": ("uyvx", 12), "xv48": ("uyvx", 16), "ayuv64": ("ayuv", 16)}
    known |= {"yuyv422": ("yuyv", 8), "uyvy422": ("uyvy", 8), "yvyu422": ("yvyu", 8)}
    known |= {"vyu444": ("vyu", 8)} | {name: (name, 8) for name in ("vuyx", "vuya", "ayuv", "uyva")}
    if base not in known:
        return None
    order, bits = known[base]
    step = len(order) // order.count("y")
    taps = ((0, order.index("y"), step), (0, order.index("u"), len(order)))
    taps += ((0, order.index("v"), len(order)),)
    return Layout(taps, bits, 0 if bits == 8 else 16 - bits, big, alpha="a" in order)


def line_of(name: str, *, bits: int, shift: int, full: bool) -> tuple[float, float]:
    """Scale and offset from samples to full-range 8-bit code values."""
    unit = float(1 << shift)
    if full:
        peak = (1 << bits) - 1
        offset = 0.0 if name == "y" else 128 - (1 << (bits - 1)) * 255 / peak
        return 255 / (peak * unit), offset
    unit *= 2.0 ** (bits - 8)
    if name == "y":
        return 255 / (219 * unit), -16 * 255 / 219
    return 255 / (224 * unit), 128 - 128 * 255 / 224


def names_of(planes: Planes) -> tuple[str, ...]:
    """Names of the planes that were asked for: ``("y",)`` or ``("y", "cb", "cr")``."""
    if planes not in ("y", "yuv"):
        raise SettingsError(f"planes is {planes!r}; allowed are 'y' and 'yuv'")
    return ("y",) if planes == "y" else ("y", "cb", "cr")


def rgb_fixed(channels: tuple[torch.Tensor, ...], *, name: str, white: int = 255) -> torch.Tensor:
    """BT.709 luma or chroma of integer RGB, three (height, width) to one uint16, 1/256 code value.

    A gray pixel of value v reads exactly ``256 * 255 * v / white`` in luma, rounded, and 128 * 256
    in ``cb`` and ``cr``. All sums are of integers, so that every device gives the same.
    """
    red, green, blue = channels
    wide = torch.int32 if white == 255 else torch.int64
    out = torch.empty(red.shape, dtype=torch.uint16, device=red.device)
    rows = max(1, _CHUNK // max(1, red.shape[1]))
    for top in range(0, red.shape[0], rows):
        part = slice(top, top + rows)
        out[part] = _mixed((red[part], green[part], blue[part]), name, white, wide)
    return out


def _mixed(
    channels: tuple[torch.Tensor, ...], name: str, white: int, wide: torch.dtype
) -> torch.Tensor:
    """One chunk of `rgb_fixed`: the weights are multiples of 2**-22 that add to 1 (luma) or 0."""
    weights = [round(w * (1 << _BITS)) for w in BT709[name]]
    weights[1] += ((1 << _BITS) if name == "y" else 0) - sum(weights)
    centre = 0 if name == "y" else 128 * 256
    total = channels[0].to(wide).mul_(weights[0])
    total.add_(channels[1].to(wide), alpha=weights[1]).add_(channels[2].to(wide), alpha=weights[2])
    if white == 255:
        down = _BITS - 8
        return total.add_((centre << down) + (1 << (down - 1))).bitwise_right_shift_(down)
    unit = white << _BITS
    total.mul_(255 * 256).add_(centre * unit + unit // 2)
    return total.div_(unit, rounding_mode="floor").clamp_(0, 65535)


def rgb_float(channels: tuple[torch.Tensor, ...], *, name: str) -> torch.Tensor:
    """BT.709 luma (0..1) or chroma (-0.5..0.5) of floating RGB, three (height, width) to one."""
    red, green, blue = BT709[name]
    return channels[0] * red + channels[1] * green + channels[2] * blue


def plane_samples(
    plane: Any, tap: tuple[int, int, int], size: tuple[int, int], layout: Layout
) -> NDArray[Any]:
    """Samples of one channel as an array that views the plane, (height, width)."""
    item = 2 if layout.bits > 8 else 1
    dtype = np.dtype((">u2" if layout.big else "<u2") if item == 2 else "u1")
    line, (_, first, step) = plane.line_size, tap
    start = first * item + (0 if line > 0 else -line * (size[0] - 1))
    return np.ndarray(size, dtype, plane, start, (line, step * item))


def plane_tensor(
    plane: Any, tap: tuple[int, int, int], size: tuple[int, int], layout: Layout
) -> torch.Tensor:
    """Samples of one channel, (height, width), in the decoder's own memory wherever torch can."""
    samples = plane_samples(plane, tap, size, layout)
    if (
        samples.strides[0] < 0
        or samples.strides[0] % samples.itemsize
        or not samples.dtype.isnative
    ):
        samples = samples.astype(samples.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(samples)


def codes_of(frame: NDArray[np.uint8], name: str, size: tuple[int, int]) -> NDArray[np.float64]:
    """One channel in full-range code values, (height, width); chroma by block means."""
    if frame.ndim == 2:
        return frame.astype(np.float64) if name not in ("cb", "cr") else np.full(size, 128.0)
    if name in ("r", "g", "b"):
        return frame[..., "rgb".index(name)].astype(np.float64)
    mixed = frame @ np.array(BT709[name]) + (0 if name == "y" else 128)
    down, across = (-(-n // m) for n, m in zip(mixed.shape, size, strict=True))
    pad = tuple((0, m * k - n) for n, m, k in zip(mixed.shape, size, (down, across), strict=True))
    blocks = np.pad(mixed, pad, mode="edge").reshape(size[0], down, size[1], across)
    return np.asarray(blocks.mean(axis=(1, 3)))
