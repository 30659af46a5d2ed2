"""What all clips of a scan show together: the statistics, with the denominators of each."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from itertools import combinations
from typing import Any, Final

from flickerscope import __version__
from flickerscope.report.strict import fold_infinite, unfold_infinite
from flickerscope.scan.calibration import calibrate
from flickerscope.scan.citation import shared_citation
from flickerscope.scan.gather import Gathered
from flickerscope.scan.pairing import Unpaired, few_units
from flickerscope.scan.pooled import Pooled
from flickerscope.scan.readings import ENERGY, FLICKER, ModelReadings, Reference
from flickerscope.settings import Settings
from flickerscope.stats import (
    Batch,
    BatchVerdict,
    Counts,
    average_within,
    holm,
    judge_batch,
    median_interval,
    signed_rank_p,
    summarize_batch,
    units_of,
)

__all__ = ["FORMAT", "counts_content", "pooled_content", "ranked", "schema", "summarize"]

FORMAT: Final = 1
"""Of the summary. 1: first."""
KIND: Final = "scan"


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of the summaries and of the records of both kinds of scan."""
    text = resources.files(__package__).joinpath("schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def summarize(
    gathered: Gathered,
    settings: Settings,
    *,
    unpaired: Sequence[Unpaired] = (),
    calibration: bool = False,
) -> dict[str, Any]:
    """The summary as plain values: what ``summary.json`` holds.

    Args:
        gathered: from the records of every pair.
        settings: of the scan, with its segment length.
        unpaired: files that are in no pair, and were left out.
        calibration: say what the same statistic is between references.
    """
    left_out: Counter[tuple[str, str]] = Counter((file.model, file.role) for file in unpaired)
    models = gathered.models
    counts = sum((model.counts() for model in models.values()), Counts(0, 0, 0))
    along = any(model.counts(FLICKER).measured for model in models.values())
    primary = FLICKER if along else ENERGY
    summaries = [_model(model, along, left_out) for model in models.values()]
    return {
        "format": FORMAT,
        "kind": KIND,
        "version": __version__,
        "settings": settings.to_dict(),
        "citation": shared_citation(line for model in models.values() for line in model.citations),
        "segment": settings.segment,
        "primary": primary,
        "clips": counts_content(counts),
        "models": ranked(summaries, "flicker" if along else "energy"),
        "differences": [
            row for name in (FLICKER, ENERGY) for row in _differences(list(models.values()), name)
        ],
        "calibration": _calibration(gathered.references.values()) if calibration else None,
        "worst": gathered.worst.clips,
        "not_measured": gathered.troubles,
        "unpaired": [str(file) for file in unpaired],
        "warnings": [
            text for m in models.values() for text in few_units(m.name, m.prompts, m.refs)
        ],
        "pooled": pooled_content(gathered.pooled, gathered.reference, gathered.place),
    }


def pooled_content(
    models: Mapping[str, Pooled], reference: Pooled, place: Mapping[str, str] | None
) -> dict[str, Any]:
    """Mean spectra, and histograms of the cells' power in the headline's band (``place``)."""
    from flickerscope.histogram import EDGES  # loads torch

    sides = [*models.values(), reference]
    rates = {rate for side in sides if side.clips for rate in side.rates or (None,)}
    return {
        "place": place,
        "frequency": reference.frequency,
        "frames_per_second": rates.pop() if len(rates) == 1 else None,
        "edges_power": EDGES.tolist(),
        "models": {name: side.to_dict() for name, side in models.items()},
        "reference": reference.to_dict(),
    }


def counts_content(counts: Counts) -> dict[str, Any]:
    """Denominators as plain values."""
    return {"total": counts.total} | asdict(counts) | {"text": str(counts)}


def _model(
    model: ModelReadings, along: bool, left_out: Mapping[tuple[str, str], int]
) -> dict[str, Any]:
    flicker, energy = _batch(model, FLICKER), _batch(model, ENERGY)
    enough = model.counts(FLICKER).enough or not along
    verdict: BatchVerdict = "too few clips"
    if energy is not None:
        verdict = judge_batch(energy, flicker, enough=enough)
    return {
        "model": model.name,
        "verdict": verdict,
        "clips": counts_content(model.counts()),
        "missing": left_out[model.name, "ref"],
        "unmatched": left_out[model.name, "pred"],
        "verdicts": dict(sorted(model.verdicts.items())),
        "flicker": _endpoint(model, FLICKER, flicker),
        "energy": _endpoint(model, ENERGY, energy),
        "secondary": _secondary(model),
    }


def _batch(model: ModelReadings, name: str) -> Batch | None:
    units = model.units(name)
    return summarize_batch(units) if units else None


