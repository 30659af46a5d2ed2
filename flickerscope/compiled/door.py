"""Tensors on their way to the compiled loops. Loads no compiler."""

from __future__ import annotations

from typing import Any, Final

import numpy.typing as npt
import torch

__all__ = ["COMPILED", "as_array", "takes"]

COMPILED: Final = (torch.uint8, torch.uint16, torch.float32)
"""Kinds of samples that loops are compiled for, where they compute in float32."""


def takes(*tensors: torch.Tensor, kinds: tuple[torch.dtype, ...] = (torch.float32,)) -> bool:
    """Whether there are loops for these: on the CPU, of these kinds, without gradients."""
    return all(x.device.type == "cpu" and x.dtype in kinds and not x.requires_grad for x in tensors)


def as_array(x: torch.Tensor) -> npt.NDArray[Any]:
    """The same values, in memory one after the other."""
    array: npt.NDArray[Any] = x.contiguous().numpy()
    return array
