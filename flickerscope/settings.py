"""Every choice that changes a number, in one frozen value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Final, Literal, get_args

from flickerscope.errors import SettingsError

__all__ = [
    "ALL_CHANNELS",
    "BAND_PRESETS",
    "LADDER",
    "MIN_FRAMES",
    "MIN_SPECTRUM_FRAMES",
    "Axis",
    "BandRange",
    "Crop",
    "Flow",
    "FrameRange",
    "Planes",
    "Repeats",
    "Scale",
    "Settings",
    "Window",
]

Window = Literal["hann", "boxcar"]
Axis = Literal["auto", "frame", "hz"]
Planes = Literal["y", "yuv"]
Scale = Literal["pixel", "block", "global"]
Flow = Literal["lk", "raft"]
Repeats = Literal["drop", "keep"]

LADDER = (32, 25, 16, 14, 8)
"""Segment lengths that a measurement kept for later holds, longest first."""

MIN_FRAMES = 3
"""A second difference needs three frames; fewer hold no flicker that could be told from a step."""

MIN_SPECTRUM_FRAMES = 8
"""Segments shorter than this are measured by their second difference instead of a spectrum."""

BAND_PRESETS = {
    "cycles": "LF:-0.125, MF:0.125-0.25, HF:0.25-0.5, NYQ:0.4-0.5",
    "hz": "1-3Hz:1-3Hz, 3-8Hz:3-8Hz, 8-15Hz:8-15Hz, 15-30Hz:15-30Hz",
}
"""The named sets of bands; a band without a lower end starts at 1.5 bins, clear of the mean."""

ALL_CHANNELS = "all"
"""What stands for the luma of a picture in a latent."""

PRIMARY = "HF"
"""The headline band, where there is one of this name."""

_BAND = re.compile(
    r"(?P<name>[^:,]+):(?P<low>[0-9.]*)-(?P<high>[0-9.]+)\s*(?P<unit>hz)?", re.IGNORECASE
)
_CROP = re.compile(r"(\d+)x(\d+)(?:\+(\d+)\+(\d+))?")


@dataclass(frozen=True, slots=True)
class BandRange:
    """One band as the user named it."""

    name: str
    low: float | None
    """Lower end in ``unit``; ``None``: 1.5 bins, just clear of the mean."""
    high: float
    unit: Literal["cycles/frame", "Hz"]


@dataclass(frozen=True, slots=True)
class FrameRange:
    """Frames ``start``, ``start + step``, ... below ``stop`` (``None``: the end)."""

    start: int = 0
    stop: int | None = None
    step: int = 1


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle of the picture, in pixels of the luma plane from its top left corner."""

    width: int
    height: int
    left: int = 0
    top: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every choice that changes a number.

    Two measurements can be compared or added only where their settings are equal. A report
    carries its settings, and a run can be repeated from them.
    """

    window: Window = "hann"
    """``boxcar`` leaks; it is there for closed forms and for the literal FFT."""
    segment: int | None = None
    """Frames a segment; ``None``: 32, or the frames of the shorter video where it has fewer."""
    bands: str = "cycles"
    """``cycles``, ``hz`` or ``"name:low-high, ..."`` (cycles/frame, or Hz with the suffix Hz)."""
    primary: str | None = None
    """The band of the headline; ``None``: HF, or the highest of one's own bands."""
    axis: Axis = "auto"
    """``auto``: the faster video is decimated to the slower one's rate; ``frame``: compared in
    cycles/frame as they are; ``hz``: compared by density, up to the lower Nyquist frequency."""
    planes: Planes = "y"
    """``yuv`` measures Cb and Cr as well."""
    latent: bool = False
    """The arrays are latents of any channels and values, measured as they are."""
    scales: tuple[Scale, ...] = ("pixel", "block", "global")
    """Which spatial scales to measure."""
    frames: str | None = None
    """``start:stop:step``, like a Python slice with non-negative numbers."""
    crop: str | None = None
    """``WIDTHxHEIGHT+LEFT+TOP`` in pixels of the luma plane."""
    repeats: Repeats = "drop"
    """Frames that repeat the one before throughout a video: ``drop`` leaves them out and corrects
    the rate, ``keep`` measures them as they are stored."""
    paired: bool | None = None
    """Frame-by-frame readings: ``None``: where the videos match; ``True``: or refuse."""
    lag: int | None = None
    """Frames by which the prediction comes late, -2..2; ``None``: found from the frames."""
    motion: bool = True
    """Measure the motion-compensated flicker."""
    texture: bool = True
    """Measure how much of the fine detail is renewed in each frame, too."""
    flow: Flow = "lk"
    """What finds the motion: the built-in Lucas-Kanade, or torchvision's RAFT."""
    min_excess: float = 3.0
    """Decibels from which on a difference counts in the verdict."""
    min_flicker: float = 0.1
    """Motion-compensated flicker from which on it counts in the verdict, code^2."""
    min_area: float = 0.2
    """Growth of the share that flickers from which on it counts in the verdict, 0..1."""
    min_coverage: float = 0.3
    """Share of the picture and the time below which the motion cannot be followed, 0..1."""
    still_speed: float = 0.05
    """Median speed below which a video is still, pixels of a picture of 72 rows a frame."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", _scales(self.scales))
        _choice("window", self.window, get_args(Window))
        _choice("axis", self.axis, get_args(Axis))
        _choice("planes", self.planes, get_args(Planes))
        _choice("flow", self.flow, get_args(Flow))
        _choice("repeats", self.repeats, get_args(Repeats))
        for name in ("motion", "texture", "latent"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name}: true or false, got {getattr(self, name)!r}")
        for name, most in _THRESHOLDS.items():
            _check_range(name, getattr(self, name), most)
        for scale in self.scales:
            _choice("scales", scale, get_args(Scale))
        if not self.scales or len(set(self.scales)) != len(self.scales):
            raise SettingsError(f"scales: name each scale once, got {list(self.scales)}")
        if self.segment is not None and not (
            _is_whole(self.segment) and MIN_FRAMES <= self.segment <= 4096
        ):
            raise SettingsError(
                f"segment: a whole number of frames from {MIN_FRAMES} to 4096, got {self.segment}"
            )
        if self.lag is not None and not (_is_whole(self.lag) and -2 <= self.lag <= 2):
            raise SettingsError(f"lag: a whole number of frames from -2 to 2, got {self.lag}")
        if self.paired not in (None, True, False):
            raise SettingsError(f"paired: true, false or none, got {self.paired!r}")
        if self.latent and self.planes != "y":
            raise SettingsError(
                f"planes {self.planes!r} are of pictures; every channel of a latent is measured"
            )
        self._check_bands()
        _ = self.frame_range, self.crop_box

    @property
    def band_ranges(self) -> tuple[BandRange, ...]:
        """The bands, parsed."""
        if not isinstance(self.bands, str):
            raise SettingsError(f"bands: expected text, got {self.bands!r}")
        return _parse_bands(BAND_PRESETS.get(self.bands, self.bands))

    @property
    def primary_band(self) -> str:
        """Name of the headline band."""
        if self.primary is not None:
            return self.primary
        bands = self.band_ranges
        if any(band.name == PRIMARY for band in bands):
            return PRIMARY
        return max(bands, key=lambda band: (band.high, band.low or 0.0)).name

    @property
    def main_plane(self) -> str:
        """Name of what the headline is about: the luma, or all channels of a latent together."""
        return ALL_CHANNELS if self.latent else "y"

    @property
    def main_scale(self) -> Scale:
        """The scale of the headline."""
        return "block" if "block" in self.scales else self.scales[0]

    @property
    def in_hertz(self) -> bool:
        """Whether the bands are given in Hz."""
        return self.band_ranges[0].unit == "Hz"

    @property
    def frame_range(self) -> FrameRange:
        """Which frames to measure, parsed."""
        return _parse_frames(self.frames)

    @property
    def crop_box(self) -> Crop | None:
        """Which part of the picture to measure, parsed."""
        return _parse_crop(self.crop)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {"scales": list(self.scales)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Settings:
        """Inverse of `to_dict`; raises `SettingsError` for names that are not settings."""
        if not isinstance(plain, Mapping):
            raise SettingsError("settings: expected a JSON object of names and values")
        known = {field.name for field in fields(cls)}
        unknown = sorted(str(name) for name in set(plain) - known)
        if unknown:
            raise SettingsError(
                f"unknown settings {', '.join(unknown)}; allowed: {', '.join(sorted(known))}"
            )
        try:
            return cls(**plain)
        except (TypeError, AttributeError) as error:
            raise SettingsError(f"settings hold a value of the wrong type: {error}") from error

    def with_changes(self, **changes: Any) -> Settings:
        """A copy with some values replaced; raises `SettingsError` for unknown names."""
        return Settings.from_dict(self.to_dict() | changes)

    @property
    def of_one_video(self) -> Settings:
        """A copy without the choices that only matter to a comparison, or to how many frames a
        segment has (each measurement says that for itself).
        """
        unused: dict[str, Any] = {name: _DEFAULTS[name] for name in _OF_COMPARISONS}
        return replace(self, **unused)

    def _check_bands(self) -> None:
        ranges = self.band_ranges
        names = [band.name for band in ranges]
        if len(set(names)) != len(names):
            raise SettingsError(f"bands: every band needs a name of its own, got {names}")
        if len({band.unit for band in ranges}) > 1:
            raise SettingsError("bands: give all bands in cycles/frame, or all in Hz")
        if self.primary is not None and self.primary not in names:
            raise SettingsError(
                f"primary: no band is called {self.primary!r}; the bands are {', '.join(names)}"
            )
        if self.axis == "frame" and self.in_hertz:
            raise SettingsError(
                "axis frame compares cycles/frame: give the bands in cycles/frame too"
            )


_THRESHOLDS: Final = {
    "min_excess": math.inf,
    "min_flicker": math.inf,
    "min_area": 1.0,
    "min_coverage": 1.0,
    "still_speed": math.inf,
}
"""Their largest values."""

_OF_COMPARISONS: Final = ("segment", "axis", "paired", "lag", *_THRESHOLDS)

_DEFAULTS: Final = {item.name: item.default for item in fields(Settings)}


def _check_range(name: str, value: object, most: float) -> None:
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    if not (math.isfinite(number) and 0 <= number <= most):
        largest = "" if math.isinf(most) else f" to {most:g}"
        raise SettingsError(f"{name}: a number from 0{largest or ' up'}, got {value!r}")


def _scales(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SettingsError(f"scales: a list such as ['pixel', 'block'], got {value!r}")
    return tuple(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(f"{name}: one of {', '.join(allowed)}, got {value!r}")


@lru_cache
def _parse_bands(text: str) -> tuple[BandRange, ...]:
    return tuple(_parse_band(part.strip()) for part in text.split(","))


def _parse_band(part: str) -> BandRange:
    found = _BAND.fullmatch(part)
    try:
        if found is None:
            raise ValueError
        low = float(found["low"]) if found["low"] else None
        high = float(found["high"])
    except ValueError:
        raise SettingsError(
            f"bands: cycles, hz or 'name:low-high, ...' such as 'fast:0.3-0.5' or 'mid:3-8Hz', "
            f"got {part!r}"
        ) from None
    unit: Literal["cycles/frame", "Hz"] = "Hz" if found["unit"] else "cycles/frame"
    if not (low or 0.0) < high:
        raise SettingsError(f"bands: {part!r} ends below its start")
    if unit == "cycles/frame" and high > 0.5:
        raise SettingsError(
            f"bands: {part!r} passes 0.5 cycles/frame, the highest there is; add Hz for hertz"
        )
    return BandRange(found["name"].strip(), low, high, unit)


def _parse_frames(text: object) -> FrameRange:
    if text is None:
        return FrameRange()
    try:
        if not isinstance(text, str) or not 2 <= len(parts := text.split(":")) <= 3:
            raise ValueError
        start, stop, step = (int(part) if part.strip() else None for part in (*parts, "")[:3])
    except ValueError:
        raise SettingsError(
            f"frames: start:stop or start:stop:step in whole numbers, got {text!r}"
        ) from None
    chosen = FrameRange(start or 0, stop, 1 if step is None else step)
    if chosen.start < 0 or chosen.step < 1 or (stop is not None and stop <= chosen.start):
        raise SettingsError(f"frames: needs 0 <= start < stop and step >= 1, got {text!r}")
    return chosen


def _parse_crop(text: object) -> Crop | None:
    if text is None:
        return None
    found = _CROP.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise SettingsError(f"crop: WIDTHxHEIGHT+LEFT+TOP in pixels, got {text!r}")
    width, height, left, top = (int(part or 0) for part in found.groups())
    if not (width and height):
        raise SettingsError(f"crop: width and height must be at least 1, got {text!r}")
    return Crop(width, height, left, top)
