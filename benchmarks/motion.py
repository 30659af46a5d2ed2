"""Ranks clips with injected flicker against clean ones, by each estimator of flicker there is.

Run it with ``python benchmarks/motion.py FOLDER...`` on folders of clean clips, which should not
be generated ones: flicker of their own would spoil the null. Windows of 24 frames with 288 rows
(or their own, from 144 on) are taken at normal and at double speed, flicker of known size is put
in, all is encoded with x264 at crf 18 and read back. It takes about 20 s of one core for each
window, ``--quick`` under half of that; ``--jobs`` shares it out. All random numbers are seeded.

A flickered clip is ranked against the clean clips of *other* sources, at normal and at double
speed: the area under the curve (AUC) is the share of such pairs in which it reads higher, .5 is
chance. Files that show the same footage are one source. The null is the excess that a clean clip
reads at double speed over itself at normal speed, and the other way round, "half speed".
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import math
import statistics
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

import flickerscope
from flickerscope import FlickerscopeError
from flickerscope.comparison.excess import band_power, excess_db
from flickerscope.grid import AreaGrid, grid_shape
from flickerscope.inputs import open_source
from flickerscope.inputs.source import Plane, Source
from flickerscope.measurement import key
from flickerscope.motion import LucasKanade, MotionField, flicker
from flickerscope.motion.filters import blur
from flickerscope.motion.raft import Raft
from flickerscope.segments import CutDetector
from flickerscope.video import encode

FRAMES = 24
ROWS, MIN_ROWS = 288, 144
RATE = 24
CODEC = {"crf": "18", "x264-params": "threads=1"}
SUFFIXES = {".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm", ".y4m"}
SMALLEST_MEAN = 16.0
"""Of a frame's luma; black frames clip what is put in."""
PULSATION = 0.4
"""Largest standard deviation of white flicker in the frame's mean that still counts as clean."""
REPEAT_RATIO, REPEAT_SHARE = 0.1, 0.2
SAME_FOOTAGE = 0.98
"""Correlation of two small pictures from which on they show the same."""

FLOWS: dict[str, Callable[[], MotionField]] = {
    "lucas-kanade": LucasKanade,
    "raft": lambda: Raft.load(size="large"),
    "raft-small": lambda: Raft.load(size="small"),
}
"""RAFT wants torchvision, and its weights where torch.hub keeps them; it downloads nothing."""

Floats = NDArray[np.float64]
Readings = dict[str, float | None]


