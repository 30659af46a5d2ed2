"""What was measured of one video or of many, as values that add."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flickerscope import __version__
from flickerscope.errors import FlickerscopeError, InputError, SettingsError
from flickerscope.files import write_text
from flickerscope.histogram import BINS
from flickerscope.inputs.source import VideoInfo
from flickerscope.motion import IncoherenceReading, MotionReading
from flickerscope.repeats import Held
from flickerscope.settings import Settings
from flickerscope.spectrum import Transform, make_transform
from flickerscope.units import CODE, CONTRAST, Unit

__all__ = ["FORMAT", "Clip", "Measurement", "Reading", "Rung", "Spectrum", "key"]

FORMAT = 2
"""Of a saved measurement. 1: first. 2: with the motion-compensated flicker."""

KIND = "flickerscope measurement"

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def key(plane: str, scale: str) -> str:
    """Name of a plane at a scale, such as ``y/block``."""
    return f"{plane}/{scale}"


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Power and histograms of one plane at one scale; adds."""

    samples: int
    """Cells times segments."""
    power: Floats
    """(bins,), summed over the samples, code^2."""
    counts: Counts
    """(bands, BINS): how many samples have which band power."""

    def __add__(self, other: Spectrum) -> Spectrum:
        return Spectrum(
            self.samples + other.samples, self.power + other.power, self.counts + other.counts
        )

    @property
    def mean_power(self) -> Floats:
        """(bins,), mean over the samples, code^2."""
        return self.power / self.samples


