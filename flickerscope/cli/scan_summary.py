"""Lays out what a scan found for a terminal of 80 columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flickerscope.cli.terminal import bullet, count_of, printable, signed
from flickerscope.report.strict import unfold_infinite
from flickerscope.scan.vbench import FOLDER, find_written
from flickerscope.stats import LEAST_UNITS_TWO_SIDED

if TYPE_CHECKING:
    from flickerscope.scan.pairing import Pairing
    from flickerscope.stats import Counts

__all__ = [
    "ENDPOINTS",
    "STYLES",
    "files_text",
    "interval_text",
    "labelled",
    "missing_clips",
    "pairing_table",
    "scan_summary",
    "set_summary",
    "shard_summary",
]

SHOWN: Final = 10
"""Rows of a list, unless all are asked for."""

STYLES: Final = {
    "flickers more": "bold red",
    "incoherent": "bold red",
    "more energy, consistent with motion or sharpness": "bold yellow",
    "no difference found": "bold green",
    "not measurable": "bold yellow",
    "too few clips": "bold yellow",
}
ENDPOINTS: Final = ("flicker", "energy")


def scan_summary(summary: Mapping[str, Any], out: str, *, verbose: bool = False) -> RenderableType:
    """The models in order, what each comes to, how they differ, and what was not measured."""
    models = summary["models"]
    parts: list[RenderableType] = [
        Text(f"{summary['clips']['text']}; segments of {summary['segment']} frames\n"),
        _ranking(models),
        Text("medians over units (clips of a prompt or a reference averaged), dB;", style="dim"),
        Text("in brackets the interval that holds the true median with 95 %", style="dim"),
        Text(_beyond(summary), style="dim"),
        *(_model(model, motion=summary["settings"]["motion"]) for model in models),
        *_differences(summary["differences"], verbose),
        *_calibration(summary["calibration"]),
        *(bullet("warning", text, "yellow") for text in summary["warnings"]),
        *missing_clips(summary["not_measured"], verbose),
        *_without_pair(summary["unpaired"], verbose),
        Text(f"\n{summary['citation'] or 'nothing was measured'}", style="dim"),
        Text(f"\nResults in {printable(out)}: {files_text(out)}"),
    ]
    return Group(*parts)


def files_text(out: str) -> str:
    """Those that there are."""
    names = (
        "results.jsonl",
        "results.csv",
        "results.parquet",
        "summary.json",
        "summary.png",
    )
    found = [name for name in names if (Path(out) / name).exists()]
    return ", ".join([*found, FOLDER] if any(find_written(Path(out))) else found)


def _ranking(models: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("model", max_width=16, no_wrap=True, overflow="ellipsis")
    for name in ENDPOINTS:
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("units", justify="right", no_wrap=True)
    for model in models:
        cells = [
            cell
            for name in ENDPOINTS
            for cell in (interval_text(model[name]), str(model[name]["units"]))
        ]
        table.add_row(str(model["rank"]), printable(model["model"]), *cells)
    return table


def _beyond(summary: Mapping[str, Any]) -> str:
    """What stands for clips without a number, where there are any."""
    if not any(model["flicker"]["incoherent"] for model in summary["models"]):
        return ""
    return "incoherent, inf: above every number, as clips are whose motion is lost\n"


def interval_text(
    row: Mapping[str, Any], centre: str = "median", *, infinite: str = "incoherent"
) -> str:
    """Such as ``+1.2 (+0.4 .. +2.0)``.

    ``centre``: name of the number in the middle; ``infinite``: what it is above every number.
    """
    row = unfold_infinite(row)
    middle, low, high = (row[name] for name in (centre, "low", "high"))
    if middle is None:
        return "none"
    text = infinite if middle == math.inf else _number(middle)
    if low is None or low == math.inf:
        return text
    if middle == math.inf:
        return f"{text} (> {_number(low)})"
    return f"{text} ({_number(low)} .. {_number(high)})"


def _number(value: float) -> str:
    return f"{value}" if math.isinf(value) else signed(value, 1)


def _model(model: Mapping[str, Any], *, motion: bool) -> RenderableType:
    verdict = model["verdict"]
    clips = ", ".join(f"{count} {text}" for text, count in model["verdicts"].items())
    flicker = model["flicker"]["clips"]
    known = flicker["measured"] - model["flicker"]["incoherent"]
    reading = f"; with a flicker reading: {known} of {flicker['total']}"
    missing, unmatched = model["missing"], model["unmatched"]
    lacks = f"; {count_of(missing, 'reference')} without a clip" if missing else ""
    if unmatched:
        lacks += f"; {count_of(unmatched, 'clip')} without a reference left out"
    same = known == model["clips"]["measured"] or not motion
    body = Text.assemble(
        (f"{verdict[0].upper()}{verdict[1:]}.", STYLES[verdict]),
        f" {model['clips']['text']}{'' if same else reading}{lacks}",
        f". By clips: {clips}." if clips else ".",
    )
    return labelled(printable(model["model"]), body)


def labelled(label: str, body: Text) -> RenderableType:
    """A paragraph beside its name."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="bold cyan", max_width=16, no_wrap=True, overflow="ellipsis")
    grid.add_column(overflow="fold")
    grid.add_row(label, body)
    return grid


