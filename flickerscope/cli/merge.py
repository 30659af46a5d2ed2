"""``flickerscope merge``."""

from __future__ import annotations

from typing import Annotated

import typer

from flickerscope.cli import options
from flickerscope.cli.limits import check_limit
from flickerscope.cli.scan import check_extra, check_gate_on, conclude

__all__ = ["merge_command"]


def merge_command(
    shards: Annotated[list[str], typer.Argument(metavar="DIR...", help="Folders of all shards.")],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="DIR", help="Another folder, for the results.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that the folder holds.")
    ] = False,
    fail_above: options.FailAboveOfModel = None,
    gate_on_what: options.GateOn = None,
    gate: options.Gate = None,
    allow_unmeasured: options.AllowUnmeasured = False,
    parquet: options.Parquet = False,
    no_png: options.NoFigure = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,  # noqa: ARG001 - `run` looks for it
) -> None:
    """Bring the shards of a scan together, as if it had not been divided."""
    limited = check_limit(fail_above, gate, allow_unmeasured, motion=None)
    gated = check_gate_on(gate_on_what, fail_above)
    check_extra(parquet)
    from flickerscope.scan.shards import merge_shards

    summary = merge_shards(shards, out, figure=not no_png, parquet=parquet, overwrite=overwrite)
    conclude(
        summary, out, limit=fail_above, on=gated, gate=limited,
        allow_unmeasured=allow_unmeasured, quiet=quiet, verbose=verbose,
    )  # fmt: skip
