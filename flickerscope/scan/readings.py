"""Takes the numbers that the statistics are about out of the records of a scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from flickerscope.scan.columns import ClipColumns
from flickerscope.stats import place_in_batch

__all__ = [
    "ALONG_MOTION",
    "ENERGY",
    "FLICKER",
    "ModelReadings",
    "Reference",
    "collect",
    "column_of",
    "place_of",
    "readings_of",
]

FLICKER: Final = "motion-compensated flicker"
ENERGY: Final = "high-frequency energy"
ALONG_MOTION: Final = ("slow", "moving", "texture", "cb", "cr")
"""Excesses beside the headline's, by the beginning of their names in a record."""
COLUMNS: Final = {FLICKER: "flicker_db", ENERGY: "energy_db"}


@dataclass(slots=True)
class ModelReadings(ClipColumns):
    """All clips of one model, in the order of the pairs: excesses, of the flicker the clips' places
    (`place_of`).
    """

    refs: list[str] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    citations: dict[str, None] = field(default_factory=dict)
    """How clips were measured, in a line, each line once."""

    @property
    def groupings(self) -> tuple[Sequence[str | None], ...]:
        """Clips of one prompt or one reference are one unit."""
        return self.prompts, self.refs

    def add(self, record: Mapping[str, Any]) -> None:
        """Take one more clip."""
        values = readings_of(record)
        self.refs.append(record["ref"])
        if record["status"] == "measured":
            place = place_of(record)
            values |= {} if place is None else {FLICKER: place}
            text = record["verdict"]["text"]
            self.verdicts[text] = self.verdicts.get(text, 0) + 1
            self.citations[record["citation"]] = None
        self.keep(record, values)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a reference reads by itself."""

    flicker: float | None
    """Motion-compensated, code^2; ``None``: not measurable."""
    power: float
    """In the headline's band, code^2."""
    epsilon: float
    """Of that band, code^2."""


def collect(
    records: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, ModelReadings], dict[str, Reference]]:
    """Readings by model, in the order in which they come, and of the references by path."""
    models: dict[str, ModelReadings] = {}
    references: dict[str, Reference] = {}
    for record in records:
        name = record["model"]
        models.setdefault(name, ModelReadings(name)).add(record)
        if record["status"] == "measured" and record["ref"] not in references:
            references[record["ref"]] = _reference(record)
    return models, references


def readings_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Excesses of a clip in dB by name, the two primary ones first; those only that there are."""
    if record["status"] != "measured":
        return {}
    return {name: float(value) for name, value in _readings(record) if value is not None}


def column_of(name: str) -> str:
    """Name of a reading's column in a table."""
    return COLUMNS.get(name) or f"{name.replace(' ', '_')}_db"


def place_of(record: Mapping[str, Any]) -> float | None:
    """Where a measured clip stands among others by its flicker, dB; see `place_in_batch`."""
    verdict, motion = record["verdict"], record["motion"]
    return place_in_batch(
        record["headline"]["value"],
        verdict["text"],
        verdict["value_db"],
        looked=None not in (motion["pred"], motion["ref"]),
    )


def _readings(record: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    energy, flicker = record["energy"], record["headline"]["value"]
    yield FLICKER, flicker
    yield ENERGY, energy["value"]
    if flicker is not None:  # where it is not to be relied on, neither are these
        for name in ALONG_MOTION:
            yield name, record["motion"][f"{name}_db"]
    yield "sharpness", record["picture"]["sharpness_db"]
    yield "energy less sharpness", record["picture"]["excess_minus_sharpness_db"]
    main = energy["plane"], energy["scale"], energy["band"]
    for row in record["results"]:
        place = row["plane"], row["scale"], row["band"]
        if place != main:
            yield "energy " + "/".join(place), row["excess_db"]


def _reference(record: Mapping[str, Any]) -> Reference:
    summary = record["motion"]["ref"]
    reliable = record["headline"]["value"] is not None and summary is not None
    return Reference(
        summary["flicker"] if reliable else None,
        record["energy"]["ref_power"],
        record["energy"]["epsilon"],
    )
