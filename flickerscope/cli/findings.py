"""Lays the findings of an experiment out for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flickerscope.cli.terminal import printable
from flickerscope.experiment.arms import Arm
from flickerscope.experiment.findings import Effect, Finding
from flickerscope.experiment.words import (
    KEY,
    check_sentences,
    describe,
    effects_listed,
    grouped,
    listed,
    omissions,
    ranged,
)

if TYPE_CHECKING:
    from flickerscope.experiment.run import Experiment

__all__ = ["experiment_summary"]

VERDICT_STYLE = {
    "excess": "red",
    "deficit": "blue",
    "calibrated": "green",
    "undecided": "dim",
}


def experiment_summary(result: Experiment, folder: str, *, verbose: bool = False) -> RenderableType:
    """Verdicts by model and class, then what the losses change; every reading with ``verbose``."""
    findings = listed(result.findings)
    effects = effects_listed(result.effects)
    contents = list(dict.fromkeys(finding.content for finding in findings))
    parts: list[RenderableType] = [
        Text(describe(result), style="dim"),
        Text("\nDoes it flicker? High-frequency energy against the reference, dB", style="bold"),
        _verdicts(findings, contents),
        Text(KEY, style="dim"),
        Text("\nDoes the difference loss help? Against the frame loss, paired", style="bold"),
        _effects(effects, contents),
        Text(EFFECT_KEY, style="dim"),
        Text(),
    ]
    if verbose:
        for content in contents:
            parts += [*_readings([f for f in findings if f.content == content], effects), Text()]
        parts.append(Text(READING_KEY + "\n", style="dim"))
    left_out = [Text(printable(line)) for line in omissions(result)]
    parts += [*left_out, Text()] if left_out else []
    parts += [Text(sentence) for sentence in check_sentences(result)]
    parts.append(Text(f"\nResults in {printable(folder)}: experiment.json, .csv, .png"))
    return Group(*parts)


EFFECT_KEY = (
    "dB: change of the high-frequency energy; x: frame error over that of the frame loss; vs: "
    "error in HF against the frame loss's clips smoothed over time, by what is best for these "
    "clips with no more frame error, dB (above 0: smoothing does better). ?: the change is not "
    "told from none."
)
READING_KEY = (
    "HF: high-frequency energy, all clips pooled, with its 95 % interval (over videos: the ends in "
    "whole dB); clip: of the median clip; MC: motion-compensated flicker; all in dB against the "
    "reference; slope and gain in HF; frame, diff: errors of frames and of their differences over "
    "those of the frame loss, for which they are in code^2."
)


def _table(*heads: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i < 1 else "right", no_wrap=True)
    return table


def _verdicts(findings: Sequence[Finding], contents: Sequence[str]) -> Table:
    by = {(finding.arm, finding.content): finding for finding in findings}
    table = _table("model", "loss")
    for content in contents:
        table.add_column(content, no_wrap=True)
    for name, arm in _rows([finding.arm for finding in findings], table):
        cells = [_verdict(by.get((arm, content))) for content in contents]
        table.add_row(name, arm.loss, *cells)
    return table


def _verdict(finding: Finding | None) -> Text:
    if finding is None:
        return Text("-")
    mark = "" if finding.follows else "*"
    if finding.verdict == "excess":
        mark = " MC" if finding.basis == "motion" else ""
    value = round(finding.values["high_db"].estimate, 1) + 0.0
    return Text.assemble(
        f"{value:+5.1f} ", (f"{finding.verdict}{mark}", VERDICT_STYLE[finding.verdict])
    )


def _effects(effects: Sequence[Effect], contents: Sequence[str]) -> Table:
    by = {(effect.arm, effect.content): effect for effect in effects}
    table = _table("", "")
    for content in contents:
        for head in (f"{content}\ndB", "\nx", "\nvs"):
            table.add_column(head, justify="right", no_wrap=True)
    for name, arm in _rows([effect.arm for effect in effects], table):
        cells: list[str] = []
        for content in contents:
            cells += _effect(by.get((arm, content)))
        table.add_row(name, arm.loss, *cells)
    return table


def _effect(effect: Effect | None) -> tuple[str, str, str]:
    if effect is None:
        return "-", "", ""
    matched = effect.matched_db
    return (
        f"{round(effect.change_db.estimate, 1) + 0.0:+.1f}"
        + ("?" if effect.outcome == "undecided" else ""),
        f"{effect.frame_ratio.estimate:.2f}",
        "-" if matched is None else f"{round(matched.estimate) + 0.0:+.0f}",
    )


def _readings(findings: Sequence[Finding], effects: Sequence[Effect]) -> Iterator[RenderableType]:
    by = {(effect.arm, effect.content): effect for effect in effects}
    table = _table(findings[0].content, "loss", "HF", "clip", "MC", "slope", "gain")
    for head in ("frame", "diff"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, arm in _rows([finding.arm for finding in findings], table):
        finding = next(f for f in findings if f.arm == arm)
        values, effect = finding.values, by.get((arm, finding.content))
        table.add_row(
            name,
            arm.loss,
            ranged(values["high_db"]),
            *(ranged(values.get(name)).partition(" ")[0] for name in ("median_db", "motion_db")),
            *(
                ranged(values.get(name), 2, sign=False).partition(" ")[0]
                for name in ("slope", "gain")
            ),
            *(
                [f"{values[name].estimate:.1f}" for name in ("frame_error", "diff_error")]
                if effect is None
                else [f"x{effect.frame_ratio.estimate:.2f}", f"x{effect.diff_ratio.estimate:.2f}"]
            ),
        )
    yield table


def _rows(arms: Sequence[Arm], table: Table) -> Iterator[tuple[str, Arm]]:
    """Every arm once, with the model's name where it is another than in the row before.

    How the arms were made has a row of its own, where not all of them were made alike.
    """
    groups = grouped(arms)
    for made, of in groups:
        if len(groups) > 1:
            table.add_row(Text(made, style="italic cyan"))
        last = ""
        for arm in of:
            yield ("" if arm.model == last else arm.model), arm
            last = arm.model
