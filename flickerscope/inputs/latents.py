"""Latents, arrays of any channels and finite floats, as sources of frames."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flickerscope.errors import InputError
from flickerscope.inputs.arrays import FLOATS, MemorySource, dtype_read
from flickerscope.inputs.layout import arrange
from flickerscope.inputs.rate import FrameRate, rate_of
from flickerscope.inputs.source import Plane, VideoInfo
from flickerscope.settings import ALL_CHANNELS

__all__ = ["LatentSource"]

_ALLOWED = "allowed are latents (T, C, H, W) or (T, H, W) of finite floats, or another layout"
_SMALLEST, _LARGEST = 1e-140, 1e140  # standard deviations whose fourth powers float64 still holds


class LatentSource(MemorySource):
    """A numpy array or a torch tensor of latents, ``(T, C, H, W)`` or as ``layout`` says.

    Every channel is a plane, in the latent's own units. Samples are handed on divided by a power
    of two, so that they can be squared whatever their size.
    """

    def __init__(
        self,
        array: NDArray[Any] | torch.Tensor,
        *,
        fps: FrameRate | None = None,
        layout: str | None = None,
        name: str = "array",
        notes: tuple[str, ...] = (),
    ) -> None:
        if layout is not None:
            array = arrange(array, layout, name)
        shape = tuple(int(n) for n in array.shape)
        if 0 in shape or len(shape) not in (3, 4):
            raise InputError(f"{name}: got shape {shape}; {_ALLOWED}")
        self._array, self._rate = array, rate_of(fps)
        self._kind = dtype_read(array, name, FLOATS, _ALLOWED)
        deviation = self._deviation(name)
        most = 120 if self._kind is torch.float32 else 480  # what its exponent has room for
        power = round(math.log2(deviation)) if deviation else 0
        self._step = 2.0 ** max(-most, min(power, most))
        count = 1 if len(shape) == 3 else shape[1]
        names = [f"c{i}" for i in range(count)] if count > 1 else [ALL_CHANNELS]
        height, width = shape[-2:]
        self._planes = tuple(
            Plane(
                name=name, height=height, width=width, dtype=self._kind, scale=self._step, offset=0
            )
            for name in names
        )
        self._info = VideoInfo(
            path=name,
            width=width,
            height=height,
            rate=self._rate,
            pixel_format="latent",
            promised_frames=shape[0],
            channels=count,
            deviation=deviation,
            notes=notes,
        )

    def _converted(self, channels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (channels / self._step).unbind(0)

    def _deviation(self, name: str) -> float:
        """Root of the mean variance of the channels; refuses NaN and infinity.

        Reads frame by frame, waits for a GPU once.
        """
        means, variances = [], []
        for index in range(int(self._array.shape[0])):
            frame = self._channels(index)
            wide = frame if frame.device.type == "mps" else frame.to(torch.float64)
            variance, mean = torch.var_mean(wide, dim=(1, 2), correction=0)
            means.append(mean)
            variances.append(variance)
        of_frames, inside = (torch.stack(x).cpu().numpy().astype(float) for x in (means, variances))
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = float(np.sqrt((inside.mean(0) + of_frames.var(0)).mean()))
        if math.isfinite(deviation) and (not deviation or _SMALLEST < deviation < _LARGEST):
            return deviation
        if any(not bool(self._channels(i).isfinite().all()) for i in range(len(means))):
            raise InputError(f"{name}: got NaN or infinity; {_ALLOWED}")
        raise InputError(f"{name}: its values are too large or too small to be squared; scale them")
