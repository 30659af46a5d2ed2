"""Says what "no difference" looks like: the statistic of a scan between the references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["Calibration", "calibrate"]

REPEATS: Final = 1000
MOST_VALUES: Final = 20_000_000
"""Drawn in all; of more references there are fewer repeats."""
SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The excess between references that have nothing to do with each other."""

    references: int
    pairs: int
    """Units in each repeat: the references divided into pairs at random."""
    repeats: int
    median_low: float
    """2.5th percentile of the batch's median over the repeats, dB."""
    median_high: float
    """97.5th."""
    clip: float
    """95th percentile of the size of a single excess, dB."""


LEAST: Final = 1e-300
"""Power that stands for none where nothing is added to it, as of a latent."""


def calibrate(powers: Sequence[float], epsilons: Sequence[float]) -> Calibration | None:
    """Excess ``10 log10((P_a + eps)/(P_b + eps))`` of random disjoint pairs of references.

    ``powers``, ``epsilons``: of each reference, code^2. ``None`` for fewer than four. The same on
    every machine.
    """
    count = len(powers)
    if count < 4:
        return None
    levels = 10 * np.log10(np.maximum(powers, LEAST) + np.asarray(epsilons))
    repeats = max(1, min(REPEATS, MOST_VALUES // count))
    draw = np.random.Generator(np.random.PCG64(SEED))
    pairs = count // 2
    medians, sizes = np.empty(repeats), []
    for i in range(repeats):
        order = draw.permutation(count)
        excess = levels[order[:pairs]] - levels[order[pairs : 2 * pairs]]
        medians[i] = np.median(excess)
        sizes.append(float(np.percentile(np.abs(excess), 95)))
    low, high = np.percentile(medians, [2.5, 97.5])
    return Calibration(
        references=count,
        pairs=pairs,
        repeats=repeats,
        median_low=float(low),
        median_high=float(high),
        clip=float(np.mean(sizes)),
    )
