"""Goes through the records of a scan once, and keeps what its summary and its figure show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flickerscope.scan.pooled import Pooled
from flickerscope.scan.readings import ModelReadings, Reference, collect, place_of

__all__ = ["Exhibit", "Gathered", "Worst", "gather"]

WORST: Final = 10
"""Clips that are named as those that flicker most."""
NAMED: Final = ("model", "name", "pred", "ref")


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A clip that flickers much."""

    clip: dict[str, Any]
    """As it is named in the summary."""
    order: tuple[float, float]
    """Its place by the flicker, -inf without one, then by the energy, dB."""
    thumbnail: Mapping[str, Any] | None
    """As in its record."""
    map: list[list[float | None]] | None
    """Motion-compensated flicker of each tile, code^2."""


class Worst:
    """The clips that flicker most, the worst first."""

    def __init__(self) -> None:
        self.exhibits: list[Exhibit] = []

    def add(self, one: Exhibit) -> None:
        """Take one more clip, which is dropped where there are enough that flicker more."""
        kept = self.exhibits
        if len(kept) == WORST and one.order <= kept[-1].order:
            return
        kept.append(one)
        kept.sort(key=lambda exhibit: exhibit.order, reverse=True)
        del kept[WORST:]

    @property
    def clips(self) -> list[dict[str, Any]]:
        """As they are named in the summary."""
        return [one.clip for one in self.exhibits]


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
    worst: Worst = field(default_factory=Worst)
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
                _pool(self.pooled.setdefault(record["model"], Pooled()), record, "pred")
                if record["ref"] not in pooled:
                    pooled.add(record["ref"])
                    _pool(self.reference, record, "ref")
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
        place = place_of(record)
        order = -math.inf if place is None else place, record["energy"]["value"]
        self.worst.add(Exhibit(clip, order, record["thumbnail"], record["motion_maps"]["pred"]))


def _pool(pooled: Pooled, record: Mapping[str, Any], role: str) -> None:
    pooled.add(
        record["spectrum"], role, record["histogram"][role],
        rate=record["inputs"][role]["measured_rate"], latent=bool(record["deviation"]),
    )  # fmt: skip


def gather(records: Iterable[Mapping[str, Any]]) -> Gathered:
    """Readings by model, and what is pooled of them; ``records``: of every pair, in their order."""
    found = Gathered()
    found.models, found.references = collect(found.watch(records))
    return found
