"""The records of a scan as CSV: one row a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from flickerscope.report.cells import safe_name, safe_text, write_csv
from flickerscope.scan.readings import ENERGY, FLICKER, column_of, readings_of

__all__ = ["Table", "row_of", "scan_table", "table_of"]

IDENTITY: Final = ("model", "name", "prompt", "seed", "pred", "ref", "status", "reason")
VERDICT: Final = ("verdict", column_of(FLICKER), column_of(ENERGY))
OF_SIDES: Final = ("flicker", "coverage", "area", "texture", "pop", "speed")
"""Motion-compensated readings of either side."""


@dataclass(frozen=True, slots=True)
class Table:
    """What was read of every clip, and why nothing was; excesses in dB, powers in code^2."""

    columns: list[str]
    records: Callable[[], Iterable[Mapping[str, Any]]]
    row: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Of a record."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """One at a time, anew by each call."""
        return (self.row(record) for record in self.records())

    def write(self, file: IO[str]) -> None:
        """As CSV."""
        write_csv(file, self.columns, self.rows())


def table_of(
    records: Callable[[], Iterable[Mapping[str, Any]]],
    row: Callable[[Mapping[str, Any]], dict[str, Any]],
    first: Sequence[str],
) -> Table:
    """Which columns there are is known in the end only: ``first``, then all that any row has."""
    further = dict.fromkeys(name for record in records() for name in row(record))
    return Table(list(dict.fromkeys((*first, *further))), records, row)


def scan_table(records: Callable[[], Iterable[Mapping[str, Any]]]) -> Table:
    """Of a scan of pairs."""
    return table_of(records, row_of, (*IDENTITY, *VERDICT))


def row_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """One clip as plain values by column, those that it has."""
    row: dict[str, Any] = {name: record[name] for name in IDENTITY}
    row |= {name: safe_name(row[name]) for name in ("name", "pred", "ref")}
    row |= {name: safe_text(row[name]) for name in ("model", "prompt", "seed", "reason")}
    if record["status"] != "measured":
        return row
    row["verdict"] = record["verdict"]["text"]
    for name, value in readings_of(record).items():
        row[column_of(name)] = value
    for role in ("pred", "ref"):
        for name in OF_SIDES:
            row[f"{role}_{name}"] = (record["motion"][role] or {}).get(name)
    row |= {f"{role}_power": record["energy"][f"{role}_power"] for role in ("pred", "ref")}
    for role in ("pred", "ref"):
        side = record["inputs"][role]
        row |= {f"{role}_frames": side["frames_measured"], f"{role}_rate": side["measured_rate"]}
    if record.get("vbench") is not None:
        row["vbench_temporal_flickering"] = record["vbench"]["temporal_flickering"]
    return row | {"segment": record["segment"], "warnings": "; ".join(record["warnings"])}
