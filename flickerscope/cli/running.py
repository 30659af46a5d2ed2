"""What all commands do alike: read options, show progress, print, complain."""

from __future__ import annotations

import glob
import json
import os
import shlex
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from flickerscope.compiled.kept import MODULES, load
from flickerscope.errors import InputError, OutputError
from flickerscope.settings import Settings
from flickerscope.suffixes import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress as Bar

    from flickerscope.comparison import Progress
    from flickerscope.measurement import Measurement

__all__ = [
    "FAILURE",
    "GATE",
    "INTERRUPTED",
    "OK",
    "USAGE",
    "close_standard_output",
    "complain",
    "given",
    "load_settings",
    "pattern_hint",
    "progress_bar",
    "saved_or_path",
    "show",
    "standard_output",
]

MANY_PICTURES = 3

OK, FAILURE, USAGE, GATE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes."""

LARGEST_REPORT = 1 << 26
"""Bytes that are read of a report at the most: a device may have no end."""

LONG = 2.0
"""Seconds after which a user wants to know what takes so long."""


def complain(error: object, code: int) -> int:
    """Say on stderr what went wrong; returns the exit code."""
    from flickerscope.cli.terminal import printable

    typer.echo(f"flickerscope: {printable(str(error).strip())}", err=True)
    return code


def pattern_hint(arguments: Sequence[str]) -> str:
    """What to add to an error where the shell may have put names in the place of a pattern."""
    pictures = [name for name in arguments if name.lower().endswith(IMAGE_SUFFIXES)]
    if len(pictures) < MANY_PICTURES:
        return ""
    folder, name = os.path.split(pictures[0])
    pattern = shlex.quote(os.path.join(glob.escape(folder), "*" + os.path.splitext(name)[1]))
    return f"; to measure pictures as one video, put their pattern in quotes: {pattern}"


def given(**options: Any) -> dict[str, Any]:
    """The options that were named on the command line."""
    named = {name: value for name, value in options.items() if value is not None}
    if "scales" in named:
        named["scales"] = tuple(part.strip() for part in named["scales"].split(","))
    return named


def load_settings(path: str | None) -> Settings | None:
    """Of a report, or of a file of settings alone."""
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_REPORT)
        plain = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as a report: {why}") from error
    if isinstance(plain, dict) and "settings" in plain:
        plain = plain["settings"]
    return Settings.from_dict(plain)


def saved_or_path(path: str) -> str | Measurement:
    """A saved measurement where the name ends in .json, else the path of a video."""
    if not path.lower().endswith(".json"):
        return path
    from flickerscope.measurement import Measurement

    return Measurement.load(path)


def show(summary: RenderableType) -> None:
    """Print a summary on stdout."""
    from rich.console import Console

    # Where the output is no terminal, rich would take 80 columns and cut long words.
    console = Console(highlight=False, soft_wrap=False, markup=False, emoji=False)
    with standard_output():
        console.print(summary)
        sys.stdout.flush()


@contextmanager
def standard_output() -> Iterator[None]:
    """Tell an error in one line, such as a full disk; a reader that has gone is not one."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        close_standard_output()
        raise OutputError(
            f"standard output: cannot be written: {error.strerror or error}"
        ) from error


def close_standard_output() -> None:
    """Have what is left in its buffer go nowhere, without another error at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def progress_bar(hidden: bool, *, unit: str = "frames") -> Iterator[Progress | None]:
    """A bar for every video, or what else is counted, on stderr, where that is a terminal."""
    if hidden or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from flickerscope.cli.terminal import printable

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        _prepare(bar)
        tasks: dict[str, Any] = {}

        def report(name: str, frames: int, promised: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(printable(Path(name).name), total=promised)
            bar.update(tasks[name], completed=frames)

        yield report


def _prepare(bar: Bar) -> None:
    """Load the compiled loops; where that takes long, say why."""
    task = bar.add_task("compiling, once after an installation", total=None, visible=False)
    timer = threading.Timer(LONG, lambda: bar.update(task, visible=True))
    timer.start()
    try:
        for module in MODULES:
            load(module)
    finally:
        timer.cancel()
        timer.join()
        bar.remove_task(task)
