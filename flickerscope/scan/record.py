"""What is kept of a comparison in a scan: the part of its report that is a few kilobytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flickerscope.comparison import Comparison
from flickerscope.measurement import Measurement, key
from flickerscope.report.document import comparison_readings
from flickerscope.scan.thumbnail import thumbnail_content

__all__ = ["OF_INPUT", "comparison_content", "measurement_content", "sparse"]

WHOLE: Final = (
    *("citation", "unit", "deviation", "verdict", "headline", "motion", "energy", "carried"),
    *("pulses", "results", "floor_db", "share", "picture", "paired_reason", "warnings", "notes"),
)
"""Parts of the report that are kept as they are."""

OF_INPUT: Final = (
    *("codec", "width", "height", "frame_rate", "measured_rate", "frames_decoded"),
    *("frames_measured", "repeats", "damaged", "lost_frames", "bits", "range", "pixel_format"),
)


def comparison_content(result: Comparison) -> dict[str, Any]:
    """Readings of a comparison by the names that they have in a report, as plain values.

    Beside them: ``spectrum``, the mean power of both in each bin, and ``histogram``, how many
    cells have which power in the headline's band, both at the headline's scale; ``thumbnail``, a
    small picture of the prediction.
    """
    report = comparison_readings(result)
    row = result.headline
    name = key(row.plane, row.scale)
    counts = report["histograms"]["counts"][name][row.band]
    spectrum = report["spectra"].get(name)
    return {
        "segment": result.segment,
        "inputs": {
            side["role"]: {item: side[item] for item in OF_INPUT} for side in report["inputs"]
        },
        **{part: report[part] for part in WHOLE},
        "paired": _paired(report["paired"]),
        "motion_maps": {role: maps[0] for role, maps in report["motion_maps"].items()},
        "spectrum": spectrum,
        "histogram": {role: sparse(values) for role, values in counts.items()},
        "thumbnail": thumbnail_content(result.pred),
    }


def measurement_content(result: Measurement) -> dict[str, Any]:
    """A measurement that can be compared with, as plain values: all but the maps of its figures."""
    plain = result.to_dict()
    for clip in plain["clips"]:
        for reading in clip["readings"].values():
            reading["map"] = []
    return {"measurement": plain}


def _paired(paired: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if paired is None:
        return None
    curves = ("frequencies", "coherence", "error")
    return {name: value for name, value in paired.items() if name not in curves}


def sparse(counts: list[int]) -> dict[str, int]:
    """Bins that hold anything, by their number."""
    return {str(i): count for i, count in enumerate(counts) if count}
