"""Arrays and tensors in memory as sources of frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from flickerscope.errors import InputError, SettingsError
from flickerscope.inputs.layout import arrange
from flickerscope.inputs.pixels import names_of, rgb_fixed, rgb_float
from flickerscope.inputs.rate import FrameRate, rate_of
from flickerscope.inputs.source import Described, Frame, Plane, VideoInfo
from flickerscope.settings import Planes

__all__ = ["FLOATS", "ArraySource", "MemorySource", "dtype_read", "parse_range"]

_ALLOWED = "allowed are (T, H, W) or (T, C, H, W) with C = 1 or 3, uint8, uint16, or floats in 0..1"
_PEAK = {torch.uint8: 255, torch.uint16: 65535}
_HINT = "if these are latents, say --latent (latent=True)"

FLOATS: Final = {
    "float64": torch.float64,
    **dict.fromkeys(("float16", "bfloat16", "float32"), torch.float32),
}
"""Kinds of floats, and as what they are read."""


class MemorySource(Described):
    """Frames of an array (T, H, W) or (T, C, H, W), wherever it is; never damaged."""

    _array: NDArray[Any] | torch.Tensor
    _kind: torch.dtype
    """In which the frames are read."""
    _rate: Fraction | None

    def lost(self) -> int | None:
        """An array is never damaged."""
        return None

    def problems(self) -> tuple[str, ...]:
        """Nothing: an array that can be measured has no damage."""
        return ()

    def frames(self) -> Iterator[Frame]:
        """All frames; the time is index / fps, or the index without fps."""
        for index in range(int(self._array.shape[0])):
            time = Fraction(index) / self._rate if self._rate else Fraction(index)
            yield Frame(time, self._converted(self._channels(index)))

    def _converted(self, channels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Samples of the planes from (C, height, width)."""
        raise NotImplementedError

    def _channels(self, index: int) -> torch.Tensor:
        """Frame ``index`` as (C, height, width) of the kind; or a view."""
        frame = self._array[index]
        if isinstance(frame, np.ndarray):
            native = frame.dtype.newbyteorder("=")
            odd = any(n % frame.itemsize or n < 0 for n in frame.strides)
            if odd or not frame.flags.writeable or frame.dtype != native:
                frame = np.array(frame, dtype=native)
            frame = torch.from_numpy(frame)
        frame = frame.detach().to(self._kind)
        return frame if frame.ndim == 3 else frame[None]


