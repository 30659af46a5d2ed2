"""Adds up the spectra and the histograms of many clips."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flickerscope.units import ROUNDING_POWER

__all__ = ["Pooled"]


@dataclass(slots=True)
class Pooled:
    """Of one model, or of the references: every clip counts once, however long it is."""

    clips: int = 0
    """That have a spectrum."""
    frequency: list[float] = field(default_factory=list)
    """Of each bin, cycles/frame."""
    rates: tuple[float, float] | None = None
    """Lowest and highest frames a second; ``None``: not known of all clips."""
    power: list[float] = field(default_factory=list)
    """Sum of the mean power of each bin, code^2."""
    levels: list[float] = field(default_factory=list)
    """Sum of ``10 log10(P + eps)`` of each bin, eps that of 8-bit rounding in it."""
    counts: dict[int, int] = field(default_factory=dict)
    """Cells by the bin of their power in the headline's band (`flickerscope.histogram`)."""

    def add(
        self,
        spectrum: Mapping[str, Any] | None,
        role: str,
        counts: Mapping[str, int],
        *,
        rate: float | None,
        latent: bool,
    ) -> None:
        """Take one clip.

        Args:
            spectrum: power by ``role`` (``pred``, ``ref`` or ``video``), with its ``frequency``.
            role: which of them.
            counts: cells by the bin of their power.
            rate: frames a second.
            latent: whether it is one.
        """
        for number, count in counts.items():
            self.counts[int(number)] = self.counts.get(int(number), 0) + count
        if spectrum is None:
            return
        if not self.clips:
            self.frequency = spectrum["frequency"]
            self.power, self.levels = ([0.0] * len(self.frequency) for _ in range(2))
            self.rates = None if rate is None else (rate, rate)
        elif self.rates is not None:
            low, high = self.rates
            self.rates = None if rate is None else (min(low, rate), max(high, rate))
        # A latent has no rounding: the least that its power may be, far below any that is read.
        least = 1e-12 if latent else ROUNDING_POWER / len(self.frequency)
        for i, power in enumerate(spectrum[role]):
            self.power[i] += power
            self.levels[i] += 10 * math.log10(power + least)
        self.clips += 1

    def to_dict(self) -> dict[str, Any]:
        """Of each bin the mean power (code^2) and the mean level (dB re 1 code^2), on which a
        single clip has less weight; counts of cells; the number of clips.
        """
        power = [total / self.clips for total in self.power]
        levels = [total / self.clips for total in self.levels]
        counts = {str(number): count for number, count in sorted(self.counts.items())}
        return {"clips": self.clips, "power": power, "level_db": levels, "counts": counts}