# --- clean footage ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of clean footage: 48 frames, or 24 where the shot has no more."""

    name: str
    path: Path
    source: str
    """First file that shows the same footage."""
    start: int
    frames: int

    @property
    def has_double_speed(self) -> bool:
        """Whether there are frames enough."""
        return self.frames == 2 * FRAMES


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file shows, in small pictures."""

    pictures: torch.Tensor
    """(frames, rows, columns), luma code values."""
    shots: list[tuple[int, int]]


def files_in(folders: Iterable[Path]) -> list[Path]:
    """Videos below the folders, each once, in a fixed order."""
    found: dict[Path, None] = {}
    for folder in folders:
        inside = [folder] if folder.is_file() else sorted(folder.rglob("*"))
        found |= dict.fromkeys(path for path in inside if path.suffix.lower() in SUFFIXES)
    return list(found)


def why_not(source: Source) -> str | None:
    """What about a file makes it a bad null, or None."""
    info = source.info
    if min(info.height, info.width) < MIN_ROWS:
        return f"{info.height}x{info.width}; {MIN_ROWS} rows are the least"
    if info.interlaced:
        return "interlaced"
    if info.variable_rate:
        return "its frame rate varies"
    if info.codec == "gif":
        return "dithered to a palette"
    return None


def survey(source: Source) -> Survey:
    """Read all of a file once."""
    plane = source.planes[0]
    shape = grid_shape(plane.height, plane.width)
    grid = AreaGrid(
        plane.height, plane.width, shape, dtype=torch.float32, device=torch.device("cpu")
    )
    cuts, pictures, found = CutDetector(), [], []
    for frame in source.frames():
        pictures.append(grid.average(code_values(frame.planes[0], plane)))
        change = float((pictures[-1] - pictures[-2]).abs().mean()) if pictures[1:] else 0.0
        found += cuts.push(pictures[-1], change)
    edges = [0, *found, *cuts.flush(), len(pictures)]
    return Survey(torch.stack(pictures), list(itertools.pairwise(edges)))


def code_values(samples: torch.Tensor, plane: Plane) -> torch.Tensor:
    """Full-range 8-bit code values, float32."""
    return samples.to(torch.float32) * plane.scale + plane.offset


def why_not_window(pictures: torch.Tensor) -> str | None:
    """What in a stretch of small pictures makes it a bad null, or None."""
    if float(pictures.mean((1, 2)).min()) < SMALLEST_MEAN:
        return "dark"
    changes = pictures.diff(dim=0).abs().mean((1, 2))
    repeats = changes < REPEAT_RATIO * changes.quantile(0.75)
    if float(repeats.float().mean()) > REPEAT_SHARE:
        return "frames repeat the one before"
    if pulsation(pictures.mean((1, 2))) > PULSATION:
        return "its brightness pulsates"
    return None


def pulsation(means: torch.Tensor) -> float:
    """Standard deviation of white flicker in the mean of the frames, whatever changes slowly."""
    return float(means.diff(n=2).abs().median()) / (0.6745 * math.sqrt(6))


def windows_of(seen: Survey, most: int) -> tuple[list[tuple[int, int]], set[str]]:
    """Up to ``most`` windows, spread over the file, as (start, frames), and why there are fewer."""
    good: list[tuple[int, int]] = []
    reasons: set[str] = set()
    for start, stop in seen.shots:
        length = 2 * FRAMES if stop - start >= 2 * FRAMES else FRAMES
        if stop - start < FRAMES:
            reasons.add(f"a shot of under {FRAMES} frames")
        first = start
        while first + length <= stop:
            reason = why_not_window(seen.pictures[first : first + length])
            if reason is None:
                good.append((first, length))
            else:
                reasons.add(reason)
            first += length if reason is None else FRAMES // 2
    places = {round(i) for i in np.linspace(0, len(good) - 1, most)} if good else set()
    return [good[place] for place in sorted(places)], reasons


class Footages:
    """Tells which files show the same footage, by small pictures of every twelfth frame."""

    def __init__(self) -> None:
        self._known: list[tuple[str, torch.Tensor]] = []

    def add(self, name: str, pictures: torch.Tensor) -> None:
        """Take the next file, (frames, rows, columns) of luma."""
        small = functional.adaptive_avg_pool2d(pictures[::12], (12, 16)).flatten(1)
        small = small - small.mean(1, keepdim=True)
        small = small / small.norm(dim=1, keepdim=True).clamp(min=1e-6)
        same = {
            source for source, other in self._known if float((small @ other.T).max()) > SAME_FOOTAGE
        }
        source = min(same, default=name)
        self._known = [(source if s in same else s, other) for s, other in self._known]
        self._known.append((source, small))

    def merged(self) -> list[str]:
        """The source of each file, in the order they were added."""
        return [source for source, _ in self._known]


def find_windows(
    paths: Sequence[Path], most: int, tell: Callable[[str], None]
) -> tuple[list[Window], list[str]]:
    """Windows of all files, and why others have none, a sentence each."""
    footages, found, skipped = Footages(), [], []
    for i, path in enumerate(paths):
        tell(f"looking through {i + 1} of {len(paths)} files")
        try:
            source = open_source(path)
            reason = why_not(source)
            if reason is None:
                seen = survey(source)
                places, reasons = windows_of(seen, most)
                reason = None if places else ", ".join(sorted(reasons))
        except FlickerscopeError as error:
            reason = str(error).removeprefix(f"{path}: ")
        if reason is not None:
            skipped.append(f"{path.name}: {reason}")
            continue
        footages.add(str(path), seen.pictures)
        found.append((path, places))
    windows: list[Window] = []
    stems: Counter[str] = Counter()
    for (path, places), footage in zip(found, footages.merged(), strict=True):
        stems[path.stem] += 1
        name = path.stem if stems[path.stem] == 1 else f"{path.stem}-file{stems[path.stem]}"
        windows += [
            Window(name=f"{name}-{start}", path=path, source=footage, start=start, frames=frames)
            for start, frames in places
        ]
    return windows, skipped


def read_window(window: Window) -> tuple[torch.Tensor, torch.Tensor]:
    """Luma (T, H, W) and chroma (T, 2, H, W) around 0, float32 code values, at the bench's size."""
    try:
        source = open_source(window.path, planes="yuv")
    except FlickerscopeError:
        source = open_source(window.path)
    planes = source.planes
    height, width = planes[0].height, planes[0].width
    scale = min(1.0, ROWS / min(height, width))
    size = 2 * round(height * scale / 2), 2 * round(width * scale / 2)
    lumas, chromas = [], []
    for index, frame in enumerate(source.frames()):
        if index >= window.start + window.frames:
            break
        if index < window.start:
            continue
        values = [code_values(x, plane) for x, plane in zip(frame.planes, planes, strict=True)]
        lumas.append(resized(values[0], size))
        colour = [resized(x - 128, size) for x in values[1:]] or [torch.zeros(size)] * 2
        chromas.append(torch.stack(colour))
    return torch.stack(lumas), torch.stack(chromas)


