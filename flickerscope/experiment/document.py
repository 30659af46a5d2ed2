"""An experiment as plain values: what ``experiment.json`` and ``experiment.csv`` hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import torch

from flickerscope import __version__
from flickerscope.experiment.arms import Arm
from flickerscope.experiment.findings import Effect, Finding
from flickerscope.experiment.pooling import MEASURES
from flickerscope.experiment.readings import TRANSFORM, Reading
from flickerscope.experiment.run import Experiment
from flickerscope.experiment.sizes import size_on
from flickerscope.histogram import EDGES
from flickerscope.stats import DELTA_DB, Interval

__all__ = ["FORMAT", "experiment_csv", "experiment_document", "pooled_magnitudes", "pooled_spectra"]

FORMAT: Final = 1
"""Of the document. 1: first."""
EFFECTS: Final = ("change_db", "frame_ratio", "diff_ratio", "error_db", "matched_db")


def experiment_document(result: Experiment) -> dict[str, Any]:
    """All findings and effects with their intervals, pooled spectra and magnitudes."""
    return {
        "format": FORMAT,
        "kind": "experiment",
        "flickerscope": __version__,
        "torch": torch.__version__,
        "device": result.device,
        "sources": list(result.sources),
        "left_out": list(result.left_out),
        "plan": result.plan.to_dict(),
        "networks": asdict(size_on(result.device)) if len(result.plan.parts) > 1 else None,
        "confidence": 0.95,
        "margin_db": DELTA_DB,
        "checks": asdict(result.checks),
        "diverged": [{**asdict(arm), "seed": seed} for arm, seed in result.diverged],
        "measures": dict(MEASURES),
        "findings": [_finding(finding) for finding in result.findings],
        "effects": [_effect(effect) for effect in result.effects],
        "frequencies": TRANSFORM.frequencies.tolist(),
        "magnitude_edges": EDGES.tolist(),
        "pooled": list(_pooled(result)),
    }


def experiment_csv(result: Experiment) -> str:
    """A row for each model, loss and class; every value with the ends of its interval."""
    effects = {(e.arm, e.content): e for e in result.effects}
    names = (*MEASURES, *EFFECTS)
    columns = ["made", "model", "loss", "content", "seeds", "videos", "verdict", "basis", "follows"]
    columns += ["outcome", "pairs", "p"]
    columns += [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for finding in result.findings:
        row: dict[str, Any] = _of(finding.arm, finding.content)
        row |= {
            "seeds": finding.seeds,
            "videos": finding.videos,
            "verdict": finding.verdict,
            "basis": finding.basis,
            "follows": str(finding.follows).lower(),
        }
        values: dict[str, Interval | None] = dict(finding.values)
        effect = effects.get((finding.arm, finding.content))
        if effect is not None:
            row |= {"outcome": effect.outcome, "pairs": effect.seeds, "p": effect.p}
            values |= {name: getattr(effect, name) for name in EFFECTS}
        for name, value in values.items():
            if value is not None:
                ends = {"": value.estimate, "_low": value.low, "_high": value.high}
                row |= {f"{name}{end}": number for end, number in ends.items()}
        writer.writerow({name: "" if value is None else value for name, value in row.items()})
    return text.getvalue()


def pooled_spectra(by_seed: Mapping[int, Sequence[Reading]]) -> dict[str, list[float]]:
    """Mean power in each bin over all clips, code^2; what is not defined everywhere is left out."""
    readings = [reading for of in by_seed.values() for reading in of]
    clips = sum(reading.clips for reading in readings)
    names = [name for name in readings[0].spectra if all(name in r.spectra for r in readings)]
    return {
        name: [
            sum(value * reading.clips for value, reading in zip(values, readings, strict=True))
            / clips
            for values in zip(*(reading.spectra[name] for reading in readings), strict=True)
        ]
        for name in names
    }


def pooled_magnitudes(by_seed: Mapping[int, Sequence[Reading]]) -> list[list[int]]:
    """Pixels of prediction and reference by their power in HF, in the bins of the histogram."""
    readings = [reading for of in by_seed.values() for reading in of]
    return [
        [sum(counts) for counts in zip(*(r.magnitudes[side] for r in readings), strict=True)]
        for side in range(2)
    ]


def _pooled(result: Experiment) -> Iterator[dict[str, Any]]:
    for arm, by_content in result.records.items():
        for content, by_seed in by_content.items():
            pred, ref = pooled_magnitudes(by_seed)
            yield _of(arm, content) | {
                "spectra": pooled_spectra(by_seed),
                "magnitudes": {"pred": pred, "ref": ref},
            }


def _finding(finding: Finding) -> dict[str, Any]:
    return _of(finding.arm, finding.content) | {
        "verdict": finding.verdict,
        "basis": finding.basis,
        "follows": finding.follows,
        "seeds": finding.seeds,
        "videos": finding.videos,
        "values": {name: asdict(value) for name, value in finding.values.items()},
    }


def _effect(effect: Effect) -> dict[str, Any]:
    values = {name: getattr(effect, name) for name in EFFECTS}
    return _of(effect.arm, effect.content) | {
        "outcome": effect.outcome,
        "seeds": effect.seeds,
        "p": effect.p,
        **{name: None if value is None else asdict(value) for name, value in values.items()},
    }


def _of(arm: Arm, content: str) -> dict[str, Any]:
    return {**asdict(arm), "content": content}
