"""The windowed temporal transform, its power and its bands: pure functions of tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import torch

from flickerscope.errors import InputError, SettingsError
from flickerscope.settings import MIN_FRAMES, MIN_SPECTRUM_FRAMES, BandRange, Settings, Window
from flickerscope.units import CODE, Unit

__all__ = [
    "SECOND_DIFFERENCE",
    "Band",
    "Transform",
    "band_weights",
    "bin_frequencies",
    "make_transform",
    "power",
    "power_density",
    "tone_amplitude",
    "window",
]

SECOND_DIFFERENCE = "second difference"
"""Name of the one band that segments too short for a spectrum have."""


@dataclass(frozen=True, slots=True)
class Band:
    """A range of temporal frequencies as it applies to one segment length and frame rate."""

    name: str
    low: float
    """Lower end, cycles/frame."""
    high: float
    """Upper end, cycles/frame; at or below ``low`` where the band lies outside the spectrum."""
    epsilon: float
    """Power of 8-bit rounding in this band, code^2: the floor under every ratio; 0 for latents."""
    reliable: bool
    """Whether slow change stays out of it: ``low >= 0.125 + 2/N``."""

    @property
    def empty(self) -> bool:
        """Whether no frequency falls into it."""
        return self.high <= self.low


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """The whole transform of a segment as one matrix, for segments of ``frames`` frames.

    Window, removal of the weighted mean and scaling are linear, so that the power in bin k is
    the sum of ``(matrix @ x)**2`` over the rows with ``bin_of_row == k``.
    """

    frames: int
    matrix: torch.Tensor
    """(rows, frames), float64."""
    bin_of_row: torch.Tensor
    """(rows,), int64: the bin that a row's square counts for."""
    frequencies: torch.Tensor
    """(bins,), float64, cycles/frame; one zero for a second difference, which has no frequency."""
    bands: tuple[Band, ...]
    weights: torch.Tensor
    """(bands, bins), float64: the share of each bin's power that each band holds."""
    window: torch.Tensor | None
    """(frames,), float64; none for a second difference."""
    unit: Unit = CODE
    """Of the samples whose powers it gives."""

    @property
    def row_weights(self) -> torch.Tensor:
        """(bands, rows): band powers straight from the squared rows."""
        return self.weights[:, self.bin_of_row]

    @property
    def is_spectrum(self) -> bool:
        """Whether there are frequencies, i.e. whether the segment has 8 frames or more."""
        return self.frames >= MIN_SPECTRUM_FRAMES

    def quadratures(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The real and the imaginary rows of a spectrum, (bins, frames) each, zeros filled in."""
        bins = len(self.frequencies)
        real = torch.zeros(bins, self.frames, dtype=self.matrix.dtype, device="cpu")
        count = len(self.matrix) - bins
        real[self.bin_of_row[:count]] = self.matrix[:count]
        return real, self.matrix[count:]

    def bins(self, squares: torch.Tensor) -> torch.Tensor:
        """Sum squared rows into bins, (rows, ...) to (bins, ...)."""
        out = squares.new_zeros(len(self.frequencies), *squares.shape[1:])
        return out.index_add_(0, self.bin_of_row.to(squares.device), squares)


def window(frames: int, kind: Window = "hann") -> torch.Tensor:
    """Half-sample Hann ``sin^2(pi (n + 1/2) / N)`` or ones, (frames,), float64.

    Symmetric in time and nowhere zero (Harris 1978).
    """
    if kind == "boxcar":
        return torch.ones(frames, dtype=torch.float64)
    steps = torch.arange(frames, dtype=torch.float64)
    return torch.sin(math.pi * (steps + 0.5) / frames) ** 2


def bin_frequencies(frames: int) -> torch.Tensor:
    """Frequencies of the bins above DC, ``k/N`` for k = 1 .. N//2, cycles/frame, float64."""
    return torch.arange(1, frames // 2 + 1, dtype=torch.float64) / frames


def power(x: torch.Tensor, kind: Window = "hann") -> torch.Tensor:
    """Power at each temporal frequency, (time, ...) to (time//2 + 1, ...), unit of x squared.

    ``P_k = c_k |rfft(w r)|^2 / (N sum w^2)`` with ``r = x - sum(w x)/sum(w)``, c = 2 but 1 at DC
    and at the Nyquist frequency of an even N. Hence ``sum_k P_k = sum(w^2 r^2) / sum(w^2)``
    (Parseval), and a sine of amplitude a reads a^2/2 in all. Keeps the floating-point type of x.
    """
    if not x.is_floating_point() or x.ndim < 1 or len(x) < 2:
        raise InputError(
            f"power: expected floating-point samples along two or more times, "
            f"got {tuple(x.shape)} of {x.dtype}"
        )
    frames = len(x)
    w = window(frames, kind).to(x.device, x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    r = x - (w * x).sum(0) / w.sum()
    spectrum = torch.fft.rfft(w * r, dim=0)
    both_sides = torch.full((len(spectrum),), 2.0, dtype=x.dtype, device=x.device)
    both_sides[0] = 1
    if frames % 2 == 0:
        both_sides[-1] = 1
    squares = spectrum.real.square() + spectrum.imag.square()
    scale = both_sides / (frames * w.square().sum())
    power: torch.Tensor = squares * scale.reshape(w[: len(spectrum)].shape)
    return power


def power_density(power_per_bin: torch.Tensor, frames: int, rate: float) -> torch.Tensor:
    """Power spectral density ``P_k N / fps``, code^2/Hz."""
    return power_per_bin * frames / rate


def tone_amplitude(
    power_per_bin: torch.Tensor, frequencies: torch.Tensor, frequency: float, frames: int
) -> float:
    """Amplitude of a sine near ``frequency`` (cycles/frame): ``sqrt(2 sum P_k)`` over +-2 bins.

    A Hann window spreads a tone over those bins; the peak bin alone reads .69 to .82 of it. At
    the Nyquist frequency ``sqrt(sum P_k)``. Exact to .1 % for 3/N <= frequency <= 1/2 - 3/N.

    Args:
        power_per_bin: (bins,), code^2.
        frequencies: (bins,), cycles/frame.
        frequency: cycles/frame.
        frames: frames a segment.
    """
    near = (frequencies - frequency).abs() <= 2 / frames + 1e-12
    factor = 1.0 if math.isclose(frequency, 0.5) else 2.0
    return math.sqrt(factor * float(power_per_bin[near].sum()))


def band_weights(bands: tuple[Band, ...], frames: int) -> torch.Tensor:
    """Share of each bin that each band holds, (bands, bins), float64.

    Bin k covers ``[(k - 1/2)/N, (k + 1/2)/N]`` clipped to [0, 1/2]; its weight is overlap/width,
    so that neighbouring bands share a line on their border and nothing is counted twice.
    """
    centre = bin_frequencies(frames)
    low, high = centre - 0.5 / frames, (centre + 0.5 / frames).clamp(max=0.5)
    rows = [
        (high.clamp(max=band.high) - low.clamp(min=band.low)).clamp(min=0) / (high - low)
        for band in bands
    ]
    return torch.stack(rows)


def make_transform(
    frames: int,
    settings: Settings,
    rate: Fraction | None = None,
    *,
    unit: Unit = CODE,
    lowest: float | None = None,
) -> Transform:
    """The transform for segments of ``frames`` frames at ``rate`` frames a second, made once.

    ``unit``: of the samples; ``lowest``: where a band without a lower end starts, cycles/frame;
    default 1.5 bins.

    From 8 frames on a windowed Fourier transform; for 3 to 7 frames the second difference
    ``y = (x[t-1] - 2 x[t] + x[t+1])/4``, whose power is the mean of y^2: 1 for [127, 129, 127],
    0 for any ramp.
    """
    if frames < MIN_FRAMES:
        raise InputError(f"a segment needs {MIN_FRAMES} frames or more, got {frames}")
    return _made(frames, settings.band_ranges, settings.window, rate, unit, lowest)


@lru_cache(maxsize=64)
def _made(
    frames: int,
    ranges: tuple[BandRange, ...],
    kind: Window,
    rate: Fraction | None,
    unit: Unit,
    lowest: float | None,
) -> Transform:
    with torch.device("cpu"), torch.inference_mode(False):
        if frames < MIN_SPECTRUM_FRAMES:
            return _second_difference(frames, unit)
        bands = tuple(_fit_band(band, frames, rate, unit, lowest) for band in ranges)
        return _fourier(frames, bands, kind, unit)


def _fourier(frames: int, bands: tuple[Band, ...], kind: Window, unit: Unit) -> Transform:
    matrix, bin_of_row = _fourier_rows(frames, kind)
    return Transform(
        frames=frames,
        matrix=matrix,
        bin_of_row=bin_of_row,
        frequencies=bin_frequencies(frames),
        bands=bands,
        weights=band_weights(bands, frames),
        window=window(frames, kind),
        unit=unit,
    )


def _fourier_rows(frames: int, kind: Window) -> tuple[torch.Tensor, torch.Tensor]:
    """Real and imaginary rows whose squares sum to P_k, and the bin of each row."""
    w = window(frames, kind)
    k = torch.arange(1, frames // 2 + 1, dtype=torch.float64)[:, None]
    # Phases are counted from the middle of the segment: power does not depend on it, and real
    # rows are then even in time, imaginary ones odd.
    angle = (
        2 * math.pi * k / frames * (torch.arange(frames, dtype=torch.float64) - (frames - 1) / 2)
    )
    gain = torch.full_like(k, 2 / (frames * float(w.square().sum())))
    nyquist = frames % 2 == 0
    if nyquist:
        gain[-1] /= 2
    real, imaginary = (gain.sqrt() * wave * w for wave in (torch.cos(angle), torch.sin(angle)))
    real = real - real.sum(1, keepdim=True) * w / w.sum()
    if nyquist:
        real = real[:-1]  # at the Nyquist frequency the even part is zero by symmetry
    bins = torch.arange(frames // 2)
    return torch.cat([real, imaginary]), torch.cat([bins[: len(real)], bins])


def _second_difference(frames: int, unit: Unit) -> Transform:
    rows = frames - 2
    matrix = torch.zeros(rows, frames, dtype=torch.float64)
    for row in range(rows):
        matrix[row, row : row + 3] = torch.tensor([0.25, -0.5, 0.25], dtype=torch.float64)
    # White noise of variance v reads 6/16 v.
    band = Band(SECOND_DIFFERENCE, 0.0, 0.5, 6 / 16 * unit.rounding, True)
    return Transform(
        frames=frames,
        matrix=matrix / math.sqrt(rows),
        bin_of_row=torch.zeros(rows, dtype=torch.int64),
        frequencies=torch.zeros(1, dtype=torch.float64),
        bands=(band,),
        weights=torch.ones(1, 1, dtype=torch.float64),
        window=None,
        unit=unit,
    )


def _fit_band(
    band: BandRange, frames: int, rate: Fraction | None, unit: Unit, lowest: float | None
) -> Band:
    scale = 1.0
    if band.unit == "Hz":
        if rate is None:
            raise SettingsError(
                f"band {band.name!r} is in Hz, but the frame rate is not known: give fps, "
                "or bands in cycles/frame"
            )
        scale = float(1 / rate)
    low = (lowest or 1.5 / frames) if band.low is None else band.low * scale
    high = min(band.high * scale, 0.5)
    width = max(high - low, 0.0)
    reliable = width > 0 and low >= 0.125 + 2 / frames - 1e-9
    return Band(band.name, low, high, unit.rounding * width / 0.5, reliable)