def resized(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Area average where it gets smaller, else bilinear, (H, W) to ``size``."""
    height, width = picture.shape
    if (height, width) == size:
        return picture
    if height >= size[0] and width >= size[1]:
        device = torch.device("cpu")
        return AreaGrid(height, width, size, dtype=picture.dtype, device=device).average(picture)
    return functional.interpolate(picture[None, None], size=size, mode="bilinear")[0, 0]


# --- injected flicker: each takes (T, H, W) luma, a dose and random numbers ---


def unit_trace(frames: int, rng: np.random.Generator) -> Floats:
    """White noise of exactly mean 0 and standard deviation 1, (frames,)."""
    trace = rng.standard_normal(frames)
    trace -= trace.mean()
    return np.asarray(trace / trace.std())


def per_frame(luma: torch.Tensor, trace: Floats | Sequence[float]) -> torch.Tensor:
    return luma + torch.as_tensor(trace, dtype=luma.dtype)[:, None, None]


def white(luma: torch.Tensor, sigma: float, rng: np.random.Generator) -> torch.Tensor:
    """The whole picture, white in time."""
    return per_frame(luma, sigma * unit_trace(len(luma), rng))


def alternation(luma: torch.Tensor, size: float, rng: np.random.Generator) -> torch.Tensor:
    """The whole picture by +size, -size."""
    del rng
    return per_frame(luma, [size * (-1) ** t for t in range(len(luma))])


def two_on_two_off(luma: torch.Tensor, size: float, rng: np.random.Generator) -> torch.Tensor:
    """The whole picture by +size, +size, -size, -size: a quarter of a cycle a frame."""
    del rng
    return per_frame(luma, [size * (-1) ** (t // 2) for t in range(len(luma))])


def pulsing(luma: torch.Tensor, size: float, rng: np.random.Generator) -> torch.Tensor:
    """Every eighth frame brighter, as key frames can be."""
    del rng
    return per_frame(luma, [size * (t % 8 == 4) for t in range(len(luma))])


def boiling(luma: torch.Tensor, sigma: float, rng: np.random.Generator) -> torch.Tensor:
    """Squares of 8 pixels, white in space and time."""
    frames, height, width = luma.shape
    cells = rng.standard_normal((frames, -(-height // 8), -(-width // 8)))
    squares = torch.from_numpy(cells).to(luma).repeat_interleave(8, 1).repeat_interleave(8, 2)
    return luma + sigma * squares[:, :height, :width]


def fresh_texture(luma: torch.Tensor, share: float, rng: np.random.Generator) -> torch.Tensor:
    """A share of the fine detail's power replaced, in each frame anew.

    Fine detail is what a Gaussian of 4 pixels takes out; the new has its spectrum and its local
    power.
    """
    smooth = blur(luma, 4.0)
    detail = luma - smooth
    shape = torch.fft.rfft2(detail).abs().square().mean(0).sqrt()
    random = torch.from_numpy(rng.standard_normal(luma.shape)).to(luma)
    noise: torch.Tensor = torch.fft.irfft2(torch.fft.rfft2(random) * shape, s=luma.shape[1:])
    noise = noise / noise.std() * blur(detail.square(), 8.0).clamp(min=0).sqrt()
    return smooth + math.sqrt(1 - share) * detail + math.sqrt(share) * noise


def object_mask(shape: torch.Size, step: int) -> torch.Tensor:
    """A soft disc half as high as the picture that crosses it, (T, H, W), 0..1."""
    frames, height, width = shape
    radius = height / 4
    centres = width / 4 + step * torch.arange(frames)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    distance = torch.hypot(x - centres[:, None, None], (y - height / 2).expand(frames, -1, -1))
    return ((radius - distance) / 2 + 0.5).clamp(0, 1)


def with_object(luma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A disc that moves over the picture by 1/96 of its height a frame, and its mask.

    It shows the first frame's right part upside down.
    """
    step = max(1, luma.shape[1] // 96)
    mask = object_mask(luma.shape, step)
    still = luma[0].flip(0, 1)
    texture = torch.stack([still.roll(step * t, 1) for t in range(len(luma))])
    return luma + mask * (texture - luma), mask


KINDS: dict[str, tuple[Callable[..., torch.Tensor], tuple[float, ...]]] = {
    "global white": (white, (0.5, 1, 2)),
    "alternation": (alternation, (0.5, 1)),
    "boiling": (boiling, (1, 2)),
    "fresh texture": (fresh_texture, (0.2, 0.4)),
    "two on, two off": (two_on_two_off, (1, 2)),
    "pulsing": (pulsing, (1, 2)),
}
OBJECT_DOSES = (1.0, 2.0)
CHROMA_DOSES = (2.0, 4.0)
QUICK = {"global white 1", "boiling 1", "fresh texture 0.4"}


def versions(
    window: Window, luma: torch.Tensor, chroma: torch.Tensor
) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Every version of a window: its name, luma (24, H, W), chroma (24, 2, H, W)."""

    def random(name: str) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(f"{window.name} {name}".encode()))

    # At normal speed the middle of what is seen at double speed.
    first = (window.frames - FRAMES) // 2
    normal = slice(first, first + FRAMES)
    y, c = luma[normal], chroma[normal]
    yield "clean", y, c
    placed, mask = with_object(luma)
    yield "object", placed[normal], c
    if window.has_double_speed:
        yield "clean, double speed", luma[::2], chroma[::2]
        yield "object, double speed", placed[::2], chroma[::2]
    for kind, (inject, doses) in KINDS.items():
        for dose in doses:
            name = f"{kind} {dose:g}"
            yield name, inject(y, dose, random(name)), c
    for dose in OBJECT_DOSES:
        name = f"object white {dose:g}"
        trace = torch.from_numpy(dose * unit_trace(FRAMES, random(name))).to(luma)
        yield name, placed[normal] + mask[normal] * trace[:, None, None], c
    for dose in CHROMA_DOSES:
        name = f"chroma white {dose:g}"
        traces = [dose * unit_trace(FRAMES, random(f"{name} {plane}")) for plane in range(2)]
        yield name, y, c + torch.tensor(np.stack(traces, 1)).to(c)[:, :, None, None]


def rgb_of(luma: torch.Tensor, chroma: torch.Tensor) -> NDArray[np.uint8]:
    """BT.709, (T, H, W) and (T, 2, H, W) to (T, H, W, 3), rounded and clipped."""
    cb, cr = chroma.unbind(1)
    red, blue = luma + 1.5748 * cr, luma + 1.8556 * cb
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    rgb = torch.stack([red, green, blue], -1).round().clamp(0, 255).to(torch.uint8)
    return np.asarray(rgb.numpy())


# --- estimators: frames to readings, larger for more flicker ---


@dataclass(frozen=True, slots=True)
class Clip:
    """A version of a window as it was read back."""

    luma: torch.Tensor
    """(T, H, W), code values, float32."""
    chroma: torch.Tensor
    """(T, 2, H / 2, W / 2), code values."""
    bgr: NDArray[np.uint8]
    """(T, H, W, 3)."""


def read_back(path: Path) -> Clip:
    source = open_source(path, planes="yuv", threads=1)
    frames = [
        [code_values(x, plane) for x, plane in zip(frame.planes, source.planes, strict=True)]
        for frame in source.frames()
    ]
    with av.open(path) as container:
        pictures = [p.to_ndarray(format="bgr24") for p in container.decode(video=0)]
    return Clip(
        torch.stack([planes[0] for planes in frames]),
        torch.stack([torch.stack(planes[1:]) for planes in frames]),
        np.stack(pictures),
    )


def motion(clip: Clip, field: MotionField) -> Readings:
    """Motion-compensated anti-covariance, as in `flickerscope.motion`."""
    reading = flicker(clip.luma, chroma=clip.chroma, texture=True, field=field)
    if isinstance(reading, list):
        raise TypeError("a single run gives a single reading")
    colours = [x for x in (reading.cb, reading.cr) if x is not None]
    return {
        "MC luminance": reading.flicker,
        "MC texture": reading.texture,
        "MC slow": reading.slow,
        "MC area": reading.area,
        "MC moving": reading.moving,
        "MC chroma": statistics.fmean(colours) if colours else None,
        "MC pop": reading.pop,
        "coverage": reading.coverage,
        "speed": reading.speed,
    }


def energy(clip: Clip, scales: tuple[str, ...] = ("pixel", "block")) -> Readings:
    """High-frequency power at fixed places, and its 10th percentile over tiles."""
    measurement = flickerscope.analyze(
        (clip.luma / 255).clamp(0, 1), fps=RATE, segment=FRAMES, scales=scales, device="cpu",
        threads=1,
    )  # fmt: skip
    segment = measurement.segment
    transform = measurement.transform(segment)
    names = [band.name for band in transform.bands]
    band = names.index("HF")
    powers: Readings = {
        f"HF power, {scale}": float(
            band_power(measurement.rungs[segment].spectra[key("y", scale)], transform)[band]
        )
        for scale in scales
    }
    return powers | {"quiet floor": measurement.clips[0].readings[segment].floor_db}


def vbench(clip: Clip) -> Readings:
    """Mean absolute difference of frames: 255 (1 - temporal_flickering) of VBench."""
    return {"VBench": float(np.abs(np.diff(clip.bgr.astype(np.float32), axis=0)).mean())}


@cache
def field_of(flow: str) -> MotionField:
    """Loaded once a process."""
    return FLOWS[flow]()


def estimators(flow: str) -> dict[str, Callable[[Clip], Readings]]:
    field = field_of(flow)
    return {"motion": lambda clip: motion(clip, field), "energy": energy, "vbench": vbench}


def costs(clip: Clip, field: MotionField) -> dict[str, float]:
    """Processor milliseconds a frame; one thread."""
    tasks: dict[str, Callable[[], object]] = {
        "MC luminance": lambda: flicker(clip.luma, field=field),
        "MC texture": lambda: flicker(clip.luma, texture=True, field=field),
        "MC chroma": lambda: flicker(clip.luma, chroma=clip.chroma, field=field),
        "HF power, pixel": lambda: energy(clip, ("pixel",)),
        "HF power, block": lambda: energy(clip, ("block",)),
        "quiet floor": lambda: energy(clip, ("block",)),
        "VBench": lambda: vbench(clip),
    }
    found = {}
    for name, task in tasks.items():
        start = time.process_time()
        task()
        found[name] = 1e3 * (time.process_time() - start) / len(clip.luma)
    return found


EPSILONS = {"MC texture": 0.01, "HF power, pixel": 0.0565, "HF power, block": 0.0565}
"""Of the decibels; .1 elsewhere (see docs/definitions.md)."""
DIFFERENCES = {"MC area", "quiet floor"}
"""Shares and decibels: their excess is a difference."""


def excess(name: str, pred: float, ref: float) -> float:
    """Of one reading over another: dB, 20 log10 for VBench's amplitude, or a difference."""
    if name in DIFFERENCES:
        return pred - ref
    if name == "VBench":
        return 20 * math.log10(pred / ref)
    return excess_db(max(pred, 0), max(ref, 0), EPSILONS.get(name, 0.1))


# --- statistics ---


@dataclass(frozen=True, slots=True)
class Row:
    """One version of one window, read by all estimators."""

    window: str
    source: str
    version: str
    readings: Readings


Interval = tuple[float, float, float]
"""A value and the 5th and 95th percentile of its bootstrap."""

DRAWS = 1000


def auc(flickered: Floats, clean: Floats) -> float:
    """Share of the pairs in which the flickered reading is higher; ties count half."""
    above = flickered[:, None] > clean[None]
    level = flickered[:, None] == clean[None]
    return float((above + level / 2).mean())


def auc_by_source(
    flickered: Mapping[str, Floats], clean: Mapping[str, Floats], seed: int = 0
) -> Interval:
    """AUC over pairs of different sources, with an interval from resampling the sources."""
    names = sorted({*flickered, *clean})
    wins = np.zeros((len(names), len(names)))
    pairs = np.zeros_like(wins)
    for i, ours in enumerate(names):
        for j, theirs in enumerate(names):
            a, b = flickered.get(ours, np.zeros(0)), clean.get(theirs, np.zeros(0))
            if i != j and a.size and b.size:
                pairs[i, j] = a.size * b.size
                wins[i, j] = pairs[i, j] * auc(a, b)
    counts = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), DRAWS
    )
    total = np.einsum("di,ij,dj->d", counts, pairs, counts)
    won = np.einsum("di,ij,dj->d", counts, wins, counts)[total > 0] / total[total > 0]
    if not pairs.sum():
        return math.nan, math.nan, math.nan
    low, high = np.quantile(won, [0.05, 0.95])
    return float(wins.sum() / pairs.sum()), float(low), float(high)


