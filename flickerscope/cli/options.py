"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "Address",
    "AllowUnmeasured",
    "Axis",
    "Bands",
    "Cache",
    "CacheSize",
    "Crop",
    "CsvFile",
    "Debug",
    "Device",
    "Devices",
    "Engine",
    "FailAboveOfModel",
    "Flow",
    "Fps",
    "Frames",
    "Gate",
    "GateOn",
    "JsonFile",
    "Key",
    "Lag",
    "Latent",
    "Layout",
    "MaxPixels",
    "Memory",
    "MemoryOfProcess",
    "Motion",
    "NoProgress",
    "OutDir",
    "Paired",
    "Planes",
    "PngFile",
    "Primary",
    "Processes",
    "Quiet",
    "Repeats",
    "Scales",
    "Segment",
    "SettingsFile",
    "Stream",
    "Strict",
    "Texture",
    "Threads",
    "ThreadsOfProcess",
    "Timeout",
    "TimeoutOfClip",
    "ValueRange",
    "Verbose",
    "Window",
]

Fps = Annotated[
    str | None, typer.Option(help="Frames a second of pictures and arrays: 24 or 30000/1001.")
]
Layout = Annotated[
    str | None, typer.Option(help="Axes of an array: THW, TCHW, THWC, CTHW, BTCHW; default: found.")
]
ValueRange = Annotated[
    str | None,
    typer.Option(help="Black..white of an array, such as -1..1; default 0..1, 0..255, 0..65535."),
]
Key = Annotated[str | None, typer.Option(help="Which array of an .npz, .pt or .safetensors file.")]
Latent = Annotated[
    bool,
    typer.Option("--latent", help="The arrays are latents, of any channels and finite floats."),
]
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
Repeats = Annotated[
    str | None,
    typer.Option(
        help="Frames held throughout: drop them and correct the rate, or keep; default drop."
    ),
]
SettingsFile = Annotated[
    str | None,
    typer.Option("--settings", help="Take the settings of a report.json; options come first."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Memory = Annotated[float | None, typer.Option(help="Megabytes for buffers; default half of all.")]
Threads = Annotated[int | None, typer.Option(help="Worker threads; default one a core.")]
Stream = Annotated[
    int, typer.Option(metavar="N", help="Which of a file's video streams, from 0 on.")
]
MaxPixels = Annotated[
    int | None, typer.Option(metavar="N", help="Refuse larger frames; default 2^27 pixels.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Take damaged videos as failures.")]
Timeout = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Decode in a process of its own that may take no longer."),
]
Devices = Annotated[
    str,
    typer.Option("--device", help="auto, cpu, cuda, cuda:N, several as in cuda:0,1, or mps."),
]
Engine = Annotated[
    str, typer.Option(help="Where to compute: local (processes of this machine) or ray.")
]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Of the Ray cluster, or auto; default: this machine."),
]
Cache = Annotated[
    str | None, typer.Option(metavar="DIR", help="Keep what was fetched by URL; default: do not.")
]
CacheSize = Annotated[float | None, typer.Option(metavar="GB", help="Of the --cache; default 20.")]
Processes = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Processes; default one a core.")
]
MemoryOfProcess = Annotated[
    float | None, typer.Option("--memory", help="Megabytes for the buffers of a process.")
]
ThreadsOfProcess = Annotated[
    int | None, typer.Option("--threads", help="Of a process; default the cores divided.")
]
TimeoutOfClip = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", help="Give a clip up after this long."),
]
OutDir = Annotated[
    str | None, typer.Option("--out", "-o", help="Folder for report.json, .png and .csv.")
]
JsonFile = Annotated[str | None, typer.Option("--json", help="Write the JSON report; - is stdout.")]
PngFile = Annotated[str | None, typer.Option("--png", help="Write the figure; - is stdout.")]
CsvFile = Annotated[str | None, typer.Option("--csv", help="Write the table; - is stdout.")]
Paired = Annotated[
    bool | None,
    typer.Option("--paired/--no-paired", help="Frame-by-frame readings; default: if they match."),
]
Lag = Annotated[
    int | None, typer.Option(help="Frames by which PRED comes late, -2..2; default: found.")
]
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
Parquet = Annotated[
    bool,
    typer.Option("--parquet", help="Write results.parquet too; needs flickerscope[parquet]."),
]
NoFigure = Annotated[
    bool, typer.Option("--no-png", help="Draw no summary.png, which takes a few seconds.")
]
FailAboveOfModel = Annotated[
    float | None, typer.Option(metavar="DB", help="Exit with 3 where a model is above this.")
]
GateOn = Annotated[
    str | None, typer.Option("--gate-on", help="The median of the clips, or any of them.")
]
AllowUnmeasured = Annotated[
    bool,
    typer.Option("--allow-unmeasured", help="Let --fail-above pass what is not measurable."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No summary and no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Notes in full.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="No progress bar.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
