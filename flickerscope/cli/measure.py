"""``flickerscope measure``."""

from __future__ import annotations

from typing import Annotated

import typer

from flickerscope.cli import options
from flickerscope.cli.computing import cache_of, computing
from flickerscope.cli.running import FAILURE, complain, given, load_settings, show
from flickerscope.errors import SettingsError
from flickerscope.files import check_writable
from flickerscope.settings import Settings

__all__ = ["measure_command"]


def measure_command(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder of videos.")],
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help="The set: a .json, or .json.gz, file."),
    ],
    fps: options.Fps = None,
    layout: options.Layout = None,
    value_range: options.ValueRange = None,
    key: options.Key = None,
    latent: options.Latent = False,
    window: options.Window = None,
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
    engine: options.Engine = "local",
    address: options.Address = None,
    device: options.Devices = "auto",
    workers: options.Processes = None,
    memory: options.MemoryOfProcess = None,
    threads: options.ThreadsOfProcess = None,
    stream: options.Stream = 0,
    max_pixels: options.MaxPixels = None,
    cache: options.Cache = None,
    cache_size: options.CacheSize = None,
    strict: options.Strict = False,
    timeout: options.TimeoutOfClip = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_progress: options.NoProgress = False,
    debug: options.Debug = False,  # noqa: ARG001 - `run` looks for it
) -> None:
    """Measure a folder of videos once, as the references of scans to come."""
    if not out.lower().endswith((".json", ".json.gz")):
        raise SettingsError(f"--out: the name of a .json or .json.gz file, got {out!r}")
    check_writable(out)
    chosen = given(
        latent=latent or None, window=window, bands=bands, primary=primary, planes=planes,
        scales=scales, frames=frames, crop=crop, repeats=repeats, motion=motion, texture=texture,
        flow=flow,
    )  # fmt: skip
    measured = (load_settings(settings) or Settings()).with_changes(**chosen)
    from flickerscope.cli.watch import watching
    from flickerscope.scan.job import Choices, checked
    from flickerscope.scan.sets import measure_folder

    with (
        watching(quiet=quiet, plain=no_progress) as watch,
        computing(
            engine, address, device=device, workers=workers, threads=threads, timeout=timeout
        ) as means,
    ):
        choices = Choices(
            settings=measured, fps=fps, layout=layout, value_range=value_range, key=key,
            stream=stream, max_pixels=max_pixels, strict=strict, memory=memory,
            threads=means.threads, cache=cache_of(cache, cache_size),
        )  # fmt: skip
        choices = checked(choices, means.engine)
        counts, lost = measure_folder(
            folder, out, choices=choices, engine=means.engine, devices=means.devices,
            progress=watch,
        )  # fmt: skip
    if not quiet:
        from flickerscope.cli.scan_summary import set_summary

        show(set_summary(counts, lost, out, verbose=verbose))
    if counts.failed or not counts.measured:
        complain(f"{counts}; the same command tries again", FAILURE)
        raise typer.Exit(FAILURE)
