"""How large the networks are that are trained, by the device that trains them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

__all__ = ["LARGE", "SMALL", "Size", "size_on"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Of the networks, and of what they see in a step."""

    channels: int
    """Of denoisers and samplers."""
    coder_channels: int
    """Of autoencoders, whose pictures are small."""
    reach: tuple[int, ...]
    """Frames to either side at which each block of a clip-wide network looks; so many blocks."""
    batch: int
    """Parts of clips in a step."""
    part: int
    """Rows and columns of such a part, at most: of smaller clips the whole."""

    def rate(self, base: float) -> float:
        """Of learning, for that of `SMALL` networks.

        Adam's falls as the width grows (Yang et al. 2021, Tensor Programs V).
        """
        return base * SMALL.channels / self.channels


SMALL: Final = Size(channels=16, coder_channels=32, reach=(1, 3), batch=4, part=20)
"""A few thousand weights: minutes on two cores."""
LARGE: Final = Size(channels=64, coder_channels=128, reach=(1, 3, 1, 3), batch=16, part=32)
"""Four times as wide, twice as deep, on ten times as many pixels a step."""


def size_on(device: torch.device | str) -> Size:
    """Large on a CUDA GPU, small elsewhere."""
    return LARGE if torch.device(device).type == "cuda" else SMALL
