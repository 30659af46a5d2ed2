"""The results of a scan in the layout of VBench, with its temporal flickering."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flickerscope.scan.finding import stem_of
from flickerscope.scan.pairing import INDEXED

if TYPE_CHECKING:
    from flickerscope.inputs.source import FileOptions

__all__ = ["FOLDER", "find_stale", "temporal_flickering", "vbench_files"]

FOLDER: Final = "vbench"
SUFFIXES: Final = ("_eval_results.json", "_full_info.json")
THEIRS: Final = "temporal_flickering"
OURS: Final = {"flickerscope_flicker_db": "headline", "flickerscope_energy_db": "energy"}
"""Dimensions beside VBench's own: which part of a record has their value."""


def temporal_flickering(path: str, options: FileOptions, threads: int) -> float:
    """``(255 - mean |x_t - x_(t-1)|)/255`` over the RGB samples: 1 is a still, less is worse.

    Motion lowers it as flicker does. Raises `InputError`.
    """
    from flickerscope.video.difference import mean_difference

    return (255 - mean_difference(path, threads=threads, options=options)[0]) / 255


def vbench_files(records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Names and texts of the files, two a model; none where nothing was measured for VBench.

    ``{model}_eval_results.json`` holds ``{dimension: [mean, [{video_path, video_results}]]}``, and
    ``{model}_full_info.json`` the prompt of every video. A mean is over the videos that are listed:
    those that have a reading.
    """
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    prompts: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if record.get(FOLDER) is None:
            continue
        values = {THEIRS: record[FOLDER][THEIRS]} | {
            name: record[part]["value"] for name, part in OURS.items()
        }
        by_name = rows.setdefault(record["model"], {name: [] for name in values})
        for name, value in values.items():
            if value is not None:
                by_name[name].append({"video_path": record["pred"], "video_results": value})
        prompts.setdefault(record["model"], []).append(
            {"prompt_en": _prompt(record), "dimension": [THEIRS], "video_list": [record["pred"]]}
        )
    names = _file_names(rows)
    for model, by_name in rows.items():
        results = {
            name: [sum(row["video_results"] for row in found) / len(found), found]
            for name, found in by_name.items()
            if found
        }
        for suffix, content in zip(SUFFIXES, (results, prompts[model]), strict=True):
            yield f"{names[model]}{suffix}", json.dumps(content, indent=4, allow_nan=False) + "\n"


def find_stale(folder: Path) -> Iterator[str]:
    """Names below the results' folder of what an earlier run wrote for VBench."""
    for suffix in SUFFIXES:
        yield from (f"{FOLDER}/{file.name}" for file in (folder / FOLDER).glob(f"*{suffix}"))


def _prompt(record: Mapping[str, Any]) -> str:
    """As VBench reads it off the name: without the index of the seed."""
    if record["prompt"] is not None:
        return str(record["prompt"])
    stem = stem_of(record["name"]).rpartition("/")[2]
    found = INDEXED.fullmatch(stem)
    return stem if found is None else found["prompt"]


def _file_names(models: Iterable[str]) -> dict[str, str]:
    """Names that every file system takes, one a model."""
    names: dict[str, str] = {}
    for model in models:
        plain = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", model).strip(". ") or "model"
        number = 2
        while plain in names.values():
            plain = f"{plain}_{number}"
            number += 1
        names[model] = plain
    return names
