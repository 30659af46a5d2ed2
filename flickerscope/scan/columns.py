"""Readings of many clips as columns: what the models of a scan and sets without pairs share."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flickerscope.stats import Counts, Floats, average_within

__all__ = ["ClipColumns"]


@dataclass(slots=True)
class ClipColumns:
    """All clips of one model or set; rows are clips, in their order."""

    name: str
    prompts: list[str | None] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    columns: dict[str, array[float]] = field(default_factory=dict)
    """Readings in dB by their names: not a number where there is none, infinite where a clip has a
    place above every number."""

    @property
    def clips(self) -> int:
        """How many."""
        return len(self.prompts)

    @property
    def groupings(self) -> tuple[Sequence[str | None], ...]:
        """Labels of the clips: those that share one are one unit."""
        return (self.prompts,)

    def keep(self, record: Mapping[str, Any], values: Mapping[str, float]) -> None:
        """Take one more clip, and its readings."""
        for name in values:
            if name not in self.columns:
                self.columns[name] = array("d", [math.nan]) * self.clips
        for name, column in self.columns.items():
            column.append(values.get(name, math.nan))
        self.prompts.append(record["prompt"])
        self.statuses[record["status"]] = self.statuses.get(record["status"], 0) + 1

    def column(self, name: str) -> Floats:
        """A reading of all clips, dB."""
        values = self.columns.get(name)
        return np.full(self.clips, math.nan) if values is None else np.array(values)

    def units(self, name: str) -> list[float]:
        """A reading of independent units, dB: their clips averaged, infinite where one is."""
        values = self.column(name)
        kept = np.flatnonzero(~np.isnan(values))
        if not len(kept):
            return []
        groupings = ([labels[i] for i in kept.tolist()] for labels in self.groupings)
        return list(average_within(values[kept], *groupings))

    def counts(self, name: str | None = None) -> Counts:
        """How many clips have a reading or a place, or were measured at all."""
        failed, measured = (self.statuses.get(s, 0) for s in ("failed", "measured"))
        if name is not None:
            measured = int((~np.isnan(self.column(name))).sum())
        return Counts(measured, self.clips - failed - measured, failed)

    def beyond(self, name: str) -> int:
        """How many of them have no number, but a place above every one."""
        return int(np.isposinf(self.column(name)).sum())
