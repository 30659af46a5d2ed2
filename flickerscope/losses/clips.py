"""What all losses do with a batch of clips: check it, bring it to float32, average it per clip."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from flickerscope.errors import InputError, SettingsError

__all__ = [
    "REDUCTIONS",
    "along",
    "check_layout",
    "check_number",
    "check_pair",
    "check_tensors",
    "frames_that_count",
    "full_precision",
    "mean_of_counted",
    "reduce_clips",
    "values_are_at_hand",
]

REDUCTIONS = ("mean", "sum", "none")
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def check_layout(time_dim: int, reduction: str) -> None:
    """Refuse a time axis or a reduction that no loss knows."""
    if time_dim not in (1, 2):
        raise SettingsError(
            f"time_dim is {time_dim}; allowed: 1 for (B, T, ...), 2 for (B, C, T, H, W)"
        )
    if reduction not in REDUCTIONS:
        raise SettingsError(f"reduction is {reduction!r}; allowed: {', '.join(REDUCTIONS)}")


def check_number(name: str, value: Any, *, above: bool = False) -> None:
    """Refuse what is no finite number from 0 up; ``above``: 0 too."""
    known = isinstance(value, Real) and math.isfinite(value)
    if not known or value < 0 or (above and value == 0):
        allowed = "above 0" if above else "0 or more"
        raise SettingsError(f"{name} is {value!r}; allowed: a number, {allowed}")


def check_tensors(**values: Tensor | None) -> None:
    """Refuse what is no tensor; ``None`` is what is not given."""
    for name, value in values.items():
        if value is not None and not isinstance(value, Tensor):
            raise InputError(f"{name} is a {type(value).__name__}; allowed: a tensor")


def values_are_at_hand(values: Tensor) -> bool:
    """Whether a look at the values is free: elsewhere it makes a GPU wait, or breaks a graph."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def check_pair(pred: Tensor, target: Tensor, time_dim: int, weights: Tensor | None) -> None:
    """Refuse clips that are not of one shape, or weights that are not one per clip."""
    check_tensors(pred=pred, target=target, weights=weights)
    if pred.shape != target.shape:
        raise InputError(
            f"prediction {tuple(pred.shape)} and target {tuple(target.shape)} must have one shape"
        )
    if pred.dim() <= time_dim:
        raise InputError(f"clips of shape {tuple(pred.shape)} have no axis {time_dim} for time")
    if not (pred.is_floating_point() and target.is_floating_point()):
        raise InputError(f"clips must be floats, not {pred.dtype} and {target.dtype}")
    if pred.numel() == 0:
        raise InputError(f"clips of shape {tuple(pred.shape)} are empty")
    if weights is not None and weights.shape != pred.shape[:1]:
        raise InputError(
            f"weights of shape {tuple(weights.shape)}; allowed: one per clip, ({pred.shape[0]},)"
        )


def full_precision(values: Tensor) -> Tensor:
    """Return values in float32 where they are narrower: squares of float16 overflow at 256."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def reduce_clips(per_clip: Tensor, weights: Tensor | None, reduction: str) -> Tensor:
    """Return (B,) losses times their weights, as they are or over the batch."""
    if weights is not None:
        per_clip = per_clip * weights.to(per_clip)
    if reduction == "none":
        return per_clip
    return per_clip.sum() if reduction == "sum" else per_clip.mean()


def mean_of_counted(total: Tensor, keep: Tensor, values: Tensor) -> Tensor:
    """Sums (B,) over the elements of the frames that count, as means; 0 where none does."""
    elements = math.prod(values.shape[1:]) // keep.shape[1]
    return total / (keep.sum(1).clamp(min=1) * elements)


def frames_that_count(
    mask: Tensor | None, lengths: Tensor | None, batch: int, frames: int, device: torch.device
) -> Tensor | None:
    """Return (B, T), which frames count; None where all do."""
    check_tensors(mask=mask, lengths=lengths)
    keep = None
    if mask is not None:
        if mask.dtype != torch.bool:
            raise InputError(f"mask is of {mask.dtype}; allowed: torch.bool, True where it counts")
        if mask.shape not in ((batch, frames), (frames,)):
            raise InputError(
                f"mask of shape {tuple(mask.shape)}; allowed: ({batch}, {frames}) or ({frames},)"
            )
        keep = mask.to(device).expand(batch, frames)
    if lengths is not None:
        if lengths.shape != (batch,) or lengths.dtype not in WHOLE:
            raise InputError(
                f"lengths of shape {tuple(lengths.shape)} and {lengths.dtype}; "
                f"allowed: integers of shape ({batch},)"
            )
        if values_are_at_hand(lengths):
            wrong = [n for n in lengths.tolist() if not 0 <= n <= frames]
            if wrong:
                raise InputError(f"lengths hold {wrong[0]}; allowed: 0 to {frames} frames")
        before = torch.arange(frames, device=device) < lengths.to(device)[:, None]
        keep = before if keep is None else keep & before
    return keep


def along(keep: Tensor, clips: Tensor, time_dim: int) -> Tensor:
    """Return (B, T) in a shape that broadcasts over clips."""
    shape = [1] * clips.dim()
    shape[0], shape[time_dim] = keep.shape
    return keep.reshape(shape)
