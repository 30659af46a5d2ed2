"""``flickerscope analyze``."""

from __future__ import annotations

from typing import Annotated

import typer

from flickerscope.cli import options
from flickerscope.cli.limits import check_limit, gate_on
from flickerscope.cli.outputs import Outputs, write_analysis
from flickerscope.cli.running import given, load_settings, progress_bar, show
from flickerscope.errors import SettingsError

__all__ = ["analyze_command"]


def analyze_command(
    videos: Annotated[list[str], typer.Argument(metavar="VIDEO...", help="Videos to measure.")],
    out: options.OutDir = None,
    json_file: options.JsonFile = None,
    png: options.PngFile = None,
    csv: options.CsvFile = None,
    save: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Save the measurement, at every segment length, as a REF for compare.",
        ),
    ] = None,
    fps: options.Fps = None,
    layout: options.Layout = None,
    value_range: options.ValueRange = None,
    key: options.Key = None,
    latent: options.Latent = False,
    window: options.Window = None,
    segment: options.Segment = None,
    bands: options.Bands = None,
    primary: options.Primary = None,
    planes: options.Planes = None,
    scales: options.Scales = None,
    frames: options.Frames = None,
    crop: options.Crop = None,
    repeats: options.Repeats = None,
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
        typer.Option(metavar="RMS", help="Exit with 3 where the rms code value is above this."),
    ] = None,
    gate: options.Gate = None,
    allow_unmeasured: options.AllowUnmeasured = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_progress: options.NoProgress = False,
    debug: options.Debug = False,  # noqa: ARG001 - `run` looks for it
) -> None:
    """Measure videos without a reference: flicker along the motion, spectrum, bands."""
    chosen = given(
        fps=fps, layout=layout, value_range=value_range, key=key, latent=latent or None,
        window=window, segment=segment, bands=bands, primary=primary, planes=planes, scales=scales,
        frames=frames, crop=crop, repeats=repeats, motion=motion, texture=texture, flow=flow,
    )  # fmt: skip
    outputs = Outputs(folder=out, json=json_file, png=png, csv=csv, save=save, videos=len(videos))
    if len(videos) > 1 and (png is not None or save is not None):
        raise SettingsError("--png and --save take one video; with several use --out")
    outputs.check(videos)
    limited = check_limit(fail_above, gate, allow_unmeasured, False if latent else motion)
    from flickerscope.comparison import analyze
    from flickerscope.inputs import check_input
    from flickerscope.resources import pick_device

    for video in videos:
        check_input(video)

    took = str(pick_device(device))
    base = load_settings(settings)
    results = []
    for video in videos:
        with progress_bar(quiet or no_progress) as progress:
            results.append(
                analyze(
                    video, settings=base, ladder=save is not None, device=device,
                    memory=memory, threads=threads, stream=stream, max_pixels=max_pixels,
                    strict=strict, timeout=timeout, progress=progress, **chosen,
                )
            )  # fmt: skip
    write_analysis(results, took, outputs)
    if not quiet and outputs.stdout is None:
        from flickerscope.cli.terminal import analysis_summary

        for result in results:
            show(analysis_summary(result, device=took, verbose=verbose))
    if fail_above is not None:
        from flickerscope.comparison.excess import headline_power
        from flickerscope.comparison.gate import find_breach_alone

        gate_on(
            find_breach_alone(
                result.clips[0], headline_power(result) ** 0.5,
                limit=fail_above, settings=result.settings, gate=limited,
                allow_unmeasured=allow_unmeasured,
            )
            for result in results
        )  # fmt: skip
