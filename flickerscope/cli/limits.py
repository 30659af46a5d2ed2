"""What ``--fail-above`` is about, and how a breach ends."""

from __future__ import annotations

import math
from collections.abc import Iterable

import typer

from flickerscope.cli.running import FAILURE, GATE, complain
from flickerscope.errors import SettingsError

__all__ = ["GATES", "check_limit", "gate_on"]

GATES = "verdict", "motion", "energy"


def check_limit(
    limit: float | None, gate: str | None, allow_unmeasured: bool, motion: bool | None
) -> str:
    """What the limit is on; raises `SettingsError` for options that make no sense together."""
    if limit is not None and not math.isfinite(limit):
        raise SettingsError(f"--fail-above: a number, got {limit}")
    if gate is not None and gate not in GATES:
        raise SettingsError(f"--gate: one of {', '.join(GATES)}, got {gate!r}")
    if limit is None and (gate is not None or allow_unmeasured):
        raise SettingsError("--gate and --allow-unmeasured need a limit: --fail-above")
    if gate == "motion" and motion is False:
        raise SettingsError("--gate motion needs motion, which --no-motion and --latent leave out")
    return gate or GATES[0]


def gate_on(breaches: Iterable[str | None], *, failed: bool = False) -> None:
    """Say what is above the limit, and exit with 3 if anything is; with 1 if something failed."""
    found = [breach for breach in breaches if breach is not None]
    for breach in found:
        complain(breach, GATE)
    if found:
        raise typer.Exit(FAILURE if failed else GATE)
