"""Prepares the figure of a scan from what was gathered of its records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from flickerscope.report.overview.content import ENDPOINTS, Overview, Picture
from flickerscope.report.overview.page import overview_png
from flickerscope.report.strict import unfold_infinite
from flickerscope.scan.columns import ClipColumns
from flickerscope.scan.gather import Exhibit, Gathered
from flickerscope.scan.thumbnail import open_thumbnail
from flickerscope.scan.unpaired.summary import Sets

__all__ = ["draw_scan", "draw_sets", "overview_of", "overview_of_sets"]


def draw_scan(gathered: Gathered, summary: Mapping[str, Any]) -> bytes:
    """The figure as PNG; nothing in it depends on clock or machine."""
    return overview_png(overview_of(gathered, summary))


def overview_of(gathered: Gathered, summary: Mapping[str, Any]) -> Overview:
    """What the figure shows."""
    return Overview(
        summary={**summary, "models": [_unfolded(model) for model in summary["models"]]},
        readings={name: _readings(model) for name, model in gathered.models.items()},
        pictures=[_picture(one) for one in gathered.worst.exhibits],
        citation=summary["citation"] or f"flickerscope {summary['version']}",
    )


def draw_sets(sets: Sets, summary: Mapping[str, Any]) -> bytes:
    """The figure of a scan of sets without correspondence."""
    return overview_png(overview_of_sets(sets, summary))


def overview_of_sets(sets: Sets, summary: Mapping[str, Any]) -> Overview:
    """What it shows: shifts in the place of excesses, and the readings of the references too."""
    every = sets.models | {sets.reference.name: sets.reference}
    return Overview(
        summary={**summary, "models": [_against(model) for model in summary["models"]]},
        readings={name: _readings(one) for name, one in every.items()},
        pictures=[_picture(one) for one in sets.worst.exhibits],
        citation=summary["citation"] or f"flickerscope {summary['version']}",
        reference={"model": sets.reference.name, **summary["reference"]},
    )


def _unfolded(model: Mapping[str, Any]) -> dict[str, Any]:
    """With infinite numbers as they are."""
    return {**model, **{name: unfold_infinite(model[name]) for name in ENDPOINTS}}


def _against(model: Mapping[str, Any]) -> dict[str, Any]:
    """With the units of both sets."""
    rows = {name: unfold_infinite(model[name]) for name in ENDPOINTS}
    for row in rows.values():
        row["units"] = f"{row['units']}, {row['reference_units']}"
    return {**model, **rows}


def _readings(clips: ClipColumns) -> dict[str, Any]:
    """Of those that have a place, in dB."""
    columns = {name: clips.column(column) for name, column in ENDPOINTS.items()}
    return {name: values[~np.isnan(values)] for name, values in columns.items()}


def _picture(one: Exhibit) -> Picture:
    thumbnail = one.thumbnail
    tiles = None
    if one.map is not None:
        power = np.array([[np.nan if v is None else v for v in row] for row in one.map], float)
        tiles = np.sqrt(np.clip(power, 0, None))
    cover = (thumbnail or {}).get("cover")
    return Picture(
        clip=one.clip,
        grey=None if thumbnail is None else open_thumbnail(thumbnail),
        map=tiles,
        cover=(1.0, 1.0) if cover is None else tuple(cover),
    )
