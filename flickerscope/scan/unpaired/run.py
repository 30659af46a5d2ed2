"""Runs a scan of sets without correspondence: clips into a journal, and from it the results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from flickerscope import __version__
from flickerscope.errors import SettingsError
from flickerscope.report.cells import safe_name, safe_text
from flickerscope.scan.finding import find_videos, stem_of
from flickerscope.scan.job import Choices, Result
from flickerscope.scan.journal import fingerprint, read_records
from flickerscope.scan.ledger import Engine, Group, Progress, identities_of, open_ledger
from flickerscope.scan.pairing import INDEXED, few_units
from flickerscope.scan.readings import ENERGY, FLICKER, column_of
from flickerscope.scan.remote import join
from flickerscope.scan.run import with_segment, write_files
from flickerscope.scan.sets import Saved
from flickerscope.scan.table import table_of
from flickerscope.scan.unpaired.content import LoneJob, run_lone
from flickerscope.scan.unpaired.summary import (
    REFERENCE,
    gather_sets,
    levels_of,
    summarize_sets,
)
from flickerscope.scan.vbench import vbench_texts

__all__ = ["LoneClip", "find_clips", "run_unpaired"]

RECORD_FORMAT: Final = 1
IDENTITY: Final = ("role", "model", "name", "prompt", "path", "status", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoneClip:
    """A clip of one of the sets."""

    role: str
    """``pred`` or ``ref``."""
    model: str
    name: str
    path: str
    prompt: str | None
    """What the seeds of one prompt have in common; ``None``: the clip stands for itself."""


def find_clips(
    models: Mapping[str, str],
    ref: str,
    *,
    saved: Iterable[Saved] | None = None,
    seeds: bool = True,
) -> list[LoneClip]:
    """All clips of the models' folders and of the references, which come first.

    Args:
        models: folder by name.
        ref: folder, or the file of a set.
        saved: what that set holds.
        seeds: predictions of the names ``{prompt}-{index}`` are seeds of one prompt.

    Raises:
        InputError: a folder holds no videos.
        SettingsError: a folder is on both sides, or a model has the name of the references.
    """
    if REFERENCE in models:
        raise SettingsError(
            f"{models[REFERENCE]}: {REFERENCE!r} is the name of the other set; give the model "
            f"another one by --pred NAME={models[REFERENCE]}"
        )
    names = find_videos(ref) if saved is None else [clip.name for clip in saved]
    clips = [_clip("ref", REFERENCE, ref, name, seeds=False) for name in names]
    for model, folder in models.items():
        if os.path.realpath(folder) == os.path.realpath(ref):
            raise SettingsError(f"{folder}: is both the predictions' and the references' folder")
        clips += [_clip("pred", model, folder, name, seeds=seeds) for name in find_videos(folder)]
    return clips


def _clip(role: str, model: str, folder: str, name: str, *, seeds: bool) -> LoneClip:
    found = INDEXED.fullmatch(stem_of(name)) if seeds else None
    return LoneClip(
        role=role,
        model=model,
        name=name,
        path=join(folder, name),
        prompt=None if found is None else found["prompt"],
    )


def run_unpaired(
    clips: Sequence[LoneClip],
    out: str | os.PathLike[str],
    *,
    choices: Choices,
    engine: Engine,
    devices: Sequence[str] = ("cpu",),
    saved: Mapping[str, Saved] | None = None,
    figure: bool = False,
    parquet: bool = False,
    overwrite: bool = False,
    retry_failed: bool = False,
    work: Callable[[LoneJob], Iterable[Result]] = run_lone,
    progress: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Measure all clips and write the results into a folder; returns the summary.

    As `flickerscope.scan.run.run_scan`, which see for the arguments and the errors: an earlier run
    is gone on with, and the results are the same byte for byte.
    """
    saved = saved or {}
    choices = with_segment([(clip.path, clip.path) for clip in clips], choices, engine, saved)
    heads = [
        {name: getattr(clip, name) for name in ("role", "model", "name", "path", "prompt")}
        for clip in clips
    ]
    shared = fingerprint("unpaired", RECORD_FORMAT, __version__, choices.to_dict())
    identities = identities_of(clip.path for clip in clips if clip.path not in saved)
    identities |= {path: fingerprint(one.text) for path, one in saved.items()}
    keys = [
        fingerprint(shared, head, identities[clip.path])
        for clip, head in zip(clips, heads, strict=True)
    ]

    def job_of(number: int, group: Group) -> LoneJob:
        path, role = clips[group[0]].path, clips[group[0]].role
        return LoneJob(
            path=path,
            choices=choices if role == "pred" else replace(choices, vbench=False),
            device=devices[number % len(devices)],
            saved=saved[path].text if path in saved else None,
        )

    with open_ledger(
        out, heads, keys, overwrite=overwrite, retry_failed=retry_failed, progress=progress
    ) as ledger:
        ledger.run(engine, work, [(i,) for i in ledger.missing], job_of)
        records = ledger.finish()
        read = partial(read_records, records)
        sets = gather_sets(read())
        summary = summarize_sets(sets, choices.settings)
        for model, one in sets.models.items():
            summary["warnings"] += few_units(model, one.prompts, [None] * len(one.prompts))

        def draw() -> bytes:
            from flickerscope.scan.drawing import draw_sets  # loads matplotlib

            return draw_sets(sets, summary)

        table = table_of(read, _row, (*IDENTITY, column_of(FLICKER), column_of(ENERGY)))
        write_files(
            records, summary, table, draw if figure else None, parquet=parquet,
            further=vbench_texts(read(), lambda record: dict(levels_of(record))),
        )  # fmt: skip
        return summary


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A clip: levels in dB re 1 code^2."""
    row = {name: record[name] for name in IDENTITY}
    row |= {name: safe_name(row[name]) for name in ("name", "path")}
    row |= {name: safe_text(row[name]) for name in ("model", "prompt", "reason")}
    if record["status"] != "measured":
        return row
    for name, value in levels_of(record):
        row[column_of(name)] = value
    if record.get("vbench") is not None:
        row["vbench_temporal_flickering"] = record["vbench"]["temporal_flickering"]
    motion, side = record["motion"]["video"] or {}, record["input"]
    row |= {name: motion.get(name) for name in ("flicker", "coverage", "area", "speed")}
    return row | {
        "power": record["energy"]["power"],
        "frames": side["frames_measured"],
        "rate": side["measured_rate"],
        "segment": record["segment"],
        "warnings": "; ".join(record["warnings"]),
    }
