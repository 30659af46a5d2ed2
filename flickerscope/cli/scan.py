"""``flickerscope scan``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flickerscope.cli import options
from flickerscope.cli.computing import cache_of, computing
from flickerscope.cli.limits import check_limit, gate_on
from flickerscope.cli.running import FAILURE, complain, given, load_settings, show
from flickerscope.errors import SettingsError
from flickerscope.settings import Settings

if TYPE_CHECKING:
    from flickerscope.scan.pairing import Pairing
    from flickerscope.scan.sets import MeasurementSet
    from flickerscope.scan.shards import Shard
    from flickerscope.scan.unpaired.run import LoneClip

__all__ = ["check_gate_on", "conclude", "scan_command"]

GATES_ON = "median", "any"


def scan_command(
    pred_dir: Annotated[
        str | None, typer.Argument(metavar="[PRED_DIR]", help="Folder of a model's videos.")
    ] = None,
    ref: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder of references, or the .json of a set of them."),
    ] = None,
    pred: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="A model and its folder; several times."),
    ] = None,
    list_file: Annotated[
        str | None,
        typer.Option("--list", metavar="FILE", help="Pairs as .csv or .jsonl, in place of DIRs."),
    ] = None,
    pair: Annotated[
        str, typer.Option(help="How files pair: stem, name or regex; default stem.")
    ] = "stem",
    pattern: Annotated[
        str | None, typer.Option(metavar="REGEX", help="For --pair regex: its groups are the key.")
    ] = None,
    unpaired: Annotated[
        bool,
        typer.Option("--unpaired", help="Two sets without correspondence: compare distributions."),
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave out what does not pair.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which files pair, and stop.")
    ] = False,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="DIR", help="Folder for the results.")
    ] = "flickerscope-scan",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results of other clips or settings.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Measure again what an earlier run failed on.")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="The same statistic between the references.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Measure one of N parts, for `flickerscope merge`."),
    ] = None,
    fps: options.Fps = None,
    layout: options.Layout = None,
    value_range: options.ValueRange = None,
    key: options.Key = None,
    latent: options.Latent = False,
    window: options.Window = None,
    segment: Annotated[
        int | None, typer.Option(help="Frames a segment; default: the most that 95 % have.")
    ] = None,
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
    fail_above: options.FailAboveOfModel = None,
    gate_on_what: options.GateOn = None,
    gate: options.Gate = None,
    allow_unmeasured: options.AllowUnmeasured = False,
    export: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="vbench: its files, with its temporal flickering."),
    ] = None,
    parquet: options.Parquet = False,
    no_png: options.NoFigure = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_progress: options.NoProgress = False,
    debug: options.Debug = False,  # noqa: ARG001 - `run` looks for it
) -> None:
    """Hold folders of videos against their references, with the statistics of all of them."""
    limited = check_limit(fail_above, gate, allow_unmeasured, False if latent else motion)
    gated = check_gate_on(gate_on_what, fail_above)
    part = _shard(shard, fail_above)
    check_extra(parquet)
    vbench = _check_export(export)
    chosen = given(
        latent=latent or None, window=window, segment=segment, bands=bands, primary=primary,
        axis=axis, planes=planes, scales=scales, frames=frames, crop=crop, repeats=repeats,
        paired=paired, lag=lag, motion=motion, texture=texture, flow=flow,
    )  # fmt: skip
    saved = _load_set(ref)
    base = load_settings(settings) or (Settings() if saved is None else saved.settings)
    measured = base.with_changes(**chosen)
    if saved is not None:
        saved.check(measured)
    clips: Sequence[LoneClip] = ()
    pairing = None
    if unpaired:
        clashing = {
            "--list": list_file, "--shard": shard, "--calibrate": calibrate, "--dry-run": dry_run,
            "--gate-on": gate_on_what, "--pattern": pattern, "--allow-missing": allow_missing,
        }  # fmt: skip
        _refuse(clashing)
        clips = _lone_clips(*_folders(pred_dir, pred or [], ref), saved, pair)
    else:
        pairing = _pairing(pred_dir, pred or [], ref, saved, list_file, pair, pattern)
    if pairing is not None and dry_run:
        from flickerscope.cli.scan_summary import pairing_table

        show(pairing_table(pairing if part is None else part.pairing(pairing), verbose=verbose))
        pairing.check(allow_missing=allow_missing)
        return
    if pairing is not None:
        pairing.check(allow_missing=allow_missing)
    from flickerscope.cli.watch import watching
    from flickerscope.scan.job import Choices, checked

    with (
        watching(quiet=quiet, plain=no_progress) as watch,
        computing(
            engine, address, device=device, workers=workers, threads=threads, timeout=timeout
        ) as means,
    ):
        choices = Choices(
            settings=measured, fps=fps, layout=layout, value_range=value_range, key=key,
            stream=stream, max_pixels=max_pixels, strict=strict, vbench=vbench, memory=memory,
            threads=means.threads, cache=cache_of(cache, cache_size),
        )  # fmt: skip
        choices = checked(choices, means.engine)
        run = _runner(pairing, clips, part, calibrate, not no_png, parquet)
        result = run(
            out, choices=choices, engine=means.engine, devices=means.devices,
            saved=None if saved is None else saved.by_path(), overwrite=overwrite,
            retry_failed=retry_failed, progress=watch,
        )  # fmt: skip
    if isinstance(result, Mapping):
        conclude(
            result, out, limit=fail_above, on=gated, gate=limited,
            allow_unmeasured=allow_unmeasured, quiet=quiet, verbose=verbose,
        )  # fmt: skip
        return
    counts, lost = result
    if not quiet:
        from flickerscope.cli.scan_summary import shard_summary

        show(shard_summary(f"{part}", counts, lost, out, verbose=verbose))
    if counts.failed:
        raise typer.Exit(FAILURE)


def _runner(
    pairing: Pairing | None,
    clips: Sequence[LoneClip],
    part: Shard | None,
    calibration: bool,
    figure: bool,
    parquet: bool,
) -> Callable[..., Any]:
    """What measures pairs, or a part of them, or clips that have none."""
    from flickerscope.scan.run import run_scan
    from flickerscope.scan.shards import run_shard
    from flickerscope.scan.unpaired.run import run_unpaired

    if pairing is None:
        return partial(run_unpaired, clips, figure=figure, parquet=parquet)
    if part is None:
        return partial(run_scan, pairing, calibration=calibration, figure=figure, parquet=parquet)
    return partial(run_shard, part, pairing, calibration=calibration)


def conclude(
    summary: Mapping[str, Any],
    out: str,
    *,
    limit: float | None,
    on: str,
    gate: str,
    allow_unmeasured: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Show what a scan found, hold it against a limit, and exit with the code of both."""
    lone = summary["kind"] == "unpaired scan"
    if not quiet:
        from flickerscope.cli.scan_summary import scan_summary
        from flickerscope.cli.unpaired_summary import unpaired_summary

        show((unpaired_summary if lone else scan_summary)(summary, out, verbose=verbose))
    failed = summary["clips"]["failed"]
    if failed:
        complain(f"{summary['clips']['text']}: by name in {Path(out) / 'summary.json'}", FAILURE)
    if limit is not None:
        from flickerscope.scan.gate import find_breaches, find_shifts_above
        from flickerscope.scan.journal import read_records
        from flickerscope.scan.ledger import RECORDS

        if lone:
            breaches = find_shifts_above(
                summary, limit=limit, gate=gate, allow_unmeasured=allow_unmeasured
            )
        else:
            breaches = find_breaches(
                read_records(Path(out) / RECORDS), limit=limit, on=on, gate=gate,
                allow_unmeasured=allow_unmeasured,
            )  # fmt: skip
        gate_on(breaches, failed=bool(failed))
    if failed:
        raise typer.Exit(FAILURE)