@dataclass(frozen=True, slots=True, eq=False)
class Rung:
    """All that adds, for one segment length."""

    frames: int
    """Of a segment."""
    segments: int
    skipped_shots: int
    """Shots shorter than a segment."""
    skipped_frames: int
    """Frames of those shots."""
    spectra: Mapping[str, Spectrum]
    """By plane and scale, such as ``y/block``; of a latent ``all/block``, ``c0/block``."""

    def __add__(self, other: Rung) -> Rung:
        if (self.frames, set(self.spectra)) != (other.frames, set(other.spectra)):
            raise SettingsError("only measurements of the same segments, planes and scales add")
        return Rung(
            frames=self.frames,
            segments=self.segments + other.segments,
            skipped_shots=self.skipped_shots + other.skipped_shots,
            skipped_frames=self.skipped_frames + other.skipped_frames,
            spectra={name: self.spectra[name] + other.spectra[name] for name in self.spectra},
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What does not add: one clip at one segment length."""

    starts: list[int]
    """First frame of each segment."""
    times: list[float]
    """Of those frames, seconds (or frames, without a clock)."""
    shots: list[int]
    """Shot of each segment."""
    series: Mapping[str, Floats]
    """(segments, bands), mean band power of each segment by plane and scale, code^2."""
    map: Floats
    """(rows, columns): power of the primary band in each cell of the luma's block grid, code^2."""
    floor_db: float | None
    """10th percentile of the tiles' power in the primary band, dB re 1 code^2; ``None``: no tile
    is neither black nor clipped."""
    still_power: float
    """Median over the luma's blocks of the power at all frequencies, code^2: below rounding where
    more than half of the picture does not change."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """One video that was measured."""

    info: VideoInfo
    frames_decoded: int
    frames: int
    """On the clock of the measurement."""
    rate: Fraction | None
    """Frames a second of that clock."""
    start: float
    """Time of the first frame, seconds."""
    shots: list[tuple[int, int]]
    """First frame and the one after the last, of each shot."""
    gaps: int
    """Jumps in the timestamps; each ends a shot."""
    mean: float
    """Of the luma, code values; like all that follows in the unit of the measurement, of a latent
    over all channels."""
    contrast: float
    """Standard deviation of the luma within a frame, code values."""
    gradient: float
    """Mean squared difference of neighbouring pixels of the luma, code^2."""
    clipped: float
    """Share of the pixels at the ends of the range."""
    readings: Mapping[int, Reading]
    """By segment length."""
    keys: list[int]
    """Frames that are key frames of the stream."""
    repeats: int
    """Frames that repeat the one before: left out where the whole video holds its frames; the
    motion-compensated reading leaves them out in any case."""
    motion: MotionReading | None
    """Motion-compensated flicker, where it could be measured."""
    motion_reason: str | None
    """Why it could not."""
    lost: int | None = None
    """Frames that damage of the file took; ``None``: it is not damaged."""
    notes: tuple[str, ...] = ()
    """What was done to the frames, one sentence each."""
    warnings: tuple[str, ...] = ()
    """What makes the numbers doubtful, one sentence each."""
    picture: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    """A small frame for the figures, (rows, columns); not saved."""
    held: Held | None = field(default=None, repr=False)
    """Frames that it holds, and that were measured all the same; not saved."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """One or more videos, measured under one set of settings.

    Adds with ``+``; saves and loads, so that a reference measured once serves every model.
    """

    settings: Settings
    rungs: Mapping[int, Rung]
    """By segment length, longest first. One, unless measured with ``ladder=True``."""
    clips: tuple[Clip, ...]
    version: str = __version__
    """Of flickerscope."""
    unit: Unit = CODE
    """Of the samples: code values or, of a latent, its own units."""

    def __add__(self, other: Measurement) -> Measurement:
        """Both together; raises `SettingsError` where they were not measured alike."""
        if not isinstance(other, Measurement):
            return NotImplemented
        require_same_settings(self, other)
        if self.unit != other.unit:
            raise SettingsError(
                "latents add where their histograms have the same edges, which are relative to the "
                "standard deviation of the reference"
            )
        if self.settings.in_hertz and self.rate != other.rate:
            raise SettingsError(
                f"bands in Hz add at one frame rate, got {self.rate} and {other.rate}"
            )
        common = [frames for frames in self.rungs if frames in other.rungs]
        if not common:
            raise SettingsError(
                f"no segment length in common: {list(self.rungs)} and {list(other.rungs)} frames"
            )
        return replace(
            self,
            rungs={frames: self.rungs[frames] + other.rungs[frames] for frames in common},
            clips=self.clips + other.clips,
        )

    @property
    def rate(self) -> Fraction | None:
        """Frames a second; ``None`` where it is not known or differs between the clips."""
        rates = {clip.rate for clip in self.clips}
        return rates.pop() if len(rates) == 1 else None

    @property
    def segment(self) -> int:
        """Longest segment length that was measured, frames."""
        return max(self.rungs)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of all clips, with the clip's name."""
        return tuple(f"{clip.info.path}: {text}" for clip in self.clips for text in clip.warnings)

    @property
    def notes(self) -> tuple[str, ...]:
        """Of all clips, with the clip's name."""
        return tuple(f"{clip.info.path}: {text}" for clip in self.clips for text in clip.notes)

    def transform(self, frames: int | None = None, *, beside: Fraction | None = None) -> Transform:
        """The transform behind the rung of ``frames`` frames (default: the longest).

        ``beside``: frames a second of a faster video that it is compared with in Hz; a band
        without a lower end then starts where that video's does.
        """
        frames = frames or self.segment
        lowest = None
        if beside is not None and self.rate is not None and beside > self.rate:
            lowest = float(1.5 / frames * beside / self.rate)
        return make_transform(frames, self.settings, self.rate, unit=self.unit, lowest=lowest)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON, whole or not at all; raises `OutputError`."""
        write_text(path, self.to_json())

    def to_json(self) -> str:
        """What `save` writes."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Measurement:
        """Read what `save` wrote; raises `InputError`."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise InputError(f"{path}: cannot be read as a saved measurement: {why}") from error
        return cls.from_json(text, str(path))

    @classmethod
    def from_json(cls, text: str, path: str) -> Measurement:
        """Inverse of `to_json`; ``path``: where it is from. Raises `InputError`."""
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: not a measurement saved by flickerscope") from error
        if isinstance(plain, dict) and plain.get("kind") == KIND and plain.get("format") != FORMAT:
            raise InputError(
                f"{path}: a measurement of format {plain.get('format')!r}, {FORMAT} is needed: "
                "measure again"
            )
        try:
            loaded = cls.from_dict(plain)
            problem = _problem(loaded)
        except _DAMAGE as error:
            raise InputError(f"{path}: not a measurement saved by flickerscope") from error
        if problem is not None:
            raise InputError(f"{path}: a damaged measurement: {problem}; measure again")
        return loaded

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "format": FORMAT,
            "kind": KIND,
            "version": self.version,
            "settings": self.settings.to_dict(),
            "unit": asdict(self.unit),
            "rungs": [_rung_to_dict(rung) for rung in self.rungs.values()],
            "clips": [_clip_to_dict(clip) for clip in self.clips],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Measurement:
        """Inverse of `to_dict`."""
        if plain["kind"] != KIND or plain["format"] != FORMAT:
            raise InputError(f"not a measurement of format {FORMAT}")
        rungs = [_rung_from_dict(rung) for rung in plain["rungs"]]
        return cls(
            settings=Settings.from_dict(plain["settings"]),
            rungs={rung.frames: rung for rung in rungs},
            clips=tuple(_clip_from_dict(clip) for clip in plain["clips"]),
            version=plain["version"],
            unit=Unit(**plain["unit"]) if "unit" in plain else CODE,
        )


_DAMAGE = (
    ArithmeticError,
    AttributeError,
    FlickerscopeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading a file of the wrong content can come to."""


def _problem(measurement: Measurement) -> str | None:
    """What does not fit together in a measurement that was read from a file."""
    if not measurement.rungs or not measurement.clips:
        return "it holds no video"
    size = measurement.unit.size
    wanted = Unit.of_latents(CONTRAST * size) if measurement.settings.latent else CODE
    if measurement.unit != wanted or not 0 < size < math.inf:
        return "its unit is not that of its settings"
    for frames, rung in measurement.rungs.items():
        transform = measurement.transform(frames)
        shape = len(transform.frequencies), len(transform.bands)
        for name, spectrum in rung.spectra.items():
            if problem := _spectrum_problem(spectrum, *shape):
                return f"{name} {problem}"
        if any(frames not in clip.readings for clip in measurement.clips):
            return f"a video without its readings at {frames} frames"
    if not all(clip.motion is None or _is_sound(clip.motion) for clip in measurement.clips):
        return "a motion-compensated flicker that is no number"
    return None


def _spectrum_problem(spectrum: Spectrum, bins: int, bands: int) -> str | None:
    if spectrum.samples < 1:
        return "has no samples"
    if spectrum.power.shape != (bins,) or spectrum.counts.shape != (bands, BINS):
        return "has the wrong number of bins"
    if not (np.isfinite(spectrum.power).all() and (spectrum.power >= 0).all()):
        return "has a power that is no number"
    if (spectrum.counts.sum(1) != spectrum.samples).any():
        return "has a histogram that does not add up"
    return None


_MAY_LACK = ("slow", "moving", "texture", "cb", "cr", "pop")
_SHARES = ("coverage", "area", "moving_share")


def _is_sound(motion: MotionReading) -> bool:
    """Whether a reading from a file holds what it should."""
    named = ("flicker", "usual", "speed", *_SHARES, *_MAY_LACK)
    numbers: dict[str, Any] = {name: getattr(motion, name) for name in named}
    numbers = {k: v for k, v in numbers.items() if not (v is None and k in _MAY_LACK)}
    coarse = motion.coarse
    if coarse is not None:
        numbers |= asdict(coarse)
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in numbers.values()):
        return False
    count = len(motion.frames)
    return (
        all(-1e-6 <= numbers[name] <= 1 + 1e-6 for name in _SHARES)
        and motion.series.shape == motion.steps.shape == (count,)
        and motion.map.ndim == 2
    )


