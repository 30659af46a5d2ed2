"""``flickerscope roundtrip``."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from flickerscope.cli import options
from flickerscope.cli.compare import tell
from flickerscope.cli.limits import check_limit
from flickerscope.cli.outputs import Outputs
from flickerscope.cli.running import given, load_settings, progress_bar
from flickerscope.errors import SettingsError

__all__ = ["roundtrip_command"]


def roundtrip_command(
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="The video to send through.")],
    vae: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="Folder of an autoencoder or a pipeline as diffusers saves it, or .safetensors.",
        ),
    ],
    vae_config: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="config.json for a .safetensors; default: beside it."),
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw the latents; default: take their means.")
    ] = False,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of the draws; default 0.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Resize the frames before.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(metavar="N", help="Frames at once; default 4, 14 decoded in time, or all."),
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="Of the autoencoder: float32, float16 or bfloat16.")
    ] = "float32",
    out: options.OutDir = None,
    json_file: options.JsonFile = None,
    png: options.PngFile = None,
    csv: options.CsvFile = None,
    fps: options.Fps = None,
    layout: options.Layout = None,
    value_range: options.ValueRange = None,
    key: options.Key = None,
    window: options.Window = None,
    segment: options.Segment = None,
    bands: options.Bands = None,
    primary: options.Primary = None,
    planes: options.Planes = None,
    scales: options.Scales = None,
    frames: options.Frames = None,
    crop: options.Crop = None,
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
        typer.Option(metavar="DB", help="Exit with 3 where what comes out is above this."),
    ] = None,
    gate: options.Gate = None,
    allow_unmeasured: options.AllowUnmeasured = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_progress: options.NoProgress = False,
    debug: options.Debug = False,  # noqa: ARG001 - `run` looks for it
) -> None:
    """Report how much flicker an autoencoder adds to VIDEO."""
    chosen = given(
        fps=fps, layout=layout, value_range=value_range, key=key,
        window=window, segment=segment, bands=bands, primary=primary, planes=planes,
        scales=scales, frames=frames, crop=crop, motion=motion, texture=texture, flow=flow,
    )  # fmt: skip
    outputs = Outputs(folder=out, json=json_file, png=png, csv=csv)
    outputs.check([video])
    limited = check_limit(fail_above, gate, allow_unmeasured, motion)
    if seed is not None and not sample:
        raise SettingsError("--seed is for --sample")
    box = _size(size)
    base = load_settings(settings)
    from flickerscope.inputs import check_input
    from flickerscope.inputs.source import MOST_PIXELS, FileOptions
    from flickerscope.resources import pick_device
    from flickerscope.roundtrip import Autoencoder, Passage, roundtrip

    passage = Passage(seed=(seed or 0) if sample else None, size=box, at_once=batch)
    files = FileOptions(
        stream=stream, max_pixels=MOST_PIXELS if max_pixels is None else max_pixels,
        strict=strict, timeout=timeout,
    )  # fmt: skip
    check_input(video)
    autoencoder = Autoencoder.load(vae, config=vae_config, device=pick_device(device), dtype=dtype)
    with progress_bar(quiet or no_progress) as progress:
        result = roundtrip(
            video, autoencoder, passage=passage, settings=base, threads=threads, memory=memory,
            files=files, progress=progress, **chosen,
        )  # fmt: skip
    tell(
        result, outputs, quiet=quiet, verbose=verbose, fail_above=fail_above, gate=limited,
        allow_unmeasured=allow_unmeasured,
    )  # fmt: skip


def _size(text: str | None) -> tuple[int, int] | None:
    """Width and height."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip())
    if found is None:
        raise SettingsError(f"--size: WIDTHxHEIGHT such as 512x288, got {text!r}")
    return int(found[1]), int(found[2])