def _differences(rows: Sequence[Mapping[str, Any]], verbose: bool) -> Iterator[RenderableType]:
    """Between models, by the number that they are ranked by."""
    if not rows:
        return
    yield Text("\nBetween models, over the references that both have (p by Holm):")
    table = Table.grid(padding=(0, 2))
    shown = rows if verbose else rows[:SHOWN]
    for row in shown:
        few = row["units"] < LEAST_UNITS_TWO_SIDED
        table.add_row(
            Text(printable(f"{row['model']} - {row['against']}"), overflow="fold"),
            Text(row["name"].split()[-1]),
            Text(f"{interval_text(row, infinite='inf')} dB", justify="right"),
            Text("too few units" if few else f"p = {row['p_holm']:.2g}"),
        )
    yield table
    yield from _rest(len(rows) - len(shown))


def _calibration(rows: Sequence[Mapping[str, Any]] | None) -> Iterator[RenderableType]:
    for row in rows or ():
        yield bullet(
            "between",
            f"references alone: {row['name'].split()[-1]} median {signed(row['median_low'], 1)} .. "
            f"{signed(row['median_high'], 1)} dB over {row['pairs']} random pairs (95 %); a single "
            f"pair differs by up to {row['clip']:.1f} dB",
            "cyan",
        )
    if rows is not None and not rows:
        yield bullet("between", "references alone: four or more are needed", "cyan")


def missing_clips(clips: Sequence[Mapping[str, Any]], verbose: bool) -> Iterator[RenderableType]:
    """Those that were not measured, and why."""
    shown = clips if verbose else clips[:SHOWN]
    for clip in shown:
        style = "red" if clip["status"] == "failed" else "yellow"
        label = "failed" if clip["status"] == "failed" else "no reading"
        yield bullet(label, f"{clip['model']}: {clip['reason']}", style)
    yield from _rest(len(clips) - len(shown))


def _without_pair(files: Sequence[str], verbose: bool) -> Iterator[RenderableType]:
    shown = files if verbose else files[:SHOWN]
    yield from (bullet("no pair", file, "yellow") for file in shown)
    yield from _rest(len(files) - len(shown))


def _rest(count: int) -> Iterator[RenderableType]:
    if count > 0:
        yield Text(f"and {count} more, shown with -v and kept in the results", style="dim")


def set_summary(
    counts: Counts, lost: Sequence[Mapping[str, Any]], out: str, *, verbose: bool = False
) -> RenderableType:
    """How many videos a set holds, and which it lacks."""
    written = f"\nThe set is {printable(out)}" if counts.measured else "\nNo set was written"
    return Group(Text(str(counts)), *missing_clips(lost, verbose), Text(written))


def shard_summary(
    shard: str, counts: Counts, lost: Sequence[Mapping[str, Any]], out: str, *, verbose: bool
) -> RenderableType:
    """What was measured of a part of a scan, and what is to be done with it."""
    return Group(
        Text(f"shard {shard}: {counts}"),
        *missing_clips(lost, verbose),
        Text(
            f"\nIts records are in {printable(out)}; when all shards are done, bring them together "
            "with flickerscope merge"
        ),
    )


def pairing_table(pairing: Pairing, *, verbose: bool = False) -> RenderableType:
    """Which prediction is held against which reference, and what is left over."""
    from flickerscope.scan.pairing import few_units  # loads numpy

    parts: list[RenderableType] = []
    shown = pairing.pairs if verbose else pairing.pairs[:SHOWN]
    for model in dict.fromkeys(pair.model for pair in shown):
        table = Table.grid(padding=(0, 2))
        for pair in shown:
            if pair.model == model:
                prompt = pair.prompt or ""
                seed = "" if pair.seed is None else f"seed {pair.seed}"
                name = Path(pair.ref).name
                cells = (pair.name, name, prompt if prompt != pair.name else "", seed)
                table.add_row(*(Text(printable(cell), overflow="fold") for cell in cells))
        parts += [Text(printable(model), style="bold cyan"), table]
    parts += _rest(len(pairing.pairs) - len(shown))
    parts += _without_pair([str(file) for file in pairing.unpaired], verbose)
    for model in dict.fromkeys(pair.model for pair in pairing.pairs):
        mine = [pair for pair in pairing.pairs if pair.model == model]
        labels = [pair.prompt for pair in mine], [pair.ref for pair in mine]
        parts += [bullet("warning", text, "yellow") for text in few_units(model, *labels)]
    models = len({pair.model for pair in pairing.pairs})
    refs = len({pair.ref for pair in pairing.pairs})
    left = len(pairing.unpaired)
    counts = (
        f"{count_of(len(pairing.pairs), 'pair')} of {count_of(models, 'model')} with "
        f"{count_of(refs, 'reference')}; {count_of(left, 'file')} {'does' if left == 1 else 'do'} "
        "not pair"
    )
    return Group(*parts, Text(counts))