def by_source(rows: Iterable[Row], reading: str, wanted: set[str]) -> dict[str, Floats]:
    values: dict[str, list[float]] = {}
    for row in rows:
        value = row.readings.get(reading)
        if row.version in wanted and value is not None and math.isfinite(value):
            values.setdefault(row.source, []).append(value)
    return {source: np.array(found) for source, found in values.items()}


def null_of(version: str) -> set[str]:
    """The clean versions that a flickered one is ranked against."""
    base = "object" if version.startswith("object") else "clean"
    return {base, f"{base}, double speed"}


def null_excess(rows: Iterable[Row], reading: str) -> Floats:
    """Excess of each clean window at double speed over itself at normal speed."""
    values: dict[tuple[str, str], float] = {}
    for row in rows:
        value = row.readings.get(reading)
        if row.version.startswith("clean") and value is not None:
            values[row.window, row.version] = value
    return np.array(
        [
            excess(reading, value, values[window, "clean"])
            for (window, version), value in values.items()
            if version != "clean" and (window, "clean") in values
        ]
    )


def dose_slope(rows: Sequence[Row], reading: str, kind: str, doses: Sequence[float]) -> float:
    """Slope of the log of the median reading over the log of the dose; NaN: not above 0."""
    medians = []
    for dose in doses:
        found = list(by_source(rows, reading, {f"{kind} {dose:g}"}).values())
        medians.append(float(np.median(np.concatenate(found))) if found else 0.0)
    if min(medians) <= 0 or reading == "quiet floor":
        return math.nan
    return float(np.polyfit(np.log(doses), np.log(medians), 1)[0])


