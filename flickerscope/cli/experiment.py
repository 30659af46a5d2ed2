"""``flickerscope experiment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flickerscope.cli import options
from flickerscope.cli.running import progress_bar, show
from flickerscope.files import check_writable, make_folder, write_all

if TYPE_CHECKING:
    from flickerscope.experiment.run import Experiment

__all__ = ["experiment_command"]

RESULTS = "experiment.json", "experiment.csv", "experiment.png"
JOURNAL = "experiment.jsonl"


def experiment_command(
    out: Annotated[
        str, typer.Option("--out", "-o", help="Folder for the results; a run goes on there.")
    ] = "flickerscope-experiment",
    train: Annotated[
        bool,
        typer.Option(
            "--train", help="Train small networks too: minutes on two cores; larger on CUDA."
        ),
    ] = False,
    long: Annotated[
        bool, typer.Option("--long", help="Train denoisers for 1000 steps, read at 100 and 300.")
    ] = False,
    clips: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Cut the clips from the videos there; default: rendered."),
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="Repeats, for the intervals.")] = 5,
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_progress: options.NoProgress = False,
    debug: options.Debug = False,  # noqa: ARG001 - `run` looks for it
) -> None:
    """Find out whether a frame loss makes models flicker, and whether a difference loss helps."""
    from flickerscope.experiment.plan import Plan
    from flickerscope.experiment.run import run_experiment

    plan = Plan(seeds=seeds, train=train, long=long)
    folder = make_folder(out)
    for name in (*RESULTS, JOURNAL):
        check_writable(folder / name)
    with progress_bar(quiet or no_progress, unit="parts") as progress:
        result = run_experiment(
            plan, clips=clips, device=device, threads=threads, journal=folder / JOURNAL,
            progress=progress,
        )  # fmt: skip
    _write(result, folder)
    if not quiet:
        from flickerscope.cli.findings import experiment_summary

        show(experiment_summary(result, out, verbose=verbose))


def _write(result: Experiment, folder: Path) -> None:
    from flickerscope.experiment.document import experiment_csv, experiment_document
    from flickerscope.experiment.figure import draw_experiment
    from flickerscope.report.strict import to_json

    contents = (
        to_json(experiment_document(result)).encode(),
        experiment_csv(result).encode(),
        draw_experiment(result),
    )
    write_all([(folder / name, data) for name, data in zip(RESULTS, contents, strict=True)])
