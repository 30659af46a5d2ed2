"""What samples are measured in: code values of pictures, or the units of a latent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = ["ARITHMETIC", "CODE", "CONTRAST", "ROUNDING_POWER", "Unit"]

ROUNDING_POWER: Final = (255 / 219) ** 2 / 12
"""Variance of rounding to the 219 luma steps of limited-range 8-bit video, code^2."""

CONTRAST: Final = 64.0
"""Code values for which a latent's standard deviation is taken: that of a picture of contrast."""

ARITHMETIC: Final = 1e-9
"""Power of what sums of numbers of the size of code values leave of nothing, code^2."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Of the samples of a video or of a latent."""

    name: str
    """In the plural."""
    power: str
    """Of powers, which are its squares."""
    size: float = 1.0
    """What stands for a code value: of it the edges of histograms and all limits are multiples."""
    rounding: float = ROUNDING_POWER
    """Power that storing the samples adds: the floor under every ratio; floats have none."""

    @classmethod
    def of_latents(cls, deviation: float) -> Unit:
        """Of latents held against a reference of this standard deviation."""
        return cls("latent units", "latent^2", (deviation or 1.0) / CONTRAST, 0.0)

    @property
    def square(self) -> float:
        """Power of what stands for a code value."""
        return self.size**2

    @property
    def least(self) -> float:
        """Power that is taken as this where it is less, so that ratios have an end.

        Nothing, where there is the power of rounding in every ratio.
        """
        return 0.0 if self.rounding else ARITHMETIC * self.square

    @property
    def still(self) -> float:
        """Power below which nothing changes."""
        return self.rounding or self.least

    def ratio_db(self, pred: float, ref: float, epsilon: float) -> float:
        """``10 log10((pred + eps)/(ref + eps))``, dB; swapped, exactly the negative."""
        ours, theirs = (max(power, self.least) + epsilon for power in (pred, ref))
        return 10 * (math.log10(ours) - math.log10(theirs))


CODE: Final = Unit("code values", "code^2")
"""Full-range 8-bit code values, 0..255."""
