"""``flickerscope compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flickerscope.cli import options
from flickerscope.cli.limits import check_limit, gate_on
from flickerscope.cli.outputs import Outputs, write_comparison
from flickerscope.cli.running import given, load_settings, progress_bar, saved_or_path, show
from flickerscope.settings import Settings

if TYPE_CHECKING:
    from flickerscope.comparison import Comparison

__all__ = ["compare_command", "tell"]


def compare_command(
    pred: Annotated[str, typer.Argument(metavar="PRED", help="The video to judge.")],
    ref: Annotated[
        str, typer.Argument(metavar="REF", help="Its reference, or a measurement saved of it.")
    ],
    out: options.OutDir = None,
    json_file: options.JsonFile = None,
    png: options.PngFile = None,
    csv: options.CsvFile = None,
    fps: options.Fps = None,
    layout: options.Layout = None,
    value_range: options.ValueRange = None,
    key: options.Key = None,
    latent: options.Latent = False,
    window: options.Window = None,
    segment: options.Segment = None,
    bands: options.Bands = None,
    primary: options.Primary = None,
    axis: options.Axis = None,
    planes: options.Planes = None,
    scales: options.Scales = None,
    frames: options.Frames = None,
    crop: options.Crop = None,
    repeats: options.Repeats = None,
    paired: options.Paired = None,
    lag: options.Lag = None,
    motion: options.Motion = None,
    texture: options.Texture = None,
    flow: options.Flow = None,
    settings: options.SettingsFile = None,
    device: options.Device = "auto",
    memory: options.Memory = None,
    threads: options.Threads = None,
    stream: options.Stream = 0,
    max_pixels: options.MaxPixels = None,
    strict: options.Strict = False,
    timeout: options.Timeout = None,
    fail_above: Annotated[
        float | None,
        typer.Option(metavar="DB", help="Exit with 3 where PRED is above this."),
    ] = None,
    gate: options.Gate = None,
    allow_unmeasured: options.AllowUnmeasured = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_progress: options.NoProgress = False,
    debug: options.Debug = False,  # noqa: ARG001 - `run` looks for it
) -> None:
    """Report how much more PRED flickers than REF."""
    chosen = given(
        fps=fps, layout=layout, value_range=value_range, key=key, latent=latent or None,
        window=window, segment=segment, bands=bands, primary=primary, axis=axis, planes=planes,
        scales=scales, frames=frames, crop=crop, repeats=repeats, paired=paired, lag=lag,
        motion=motion, texture=texture, flow=flow,
    )  # fmt: skip
    outputs = Outputs(folder=out, json=json_file, png=png, csv=csv)
    outputs.check([pred, ref])
    limited = check_limit(fail_above, gate, allow_unmeasured, False if latent else motion)
    with progress_bar(quiet or no_progress) as progress:
        result = _compare(
            pred, ref, load_settings(settings), chosen,
            device=device, memory=memory, threads=threads, stream=stream,
            max_pixels=max_pixels, strict=strict, timeout=timeout, progress=progress,
        )  # fmt: skip
    tell(
        result, outputs, quiet=quiet, verbose=verbose, fail_above=fail_above, gate=limited,
        allow_unmeasured=allow_unmeasured,
    )  # fmt: skip


def tell(
    result: Comparison,
    outputs: Outputs,
    *,
    quiet: bool,
    verbose: bool,
    fail_above: float | None,
    gate: str,
    allow_unmeasured: bool,
) -> None:
    """Write the reports, print the summary, and hold it against the limit."""
    write_comparison(result, outputs)
    if not quiet and outputs.stdout is None:
        from flickerscope.cli.terminal import comparison_summary

        show(comparison_summary(result, verbose=verbose))
    if fail_above is not None:
        from flickerscope.comparison.gate import find_breach

        breach = find_breach(
            result.ruling, result.energy_db, result.flicker_db,
            limit=fail_above, gate=gate, allow_unmeasured=allow_unmeasured,
        )  # fmt: skip
        gate_on([breach])


def _compare(
    pred: str, ref: str, settings: Settings | None, options: dict[str, Any], **resources: Any
) -> Comparison:
    from flickerscope.comparison import compare

    sides = [saved_or_path(side) for side in (pred, ref)]
    return compare(sides[0], sides[1], settings=settings, **resources, **options)