class ArraySource(MemorySource):
    """A numpy array or a torch tensor of frames, on the device where it is.

    ``(T, H, W)`` or ``(T, C, H, W)`` with C = 1 (gray) or 3 (RGB), or as ``layout`` says; uint8,
    uint16, or floats in 0..1, or in ``value_range``: what is black and what is white. float64
    stays float64, other floats are read as float32, RGB becomes BT.709 luma. Nothing but one frame
    at a time is ever copied.
    """

    def __init__(
        self,
        array: NDArray[Any] | torch.Tensor,
        *,
        fps: FrameRate | None = None,
        planes: Planes = "y",
        layout: str | None = None,
        value_range: str | tuple[float, float] | None = None,
        name: str = "array",
        notes: tuple[str, ...] = (),
    ) -> None:
        self._names = names_of(planes)
        chosen = parse_range(value_range)
        if layout is not None:
            array = arrange(array, layout, name)
        self._array, self._rgb = _checked_shape(array, name)
        known = {"uint8": torch.uint8, "uint16": torch.uint16} | FLOATS
        self._kind = dtype_read(self._array, name, known, _ALLOWED)
        self._range = self._fitting(chosen, name)
        if planes == "yuv" and not self._rgb:
            raise InputError(f"{name}: gray has no colour planes; use planes='y' or give RGB")
        self._rate = rate_of(fps)
        if self._kind not in _PEAK or chosen is not None:
            _check_values(self, name)
        height, width = (int(n) for n in self._array.shape[-2:])
        self._planes = tuple(self._plane(name, height, width) for name in self._names)
        if self._rgb:
            notes = (*notes, "luma by BT.709 weights from RGB")
        if chosen is not None:
            notes = (*notes, "values {:g}..{:g} taken as black to white".format(*chosen))
        self._info = VideoInfo(
            path=name,
            width=width,
            height=height,
            rate=self._rate,
            pixel_format="rgb" if self._rgb else "gray",
            bits={torch.uint8: 8, torch.uint16: 16}.get(self._kind),
            range="full",
            matrix="bt709" if self._rgb else None,
            promised_frames=int(self._array.shape[0]),
            notes=notes,
        )

    def _converted(self, channels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Samples of the planes from (C, height, width)."""
        if not self._rgb:
            return (channels[0],)
        rgb = channels.unbind(0)
        if self._kind in _PEAK:
            white = int(self._range[1])
            return tuple(rgb_fixed(rgb, name=name, white=white) for name in self._names)
        return tuple(rgb_float(rgb, name=name) for name in self._names)

    def _plane(self, name: str, height: int, width: int) -> Plane:
        """How the samples of one plane are to be read."""
        low, high = self._range
        scale, dtype = 255 / (high - low), self._kind
        offset = -low * scale if name == "y" else 128.0
        if self._rgb and self._kind in _PEAK:
            scale, offset, dtype = 1 / 256, 0.0, torch.uint16
        return Plane(name=name, height=height, width=width, dtype=dtype, scale=scale, offset=offset)

    def _fitting(self, chosen: tuple[float, float] | None, name: str) -> tuple[float, float]:
        """The values of black and white: those asked for, or what the kind of number suggests."""
        peak = _PEAK.get(self._kind)
        if chosen is None:
            return 0.0, float(peak or 1)
        low, high = chosen
        if peak and (low < 0 or high > peak):
            raise InputError(f"{name}: its values lie in 0..{peak}, not in {low:g}..{high:g}")
        if peak and self._rgb and (low or high % 1):
            raise InputError(
                f"{name}: integer RGB has black at 0 and white at a whole number, got "
                f"{low:g}..{high:g}; give floats"
            )
        return chosen


def parse_range(given: str | tuple[float, float] | None) -> tuple[float, float] | None:
    """Values of black and white, of text such as ``-1..1`` or of a pair of numbers."""
    if given is None:
        return None
    try:
        low, high = given.split("..") if isinstance(given, str) else given
        chosen = float(low), float(high)
    except (TypeError, ValueError):
        chosen = 0.0, 0.0
    if not (math.isfinite(chosen[0]) and math.isfinite(chosen[1]) and chosen[0] < chosen[1]):
        raise SettingsError(
            f"value_range is {given!r}; allowed are two numbers, black and white, as in -1..1"
        )
    return chosen


def _checked_shape(array: object, name: str) -> tuple[NDArray[Any] | torch.Tensor, bool]:
    """The array and whether it is RGB, or `InputError` saying what its shape should be."""
    if not isinstance(array, (np.ndarray, torch.Tensor)):
        raise InputError(f"{name}: got {type(array).__name__}; {_ALLOWED}")
    shape = tuple(int(n) for n in array.shape)
    got = f"{name}: got shape {shape}"
    if 0 in shape:
        raise InputError(f"{got}, which is empty; {_ALLOWED}")
    if len(shape) not in (3, 4):
        raise InputError(f"{got}; {_ALLOWED}")
    if len(shape) == 4 and shape[1] not in (1, 3):
        last = shape[3] in (1, 3)
        hint = (
            "channels come second: move the last axis to axis 1, or say layout THWC"
            if last
            else f"{_ALLOWED}; {_HINT}"
        )
        raise InputError(f"{got}; {hint}")
    return array, len(shape) == 4 and shape[1] == 3


def dtype_read(
    array: NDArray[Any] | torch.Tensor, name: str, known: Mapping[str, torch.dtype], allowed: str
) -> torch.dtype:
    """In which the frames are read, of what is known by the array's own."""
    if isinstance(array, torch.Tensor) and array.layout is not torch.strided:
        raise InputError(f"{name}: got a {array.layout} tensor; give a dense one")
    text = str(array.dtype).removeprefix("torch.")
    if isinstance(array, np.ndarray):
        text = array.dtype.newbyteorder("=").name
    if text not in known:
        raise InputError(f"{name}: got {text}; {allowed}")
    return known[text]


def _check_values(source: ArraySource, name: str) -> None:
    """Refuse NaN, infinity and values out of range; reads frame by frame, waits for a GPU once."""
    array, (low, high) = source._array, source._range
    extremes = [torch.aminmax(_countable(source._channels(i))) for i in range(int(array.shape[0]))]
    bottom = float(torch.stack([least for least, _ in extremes]).min())
    top = float(torch.stack([most for _, most in extremes]).max())
    if bottom >= low and top <= high:
        return
    allowed = f"allowed are finite floats in {low:g}..{high:g}"
    if not math.isfinite(bottom) or not math.isfinite(top):
        raise InputError(f"{name}: got NaN or infinity; {allowed}")
    text = str(array.dtype).removeprefix("torch.")
    if (low, high) != (0, 1):
        raise InputError(f"{name}: got {text} in {bottom:g}..{top:g}, not in {low:g}..{high:g}")
    if bottom >= 0 and 1.5 < top <= 255:
        raise InputError(
            f"{name}: got {text} in 0..255; divide by 255, or say value_range 0..255 "
            "(allowed are floats in 0..1)"
        )
    if bottom >= -1 and top <= 1:
        raise InputError(
            f"{name}: got {text} in -1..1; say value_range -1..1 (allowed are floats in 0..1)"
        )
    raise InputError(
        f"{name}: got {text} in {bottom:g}..{top:g}; allowed are floats in 0..1; {_HINT}"
    )


def _countable(samples: torch.Tensor) -> torch.Tensor:
    """In a type of which torch finds the extremes."""
    return samples.to(torch.int32) if samples.dtype == torch.uint16 else samples
