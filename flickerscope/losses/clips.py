"""What all losses do with a batch of clips: check it, bring it to float32, average it per clip."""

from __future__ import annotations

import torch
from torch import Tensor

from flickerscope.errors import InputError, SettingsError

__all__ = ["REDUCTIONS", "check_layout", "check_pair", "full_precision", "reduce_clips"]

REDUCTIONS = ("mean", "sum", "none")


def check_layout(time_dim: int, reduction: str) -> None:
    """Refuse a time axis or a reduction that no loss knows."""
    if time_dim not in (1, 2):
        raise SettingsError(
            f"time_dim is {time_dim}; allowed: 1 for (B, T, ...), 2 for (B, C, T, H, W)"
        )
    if reduction not in REDUCTIONS:
        raise SettingsError(f"reduction is {reduction!r}; allowed: {', '.join(REDUCTIONS)}")


def check_pair(pred: Tensor, target: Tensor, time_dim: int, weights: Tensor | None) -> None:
    """Refuse clips that are not of one shape, or weights that are not one per clip."""
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