def check_extra(parquet: bool) -> None:
    """Raise `SettingsError` now for what would be missing after a long run."""
    if parquet:
        from flickerscope.scan.parquet import check_parquet

        check_parquet()


def _check_export(export: str | None) -> bool:
    """Whether VBench's layout is wanted; raises `SettingsError`."""
    if export not in (None, "vbench"):
        raise SettingsError(f"--export: vbench, got {export!r}")
    return export is not None


def check_gate_on(on: str | None, limit: float | None) -> str:
    """What the limit holds for; raises `SettingsError`."""
    if on is not None and on not in GATES_ON:
        raise SettingsError(f"--gate-on: one of {', '.join(GATES_ON)}, got {on!r}")
    if on is not None and limit is None:
        raise SettingsError("--gate-on needs a limit: --fail-above")
    return on or GATES_ON[0]


def _shard(text: str | None, limit: float | None) -> Shard | None:
    if text is None:
        return None
    from flickerscope.scan.shards import parse_shard

    if limit is not None:
        raise SettingsError("--fail-above is for all clips: give it to flickerscope merge")
    return parse_shard(text)


def _pairing(
    pred_dir: str | None,
    named: Sequence[str],
    ref: str | None,
    saved: MeasurementSet | None,
    list_file: str | None,
    by: str,
    pattern: str | None,
) -> Pairing:
    """From folders, from a folder and a set, or from a list."""
    from flickerscope.scan.pairing import pair_folders, pair_list

    if list_file is not None:
        if pred_dir is not None or named or ref is not None or by != "stem" or pattern is not None:
            raise SettingsError("--list brings its own pairs: give no folders and no --pair")
        return pair_list(list_file)
    models, ref = _folders(pred_dir, named, ref)
    way: Any = by  # checked there
    names = None if saved is None else [clip.name for clip in saved.clips]
    return pair_folders(models, ref, names=names, by=way, pattern=pattern)


