"""Prepares the figure of a scan from what was gathered of its records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from flickerscope.report.overview.content import Overview, Picture
from flickerscope.report.overview.page import overview_png
from flickerscope.scan.gather import Exhibit, Gathered
from flickerscope.scan.readings import ENERGY, FLICKER
from flickerscope.scan.thumbnail import open_thumbnail

__all__ = ["draw_scan", "overview_of"]


def draw_scan(gathered: Gathered, summary: Mapping[str, Any]) -> bytes:
    """The figure as PNG; nothing in it depends on clock or machine."""
    return overview_png(overview_of(gathered, summary))


def overview_of(gathered: Gathered, summary: Mapping[str, Any]) -> Overview:
    """What the figure shows."""
    return Overview(
        summary=summary,
        readings={
            name: {
                endpoint: _finite(model.column(column))
                for endpoint, column in (("flicker", FLICKER), ("energy", ENERGY))
            }
            for name, model in gathered.models.items()
        },
        pictures=[_picture(one) for one in gathered.worst],
        citation=summary["citation"] or f"flickerscope {summary['version']}",
    )


def _finite(values: Any) -> Any:
    return values[np.isfinite(values)]


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
