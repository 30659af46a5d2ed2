"""How two sets of clips without correspondence differ: the statistics, with their denominators."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from flickerscope import __version__
from flickerscope.report.strict import fold_infinite
from flickerscope.scan.citation import shared_citation
from flickerscope.scan.columns import ClipColumns
from flickerscope.scan.gather import Exhibit, Worst
from flickerscope.scan.pooled import Pooled
from flickerscope.scan.readings import ALONG_MOTION, ENERGY, FLICKER
from flickerscope.scan.summary import counts_content, pooled_content, ranked
from flickerscope.settings import Settings
from flickerscope.stats import (
    Batch,
    BatchVerdict,
    hodges_lehmann,
    holm,
    judge_batch,
    mann_whitney_p,
    median_interval,
    summarize_shift,
)

__all__ = ["REFERENCE", "Sets", "gather_sets", "summarize_sets"]

FORMAT: Final = 1
"""Of the summary. 1: first."""
KIND: Final = "unpaired scan"
REFERENCE: Final = "references"
"""Stands for the set that all models are held against."""


@dataclass(slots=True)
class ClipSet(ClipColumns):
    """Levels of the clips of one set, ``10 log10(P + eps)`` in dB re 1 code^2; infinite for the
    flicker of incoherent ones.
    """

    pooled: Pooled = field(default_factory=Pooled)

    def add(self, record: Mapping[str, Any]) -> None:
        """Take one more clip."""
        values: dict[str, float] = {}
        if record["status"] == "measured":
            values = dict(levels_of(record))
            if is_incoherent(record):
                values[FLICKER] = math.inf
            self.pooled.add(
                record["spectrum"], "video", record["histogram"],
                rate=record["input"]["measured_rate"], latent=bool(record["deviation"]),
            )  # fmt: skip
        self.keep(record, values)


@dataclass(slots=True)
class Sets:
    """All that the summary and the figure show."""

    models: dict[str, ClipSet] = field(default_factory=dict)
    reference: ClipSet = field(default_factory=lambda: ClipSet(REFERENCE))
    worst: Worst = field(default_factory=Worst)
    troubles: list[dict[str, Any]] = field(default_factory=list)
    place: dict[str, str] | None = None
    citations: dict[str, None] = field(default_factory=dict)
    """How clips were measured, in a line, each line once."""
    rates: set[float | None] = field(default_factory=set)


def gather_sets(records: Iterable[Mapping[str, Any]]) -> Sets:
    """Go once through the records of all clips."""
    found = Sets()
    for record in records:
        if record["role"] == "ref":
            found.reference.add(record)
        else:
            found.models.setdefault(record["model"], ClipSet(record["model"])).add(record)
        named = {name: record[name] for name in ("model", "name", "path")}
        if record["status"] != "measured":
            found.troubles.append(
                named | {"status": record["status"], "reason": record["reason"]}
            )  # fmt: skip
            continue
        found.citations[record["citation"]] = None
        found.rates.add(record["input"]["measured_rate"])
        if found.place is None:
            names = ("plane", "scale", "band")
            found.place = {name: record["energy"][name] for name in names}
        if record["role"] == "pred":
            found.worst.add(_exhibit(named, record))
    return found


def _exhibit(named: Mapping[str, Any], record: Mapping[str, Any]) -> Exhibit:
    levels, incoherent = dict(levels_of(record)), is_incoherent(record)
    clip = {
        **named,
        "flicker_db": levels.get(FLICKER),
        "energy_db": levels[ENERGY],
        "verdict": "incoherent" if incoherent else "",
    }
    place = math.inf if incoherent else levels.get(FLICKER, -math.inf)
    return Exhibit(clip, (place, levels[ENERGY]), record["thumbnail"], record["motion_map"])


def is_incoherent(record: Mapping[str, Any]) -> bool:
    """Whether the pictures of a measured clip are drawn anew, so that no motion can be followed."""
    motion = record["motion"]["video"]
    return motion is not None and record["headline"]["value"] is None and bool(motion["redrawn"])


def levels_of(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Readings of a measured clip in dB re 1 code^2, with what rounding or noise adds to them."""
    from flickerscope.comparison.excess import FLICKER_EPSILON  # loads torch

    motion, energy, epsilons = record["motion"]["video"], record["energy"], record["epsilons"]
    if motion is not None and record["headline"]["value"] is not None:
        yield FLICKER, _level(motion["flicker"], FLICKER_EPSILON)
        for name in ALONG_MOTION:
            if name != "texture" and motion[name] is not None:
                yield name, _level(motion[name], FLICKER_EPSILON)
    yield ENERGY, _level(energy["power"], epsilons[energy["band"]])
    main = energy["plane"], energy["scale"], energy["band"]
    for row in record["results"]:
        place = row["plane"], row["scale"], row["band"]
        if place != main:
            yield "energy " + "/".join(place), _level(row["power"], epsilons[row["band"]])


def _level(power: float, epsilon: float) -> float:
    return 10 * math.log10(max(max(power, 0.0) + epsilon, 1e-12))


