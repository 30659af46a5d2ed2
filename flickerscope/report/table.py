"""A result as CSV: one row a reading, ready for a spreadsheet or a data frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from flickerscope.comparison import Comparison
from flickerscope.comparison.excess import MotionSummary, summarize_motion
from flickerscope.measurement import Measurement
from flickerscope.report.cells import safe_name, to_csv
from flickerscope.report.document import analysis_rows
from flickerscope.report.words import Headline, analysis_headline, comparison_headline

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
    "pred_share",
    "ref_share",
    "reason",
    "unit",
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
    "share",
    "reason",
    "unit",
)

ALONG_MOTION = "along motion"
"""What stands for the scale of the motion-compensated readings."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A motion-compensated reading as a row shows it."""

    name: str
    """Of the reading, in the place of a band's."""
    plane: str
    field: str
    """Of a `MotionSummary`."""
    excess: str | None
    """Of a `MotionExcess`."""
    is_share: bool
    """Of 0..1, where the others are powers in code^2."""


MOTION_READINGS = (
    _Reading("motion-compensated", "y", "flicker", "excess_db", is_share=False),
    _Reading("motion-compensated", "cb", "cb", "cb_db", is_share=False),
    _Reading("motion-compensated", "cr", "cr", "cr_db", is_share=False),
    _Reading("slow", "y", "slow", "slow_db", is_share=False),
    _Reading("moving", "y", "moving", "moving_db", is_share=False),
    _Reading("texture", "y", "texture", "texture_db", is_share=True),
    _Reading("area", "y", "area", None, is_share=True),
    _Reading("coverage", "y", "coverage", None, is_share=True),
    _Reading("pop", "y", "pop", None, is_share=False),
)
"""The headline first."""


def comparison_csv(result: Comparison) -> str:
    """One row for every motion-compensated reading, then one for every plane, scale and band.

    Bands in cycles/frame, rms in the unit named, powers in its square, shares from 0 to 1.
    """
    names = {
        "pred": _names(result.pred),
        "ref": _names(result.ref),
        "verdict": result.verdict,
        "unit": result.pred.unit.name,
    }
    bands = (
        {column: getattr(row, column) for column in COMPARISON_COLUMNS if hasattr(row, column)}
        | {"headline": False, "segment_frames": result.segment}
        for row in result.table
    )
    rows = chain(_motion_excess_rows(result), bands)
    return to_csv(COMPARISON_COLUMNS, (row | names for row in rows))


def analysis_csv(results: Sequence[Measurement]) -> str:
    """For every video, one row for each reading, and one for each plane, scale and band."""
    return to_csv(ANALYSIS_COLUMNS, (row for result in results for row in _video_rows(result)))


def _motion_excess_rows(result: Comparison) -> Iterator[dict[str, Any]]:
    sides = {
        role: summarize_motion(side.clips)
        for role, side in (("pred", result.pred), ("ref", result.ref))
    }
    headline = comparison_headline(result)
    for reading, row in _motion_rows(sides, headline, result.settings.main_plane):
        ours, theirs = (
            None if side is None else getattr(side, reading.field) for side in sides.values()
        )
        if ours is not None and theirs is not None:
            row["difference"] = ours - theirs
        if row["headline"]:
            row["excess_db"] = headline.value
        elif reading.excess is not None:
            row["excess_db"] = getattr(result.motion, reading.excess, None)
        yield row


def _motion_rows(
    sides: Mapping[str, MotionSummary | None], headline: Headline, main: str
) -> Iterator[tuple[_Reading, dict[str, Any]]]:
    """The headline even where it was not measured, and what else was; by role of the sides."""
    for reading in MOTION_READINGS:
        values = {
            role: None if side is None else getattr(side, reading.field)
            for role, side in sides.items()
        }
        leads = reading is MOTION_READINGS[0]
        if not leads and all(value is None for value in values.values()):
            continue
        row: dict[str, Any] = {
            "plane": main if reading.plane == "y" else reading.plane,
            "scale": ALONG_MOTION,
            "band": reading.name,
            "reliable": headline.value is not None,
            "headline": leads,
            "reason": headline.reason if leads else None,
        }
        for role, value in values.items():
            before = f"{role}_" if role else ""
            if reading.is_share:
                row[f"{before}share"] = value
            elif value is not None:
                row[f"{before}power"] = value
                row[f"{before}rms"] = max(value, 0.0) ** 0.5
        yield reading, row


def _video_rows(result: Measurement) -> Iterator[dict[str, Any]]:
    bands = {band.name: band for band in result.transform().bands}
    sides = {"": summarize_motion(result.clips)}
    leading = (
        row for _, row in _motion_rows(sides, analysis_headline(result), result.settings.main_plane)
    )
    rest = (
        dict(row)
        | {
            "low": bands[row["band"]].low,
            "high": bands[row["band"]].high,
            "headline": False,
            "segment_frames": result.segment,
        }
        for row in analysis_rows(result)
    )
    named = {"video": _names(result), "unit": result.unit.name}
    return (row | named for row in chain(leading, rest))


def _names(result: Measurement) -> str:
    """The paths of its clips."""
    return safe_name(" + ".join(clip.info.path for clip in result.clips))