def require_same_settings(a: Measurement, b: Measurement) -> None:
    """Raise `SettingsError` where two measurements differ in a setting that changes numbers."""
    ours, theirs = a.settings.of_one_video.to_dict(), b.settings.of_one_video.to_dict()
    differing = [name for name in ours if ours[name] != theirs[name]]
    if differing:
        texts = [f"{name} {ours[name]!r} and {theirs[name]!r}" for name in differing]
        raise SettingsError(f"measured under different settings: {'; '.join(texts)}")


def _rung_to_dict(rung: Rung) -> dict[str, Any]:
    return {
        "frames": rung.frames,
        "segments": rung.segments,
        "skipped_shots": rung.skipped_shots,
        "skipped_frames": rung.skipped_frames,
        "spectra": {
            name: {
                "samples": spectrum.samples,
                "power": spectrum.power.tolist(),
                "counts": spectrum.counts.tolist(),
            }
            for name, spectrum in rung.spectra.items()
        },
    }


def _rung_from_dict(plain: Mapping[str, Any]) -> Rung:
    spectra = {
        name: Spectrum(
            samples=int(spectrum["samples"]),
            power=np.array(spectrum["power"], dtype=np.float64),
            counts=np.array(spectrum["counts"], dtype=np.int64).reshape(-1, BINS),
        )
        for name, spectrum in plain["spectra"].items()
    }
    numbers = {name: int(plain[name]) for name in _RUNG_NUMBERS}
    return Rung(**numbers, spectra=spectra)


