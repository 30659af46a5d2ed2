"""Lays out how sets without correspondence differ, for a terminal of 80 columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flickerscope.cli.scan_summary import (
    ENDPOINTS,
    STYLES,
    files_text,
    interval_text,
    labelled,
    missing_clips,
)
from flickerscope.cli.terminal import bullet, printable, signed
from flickerscope.report.strict import unfold_infinite

__all__ = ["unpaired_summary"]


def unpaired_summary(
    summary: Mapping[str, Any], out: str, *, verbose: bool = False
) -> RenderableType:
    """The shift of each model against the references, and what was not measured."""
    models = summary["models"]
    parts: list[RenderableType] = [
        Text(f"{summary['clips']['text']}; segments of {summary['segment']} frames\n"),
        _shifts(models),
        Text("Hodges-Lehmann shifts against the references, dB, with their 95 % interval;"),
        Text("p: Mann-Whitney, one-sided; units of model and references (seeds averaged)\n"),
        *(_model(model) for model in models),
        labelled("references", Text(_levels(summary["reference"]))),
        *(bullet("warning", text, "yellow") for text in summary["warnings"]),
        *missing_clips(summary["not_measured"], verbose),
        Text(f"\n{printable(summary['citation'])}" if summary["citation"] else ""),
        Text(f"\nResults in {printable(out)}: {files_text(out)}"),
    ]
    return Group(*parts)


def _shifts(models: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("model", max_width=16, no_wrap=True, overflow="ellipsis")
    table.add_column("", no_wrap=True)
    table.add_column("shift", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("units", justify="right", no_wrap=True)
    for model in models:
        for k, name in enumerate(ENDPOINTS):
            row = model[name]
            head = (str(model["rank"]), printable(model["model"])) if not k else ("", "")
            p = "" if row["p"] is None else f"{row['p']:.2g}"
            shift = interval_text(row, "shift")
            table.add_row(*head, name, shift, p, f"{row['units']}, {row['reference_units']}")
    return table


def _model(model: Mapping[str, Any]) -> RenderableType:
    verdict = model["verdict"]
    body = Text.assemble(
        (f"{verdict[0].upper()}{verdict[1:]}.", STYLES[verdict]), f" {_levels(model)}"
    )
    return labelled(printable(model["model"]), body)


def _levels(side: Mapping[str, Any]) -> str:
    """Denominators and median levels of a set."""
    parts = [f"{side['clips']['text']}"]
    if side["incoherent"]:
        parts.append(f"{side['incoherent']} incoherent")
    for name in ENDPOINTS:
        row = unfold_infinite(side[name])
        level = row["median_level"]
        if level is not None:
            text = f"{name} {signed(level, 1)} dB re 1 code^2" if level < math.inf else ""
            text = text or f"{name}: more than half incoherent"
            if row["clips"]["measured"] != side["clips"]["measured"]:
                text += f" ({row['clips']['measured']} of {row['clips']['total']})"
            parts.append(text)
    return f"{'; '.join(parts)}."