READINGS = (
    "MC luminance",
    "MC slow",
    "MC texture",
    "MC area",
    "MC moving",
    "MC chroma",
    "MC pop",
    "HF power, pixel",
    "HF power, block",
    "quiet floor",
    "VBench",
)


# --- the table ---


def flickered_versions(rows: Iterable[Row]) -> list[str]:
    names = dict.fromkeys(row.version for row in rows)
    return [name for name in names if name[-1].isdigit()]


def table(rows: Sequence[Row], times: Sequence[Mapping[str, float]]) -> list[dict[str, str]]:
    """One line for each reading."""
    lines = []
    for reading in READINGS:
        line = {"reading": reading}
        for version in flickered_versions(rows):
            ours = by_source(rows, reading, {version})
            theirs = by_source(rows, reading, null_of(version))
            line[version] = _interval(auc_by_source(ours, theirs))
        null = null_excess(rows, reading)
        for speed, values in (("double", null), ("half", -null)):
            line[f"null, {speed} speed"] = _null(values)
        line["slope"] = _number(dose_slope(rows, reading, *SLOPE))
        found = [cost[reading] for cost in times if reading in cost]
        line["ms/frame"] = f"{statistics.median(found):.1f}" if found else ""
        lines.append(line)
    return lines


SLOPE = ("global white", KINDS["global white"][1])