_RUNG_NUMBERS = ("frames", "segments", "skipped_shots", "skipped_frames")


def info_to_dict(info: VideoInfo) -> dict[str, Any]:
    """Plain values for JSON."""
    return asdict(info) | {"rate": _rate_text(info.rate), "notes": list(info.notes)}


def _info_from_dict(plain: Mapping[str, Any]) -> VideoInfo:
    known = {item.name: plain[item.name] for item in fields(VideoInfo) if item.name in plain}
    return VideoInfo(
        **known | {"rate": _rate_from_text(plain["rate"]), "notes": tuple(plain["notes"])}
    )


def _rate_text(rate: Fraction | None) -> str | None:
    return None if rate is None else f"{rate.numerator}/{rate.denominator}"


def _rate_from_text(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


def _short(values: Floats) -> list[Any]:
    """For pictures: seven digits are plenty."""
    return [[float(f"{value:.6e}") for value in row] for row in values.tolist()]


def _clip_to_dict(clip: Clip) -> dict[str, Any]:
    plain = {item.name: getattr(clip, item.name) for item in fields(Clip)}
    del plain["picture"], plain["held"]
    return plain | {
        "info": info_to_dict(clip.info),
        "rate": _rate_text(clip.rate),
        "shots": [list(shot) for shot in clip.shots],
        "notes": list(clip.notes),
        "warnings": list(clip.warnings),
        "motion": None if clip.motion is None else _motion_to_dict(clip.motion),
        "readings": {
            str(frames): {
                "starts": reading.starts,
                "times": reading.times,
                "shots": reading.shots,
                "series": {name: series.tolist() for name, series in reading.series.items()},
                "map": _short(reading.map),
                "floor_db": reading.floor_db,
                "still_power": reading.still_power,
            }
            for frames, reading in clip.readings.items()
        },
    }


_MOTION_ARRAYS = ("map", "series", "steps")


def _motion_to_dict(motion: MotionReading) -> dict[str, Any]:
    plain = {item.name: getattr(motion, item.name) for item in fields(motion)}
    plain["coarse"] = None if motion.coarse is None else asdict(motion.coarse)
    return plain | {name: _holes(plain[name].tolist()) for name in _MOTION_ARRAYS}


def _holes(values: Any) -> Any:
    """Seven digits, and ``None`` for what was not measured."""
    if isinstance(values, list):
        return [_holes(value) for value in values]
    return float(f"{values:.6e}") if math.isfinite(values) else None


def _motion_from_dict(plain: Mapping[str, Any]) -> MotionReading:
    arrays = {name: np.array(plain[name], dtype=np.float64) for name in _MOTION_ARRAYS}
    coarse = None if plain["coarse"] is None else IncoherenceReading(**plain["coarse"])
    return MotionReading(**dict(plain) | arrays | {"coarse": coarse})


def _clip_from_dict(plain: Mapping[str, Any]) -> Clip:
    readings = {
        int(frames): Reading(
            **reading
            | {
                "series": {
                    name: np.array(series, dtype=np.float64)
                    for name, series in reading["series"].items()
                },
                "map": np.array(reading["map"], dtype=np.float64),
            }
        )
        for frames, reading in plain["readings"].items()
    }
    return Clip(
        **dict(plain)
        | {
            "info": _info_from_dict(plain["info"]),
            "rate": _rate_from_text(plain["rate"]),
            "shots": [(int(start), int(stop)) for start, stop in plain["shots"]],
            "notes": tuple(plain["notes"]),
            "warnings": tuple(plain["warnings"]),
            "readings": readings,
            "motion": None if plain["motion"] is None else _motion_from_dict(plain["motion"]),
        }
    )
