"""Pools readings over clips, sources and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from flickerscope.comparison.excess import FLICKER_EPSILON, excess_db
from flickerscope.experiment.readings import BANDS, EPSILON, HIGH, TRANSFORM, Reading

__all__ = ["MEASURES", "Pool", "pool"]

Floats = npt.NDArray[np.float64]

MEASURES: Final[Mapping[str, str]] = {
    "high_db": "high-frequency energy against the reference, all clips pooled, dB",
    "median_db": "the same of the median clip, dB",
    "motion_db": "motion-compensated flicker against the reference, medians over the clips, dB",
    "slope": "beta: Re S_pr / S_pp in HF: what the prediction is to be scaled by to fit",
    "explained": "share of the power in HF that the reference explains, bin by bin",
    "gain": "Re S_pr / S_rr in HF; below 1, energy of the reference that is lost",
    "high_pred": "power in HF, code^2",
    "high_ref": "power of the reference in HF, code^2",
    "high_error": "power of the error in HF, code^2",
    "unexplained": "incoherent power in HF: what the reference does not explain, code^2",
    "frame_error": "mean squared error, code^2",
    "diff_error": "mean squared error of the frame-to-frame differences, code^2",
    "coverage": "share of the picture and the time in which the motion is followed",
    "ref_coverage": "the same of the reference",
} | {f"{name}_db": f"energy in {name} against the reference, dB" for name in BANDS if name != HIGH}

PLAIN: Final = ("frame_error", "diff_error", "coverage", "ref_coverage", "unexplained")


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Clips of one or several readings: sums that add, and what medians are taken of."""

    clips: float
    means: Floats
    """Sums over clips: `PLAIN`, then prediction, reference and what they share in each band."""
    excess: Floats
    """HF of each clip against its reference, dB."""
    motion: Floats
    """(2, clips): motion-compensated flicker of prediction and reference, code^2."""
    curve: Floats
    """(doses, 2): sums over clips of frame error and error power in HF, for doses of smoothing."""

    @classmethod
    def of(cls, reading: Reading) -> Pool:
        """One reading."""
        high = reading.bands[HIGH].unexplained
        plain = (
            reading.frame_error,
            reading.diff_error,
            *reading.coverage,
            np.nan if high is None else high,
        )
        bands = [v for name in BANDS for v in _three(reading, name)]
        both = zip(*reading.high, strict=True)
        return cls(
            clips=reading.clips,
            means=reading.clips * np.array([*plain, *bands]),
            excess=np.array([excess_db(p, r, EPSILON) for p, r in both]),
            motion=np.array(reading.motion, dtype=np.float64).reshape(2, -1),
            curve=reading.clips * np.array(reading.smoothing, dtype=np.float64).reshape(-1, 2),
        )

    @classmethod
    def joined(cls, parts: Sequence[Pool], counts: Sequence[int] | None = None) -> Pool:
        """All of them, each so many times; default: once."""
        times = np.ones(len(parts), dtype=np.int64) if counts is None else np.array(counts)
        drawn = [part for part, count in zip(parts, times, strict=True) for _ in range(count)]
        return cls(
            clips=float(sum(part.clips for part in drawn)),
            means=np.tensordot(times, np.stack([part.means for part in parts]), 1),
            excess=np.concatenate([part.excess for part in drawn]),
            motion=np.concatenate([part.motion for part in drawn], axis=1),
            curve=np.tensordot(times, np.stack([part.curve for part in parts]), 1),
        )

    @property
    def smoothing(self) -> list[tuple[float, float]]:
        """Frame error and error power in HF, for each dose of smoothing; empty: not read."""
        return [(float(x), float(y)) for x, y in self.curve / self.clips]

    def values(self) -> dict[str, float]:
        """By the names of `MEASURES`; what is not defined is left out."""
        means = (self.means / self.clips).tolist()
        values = dict(zip(PLAIN, means, strict=False))
        if np.isnan(values["unexplained"]):
            del values["unexplained"]
        triples = zip(*[iter(means[len(PLAIN) :])] * 3, strict=True)
        bands = dict(zip(BANDS, triples, strict=True))
        for band in TRANSFORM.bands:
            if band.name in bands and band.name != HIGH:
                p, r, _ = bands[band.name]
                values[f"{band.name}_db"] = excess_db(p, r, band.epsilon)
        pred, ref, joint = bands[HIGH]
        values |= {
            "high_db": excess_db(pred, ref, EPSILON),
            "median_db": float(np.median(self.excess)),
            "high_pred": pred,
            "high_ref": ref,
            "high_error": max(pred + ref - 2 * joint, 0.0),
        }
        if pred > EPSILON:
            values["slope"] = joint / pred
            if "unexplained" in values:
                values["explained"] = 1 - values["unexplained"] / pred
        if ref > EPSILON:
            values["gain"] = joint / ref
        if self.motion.shape[1]:
            ours, theirs = np.maximum(np.median(self.motion, axis=1), 0).tolist()
            values["motion_db"] = excess_db(ours, theirs, FLICKER_EPSILON)
        return values


def pool(readings: Sequence[Reading]) -> Pool:
    """All readings in one."""
    return Pool.joined([Pool.of(reading) for reading in readings])


def _three(reading: Reading, name: str) -> tuple[float, float, float]:
    sums = reading.bands[name]
    return sums.pred, sums.ref, sums.joint
