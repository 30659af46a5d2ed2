"""Arrays and tensors in memory as sources of frames."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flickerscope.errors import InputError, SettingsError
from flickerscope.inputs.pixels import names_of, rgb_fixed, rgb_float
from flickerscope.inputs.source import Frame, Plane, VideoInfo
from flickerscope.settings import Planes

__all__ = ["ArraySource"]


_ALLOWED = "allowed are (T, H, W) or (T, C, H, W) with C = 1 or 3, uint8, or floats in 0..1"


class ArraySource:
    """A numpy array or a torch tensor of frames, on the device where it is.

    ``(T, H, W)`` or ``(T, C, H, W)`` with C = 1 (gray) or 3 (RGB); uint8, or floats in 0..1.
    float64 stays float64, other floats are read as float32, RGB becomes BT.709 luma. Nothing but
    one frame at a time is ever copied.
    """

    def __init__(
        self,
        array: NDArray[Any] | torch.Tensor,
        *,
        fps: Fraction | float | int | None = None,
        planes: Planes = "y",
        name: str = "array",
    ) -> None:
        self._names = names_of(planes)
        self._array, self._rgb = _checked_shape(array, name)
        self._kind = _kind(self._array, name)
        if planes == "yuv" and not self._rgb:
            raise InputError(f"{name}: gray has no colour planes; use planes='y' or give RGB")
        self._rate = _rate(fps)
        if self._kind != torch.uint8:
            _check_values(self, name)
        height, width = (int(n) for n in self._array.shape[-2:])
        self._planes = tuple(self._plane(name, height, width) for name in self._names)
        notes = ("luma by BT.709 weights from RGB",) if self._rgb else ()
        self._info = VideoInfo(
            path=name,
            width=width,
            height=height,
            rate=self._rate,
            pixel_format="rgb" if self._rgb else "gray",
            bits=8 if self._kind == torch.uint8 else None,
            range="full",
            matrix="bt709" if self._rgb else None,
            promised_frames=int(self._array.shape[0]),
            notes=notes,
        )

    @property
    def info(self) -> VideoInfo:
        """Description; ``path`` is the name given."""
        return self._info

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Luma, then Cb and Cr where they were asked for."""
        return self._planes

    def problems(self) -> tuple[str, ...]:
        """Nothing: an array that can be measured has no damage."""
        return ()

    def frames(self) -> Iterator[Frame]:
        """All frames; the time is index / fps, or the index without fps."""
        for index in range(int(self._array.shape[0])):
            time = Fraction(index) / self._rate if self._rate else Fraction(index)
            yield Frame(time, self._converted(self._channels(index)))

    def _channels(self, index: int) -> torch.Tensor:
        """Frame ``index`` as (C, height, width), uint8, float32 or float64; or a view."""
        frame = self._array[index]
        if isinstance(frame, np.ndarray):
            native = frame.dtype.newbyteorder("=")
            odd = any(n % frame.itemsize or n < 0 for n in frame.strides)
            if odd or not frame.flags.writeable or frame.dtype != native:
                frame = np.array(frame, dtype=native)
            frame = torch.from_numpy(frame)
        frame = frame.detach().to(self._kind)
        return frame if frame.ndim == 3 else frame[None]

    def _converted(self, channels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Samples of the planes from (C, height, width)."""
        if not self._rgb:
            return (channels[0],)
        rgb = channels.unbind(0)
        if self._kind == torch.uint8:
            return tuple(rgb_fixed(rgb, name=name) for name in self._names)
        return tuple(rgb_float(rgb, name=name) for name in self._names)

    def _plane(self, name: str, height: int, width: int) -> Plane:
        """How the samples of one plane are to be read."""
        scale, offset, dtype = 255.0, 0.0 if name == "y" else 128.0, self._kind
        if self._kind == torch.uint8:
            scale, offset = 1.0, 0.0
            if self._rgb:
                scale, dtype = 1 / 256, torch.uint16
        return Plane(name=name, height=height, width=width, dtype=dtype, scale=scale, offset=offset)


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
        hint = "channels come second: move the last axis to axis 1" if last else _ALLOWED
        raise InputError(f"{got}; {hint}")
    return array, len(shape) == 4 and shape[1] == 3


def _kind(array: NDArray[Any] | torch.Tensor, name: str) -> torch.dtype:
    """The dtype in which the frames are read: uint8, float32 or float64."""
    if isinstance(array, torch.Tensor) and array.layout is not torch.strided:
        raise InputError(f"{name}: got a {array.layout} tensor; give a dense one")
    text = str(array.dtype).removeprefix("torch.")
    if isinstance(array, np.ndarray):
        text = array.dtype.newbyteorder("=").name
    kinds = {"uint8": torch.uint8, "float64": torch.float64}
    kinds |= dict.fromkeys(("float16", "bfloat16", "float32"), torch.float32)
    if text not in kinds:
        raise InputError(f"{name}: got {text}; {_ALLOWED}")
    return kinds[text]


def _rate(fps: Fraction | float | int | None) -> Fraction | None:
    """Frames a second as a fraction."""
    if fps is None:
        return None
    try:
        rate = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    except (TypeError, ValueError, OverflowError) as error:
        raise SettingsError(f"fps is {fps!r}; allowed are numbers above 0") from error
    if rate <= 0:
        raise SettingsError(f"fps is {fps!r}; allowed are numbers above 0")
    return rate


def _check_values(source: ArraySource, name: str) -> None:
    """Refuse NaN, infinity and values outside 0..1; reads frame by frame, waits for a GPU once."""
    array = source._array
    extremes = [torch.aminmax(source._channels(i)) for i in range(int(array.shape[0]))]
    bottom = float(torch.stack([low for low, _ in extremes]).min())
    top = float(torch.stack([high for _, high in extremes]).max())
    if bottom >= 0 and top <= 1:
        return
    if not np.isfinite(bottom) or not np.isfinite(top):
        raise InputError(f"{name}: got NaN or infinity; allowed are finite floats in 0..1")
    text = str(array.dtype).removeprefix("torch.")
    if bottom >= 0 and 1.5 < top <= 255:
        raise InputError(
            f"{name}: got {text} in 0..255; divide by 255 (allowed are floats in 0..1)"
        )
    if bottom >= -1 and top <= 1:
        raise InputError(f"{name}: got {text} in -1..1; map it to 0..1 by (x + 1) / 2, or clamp it")
    raise InputError(f"{name}: got {text} in {bottom:g}..{top:g}; allowed are floats in 0..1")
