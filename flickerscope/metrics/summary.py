"""From the readings of many clips to the numbers that a metric returns; NaN: nothing to read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from flickerscope.comparison import Comparison
from flickerscope.comparison.excess import FLICKER_EPSILON, headline_power, summarize_motion
from flickerscope.measurement import Clip, Measurement, key
from flickerscope.metrics.records import Record
from flickerscope.report.words import comparison_headline
from flickerscope.settings import Settings
from flickerscope.stats import (
    Counts,
    Interval,
    hodges_lehmann,
    judge_batch,
    mann_whitney_p,
    median_interval,
    place_in_batch,
    summarize_batch,
)

__all__ = ["pair_reading", "summarize_clips", "summarize_pairs", "summarize_sets"]

NAN: Final = math.nan


def pair_reading(result: Comparison) -> Record:
    """What is kept of a pair; ``flicker_db`` only where the motion of both can be followed."""
    band = result.headline.band
    rows = () if result.paired is None else result.paired.bands
    unexplained = next((row.unexplained_db for row in rows if row.band == band), None)
    return {
        "flicker_db": comparison_headline(result).value,
        "energy_db": result.energy_db,
        "unexplained_db": unexplained,
        "verdict": result.verdict,
        "value_db": result.ruling.value_db,
        "looked": result.motion is not None,
    }


def summarize_clips(measurements: Sequence[Measurement], failed: int) -> dict[str, float]:
    """Medians over the clips that could be measured, and what became of the others."""
    clips = [clip for one in measurements for clip in one.clips]
    followed = [c for one in measurements for c in one.clips if _is_followed(c, one.settings)]
    motion = summarize_motion(followed)
    names = "rms", "flicker", "area", "texture", "pop", "coverage", "speed"
    values = {name: _number(getattr(motion, name, None)) for name in names}
    energy = _median([headline_power(one) ** 0.5 for one in measurements])
    return {
        "flicker_rms": values.pop("rms"),
        **values,
        "energy_rms": energy.estimate,
        "clips": len(clips) + failed,
        "measured": len(followed),
        "not_measurable": len(clips) - len(followed),
        "failed": failed,
    }


def summarize_pairs(readings: Sequence[Record], failed: int) -> dict[str, float]:
    """Medians over the pairs with their intervals, the batch rule, and what became of each pair."""
    places = [
        place_in_batch(r["flicker_db"], r["verdict"], r["value_db"], looked=r["looked"])
        for r in readings
    ]
    flicker = [place for place in places if place is not None]
    energy = [r["energy_db"] for r in readings]
    unexplained = [r["unexplained_db"] for r in readings if r["unexplained_db"] is not None]
    verdicts = [r["verdict"] for r in readings]
    counts = Counts(len(flicker), len(readings) - len(flicker), failed)
    batches = [summarize_batch(values) if values else None for values in (flicker, energy)]
    motion, power = batches
    decided = NAN
    if power is not None:
        verdict = judge_batch(power, motion, enough=counts.enough or not flicker)
        if verdict not in ("too few clips", "not measurable"):
            decided = float(verdict in ("flickers more", "incoherent"))
    return {
        **_endpoint("flicker_db", _median(flicker), None if motion is None else motion.p),
        **_endpoint("energy_db", _median(energy), None if power is None else power.p),
        "unexplained_db": _median(unexplained).estimate,
        "flickers_more": decided,
        "more": verdicts.count("flickers more"),
        "less": verdicts.count("flickers less"),
        "incoherent": verdicts.count("incoherent"),
        "pairs": counts.total,
        "measured": counts.measured,
        "in_step": len(unexplained),
        "not_measurable": counts.not_measurable,
        "failed": failed,
    }


def summarize_sets(
    pred: Sequence[Measurement], ref: Sequence[Measurement], pool: Comparison | None, failed: int
) -> dict[str, float]:
    """Shifts between two sets of clips without correspondence.

    Args:
        pred, ref: of the clips, one or more each.
        pool: all of them together; none where they cannot be pooled.
        failed: clips that could not be measured.
    """
    sides = [[(clip, one.settings) for one in side for clip in one.clips] for side in (pred, ref)]
    levels = [[level for clip in side if (level := _level(*clip)) is not None] for side in sides]
    powers = ([], []) if pool is None else _energy_levels(pool)
    return {
        **_shift("flicker_db", *levels),
        **_shift("energy_db", *powers),
        "preds": len(sides[0]),
        "preds_measured": len(levels[0]),
        "refs": len(sides[1]),
        "refs_measured": len(levels[1]),
        "failed": failed,
    }


def _energy_levels(pool: Comparison) -> tuple[list[float], list[float]]:
    """High-frequency energy of each clip, dB re 1 code^2, of both sides."""
    row, frames = pool.headline, pool.segment
    name = key(row.plane, row.scale)

    def levels(side: Measurement, band: int) -> list[float]:
        series = [clip.readings[frames].series[name][:, band] for clip in side.clips]
        return [_decibels(float(powers.mean()), row.epsilon) for powers in series]

    bands = [
        [band.name for band in transform.bands].index(row.band) for transform in pool.transforms
    ]
    return levels(pool.pred, bands[0]), levels(pool.ref, bands[1])


def _level(clip: Clip, settings: Settings) -> float | None:
    """Flicker of a clip, dB re 1 code^2; infinite where its motion is lost as it is redrawn."""
    motion = clip.motion
    if motion is None:
        return None
    if _is_followed(clip, settings):
        return _decibels(max(motion.flicker, 0.0), FLICKER_EPSILON)
    return math.inf if motion.coarse is not None and motion.coarse.redrawn else None


def _is_followed(clip: Clip, settings: Settings) -> bool:
    """Whether the motion was followed in enough of a clip for its flicker to be relied on."""
    return clip.motion is not None and clip.motion.coverage >= settings.min_coverage


def _decibels(power: float, epsilon: float) -> float:
    return 10 * math.log10(power + epsilon)


def _median(values: Sequence[float]) -> Interval:
    return median_interval(values) if values else Interval(NAN, None, None)


def _shift(name: str, pred: Sequence[float], ref: Sequence[float]) -> dict[str, float]:
    if not (pred and ref):
        return _endpoint(name, Interval(NAN, None, None), None)
    p = mann_whitney_p(pred, ref, alternative="greater")
    return _endpoint(name, hodges_lehmann(pred, ref), p)


def _endpoint(name: str, interval: Interval, p: float | None) -> dict[str, float]:
    return {
        name: interval.estimate,
        f"{name}_low": _number(interval.low),
        f"{name}_high": _number(interval.high),
        f"{name}_p": _number(p),
    }


def _number(value: Any) -> float:
    return NAN if value is None else float(value)
