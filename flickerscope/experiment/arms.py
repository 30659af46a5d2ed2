"""Which models and losses are held against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

__all__ = [
    "CLOSED_FORM",
    "FIRST",
    "FRAME",
    "PRODUCT",
    "SMOOTHED",
    "Arm",
    "diff_form",
    "first_form",
    "flicker_form",
    "loss_name",
]

FRAME: Final = "s=0"
"""The loss of the frames alone."""
CLOSED_FORM: Final = "closed form"
FIRST: Final = "first"
"""The loss of the first frame, plus that of the differences."""
PRODUCT: Final = "product"
"""The loss of the frames times that of the differences."""
SMOOTHED: Final = "smoothed"
"""No loss: what the model of the frame loss gives, smoothed over time afterwards."""


@dataclass(frozen=True, slots=True, order=True)
class Arm:
    """A model that was made by one loss."""

    model: str
    loss: str
    made: str = CLOSED_FORM
    """How: in closed form, or trained, and for how many steps."""


def loss_name(scale: float) -> str:
    """How `flickerscope.losses.FlickerLoss` of this ``diff_scale`` is called here."""
    return f"s={scale:g}"


def diff_form(frames: int) -> Tensor:
    """Q with ``e Q e`` the mean over time of the squared difference of e, (frames, frames)."""
    steps = torch.eye(frames, dtype=torch.float64).diff(dim=0)
    return steps.T @ steps / (frames - 1)


def flicker_form(scale: float, frames: int) -> Tensor:
    """Q of a flicker loss: the mean of e^2 plus ``scale`` times that of its squared differences."""
    return torch.eye(frames, dtype=torch.float64) / frames + scale * diff_form(frames)


def first_form(frames: int) -> Tensor:
    """Q of the loss of the first frame plus that of the differences, (frames, frames).

    Its condition is of the order of the square of the number of frames.
    """
    form = diff_form(frames)
    form[0, 0] += 1
    return form