def _interval(interval: Interval) -> str:
    value, low, high = interval
    return "" if math.isnan(value) else f"{value:.2f} ({low:.2f}-{high:.2f})"


def _null(values: Floats) -> str:
    return f"{np.quantile(values, 0.9):.1f} / {values.max():.1f}" if values.size else ""


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def markdown(lines: Sequence[Mapping[str, str]]) -> str:
    """The table with a line for each kind of flicker and a column for each reading."""
    names = [line["reading"] for line in lines]
    out = ["| " + " | ".join(["", *names]).lstrip() + " |", "|---" * (len(names) + 1) + "|"]
    out += [
        f"| {column} | " + " | ".join(line[column] for line in lines) + " |"
        for column in list(lines[0])[1:]
    ]
    return "\n".join(out)


def summary(windows: Sequence[Window], rows: Sequence[Row]) -> str:
    double = sum(window.has_double_speed for window in windows)
    clean = [row.readings["coverage"] or 0 for row in rows if row.version == "clean"]
    sources = {window.source for window in windows}
    files = {window.path for window in windows}
    low = sum(value < 0.3 for value in clean)
    return (
        f"{len(windows)} windows of {FRAMES} frames ({double} of them at double speed too) from "
        f"{len(files)} files, {len(sources)} sources; coverage at normal speed: median "
        f"{statistics.median(clean):.2f}, least {min(clean):.2f}, below .3 in {low}"
    )


