"""Holds a scan against a limit that must not be passed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import Any

from flickerscope.comparison.gate import find_breach
from flickerscope.comparison.judge import Ruling
from flickerscope.report.strict import unfold_infinite
from flickerscope.scan.readings import ENERGY, FLICKER, collect
from flickerscope.stats import Counts

__all__ = ["find_breaches", "find_shifts_above"]

Records = Iterable[Mapping[str, Any]]


def find_breaches(
    records: Records, *, limit: float, on: str, gate: str, allow_unmeasured: bool
) -> Iterator[str]:
    """Why models (``on`` *median*) or clips (*any*) fail a limit, a sentence each.

    Args:
        records: of all pairs.
        limit: dB.
        on: ``median``: of a model, as in the summary, where units that are incoherent lie above
            any limit; ``any``: every clip by itself, as `flickerscope compare` does.
        gate: what the limit is set on: ``motion``, ``energy``, or ``verdict``: the number that the
            models are ranked by, or that the verdict of a clip rests on.
        allow_unmeasured: let pass what is not measurable: a clip, or a model of whose clips less
            than half are.
    """
    if on == "any":
        yield from _of_clips(records, limit, gate, allow_unmeasured)
    else:
        yield from _of_models(records, limit, gate, allow_unmeasured)


def find_shifts_above(
    summary: Mapping[str, Any], *, limit: float, gate: str, allow_unmeasured: bool
) -> Iterator[str]:
    """Why models whose clips have no pairs fail a limit (dB) on their shift, a sentence each."""
    name = "flicker"
    if gate == "energy" or (gate == "verdict" and summary["primary"] == ENERGY):
        name = "energy"
    theirs = _counts(summary["reference"][name]["clips"]).share
    for model in summary["models"]:
        row = unfold_infinite(model[name])
        share = f"{_counts(row['clips']).share} clips"
        if row["shift"] is None or not row["enough"]:
            if not allow_unmeasured:
                both = f"{share} and {theirs} references"
                yield f"{model['model']}: not measurable: {both} have a reading"
        elif row["shift"] > limit:
            size = _above(row["name"], row["shift"], limit)
            yield f"{model['model']}: shift of {share}: {size}"


def _counts(plain: Mapping[str, int]) -> Counts:
    return Counts(plain["measured"], plain["not_measurable"], plain["failed"])


def _of_clips(records: Records, limit: float, gate: str, allow_unmeasured: bool) -> Iterator[str]:
    for record in records:
        name = f"{record['model']}: {record['name']}"
        if record["status"] == "not measurable" and not allow_unmeasured:
            yield f"{name}: {record['reason']}"
        if record["status"] != "measured":
            continue
        breach = find_breach(
            _ruling(record), record["energy"]["value"], record["headline"]["value"],
            limit=limit, gate=gate, allow_unmeasured=allow_unmeasured,
        )  # fmt: skip
        if breach is not None:
            yield f"{name}: {breach}"


def _of_models(records: Records, limit: float, gate: str, allow_unmeasured: bool) -> Iterator[str]:
    models, _ = collect(records)
    along = gate == "motion" or any(model.counts(FLICKER).measured for model in models.values())
    name = ENERGY if gate == "energy" or not along else FLICKER
    for model in models.values():
        counts = model.counts(name)
        share = f"{counts.share} clips"
        if not counts.enough:
            if not allow_unmeasured:
                yield f"{model.name}: not measurable: {share} have a reading"
            continue
        units = model.units(name)
        if units and (middle := median(units)) > limit:
            yield f"{model.name}: median over {share}: {_above(name, middle, limit)}"


def _above(name: str, value: float, limit: float) -> str:
    size = "incoherent" if math.isinf(value) else f"{name} {value:+.3g} dB"
    return f"{size}, above the limit of {limit:g}"


def _ruling(record: Mapping[str, Any]) -> Ruling:
    verdict = record["verdict"]
    return Ruling(verdict["text"], verdict["basis"], verdict["ground"], verdict["value_db"])
