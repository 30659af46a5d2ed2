"""How two measurements differ: excess per band, lines, picture; pure functions of their values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flickerscope import histogram
from flickerscope.measurement import Clip, Measurement, Spectrum, key
from flickerscope.rungs import headline_band
from flickerscope.spectrum import Transform, tone_amplitude
from flickerscope.units import CODE, Unit

__all__ = [
    "BandExcess",
    "Line",
    "MotionExcess",
    "MotionSummary",
    "PictureChange",
    "band_excess",
    "excess_db",
    "find_lines",
    "headline_power",
    "motion_excess",
    "summarize_motion",
]

Floats = npt.NDArray[np.float64]

LINE_PROMINENCE: Final = 4.0
LINE_REACH: Final = 2  # bins that a windowed line spreads over, to each side
LINE_FLOOR: Final = 6  # bins to each side from which the floor under a line is taken
MIN_LINE_FREQUENCY: Final = 0.125  # cycles/frame: below it, slow change
MIN_LINE_FRAMES: Final = 16
MIN_LINE_ROUNDING: Final = 0.5  # of the power of rounding
MIN_CHANGE: Final = 1e-6  # code^2: less is nothing but rounding

FLICKER_EPSILON: Final = 0.1
"""Added to motion-compensated flicker in a ratio, code^2: what clean clips read."""
TEXTURE_EPSILON: Final = 0.01
"""Added to the share of the texture that is renewed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandExcess:
    """One band of one plane at one scale, in both videos."""

    plane: str
    scale: str
    band: str
    low: float
    """Lower end in the prediction, cycles/frame."""
    high: float
    reliable: bool
    """Whether slow change stays out of the band at this segment length."""
    pred_power: float
    """Mean over cells and segments, code^2."""
    ref_power: float
    epsilon: float
    """Power of 8-bit rounding in the band, code^2; the larger one, where frame rates differ; 0 for
    latents."""
    excess_db: float
    """``10 log10((P_pred + eps)/(P_ref + eps))``: 0 for identical videos, negated by a swap."""
    wasserstein_db: float | None
    """Distance between the histograms of the cells' power, dB."""
    shift_db: float | None
    """Mean over the quantiles of prediction minus reference, dB."""

    @property
    def difference(self) -> float:
        """``P_pred - P_ref``, code^2."""
        return self.pred_power - self.ref_power

    @property
    def pred_rms(self) -> float:
        """Code values."""
        return math.sqrt(self.pred_power)

    @property
    def ref_rms(self) -> float:
        """Code values."""
        return math.sqrt(self.ref_power)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Power at one frequency that stands out of the bins around it: flicker, or a grating
    that moves.
    """

    plane: str
    scale: str
    frequency: float
    """Cycles/frame."""
    amplitude: float
    """Of a sine of that power in every cell, code values."""
    ref_amplitude: float | None
    """The same in the reference."""
    share: float
    """Of all power above 0.125 cycles/frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureChange:
    """What makes excess look smaller or larger than the flicker is."""

    sharpness_db: float | None
    """``10 log10`` of the mean squared spatial gradient's ratio; ``None``: a flat picture, or
    pictures of different size."""
    contrast_db: float | None
    """``20 log10`` of the ratio of the standard deviations within frames; ``None``: flat."""
    brightness: float
    """Mean code value of the prediction minus the reference's."""
    pred_clipped: float
    """Share of the prediction's pixels at the ends of the range."""
    ref_clipped: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionSummary:
    """Motion-compensated readings of one side: of its video, or the medians over its videos."""

    measured: int
    """Videos that could be measured."""
    flicker: float
    """Code^2."""
    usual: float
    """Median over time, code^2."""
    coverage: float
    """0..1."""
    area: float
    """0..1."""
    slow: float | None
    """Near a quarter cycle/frame, code^2."""
    moving: float | None
    """Code^2."""
    texture: float | None
    """0..1."""
    cb: float | None
    """Code^2."""
    cr: float | None
    pop: float | None
    """Code^2."""
    speed: float
    """Pixels of a picture of 72 rows a frame."""
    moving_share: float
    """0..1."""
    redrawn: bool
    """Whether the pictures are drawn anew rather than moved, in most of the videos."""

    @property
    def rms(self) -> float:
        """The flicker in rms code values."""
        return math.sqrt(max(self.flicker, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionExcess:
    """How much more a prediction flickers along its motion than its reference along its own."""

    pred: MotionSummary
    ref: MotionSummary
    excess_db: float
    """``10 log10((max(C_pred, 0) + 0.1)/(max(C_ref, 0) + 0.1))``, the headline."""
    usual_db: float
    """The same of the medians over time."""
    slow_db: float | None
    """The same near a quarter cycle/frame."""
    moving_db: float | None
    """The same where the picture moves against the rest."""
    texture_db: float | None
    """``10 log10((T_pred + 0.01)/(T_ref + 0.01))`` of the shares of detail renewed, not below 0."""
    cb_db: float | None
    """As ``excess_db``, of Cb."""
    cr_db: float | None

    @property
    def area_change(self) -> float:
        """Growth of the share that flickers, -1..1."""
        return self.pred.area - self.ref.area


def excess_db(pred: float, ref: float, epsilon: float) -> float:
    """``10 log10((pred + eps)/(ref + eps))``, dB; swapped arguments give exactly the negative."""
    return CODE.ratio_db(pred, ref, epsilon)


def band_power(spectrum: Spectrum, transform: Transform) -> Floats:
    """Mean power of each band, (bands,), code^2."""
    return np.asarray(transform.weights.numpy() @ spectrum.mean_power)


def headline_power(measurement: Measurement) -> float:
    """High-frequency energy of a lone video: its power in the primary band."""
    settings, transform = measurement.settings, measurement.transform()
    spectra = measurement.rungs[measurement.segment].spectra
    spectrum = spectra[key(settings.main_plane, settings.main_scale)]
    return float(band_power(spectrum, transform)[headline_band(settings, transform)])


def band_excess(
    name: str,
    pred: tuple[Spectrum, Transform],
    ref: tuple[Spectrum, Transform],
) -> list[BandExcess]:
    """Every band that is not empty, of the plane and scale called ``name``."""
    plane, scale = name.split("/")
    powers = band_power(*pred), band_power(*ref)
    rows = []
    for i, (ours, theirs) in enumerate(zip(pred[1].bands, ref[1].bands, strict=True)):
        if ours.empty or theirs.empty:
            continue
        counts = pred[0].counts[i], ref[0].counts[i]
        values = float(powers[0][i]), float(powers[1][i])
        epsilon = max(ours.epsilon, theirs.epsilon)
        rows.append(
            BandExcess(
                plane=plane,
                scale=scale,
                band=ours.name,
                low=ours.low,
                high=ours.high,
                reliable=ours.reliable and theirs.reliable,
                pred_power=values[0],
                ref_power=values[1],
                epsilon=epsilon,
                excess_db=pred[1].unit.ratio_db(*values, epsilon),
                wasserstein_db=histogram.wasserstein_db(*counts),
                shift_db=histogram.mean_shift_db(*counts),
            )
        )
    return rows


def high_share(spectrum: Spectrum, transform: Transform, band: int) -> float | None:
    """Share of all power that lies in a band; ``None`` where there is none."""
    total = float(spectrum.mean_power.sum())
    return float(band_power(spectrum, transform)[band]) / total if total > 0 else None


def find_lines(
    name: str,
    pred: tuple[Spectrum, Transform],
    ref: tuple[Spectrum, Transform] | None = None,
    *,
    speed: float = 1.0,
) -> list[Line]:
    """Lines in the spectrum of the prediction (or of a video alone) that the reference lacks.

    A line is a local maximum above 0.125 cycles/frame of at least 4 times the median of the bins
    around it that a windowed sine does not reach, stronger than rounding, and at least
    twice the reference's power there. ``speed``: frames/s of the prediction over the reference's,
    where they are compared in Hz.
    """
    spectrum, transform = pred
    power, frequencies = spectrum.mean_power, transform.frequencies.numpy()
    if transform.frames < MIN_LINE_FRAMES or not power.any():
        return []
    plane, scale = name.split("/")
    high = frequencies >= MIN_LINE_FREQUENCY
    total = float(power[high].sum())
    least = max(MIN_LINE_ROUNDING * transform.unit.rounding, transform.unit.least)
    lines = []
    for k in np.flatnonzero(high):
        near = slice(max(0, k - LINE_REACH), k + LINE_REACH + 1)
        line = float(power[near].sum())
        if power[k] < power[near].max() or line < least:
            continue
        if power[k] < LINE_PROMINENCE * _floor(power, int(k)):
            continue
        over = np.clip(power[near] - _floor(power, int(k)), 0, None)
        frequency = _centre(over, frequencies[near], int(k) == len(power) - 1)
        theirs = None if ref is None else _amplitude(ref, frequency * speed)
        ours = _amplitude(pred, frequency)
        if theirs is not None and ours**2 < 2 * theirs**2:
            continue
        lines.append(
            Line(
                plane=plane,
                scale=scale,
                frequency=frequency,
                amplitude=ours,
                ref_amplitude=theirs,
                share=min(1.0, line / total),
            )
        )
    return lines


def _floor(power: Floats, k: int) -> float:
    """Median of the bins around bin k that a line at k does not reach."""
    below = power[max(0, k - LINE_FLOOR) : max(0, k - LINE_REACH)]
    above = power[k + LINE_REACH + 1 : k + LINE_FLOOR + 1]
    return float(np.median(np.concatenate([below, above])))


def _centre(power: Floats, frequencies: Floats, at_nyquist: bool) -> float:
    if at_nyquist:
        return float(frequencies[-1])
    return float((power * frequencies).sum() / power.sum())


def _amplitude(side: tuple[Spectrum, Transform], frequency: float) -> float:
    spectrum, transform = side
    power = torch.from_numpy(spectrum.mean_power)
    return tone_amplitude(power, transform.frequencies, frequency, transform.frames)


def summarize_motion(clips: Sequence[Clip]) -> MotionSummary | None:
    """The medians over the videos that could be measured; ``None`` where none could."""
    readings = [clip.motion for clip in clips if clip.motion is not None]
    if not readings:
        return None
    own = ("measured", "redrawn")
    names = [item.name for item in fields(MotionSummary) if item.name not in own]
    medians: dict[str, Any] = {}
    for name in names:
        values = [v for reading in readings if (v := getattr(reading, name)) is not None]
        medians[name] = median(values) if values else None
    redrawn = [reading.coarse is not None and reading.coarse.redrawn for reading in readings]
    return MotionSummary(measured=len(readings), redrawn=2 * sum(redrawn) > len(redrawn), **medians)


def motion_excess(pred: MotionSummary, ref: MotionSummary) -> MotionExcess:
    """Prediction against reference; identical sides read exactly 0, swapped ones the negative."""

    def decibels(name: str, epsilon: float = FLICKER_EPSILON) -> float | None:
        ours, theirs = getattr(pred, name), getattr(ref, name)
        if ours is None or theirs is None:
            return None
        return excess_db(max(ours, 0.0), max(theirs, 0.0), epsilon)

    return MotionExcess(
        pred=pred,
        ref=ref,
        excess_db=excess_db(max(pred.flicker, 0.0), max(ref.flicker, 0.0), FLICKER_EPSILON),
        usual_db=excess_db(max(pred.usual, 0.0), max(ref.usual, 0.0), FLICKER_EPSILON),
        slow_db=decibels("slow"),
        moving_db=decibels("moving"),
        texture_db=decibels("texture", TEXTURE_EPSILON),
        cb_db=decibels("cb"),
        cr_db=decibels("cr"),
    )


def picture_change(pred: tuple[Clip, ...], ref: tuple[Clip, ...], unit: Unit) -> PictureChange:
    """Sharpness, contrast and brightness of the prediction against the reference."""
    ours, theirs = (_picture_means(clips) for clips in (pred, ref))
    sizes = {(clip.info.height, clip.info.width) for clip in (*pred, *ref)}
    return PictureChange(
        sharpness_db=_level(ours[0], theirs[0], unit) if len(sizes) == 1 else None,
        contrast_db=_level(ours[1], theirs[1], unit),
        brightness=ours[2] - theirs[2],
        pred_clipped=ours[3],
        ref_clipped=theirs[3],
    )


def _picture_means(clips: tuple[Clip, ...]) -> tuple[float, float, float, float]:
    values = [(c.gradient, c.contrast**2, c.mean, c.clipped) for c in clips]
    gradient, variance, mean, clipped = np.mean(values, axis=0).tolist()
    return gradient, variance, mean, clipped


def _level(pred: float, ref: float, unit: Unit) -> float | None:
    """Ratio of two powers in dB; ``None`` where one is nothing but rounding."""
    if min(pred, ref) < MIN_CHANGE * unit.square:
        return None
    return 10 * (math.log10(pred) - math.log10(ref))
