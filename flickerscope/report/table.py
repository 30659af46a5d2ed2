"""A result as CSV: one row a band, ready for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flickerscope.comparison import Comparison
from flickerscope.measurement import Measurement
from flickerscope.report.document import analysis_rows, headline_scale

__all__ = ["analysis_csv", "comparison_csv"]

COMPARISON_COLUMNS = (
    "pred",
    "ref",
    "plane",
    "scale",
    "band",
    "low",
    "high",
    "reliable",
    "headline",
    "segment_frames",
    "pred_power",
    "ref_power",
    "difference",
    "pred_rms",
    "ref_rms",
    "excess_db",
    "wasserstein_db",
    "shift_db",
    "verdict",
)
ANALYSIS_COLUMNS = (
    "video",
    "plane",
    "scale",
    "band",
    "low",
    "high",
    "reliable",
    "headline",
    "segment_frames",
    "power",
    "rms",
)


def comparison_csv(result: Comparison) -> str:
    """One row for every plane, scale and band; bands in cycles/frame, powers in code^2."""
    names = {
        "pred": " + ".join(clip.info.path for clip in result.pred.clips),
        "ref": " + ".join(clip.info.path for clip in result.ref.clips),
        "segment_frames": result.segment,
        "verdict": result.verdict,
    }
    rows = (
        {column: getattr(row, column) for column in COMPARISON_COLUMNS if hasattr(row, column)}
        | names
        | {"headline": row is result.headline}
        for row in result.table
    )
    return _csv(COMPARISON_COLUMNS, rows)


def analysis_csv(results: Sequence[Measurement]) -> str:
    """One row for every video, plane, scale and band."""
    return _csv(ANALYSIS_COLUMNS, (row for result in results for row in _video_rows(result)))


def _video_rows(result: Measurement) -> Iterable[Mapping[str, Any]]:
    from flickerscope.rungs import headline_band

    transform = result.transform()
    main = transform.bands[headline_band(result.settings, transform)].name
    bands = {band.name: band for band in transform.bands}
    for row in analysis_rows(result):
        band = bands[row["band"]]
        headline = (row["plane"], row["scale"], row["band"]) == (
            "y",
            headline_scale(result.settings),
            main,
        )
        yield row | {
            "video": " + ".join(clip.info.path for clip in result.clips),
            "low": band.low,
            "high": band.high,
            "headline": headline,
            "segment_frames": result.segment,
        }


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _plain(value) for name, value in row.items()})
    return text.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value
