"""What the clips of a model read, by this package's measures, against what they should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor

from flickerscope import histogram
from flickerscope.comparison.paired import PairedReading, read_pair
from flickerscope.errors import InputError
from flickerscope.experiment.clips import FRAMES, Content
from flickerscope.motion import MotionReading, flicker
from flickerscope.settings import Settings
from flickerscope.spectrum import make_transform
from flickerscope.tracks import Track, Tracks

__all__ = [
    "BANDS",
    "EPSILON",
    "HIGH",
    "TRANSFORM",
    "BandSums",
    "Reading",
    "Target",
    "smoothed",
    "targets",
]

TRANSFORM: Final = make_transform(FRAMES, Settings())
"""That of every reading: Hann window, one segment a clip; the picture is as small as the block
grid, so that pixels are blocks."""
BANDS: Final = tuple(band.name for band in TRANSFORM.bands if not band.empty)
HIGH: Final = "HF"
HIGH_ROW: Final = [band.name for band in TRANSFORM.bands].index(HIGH)
EPSILON: Final = TRANSFORM.bands[HIGH_ROW].epsilon
"""Power of 8-bit rounding in HF, code^2."""
MOTION_CLIPS: Final = 8
"""Of a class or a source, on which motion-compensated flicker is measured: it takes the time."""
SMOOTHING: Final = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5, 1.75, 2.0)
"""Doses of smoothing afterwards: passes of (1, 2, 1)/4 over time, the last one in part."""


@dataclass(frozen=True, slots=True)
class BandSums:
    """Means over clips and pixels of one band, code^2."""

    pred: float
    ref: float
    joint: float
    """``Re S_pr``."""
    unexplained: float | None
    """What the reference does not explain of the prediction; ``None``: too few clips to say."""

    @property
    def error(self) -> float:
        """Power of the difference."""
        return max(self.pred + self.ref - 2 * self.joint, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What clips of one source read: of a class in one seed, or of one of the user's videos."""

    source: str
    clips: int
    frame_error: float
    """Mean squared error, code^2."""
    diff_error: float
    """The same of the frame-to-frame differences."""
    bands: Mapping[str, BandSums]
    high: tuple[tuple[float, ...], tuple[float, ...]]
    """Power in HF of each clip of the prediction and of the reference, code^2."""
    motion: tuple[tuple[float, ...], tuple[float, ...]]
    """Motion-compensated flicker C likewise, of the clips in which it could be measured."""
    coverage: tuple[float, float]
    """Mean of prediction and reference, 0..1."""
    spectra: Mapping[str, tuple[float, ...]]
    """``pred``, ``ref``, ``error`` and ``unexplained`` in each bin, code^2."""
    magnitudes: tuple[tuple[int, ...], tuple[int, ...]]
    """Pixels of prediction and reference in each bin of `flickerscope.histogram` of HF power."""
    smoothing: tuple[tuple[float, float], ...] = field(default=())
    """Frame error and error power in HF of the prediction smoothed over time, for every dose, the
    first none; of the frame loss only."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Reading:
        """Inverse of `to_dict`."""
        known = dict(plain)
        known["bands"] = {name: BandSums(**sums) for name, sums in known["bands"].items()}
        known["spectra"] = {name: tuple(values) for name, values in known["spectra"].items()}
        for name in ("high", "motion", "magnitudes", "smoothing"):
            known[name] = tuple(tuple(values) for values in known[name])
        known["coverage"] = tuple(known["coverage"])
        return cls(**known)


class Target:
    """The clips of one source that predictions are held against."""

    def __init__(self, source: str, clips: Tensor) -> None:
        """``clips``: (clips, FRAMES, rows, columns), code values, float32, on the CPU."""
        self.source, self.clips = source, clips
        self.power = _powers(clips)

    @cached_property
    def motion(self) -> tuple[tuple[float, float] | None, ...]:
        """C and coverage of the first clips."""
        return _motion(self.clips)

    def read(self, pred: Tensor, *, smoothing: bool = False) -> Reading:
        """Hold clips against these, of which each should be one.

        ``smoothing``: read what smoothing them over time would give, too.
        """
        error = pred - self.clips
        power = _powers(pred)
        paired = _paired(pred, self)
        weights = TRANSFORM.weights
        by_clip = power.mean(2) @ weights[HIGH_ROW], self.power.mean(2) @ weights[HIGH_ROW]
        cells = (
            power.movedim(1, -1) @ weights[HIGH_ROW],
            self.power.movedim(1, -1) @ weights[HIGH_ROW],
        )
        both = [
            (ours, theirs)
            for ours, theirs in zip(_motion(pred), self.motion, strict=True)
            if ours is not None and theirs is not None
        ]
        return Reading(
            source=self.source,
            clips=len(pred),
            frame_error=float(error.square().double().mean()),
            diff_error=float(error.diff(dim=1).square().double().mean()),
            bands=dict(self._bands(power, paired)),
            high=(tuple(by_clip[0].tolist()), tuple(by_clip[1].tolist())),
            motion=(tuple(o[0] for o, _ in both), tuple(t[0] for _, t in both)),
            coverage=(_mean([o[1] for o, _ in both]), _mean([t[1] for _, t in both])),
            spectra=_spectra(power, self.power, paired),
            magnitudes=(_magnitudes(cells[0]), _magnitudes(cells[1])),
            smoothing=tuple(self._smoothed(pred)) if smoothing else (),
        )

    def _bands(self, power: Tensor, paired: PairedReading) -> Iterator[tuple[str, BandSums]]:
        weights = TRANSFORM.weights
        ours, theirs = (weights @ p.mean((0, 2)) for p in (power, self.power))
        by_name = {band.band: band for band in paired.bands}
        for i, band in enumerate(TRANSFORM.bands):
            if band.name in by_name:
                one, p, r = by_name[band.name], float(ours[i]), float(theirs[i])
                yield band.name, BandSums(p, r, (p + r - one.error) / 2, one.unexplained)

    def _smoothed(self, pred: Tensor) -> Iterator[tuple[float, float]]:
        for dose in (0.0, *SMOOTHING):
            error = smoothed(pred, dose) - self.clips
            power = _powers(error).mean((0, 2)) @ TRANSFORM.weights[HIGH_ROW]
            yield float(error.square().double().mean()), float(power)


def smoothed(clips: Tensor, dose: float) -> Tensor:
    """Clips (clips, FRAMES, ...) after ``dose`` passes of (1, 2, 1)/4 over time.

    The ends are repeated; of a dose that is no whole number the last pass is mixed in by its part.
    """
    while dose > 0:
        padded = torch.cat([clips[:, :1], clips, clips[:, -1:]], 1)
        blurred = (padded[:, :-2] + 2 * clips + padded[:, 2:]) / 4
        part = min(dose, 1.0)
        clips = clips + part * (blurred - clips)
        dose -= part
    return clips


def targets(content: Content) -> list[tuple[Target, Tensor]]:
    """One target for each source, and which of the clips are its."""
    names = list(dict.fromkeys(content.sources))
    found = []
    for name in names:
        mine = torch.tensor([source == name for source in content.sources])
        found.append((Target(name, content.clips[mine]), mine))
    return found


def _powers(clips: Tensor) -> Tensor:
    """Power in each bin, (clips, FRAMES, rows, columns) to (clips, bins, pixels), code^2."""
    squares = (TRANSFORM.matrix @ clips.double().flatten(2)).square()
    return TRANSFORM.bins(squares.movedim(1, 0)).movedim(0, 1)


def _tracks(clips: Tensor, name: str) -> Tracks:
    """The clips as the shots of one video."""
    track = Track((clips.shape[2], clips.shape[3]), name)
    for picture in clips.flatten(0, 1):
        track.append(picture)
    return Tracks(track, None, list(pairwise(range(0, FRAMES * len(clips) + 1, FRAMES))))


def _paired(pred: Tensor, target: Target) -> PairedReading:
    ours, theirs = _tracks(pred, target.source), _tracks(target.clips, target.source)
    with closing(ours), closing(theirs):
        reading = read_pair(ours, theirs, TRANSFORM, lag=0, force=True)
    if isinstance(reading, str):
        raise InputError(f"{target.source}: {reading}")
    return reading


def _motion(clips: Tensor) -> tuple[tuple[float, float] | None, ...]:
    """C and coverage of the first clips; ``None`` where nothing can be measured."""
    some = clips[:MOTION_CLIPS]
    try:
        readings = flicker(some)
    except InputError:  # all of one is black or clipped
        return tuple(_motion_of(clip) for clip in some)
    return tuple((one.flicker, one.coverage) for one in _listed(readings))


def _motion_of(clip: Tensor) -> tuple[float, float] | None:
    try:
        reading = _listed(flicker(clip))[0]
    except InputError:
        return None
    return reading.flicker, reading.coverage


def _listed(readings: MotionReading | list[MotionReading]) -> list[MotionReading]:
    return readings if isinstance(readings, list) else [readings]


def _spectra(pred: Tensor, ref: Tensor, paired: PairedReading) -> dict[str, tuple[float, ...]]:
    ours, theirs = pred.mean((0, 2)), ref.mean((0, 2))
    out = {
        "pred": tuple(ours.tolist()),
        "ref": tuple(theirs.tolist()),
        "error": tuple(paired.error.tolist()),
    }
    if paired.coherence is not None:
        left = (1 - torch.from_numpy(paired.coherence).clamp(0, 1)) * ours
        out["unexplained"] = tuple(left.tolist())
    return out


def _magnitudes(power: Tensor) -> tuple[int, ...]:
    return tuple(histogram.count(power.reshape(1, -1))[0].tolist())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
