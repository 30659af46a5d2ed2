"""Goes through the records of a scan once, and keeps what its summary and its figure show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flickerscope.scan.pooled import Pooled
from flickerscope.scan.readings import ModelReadings, Reference, collect

__all__ = ["Exhibit", "Gathered", "gather"]

WORST: Final = 10
"""Clips that are named as those that flicker most."""
NAMED: Final = ("model", "name", "pred", "ref")


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A clip that flickers much."""

    clip: dict[str, Any]
    """As it is named in the summary."""
    thumbnail: Mapping[str, Any] | None
    """As in its record."""
    map: list[list[float | None]] | None
    """Motion-compensated flicker of each tile, code^2."""


@dataclass(slots=True)
class Gathered:
    """Its size grows with the number of clips by their readings only."""

    models: dict[str, ModelReadings] = field(default_factory=dict)
    """In the order in which they come."""
    references: dict[str, Reference] = field(default_factory=dict)
    """By their path."""
    pooled: dict[str, Pooled] = field(default_factory=dict)
    """By model."""
    reference: Pooled = field(default_factory=Pooled)
    """Each reference once."""
    worst: list[Exhibit] = field(default_factory=list)
    """Those that flicker most, the worst first."""
    troubles: list[dict[str, Any]] = field(default_factory=list)
    """Clips that were not measured."""
    place: dict[str, str] | None = None
    """Plane, scale and band of the energy that the histograms are of."""

    def watch(self, records: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
        """The same records, looked at on the way."""
        pooled: set[str] = set()
        for record in records:
            if record["status"] != "measured":
                self.troubles.append(
                    {name: record[name] for name in (*NAMED, "status", "reason")}
                )  # fmt: skip
            else:
                self._exhibit(record)
                self.pooled.setdefault(record["model"], Pooled()).add(record, "pred")
                if record["ref"] not in pooled:
                    pooled.add(record["ref"])
                    self.reference.add(record, "ref")
                if self.place is None:
                    names = ("plane", "scale", "band")
                    self.place = {name: record["energy"][name] for name in names}
            yield record

    def _exhibit(self, record: Mapping[str, Any]) -> None:
        clip = {name: record[name] for name in NAMED} | {
            "flicker_db": record["headline"]["value"],
            "energy_db": record["energy"]["value"],
            "verdict": record["verdict"]["text"],
        }
        if len(self.worst) == WORST and badness(clip) <= badness(self.worst[-1].clip):
            return
        self.worst.append(Exhibit(clip, record["thumbnail"], record["motion_maps"]["pred"]))
        self.worst.sort(key=lambda one: badness(one.clip), reverse=True)
        del self.worst[WORST:]


def badness(clip: Mapping[str, Any]) -> tuple[bool, float, float]:
    """Incoherent clips first, then by flicker, then by energy."""
    flicker = clip["flicker_db"]
    return (
        clip["verdict"] == "incoherent",
        -math.inf if flicker is None else flicker,
        clip["energy_db"],
    )


def gather(records: Iterable[Mapping[str, Any]]) -> Gathered:
    """Readings by model, and what is pooled of them; ``records``: of every pair, in their order."""
    found = Gathered()
    found.models, found.references = collect(found.watch(records))
    return found
