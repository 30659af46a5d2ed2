"""The command line: parse, call one function, print, exit."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Annotated, NoReturn

import typer

from flickerscope import __version__
from flickerscope.cli.analyze import analyze_command
from flickerscope.cli.compare import compare_command
from flickerscope.cli.demo import demo_command
from flickerscope.cli.experiment import experiment_command
from flickerscope.cli.measure import measure_command
from flickerscope.cli.merge import merge_command
from flickerscope.cli.roundtrip import roundtrip_command
from flickerscope.cli.running import (
    FAILURE,
    INTERRUPTED,
    OK,
    USAGE,
    close_standard_output,
    complain,
    pattern_hint,
)
from flickerscope.cli.scan import scan_command
from flickerscope.errors import FlickerscopeError, InputError, SettingsError, TooShortError

__all__ = ["main", "run"]

# typer brings its own click, or takes the one that is installed: this is the class of either.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

NO_MEMORY = "out of memory: try a smaller --crop or --segment"

app = typer.Typer(
    name="flickerscope",
    help="Measure temporal flicker in video, and how much more of it a prediction has.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failure, 2 wrong usage, 3 over --fail-above.",
)


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"flickerscope {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)


app.command("compare")(compare_command)
app.command("analyze")(analyze_command)
app.command("measure")(measure_command)
app.command("scan")(scan_command)
app.command("roundtrip")(roundtrip_command)
app.command("merge")(merge_command)
app.command("demo")(demo_command)
app.command("experiment")(experiment_command)


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold what the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    try:
        with _tracebacks("--debug" in takewhile(lambda argument: argument != "--", arguments)):
            _check_current_folder()
            code = app(list(arguments), prog_name="flickerscope", standalone_mode=False)
        if code == INTERRUPTED:  # where typer catches it first
            return complain("interrupted", INTERRUPTED)
        return code if isinstance(code, int) else OK
    except SettingsError as error:
        return complain(error, USAGE)
    except FlickerscopeError as error:
        hint = pattern_hint(arguments) if isinstance(error, TooShortError) else ""
        return complain(f"{error}{hint}", FAILURE)
    except UsageError as error:
        message = " ".join(_message(error).split())
        return complain(message + pattern_hint(arguments), USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has gone; nothing is left to say to them.
        close_standard_output()
        return FAILURE
    except MemoryError:
        return complain(NO_MEMORY, FAILURE)
    except RuntimeError as error:
        # How torch says that memory is out depends on the device.
        if "alloc" not in str(error) and "out of memory" not in str(error):
            raise
        return complain(NO_MEMORY, FAILURE)


@contextmanager
def _tracebacks(shown: bool) -> Iterator[None]:
    """Print where an error came from, before it is told in one line."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        if shown:
            traceback.print_exc()
        raise


def _check_current_folder() -> None:
    """Without one no name can be looked up, and MKL ends the process."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise InputError("the current folder is gone; change to another one") from error


def _message(error: BaseException) -> str:
    format_message = getattr(error, "format_message", None)
    text = format_message() if callable(format_message) else str(error)
    return str(text) or "see flickerscope --help"