def _refuse(clashing: Mapping[str, Any]) -> None:
    """Options, by name, that are about pairs."""
    for name, value in clashing.items():
        if value:
            raise SettingsError(f"{name} is about pairs, of which --unpaired has none")


def _folders(
    pred_dir: str | None, named: Sequence[str], ref: str | None
) -> tuple[dict[str, str], str]:
    """Of each model, and that of the references."""
    if ref is None:
        raise SettingsError("name the folder of references by --ref, or a list of pairs by --list")
    if (pred_dir is None) == (not named):
        raise SettingsError("name one folder of predictions, or models by --pred NAME=DIR")
    if pred_dir is None:
        return _models(named), ref
    return {Path(pred_dir).resolve().name: pred_dir}, ref


def _lone_clips(
    models: dict[str, str], ref: str, saved: MeasurementSet | None, by: str
) -> list[LoneClip]:
    """All clips of sets without correspondence."""
    from flickerscope.scan.unpaired.run import find_clips

    if by not in ("stem", "name"):
        raise SettingsError(
            "--unpaired: --pair stem takes {prompt}-{index} for seeds of one prompt, --pair name "
            "every clip for itself"
        )
    clips = None if saved is None else saved.clips
    return find_clips(models, ref, saved=clips, seeds=by == "stem")


def _load_set(ref: str | None) -> MeasurementSet | None:
    """The references as they were measured before, where that is what ``--ref`` names."""
    if ref is None or not ref.lower().endswith((".json", ".json.gz")):
        return None
    from flickerscope.scan.sets import load_set

    return load_set(ref)


def _models(named: Sequence[str]) -> dict[str, str]:
    models: dict[str, str] = {}
    for text in named:
        name, equals, folder = text.partition("=")
        if not (equals and name and folder):
            raise SettingsError(f"--pred: NAME=DIR, got {text!r}")
        if name in models:
            raise SettingsError(f"--pred: two models of the name {name!r}")
        models[name] = folder
    return models