def summarize_sets(sets: Sets, settings: Settings) -> dict[str, Any]:
    """The summary as plain values: what ``summary.json`` holds.

    Args:
        sets: from the records of every clip.
        settings: of the scan, with its segment length.
    """
    counts = sum((model.counts() for model in sets.models.values()), sets.reference.counts())
    along = bool(sets.reference.units(FLICKER)) and any(
        model.units(FLICKER) for model in sets.models.values()
    )
    models = [_model(model, sets.reference, along) for model in sets.models.values()]
    pooled = {name: model.pooled for name, model in sets.models.items() if model.pooled.counts}
    return {
        "format": FORMAT,
        "kind": KIND,
        "version": __version__,
        "settings": settings.to_dict(),
        "citation": shared_citation(sets.citations),
        "segment": settings.segment,
        "primary": FLICKER if along else ENERGY,
        "clips": counts_content(counts),
        "reference": _side(sets.reference),
        "models": ranked(models, "flicker" if along else "energy", "shift"),
        "worst": sets.worst.clips,
        "not_measured": sets.troubles,
        "warnings": _warnings(sets),
        "pooled": pooled_content(pooled, sets.reference.pooled, sets.place),
    }


def _side(side: ClipSet) -> dict[str, Any]:
    """A set by itself: denominators, and the median level."""
    rows = (("flicker", FLICKER), ("energy", ENERGY))
    return {"clips": counts_content(side.counts()), "incoherent": side.beyond(FLICKER)} | {
        label: {"clips": counts_content(side.counts(name))}
        | fold_infinite({"median_level": _median(side, name)})
        for label, name in rows
    }


def _median(side: ClipSet, name: str) -> float | None:
    units = side.units(name)
    return median_interval(units).estimate if units else None


def _warnings(sets: Sets) -> list[str]:
    if len(sets.rates) > 1:
        texts = sorted("unknown" if rate is None else f"{rate:.5g}" for rate in sets.rates)
        text = (
            f"the clips have different frame rates ({', '.join(texts)} frames/s): their readings "
            "are by the frame; --bands hz compares the same frequencies"
        )
        return [text]
    return []


def _model(model: ClipSet, reference: ClipSet, along: bool) -> dict[str, Any]:
    flicker, energy = (_shift(model, reference, name) for name in (FLICKER, ENERGY))
    enough = _enough(model, reference, FLICKER) or not along
    verdict: BatchVerdict = "too few clips"
    if energy is not None:
        verdict = judge_batch(energy, flicker, enough=enough)
    return {
        "model": model.name,
        "verdict": verdict,
        "clips": counts_content(model.counts()),
        "incoherent": model.beyond(FLICKER),
        "flicker": _endpoint(model, reference, FLICKER, flicker),
        "energy": _endpoint(model, reference, ENERGY, energy),
        "secondary": _secondary(model, reference),
    }


def _enough(model: ClipSet, reference: ClipSet, name: str) -> bool:
    """Whether a shift says something: half of the clips of either set have a reading."""
    return model.counts(name).enough and reference.counts(name).enough


def _shift(model: ClipSet, reference: ClipSet, name: str) -> Batch | None:
    ours, theirs = model.units(name), reference.units(name)
    return summarize_shift(ours, theirs) if ours and theirs else None


def _endpoint(model: ClipSet, reference: ClipSet, name: str, batch: Batch | None) -> dict[str, Any]:
    head = {
        "name": name,
        "unit": "dB",
        "higher_is_better": False,
        "clips": counts_content(model.counts(name)),
        "enough": _enough(model, reference, name),
        "incoherent": model.beyond(name),
        "units": len(model.units(name)),
        "reference_units": len(reference.units(name)),
    }
    level = {"median_level": _median(model, name)}
    if batch is None:
        empty = dict.fromkeys(("shift", "low", "high", "p", "lower_bound", "above"))
        found = level | empty | {"higher": False, "materially_higher": False}
        return head | fold_infinite(found)
    numbers = level | {
        "shift": batch.centre.estimate,
        "low": batch.centre.low,
        "high": batch.centre.high,
        "p": batch.p,
        "lower_bound": batch.lower_bound,
        "above": _above(model.units(name), reference.units(name)),
        "higher": batch.higher,
        "materially_higher": batch.materially_higher,
    }
    return head | fold_infinite(numbers)


def _above(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Probability that a clip of the model lies above one of the references; ties count half."""
    ordered = np.sort(theirs)
    below = np.searchsorted(ordered, ours, "left") + np.searchsorted(ordered, ours, "right")
    return float(below.sum() / (2 * len(ours) * len(theirs)))


def _secondary(model: ClipSet, reference: ClipSet) -> list[dict[str, Any]]:
    """All other readings, two-sided, adjusted for their number."""
    rows: list[dict[str, Any]] = []
    for name in model.columns:
        ours, theirs = model.units(name), reference.units(name)
        if name in (FLICKER, ENERGY) or not ours or not theirs:
            continue
        interval = hodges_lehmann(ours, theirs)
        head = {
            "name": name,
            "clips": counts_content(model.counts(name)),
            "units": len(ours),
            "reference_units": len(theirs),
        }
        numbers = {
            "shift": interval.estimate,
            "low": interval.low,
            "high": interval.high,
            "p": mann_whitney_p(ours, theirs),
        }
        rows.append(head | fold_infinite(numbers))
    adjusted = holm([row["p"] for row in rows])
    return [row | {"p_holm": p} for row, p in zip(rows, adjusted, strict=True)]