# --- running it ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """All that is done with one window."""

    window: Window
    folder: Path
    flow: str
    quick: bool
    timed: bool


def make_versions(task: Task) -> list[tuple[str, Path]]:
    """Encode what is not there yet."""
    window, folder = task.window, task.folder / task.window.name
    done = folder / "versions.txt"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        written: list[str] = []
        for name, luma, chroma in versions(window, *read_window(window)):
            if task.quick and name[-1].isdigit() and name not in QUICK:
                continue
            encode(folder / f"{len(written)}.mp4", rgb_of(luma, chroma), rate=RATE, options=CODEC)
            written.append(name)
        done.write_text("\n".join(written), encoding="utf-8")
    names = done.read_text(encoding="utf-8").split("\n")
    return [(name, folder / f"{i}.mp4") for i, name in enumerate(names)]


def work(task: Task) -> tuple[list[Row], dict[str, float]]:
    """Make the versions of a window and read them."""
    torch.set_num_threads(1)
    rows, times = [], {}
    for name, path in make_versions(task):
        clip = read_back(path)
        readings: Readings = {}
        for run in estimators(task.flow).values():
            readings |= run(clip)
        rows.append(Row(task.window.name, task.window.source, name, readings))
        if task.timed and name == "clean":
            times = costs(clip, field_of(task.flow))
    return rows, times


