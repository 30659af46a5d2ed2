"""The results of a scan in the layout of VBench, with its temporal flickering."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flickerscope.scan.finding import stem_of
from flickerscope.scan.pairing import INDEXED
from flickerscope.scan.readings import ENERGY, FLICKER

if TYPE_CHECKING:
    from flickerscope.inputs.source import FileOptions

__all__ = ["FOLDER", "find_written", "temporal_flickering", "vbench_texts"]

FOLDER: Final = "vbench"
SUFFIXES: Final = ("_eval_results.json", "_full_info.json")
THEIRS: Final = "temporal_flickering"
OURS: Final = {"flickerscope_flicker_db": FLICKER, "flickerscope_energy_db": ENERGY}
"""Dimensions beside VBench's own: which reading they are, an excess or the level of a clip without
a reference, dB."""


def temporal_flickering(path: str, options: FileOptions, threads: int) -> float:
    """``(255 - mean |x_t - x_(t-1)|)/255`` over the RGB samples: 1 is a still, less is worse.

    Motion lowers it as flicker does. Raises `InputError`.
    """
    from flickerscope.video.difference import mean_difference

    return (255 - mean_difference(path, threads=threads, options=options)[0]) / 255


def vbench_texts(
    records: Iterable[Mapping[str, Any]], readings: Callable[[Mapping[str, Any]], dict[str, float]]
) -> dict[str, str]:
    """Texts of the files by their names below the results' folder, two a model; none where nothing
    was measured for VBench. ``readings``: of a record by name, dB.

    ``{model}_eval_results.json`` holds ``{dimension: [mean, [{video_path, video_results}]]}``, and
    ``{model}_full_info.json`` the prompt of every video. A mean is over the videos that are listed:
    those that have a reading.
    """
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    prompts: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if record.get(FOLDER) is None:
            continue
        path, known = record.get("pred") or record["path"], readings(record)
        values = {THEIRS: record[FOLDER][THEIRS]}
        values |= {name: known.get(reading) for name, reading in OURS.items()}
        by_name = rows.setdefault(record["model"], {name: [] for name in values})
        for name, value in values.items():
            if value is not None:
                by_name[name].append({"video_path": path, "video_results": value})
        prompts.setdefault(record["model"], []).append(
            {"prompt_en": _prompt(record), "dimension": [THEIRS], "video_list": [path]}
        )
    names, texts = _file_names(rows), {}
    for model, by_name in rows.items():
        results = {
            name: [sum(row["video_results"] for row in found) / len(found), found]
            for name, found in by_name.items()
            if found
        }
        # The results come last to be staged, and first to be there: they tell that both are ours.
        for suffix, content in zip(SUFFIXES[::-1], (prompts[model], results), strict=True):
            text = json.dumps(content, indent=4, allow_nan=False) + "\n"
            texts[f"{FOLDER}/{names[model]}{suffix}"] = text
    return texts


def find_written(folder: Path) -> Iterator[str]:
    """Names below the results' folder of what an earlier run wrote for VBench, not of what others
    put there.
    """
    results, info = SUFFIXES
    for file in sorted((folder / FOLDER).glob(f"*{results}")):
        if _is_ours(file):  # which the file of its prompts does not tell: that goes first
            yield f"{FOLDER}/{file.name.removesuffix(results)}{info}"
            yield f"{FOLDER}/{file.name}"


def _is_ours(file: Path) -> bool:
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(plain, dict) and not plain.keys().isdisjoint(OURS)


def _prompt(record: Mapping[str, Any]) -> str:
    """As VBench reads it off the name: without the index of the seed."""
    folder, slash, name = record["name"].rpartition("/")
    if record["prompt"] is not None:
        return str(record["prompt"]).removeprefix(f"{folder}{slash}")
    stem = stem_of(name)
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
