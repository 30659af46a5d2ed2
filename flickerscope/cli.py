"""The command line: parse, call one function, print, exit."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from flickerscope import __version__
from flickerscope.errors import (
    FlickerscopeError,
    InputError,
    SettingsError,
)
from flickerscope.outputs import Outputs, write_analysis, write_comparison
from flickerscope.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from flickerscope.comparison import Comparison, Progress
    from flickerscope.measurement import Measurement

# typer brings its own click, or takes the one that is installed: this is the class of either.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

NO_MEMORY = "out of memory: try a smaller --crop or --segment"

GATES = "verdict", "motion", "energy"

OK, FAILURE, USAGE, GATE, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    name="flickerscope",
    help="Measure temporal flicker in video, and how much more of it a prediction has.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failure, 2 wrong usage, 3 over --fail-above.",
)

Window = Annotated[str | None, typer.Option(help="hann or boxcar; default hann.")]
Segment = Annotated[
    int | None, typer.Option(help="Frames a segment; default 32, or what the shorter video has.")
]
Bands = Annotated[
    str | None,
    typer.Option(
        help='cycles, hz or "name:low-high, ..." in cycles/frame, or in Hz: "slow:1-3Hz".'
    ),
]
Primary = Annotated[str | None, typer.Option(help="Band of the headline; default HF.")]
Axis = Annotated[
    str | None,
    typer.Option(help="auto: decimate to the lower rate; frame: cycles/frame; hz: density."),
]
Planes = Annotated[str | None, typer.Option(help="y, or yuv for colour flicker as well.")]
Scales = Annotated[str | None, typer.Option(help="Some of pixel,block,global; default all.")]
Frames = Annotated[str | None, typer.Option(help="start:stop:step, like a Python slice.")]
Crop = Annotated[str | None, typer.Option(help="WIDTHxHEIGHT+LEFT+TOP, in pixels.")]
SettingsFile = Annotated[
    str | None,
    typer.Option("--settings", help="Take the settings of a report.json; options come first."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Memory = Annotated[float | None, typer.Option(help="Megabytes for buffers; default half of all.")]
Threads = Annotated[int | None, typer.Option(help="Worker threads; default one a core.")]
OutDir = Annotated[
    str | None, typer.Option("--out", "-o", help="Folder for report.json, .png and .csv.")
]
JsonFile = Annotated[str | None, typer.Option("--json", help="Write the JSON report; - is stdout.")]
PngFile = Annotated[str | None, typer.Option("--png", help="Write the figure; - is stdout.")]
CsvFile = Annotated[str | None, typer.Option("--csv", help="Write the table; - is stdout.")]
Motion = Annotated[
    bool | None, typer.Option("--motion/--no-motion", help="Motion-compensated flicker.")
]
Texture = Annotated[
    bool | None,
    typer.Option("--texture/--no-texture", help="Renewal of fine detail; costs time."),
]
Flow = Annotated[
    str | None, typer.Option(help="What finds the motion: lk, or raft with torchvision's weights.")
]
Gate = Annotated[
    str | None,
    typer.Option(
        help="What --fail-above is about: verdict (the number that it rests on), motion or energy."
    ),
]
AllowUnmeasured = Annotated[
    bool,
    typer.Option("--allow-unmeasured", help="Let --fail-above pass what is not measurable."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No summary and no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Notes in full.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="No progress bar.")]


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


@app.command("compare")
def compare_command(
    pred: Annotated[str, typer.Argument(metavar="PRED", help="The video to judge.")],
    ref: Annotated[
        str, typer.Argument(metavar="REF", help="Its reference, or a measurement saved of it.")
    ],
    out: OutDir = None,
    json_file: JsonFile = None,
    png: PngFile = None,
    csv: CsvFile = None,
    window: Window = None,
    segment: Segment = None,
    bands: Bands = None,
    primary: Primary = None,
    axis: Axis = None,
    planes: Planes = None,
    scales: Scales = None,
    frames: Frames = None,
    crop: Crop = None,
    paired: Annotated[
        bool | None,
        typer.Option(
            "--paired/--no-paired", help="Frame-by-frame readings; default: if they match."
        ),
    ] = None,
    lag: Annotated[
        int | None, typer.Option(help="Frames by which PRED comes late, -2..2; default: found.")
    ] = None,
    motion: Motion = None,
    texture: Texture = None,
    flow: Flow = None,
    settings: SettingsFile = None,
    device: Device = "auto",
    memory: Memory = None,
    threads: Threads = None,
    fail_above: Annotated[
        float | None,
        typer.Option(metavar="DB", help="Exit with 3 where PRED is above this."),
    ] = None,
    gate: Gate = None,
    allow_unmeasured: AllowUnmeasured = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
) -> None:
    """Report how much more PRED flickers than REF."""
    options = _given(
        window=window, segment=segment, bands=bands, primary=primary, axis=axis, planes=planes,
        scales=scales, frames=frames, crop=crop, paired=paired, lag=lag, motion=motion,
        texture=texture, flow=flow,
    )  # fmt: skip
    outputs = Outputs(folder=out, json=json_file, png=png, csv=csv)
    outputs.check([pred, ref])
    limited = _check_limit(fail_above, gate, allow_unmeasured, motion)
    with _progress(quiet or no_progress) as progress:
        result = _compare(
            pred, ref, _load_settings(settings), options,
            device=device, memory=memory, threads=threads, progress=progress,
        )  # fmt: skip
    write_comparison(result, outputs)
    if not quiet and outputs.stdout is None:
        from flickerscope.terminal import comparison_summary

        _show(comparison_summary(result, verbose=verbose))
    if fail_above is not None:
        from flickerscope.gate import find_breach

        breach = find_breach(
            result.ruling, result.energy_db, result.motion,
            limit=fail_above, gate=limited, allow_unmeasured=allow_unmeasured,
        )  # fmt: skip
        _gate([breach])


@app.command("analyze")
def analyze_command(
    videos: Annotated[list[str], typer.Argument(metavar="VIDEO...", help="Videos to measure.")],
    out: OutDir = None,
    json_file: JsonFile = None,
    png: PngFile = None,
    csv: CsvFile = None,
    save: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Save the measurement, at every segment length, as a REF for compare.",
        ),
    ] = None,
    window: Window = None,
    segment: Segment = None,
    bands: Bands = None,
    primary: Primary = None,
    planes: Planes = None,
    scales: Scales = None,
    frames: Frames = None,
    crop: Crop = None,
    motion: Motion = None,
    texture: Texture = None,
    flow: Flow = None,
    settings: SettingsFile = None,
    device: Device = "auto",
    memory: Memory = None,
    threads: Threads = None,
    fail_above: Annotated[
        float | None,
        typer.Option(metavar="RMS", help="Exit with 3 where the rms code value is above this."),
    ] = None,
    gate: Gate = None,
    allow_unmeasured: AllowUnmeasured = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
) -> None:
    """Measure videos without a reference: flicker along the motion, spectrum, bands."""
    options = _given(
        window=window, segment=segment, bands=bands, primary=primary, planes=planes,
        scales=scales, frames=frames, crop=crop, motion=motion, texture=texture, flow=flow,
    )  # fmt: skip
    outputs = Outputs(folder=out, json=json_file, png=png, csv=csv, save=save)
    if len(videos) > 1 and (png is not None or save is not None):
        raise SettingsError("--png and --save take one video; with several use --out")
    outputs.check(videos)
    limited = _check_limit(fail_above, gate, allow_unmeasured, motion)
    from flickerscope.comparison import analyze
    from flickerscope.probe import check_file
    from flickerscope.resources import pick_device

    for video in videos:
        check_file(video)

    took = str(pick_device(device))
    chosen = _load_settings(settings)
    results = []
    for video in videos:
        with _progress(quiet or no_progress) as progress:
            results.append(
                analyze(
                    video, settings=chosen, ladder=save is not None, device=device,
                    memory=memory, threads=threads, progress=progress, **options,
                )
            )  # fmt: skip
        if not quiet and outputs.stdout is None:
            from flickerscope.terminal import analysis_summary

            _show(analysis_summary(results[-1], device=took, verbose=verbose))
    write_analysis(results, took, outputs)
    if fail_above is not None:
        from flickerscope.gate import find_breach_alone
        from flickerscope.report.document import headline_power

        _gate(
            find_breach_alone(
                result.clips[0], headline_power(result) ** 0.5,
                limit=fail_above, settings=result.settings, gate=limited,
                allow_unmeasured=allow_unmeasured,
            )
            for result in results
        )  # fmt: skip


@app.command("demo")
def demo_command(
    out: Annotated[
        str, typer.Option("--out", "-o", help="Folder for the two videos and the report.")
    ] = "flickerscope-demo",
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
) -> None:
    """Render two videos, one with known flicker, and read the flicker back."""
    from flickerscope.demo.run import run_demo

    outputs = Outputs(folder=out, json=None, png=None, csv=None)
    outputs.check([])
    with _progress(quiet or no_progress) as progress:
        result = run_demo(Path(out), device=device, threads=threads, progress=progress)
    write_comparison(result.comparison, outputs)
    if not quiet:
        from flickerscope.terminal import comparison_summary, demo_summary

        _show(comparison_summary(result.comparison, verbose=verbose))
        _show(demo_summary(result, out))


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold what the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    try:
        code = app(list(arguments), prog_name="flickerscope", standalone_mode=False)
        if code == INTERRUPTED:  # where typer catches it first
            return _complain("interrupted", INTERRUPTED)
        return code if isinstance(code, int) else OK
    except SettingsError as error:
        return _complain(error, USAGE)
    except FlickerscopeError as error:
        return _complain(error, FAILURE)
    except UsageError as error:
        return _complain(" ".join(_message(error).split()), USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has gone; nothing is left to say to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except MemoryError:
        return _complain(NO_MEMORY, FAILURE)
    except RuntimeError as error:
        # How torch says that memory is out depends on the device.
        if "alloc" not in str(error) and "out of memory" not in str(error):
            raise
        return _complain(NO_MEMORY, FAILURE)


def _message(error: BaseException) -> str:
    format_message = getattr(error, "format_message", None)
    text = format_message() if callable(format_message) else str(error)
    return str(text) or "see flickerscope --help"


def _complain(error: object, code: int) -> int:
    from flickerscope.terminal import printable

    typer.echo(f"flickerscope: {printable(str(error).strip())}", err=True)
    return code


def _given(**options: Any) -> dict[str, Any]:
    """The options that were named on the command line."""
    given = {name: value for name, value in options.items() if value is not None}
    if "scales" in given:
        given["scales"] = tuple(part.strip() for part in given["scales"].split(","))
    return given


def _load_settings(path: str | None) -> Settings | None:
    if path is None:
        return None
    try:
        plain = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a report: {error}") from error
    if isinstance(plain, dict) and "settings" in plain:
        plain = plain["settings"]
    return Settings.from_dict(plain)


def _compare(
    pred: str, ref: str, settings: Settings | None, options: dict[str, Any], **resources: Any
) -> Comparison:
    from flickerscope.comparison import compare

    sides = [_saved_or_path(side) for side in (pred, ref)]
    return compare(sides[0], sides[1], settings=settings, **resources, **options)


def _saved_or_path(path: str) -> str | Measurement:
    """A saved measurement where the name ends in .json, else the path of a video."""
    if not path.lower().endswith(".json"):
        return path
    from flickerscope.measurement import Measurement

    return Measurement.load(path)


def _check_limit(
    limit: float | None, gate: str | None, allow_unmeasured: bool, motion: bool | None
) -> str:
    """What the limit is on."""
    if limit is not None and not math.isfinite(limit):
        raise SettingsError(f"--fail-above: a number, got {limit}")
    if gate is not None and gate not in GATES:
        raise SettingsError(f"--gate: one of {', '.join(GATES)}, got {gate!r}")
    if limit is None and (gate is not None or allow_unmeasured):
        raise SettingsError("--gate and --allow-unmeasured need a limit: --fail-above")
    if gate == "motion" and motion is False:
        raise SettingsError("--gate motion needs the motion that --no-motion switches off")
    return gate or GATES[0]


def _gate(breaches: Iterable[str | None]) -> None:
    """Say what is above the limit, and exit with 3 if anything is."""
    found = [breach for breach in breaches if breach is not None]
    for breach in found:
        _complain(breach, GATE)
    if found:
        raise typer.Exit(GATE)


def _show(summary: RenderableType) -> None:
    from rich.console import Console

    # Where the output is no terminal, rich would take 80 columns and cut long words.
    console = Console(highlight=False, soft_wrap=False, markup=False, emoji=False)
    console.print(summary)


@contextmanager
def _progress(hidden: bool) -> Iterator[Progress | None]:
    """A bar for every video on stderr, where that is a terminal."""
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

    from flickerscope.terminal import printable

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def report(name: str, frames: int, promised: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(printable(Path(name).name), total=promised)
            bar.update(tasks[name], completed=frames)

        yield report


if __name__ == "__main__":
    main()
