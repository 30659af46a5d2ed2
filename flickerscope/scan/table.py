"""The records of a scan as CSV: one row a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any, Final

from flickerscope.report.cells import safe_name, write_csv
from flickerscope.scan.readings import ENERGY, FLICKER, readings_of

__all__ = ["row_of", "write_table"]

IDENTITY: Final = ("model", "name", "prompt", "seed", "pred", "ref", "status", "reason")
VERDICT: Final = ("verdict", "flicker_db", "energy_db")
OF_SIDES: Final = ("flicker", "coverage", "area", "texture", "pop", "speed")
"""Motion-compensated readings of either side."""
RENAMED: Final = {FLICKER: "flicker_db", ENERGY: "energy_db"}


def write_table(file: IO[str], records: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
    """What was read of every clip, and why nothing was; excesses in dB, powers in code^2.

    ``records`` is called twice, as which columns there are is known in the end only.
    """
    further = dict.fromkeys(name for record in records() for name in row_of(record))
    columns = dict.fromkeys((*IDENTITY, *VERDICT, *further))
    write_csv(file, list(columns), (row_of(record) for record in records()))


def row_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """One clip as plain values by column, those that it has."""
    row: dict[str, Any] = {name: record[name] for name in IDENTITY}
    row |= {name: safe_name(row[name]) for name in ("name", "pred", "ref")}
    if record["status"] != "measured":
        return row
    row["verdict"] = record["verdict"]["text"]
    for name, value in readings_of(record).items():
        row[RENAMED.get(name) or f"{name.replace(' ', '_')}_db"] = value
    for role in ("pred", "ref"):
        for name in OF_SIDES:
            row[f"{role}_{name}"] = (record["motion"][role] or {}).get(name)
    row |= {f"{role}_power": record["energy"][f"{role}_power"] for role in ("pred", "ref")}
    for role in ("pred", "ref"):
        side = record["inputs"][role]
        row |= {f"{role}_frames": side["frames_measured"], f"{role}_rate": side["measured_rate"]}
    return row | {"segment": record["segment"], "warnings": "; ".join(record["warnings"])}