def tell_terminal(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def run_all(tasks: Sequence[Task], jobs: int) -> tuple[list[Row], list[dict[str, float]]]:
    rows: list[Row] = []
    times: list[dict[str, float]] = []
    with ProcessPoolExecutor(jobs) as pool:
        results = map(work, tasks) if jobs == 1 else pool.map(work, tasks)
        for count, (found, taken) in enumerate(results, 1):
            rows += found
            times += [taken] if taken else []
            tell_terminal(f"{count} of {len(tasks)} windows")
    tell_terminal("")
    return rows, times


def write(folder: Path, text: str, rows: Sequence[Row], lines: Sequence[dict[str, str]]) -> None:
    """The report as Markdown, the table and all readings as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "motion.md").write_text(text + "\n", encoding="utf-8")
    (folder / "motion.csv").write_text(_csv(lines), encoding="utf-8")
    plain = [
        {"window": row.window, "source": row.source, "version": row.version} | row.readings
        for row in rows
    ]
    (folder / "readings.csv").write_text(_csv(plain), encoding="utf-8")


def _csv(lines: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="of clean clips, or single files")
    parser.add_argument("-o", "--output", type=Path, help="folder for the table and all readings")
    parser.add_argument("--work", type=Path, help="folder that keeps what was encoded, for again")
    parser.add_argument("--windows", type=int, default=6, help="most of one file (default 6)")
    parser.add_argument("--clips", type=int, help="stop after so many windows")
    parser.add_argument("--flow", choices=FLOWS, default="lucas-kanade", help="finds the motion")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--quick", action="store_true", help="one dose of three kinds")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    try:
        field_of(arguments.flow)
    except FlickerscopeError as error:
        sys.exit(str(error))
    windows, skipped = find_windows(files_in(arguments.folders), arguments.windows, tell_terminal)
    windows = windows[: arguments.clips]
    if not windows:
        sys.exit("\n".join(["no clip can serve as a null:", *skipped]))
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.work or Path(temporary)) / ("quick" if arguments.quick else "all")
        tasks = [
            Task(
                window=window,
                folder=folder,
                flow=arguments.flow,
                quick=arguments.quick,
                timed=i % 4 == 0,
            )
            for i, window in enumerate(windows)
        ]
        rows, times = run_all(tasks, arguments.jobs)
    lines = table(rows, times)
    versions_used = f"flickerscope {flickerscope.__version__}, torch {torch.__version__}"
    text = "\n\n".join(
        [
            f"{versions_used}, flow {arguments.flow}",
            summary(windows, rows),
            *(
                markdown([line for line in lines if line["reading"].startswith("MC") == along])
                for along in (True, False)
            ),
            *(
                ["Left out:\n\n" + "\n".join(f"- {reason}" for reason in skipped)]
                if skipped
                else []
            ),
        ]
    )
    print(text)
    if arguments.output:
        write(arguments.output, text, rows, lines)


if __name__ == "__main__":
    main()
