"""Renders the demo's two videos, compares them, and reads the flicker back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from flickerscope.comparison import Comparison, Progress, compare
from flickerscope.demo.scene import DEMO_FLICKER, Flicker, prediction, scene
from flickerscope.measurement import key
from flickerscope.spectrum import tone_amplitude
from flickerscope.video import encode

__all__ = ["DemoResult", "run_demo"]

HEIGHT: Final = 360
WIDTH: Final = 640
FRAMES: Final = 72
RATE: Final = Fraction(24)
CODEC: Final = "libx264"
OPTIONS: Final = {"crf": "10", "preset": "medium"}
CODEC_NAME: Final = "x264 at crf 10"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemoResult:
    """What was put in, and what came out."""

    flicker: Flicker
    box: str
    """Part of the picture in which the flicker has its full amplitude, as a crop."""
    read_amplitude: float
    """Amplitude read back there, code values."""
    read_hz: float | None
    """Frequency of the strongest line found there."""
    comparison: Comparison
    """Of the whole picture."""
    pred: Path
    ref: Path
    codec: str


def run_demo(
    folder: Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> DemoResult:
    """Write ``pred.mp4`` and ``ref.mp4`` into a folder, compare them, and read the flicker back.

    The amplitude is read from a second comparison, of the box in which the flicker is whole: the
    power that the prediction has there around the frequency and the reference has not.
    """
    pred, ref = folder / "pred.mp4", folder / "ref.mp4"
    flicker = DEMO_FLICKER
    shape = {"height": HEIGHT, "width": WIDTH, "frames": FRAMES}
    _encode(ref, _reported(scene(**shape, rate=RATE), "rendering ref.mp4", progress))
    _encode(
        pred, _reported(prediction(flicker, **shape, rate=RATE), "rendering pred.mp4", progress)
    )
    whole = compare(pred, ref, device=device, threads=threads, progress=progress)
    box = flicker.core_box(HEIGHT, WIDTH)
    place = compare(pred, ref, device=device, threads=threads, crop=box, paired=False)
    lines = sorted(
        (line for line in place.lines if line.scale == "block"), key=lambda line: -line.amplitude
    )
    return DemoResult(
        flicker=flicker,
        box=box,
        read_amplitude=_added_amplitude(place, flicker.frequency_hz / float(RATE)),
        read_hz=lines[0].frequency * float(RATE) if lines else None,
        comparison=whole,
        pred=pred,
        ref=ref,
        codec=CODEC_NAME,
    )


def _encode(path: Path, frames: Iterator[npt.NDArray[np.uint8]]) -> None:
    encode(path, frames, rate=RATE, codec=CODEC, options=OPTIONS)


def _reported(
    frames: Iterator[npt.NDArray[np.uint8]], name: str, progress: Progress | None
) -> Iterator[npt.NDArray[np.uint8]]:
    for count, frame in enumerate(frames, 1):
        if progress is not None:
            progress(name, count, FRAMES)
        yield frame


def _added_amplitude(place: Comparison, frequency: float) -> float:
    """Amplitude of what the prediction adds at a frequency (cycles/frame), code values."""
    transform, name = place.transform, key("y", "block")
    squares = [
        tone_amplitude(
            torch.from_numpy(rung.spectra[name].mean_power),
            transform.frequencies,
            frequency,
            transform.frames,
        )
        ** 2
        for rung in (place.pred_rung, place.ref_rung)
    ]
    return math.sqrt(max(0.0, squares[0] - squares[1]))