def _endpoint(model: ModelReadings, name: str, batch: Batch | None) -> dict[str, Any]:
    head = {
        "name": name,
        "unit": "dB",
        "higher_is_better": False,
        "clips": counts_content(model.counts(name)),
        "enough": model.counts(name).enough,
        "incoherent": model.beyond(name),
        "units": 0 if batch is None else batch.units,
    }
    if batch is None:
        empty = dict.fromkeys(("median", "low", "high", "p", "lower_bound"))
        return head | fold_infinite(empty | {"higher": False, "materially_higher": False})
    numbers = {
        "median": batch.centre.estimate,
        "low": batch.centre.low,
        "high": batch.centre.high,
        "p": batch.p,
        "lower_bound": batch.lower_bound,
        "higher": batch.higher,
        "materially_higher": batch.materially_higher,
    }
    return head | fold_infinite(numbers)


def _secondary(model: ModelReadings) -> list[dict[str, Any]]:
    """All other excesses, two-sided, adjusted for their number."""
    rows = []
    for name in model.columns:
        if name in (FLICKER, ENERGY):
            continue
        units = model.units(name)
        if units:
            rows.append(
                {"name": name, "clips": counts_content(model.counts(name))} | _two_sided(units)
            )
    return _adjusted(rows)


def _two_sided(units: Sequence[float]) -> dict[str, Any]:
    interval = median_interval(units)
    numbers = {
        "units": len(units),
        "median": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "p": signed_rank_p(units, alternative="two-sided"),
    }
    return fold_infinite(numbers)


def _adjusted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With Holm's adjustment of the p-values."""
    adjusted = holm([row["p"] for row in rows])
    return [row | {"p_holm": p} for row, p in zip(rows, adjusted, strict=True)]


def ranked(models: list[dict[str, Any]], primary: str, by: str = "median") -> list[dict[str, Any]]:
    """From the least flicker to the most; then the incoherent ones by how many of their clips
    are, and last those of too few of whose clips there is a reading.
    """

    def place(model: dict[str, Any]) -> tuple[int, float]:
        row = unfold_infinite(model[primary])
        if row[by] is None or not row["enough"]:
            return 2, 0.0
        if row[by] == math.inf:
            return 1, row["incoherent"] / row["clips"]["measured"]
        return 0, row[by]

    return [{"rank": rank} | model for rank, model in enumerate(sorted(models, key=place), 1)]


@dataclass(slots=True)
class _OfReference:
    """The clips of a model that are held against one reference."""

    values: list[float] = field(default_factory=list)
    prompts: list[str | None] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)


def _differences(models: list[ModelReadings], name: str) -> list[dict[str, Any]]:
    """Every model against every other over the references that both were held against.

    Holm's adjustment is over all of them.
    """
    rows = []
    readings = [_by_reference(model, name) for model in models]
    for (one, ours), (other, theirs) in combinations(zip(models, readings, strict=True), 2):
        common = [ref for ref in ours if ref in theirs]
        if not common:
            continue
        head = {"name": name, "model": one.name, "against": other.name, "references": len(common)}
        rows.append(head | _two_sided(_between(ours, theirs, common)))
    return _adjusted(rows)


def _between(
    ours: Mapping[str, _OfReference], theirs: Mapping[str, _OfReference], common: Sequence[str]
) -> list[float]:
    """Differences between two models by unit; units that are infinite for both do not differ."""
    linked = [
        (ref, prompt)
        for ref in common
        for prompt in dict.fromkeys((*ours[ref].prompts, *theirs[ref].prompts))
    ]
    refs, prompts = zip(*linked, strict=True)
    unit_of = dict(zip(refs, units_of(refs, prompts), strict=True))
    units = [unit_of[ref] for ref in common]
    means = [average_within([side[ref].mean for ref in common], units) for side in (ours, theirs)]
    return [0.0 if a == b else float(a - b) for a, b in zip(*means, strict=True)]


def _by_reference(model: ModelReadings, name: str) -> dict[str, _OfReference]:
    found: dict[str, _OfReference] = {}
    rows = zip(model.refs, model.prompts, model.column(name).tolist(), strict=True)
    for ref, prompt, value in rows:
        if not math.isnan(value):
            one = found.setdefault(ref, _OfReference())
            one.values.append(value)
            one.prompts.append(prompt)
    return found


def _calibration(references: Iterable[Reference]) -> list[dict[str, Any]]:
    from flickerscope.comparison.excess import FLICKER_EPSILON  # loads torch

    kept = list(references)
    flicker = [ref.flicker for ref in kept if ref.flicker is not None]
    rows = {
        FLICKER: calibrate(flicker, [FLICKER_EPSILON] * len(flicker)),
        ENERGY: calibrate([ref.power for ref in kept], [ref.epsilon for ref in kept]),
    }
    return [{"name": name} | asdict(row) for name, row in rows.items() if row is not None]
