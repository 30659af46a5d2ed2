"""``flickerscope demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flickerscope.cli import options
from flickerscope.cli.outputs import Outputs, write_comparison
from flickerscope.cli.running import progress_bar, show

__all__ = ["demo_command"]


def demo_command(
    out: Annotated[
        str, typer.Option("--out", "-o", help="Folder for the two videos and the report.")
    ] = "flickerscope-demo",
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_progress: options.NoProgress = False,
    debug: options.Debug = False,  # noqa: ARG001 - `run` looks for it
) -> None:
    """Render two videos, one with known flicker, and read the flicker back."""
    from flickerscope.demo.run import run_demo

    outputs = Outputs(folder=out, json=None, png=None, csv=None)
    outputs.check([])
    with progress_bar(quiet or no_progress) as progress:
        result = run_demo(Path(out), device=device, threads=threads, progress=progress)
    write_comparison(result.comparison, outputs)
    if not quiet:
        from flickerscope.cli.terminal import comparison_summary, demo_summary

        show(comparison_summary(result.comparison, verbose=verbose))
        show(demo_summary(result, out))
