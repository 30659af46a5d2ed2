"""Frame-by-frame readings of a prediction that reproduces or edits its very reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from flickerscope.segments import ShotSegments, frame_correlation
from flickerscope.spectrum import Band, Transform
from flickerscope.tracks import Tracks
from flickerscope.units import ARITHMETIC, Unit

__all__ = ["MAX_LAG", "PairedBand", "PairedReading", "joint_runs", "read_pair"]

MAX_LAG: Final = 2
MIN_SEGMENTS: Final = 3
MAX_FRAMES: Final = 128  # a segment: the products of all its frames are kept for each tile
MIN_CORRELATION: Final = 0.5
LAG_MARGIN: Final = 0.05
MIN_SHIFT: Final = 5
MIN_COHERENCE_FRAMES: Final = 14  # five rolls from which to take the bias
TILE: Final = 4  # blocks
CHUNK: Final = 64  # frames read at once
SAMPLES: Final = 16  # frames that are correlated
MAX_BIAS: Final = 0.95  # coherence by chance beyond which nothing can be said

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedBand:
    """One band of the luma's block grid. ``None``: not defined, or too few segments to say."""

    band: str
    coherence: float | None
    """Share of the prediction's power that the reference explains, 0..1, bias removed."""
    unexplained: float | None
    """``U = (1 - g2) S_pp``, code^2: what the reference does not explain, the paired headline."""
    unexplained_db: float | None
    """U against the reference's power, dB."""
    retained: float | None
    """``g2 S_pp / S_rr``: the reference's power that is still there."""
    retained_db: float | None
    slope: float | None
    """``beta = Re S_pr / S_pp``: below 1, part of the prediction's power is removable flicker."""
    gain: float | None
    """``Re S_pr / S_rr``: below 1 with a slope of 1, honest blur."""
    error: float
    """``S_pp + S_rr - 2 Re S_pr``, code^2: power of the difference."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedReading:
    """What two videos in step read together, on the luma's block grid."""

    lag: int
    """Frames by which the prediction comes late."""
    correlation: float
    """Median over frames of the correlation of prediction and reference."""
    segments: int
    bands: tuple[PairedBand, ...]
    frequencies: Floats
    """(bins,), cycles/frame."""
    coherence: Floats | None
    """(bins,), 0 where both are still; with the bias removed it scatters around 0 where there is
    none, and may be a little below."""
    error: Floats
    """(bins,), code^2."""
    note: str | None
    """Why some values are missing."""


def read_pair(
    pred: Tracks,
    ref: Tracks,
    transform: Transform,
    *,
    lag: int | None = None,
    force: bool = False,
) -> PairedReading | str:
    """Read two videos in step, or say in a sentence why that makes no sense.

    Args:
        pred, ref: small pictures of all frames.
        transform: for the segments to read.
        lag: frames by which the prediction comes late, if known.
        force: read them even where they do not correlate.
    """
    reason = _mismatch(pred, ref, transform)
    if reason is not None:
        return reason
    if lag is None:
        lag = _find_lag(pred, ref)
    correlation = _correlation(pred, ref, lag)
    if correlation < MIN_CORRELATION and not force:
        return f"the frames do not correlate (median {correlation:.2f}, needed {MIN_CORRELATION})"
    products = _TileProducts(transform)
    for first, last in joint_runs(pred, ref, lag):
        for start in ShotSegments(transform.frames).finish(last - first):
            ours = pred.blocks.read(first + start + lag, transform.frames)
            products.add(ours, ref.blocks.read(first + start, transform.frames))
    if not products.segments:
        return f"no segment of {transform.frames} frames lies within one shot of both"
    return products.reading(lag, correlation)


def _mismatch(pred: Tracks, ref: Tracks, transform: Transform) -> str | None:
    if not transform.is_spectrum:
        return f"segments of {transform.frames} frames have no spectrum"
    if transform.frames > MAX_FRAMES:
        return f"segments of over {MAX_FRAMES} frames"
    if pred.frames != ref.frames:
        return f"different numbers of frames ({pred.frames} and {ref.frames})"
    if pred.blocks.shape != ref.blocks.shape:
        return "different shapes of the picture"
    return None


def joint_runs(pred: Tracks, ref: Tracks, lag: int) -> Iterator[tuple[int, int]]:
    """First frame and the one after the last, of the reference, of what is one shot in both."""
    edges = {0, ref.frames, -lag, pred.frames - lag}
    edges |= {edge for shot in ref.shots for edge in shot}
    edges |= {edge - lag for shot in pred.shots for edge in shot}
    low, high = max(0, -lag), min(ref.frames, pred.frames - lag)
    inside = sorted(edge for edge in edges if low <= edge <= high)
    yield from pairwise(inside)


def _find_lag(pred: Tracks, ref: Tracks) -> int:
    """The lag at which the changes from frame to frame correlate best; 0 unless clearly another."""
    lags = range(-MAX_LAG, MAX_LAG + 1)
    products = dict.fromkeys(lags, 0.0)
    power = 0.0, 0.0
    for start in range(MAX_LAG, ref.frames - MAX_LAG - 1, CHUNK):
        count = min(CHUNK, ref.frames - MAX_LAG - 1 - start)
        if count < 1:
            break
        r = ref.blocks.read(start, count + 1).diff(dim=0).flatten(1)
        p = pred.blocks.read(start - MAX_LAG, count + 1 + 2 * MAX_LAG).diff(dim=0).flatten(1)
        power = (
            power[0] + float(p[MAX_LAG : MAX_LAG + count].square().sum()),
            power[1] + float(r.square().sum()),
        )
        for lag in lags:
            products[lag] += float((p[MAX_LAG + lag : MAX_LAG + lag + count] * r).sum())
    norm = math.sqrt(power[0] * power[1])
    if not norm:
        return 0
    best = max(lags, key=lambda lag: (products[lag], -abs(lag)))
    clear = products[best] / norm > MIN_CORRELATION
    return best if clear and (products[best] - products[0]) / norm > LAG_MARGIN else 0


def _correlation(pred: Tracks, ref: Tracks, lag: int) -> float:
    """Median correlation of frames spread over the video."""
    low, high = max(0, -lag), min(ref.frames, pred.frames - lag)
    chosen = np.unique(np.linspace(low, high - 1, SAMPLES).round().astype(int)).tolist()
    values = [
        frame_correlation(pred.blocks.read(t + lag, 1)[0], ref.blocks.read(t, 1)[0]) for t in chosen
    ]
    return float(np.median(values))


class _TileProducts:
    """Sums over cells and segments of the products of every two frames, per tile.

    All auto- and cross-spectra of a tile, also against a circularly shifted reference, are
    quadratic forms in these matrices, so that a segment costs three small products and the
    spectra are formed once, at the end.
    """

    def __init__(self, transform: Transform) -> None:
        self.transform = transform
        self.segments = 0
        self.cells = 0
        self.pp = self.rr = self.pr = torch.zeros((), device="cpu")

    def add(self, pred: torch.Tensor, ref: torch.Tensor) -> None:
        """Take a segment of both, (frames, rows, columns) or (frames, channels, rows, columns)."""
        p, r = _by_tile(pred), _by_tile(ref)
        self.pp = self.pp + p @ p.mT
        self.rr = self.rr + r @ r.mT
        self.pr = self.pr + p @ r.mT
        self.cells += pred[0].numel()
        self.segments += 1

    def reading(self, lag: int, correlation: float) -> PairedReading:
        """Form the spectra and read them."""
        real, imaginary = self.transform.quadratures()
        of_pred, of_ref, of_both = (
            _Halves(products, real, imaginary) for products in (self.pp, self.rr, self.pr)
        )
        s_pp, s_rr = of_pred.power(real, imaginary), of_ref.power(real, imaginary)
        cross = of_both.cross(real, imaginary)
        weights = self.transform.weights
        reason = self._why_no_coherence()
        enough = reason is None
        explained = coherence = None
        if enough:
            rolled = [*self._rolled(real, imaginary, of_both, of_ref)]
            bins = torch.eye(len(s_pp[0]), dtype=s_pp.dtype, device="cpu")
            explained = _explained(s_pp, s_rr, cross, weights, rolled).sum(0) / self.cells
            coherence = _ratios(_explained(s_pp, s_rr, cross, bins, rolled).sum(0), s_pp.sum(0))
        error = (s_pp + s_rr - 2 * cross.real).sum(0) / self.cells * self.transform.unit.square
        return PairedReading(
            lag=lag,
            correlation=correlation,
            segments=self.segments,
            bands=tuple(self._bands(s_pp, s_rr, cross, explained)),
            frequencies=self.transform.frequencies.numpy(),
            coherence=coherence,
            error=error.clamp(min=0).numpy(),
            note=reason,
        )

    def _why_no_coherence(self) -> str | None:
        if self.segments < MIN_SEGMENTS:
            return f"coherence needs {MIN_SEGMENTS} segments, got {self.segments}"
        if self.transform.frames < MIN_COHERENCE_FRAMES:
            return f"coherence needs segments of {MIN_COHERENCE_FRAMES} frames or more"
        return None

    def _rolled(
        self, real: torch.Tensor, imaginary: torch.Tensor, of_both: _Halves, of_ref: _Halves
    ) -> Iterator[_Rolled]:
        """The spectra of the reference rolled by 5 .. N-5 frames, with both videos."""
        for shift in range(MIN_SHIFT, self.transform.frames - MIN_SHIFT + 1):
            a, b = real.roll(-shift, 1), imaginary.roll(-shift, 1)
            yield _Rolled(
                power=_Halves(self.rr, a, b).power(a, b),
                with_pred=of_both.cross(a, b),
                with_ref=of_ref.cross(a, b),
            )

    def _bands(
        self,
        s_pp: torch.Tensor,
        s_rr: torch.Tensor,
        cross: torch.Tensor,
        explained: torch.Tensor | None,
    ) -> Iterator[PairedBand]:
        weights = self.transform.weights
        p, r, joint = ((weights @ s.sum(0) / self.cells).tolist() for s in (s_pp, s_rr, cross.real))
        for i, band in enumerate(self.transform.bands):
            if band.empty:
                continue
            kept = None if explained is None else min(max(float(explained[i]), 0.0), p[i])
            yield _band(band, self.transform.unit, p[i], r[i], joint[i], kept)


def _band(
    band: Band, unit: Unit, pred: float, ref: float, joint: float, explained: float | None
) -> PairedBand:
    """Of powers in code^2, or in what stands for them in the unit."""
    unexplained = None if explained is None else pred - explained

    def decibels(value: float | None) -> float | None:
        if value is None:
            return None
        return unit.ratio_db(value * unit.square, ref * unit.square, band.epsilon)

    return PairedBand(
        band=band.name,
        coherence=_ratio(explained, pred),
        unexplained=None if unexplained is None else unexplained * unit.square,
        unexplained_db=decibels(unexplained),
        retained=_ratio(explained, ref),
        retained_db=decibels(explained),
        slope=_ratio(joint, pred),
        gain=_ratio(joint, ref),
        error=max(pred + ref - 2 * joint, 0.0) * unit.square,
    )


def _ratio(value: float | None, by: float) -> float | None:
    """``None`` where it is not defined: nothing there but the rounding of sums."""
    return None if value is None or by <= ARITHMETIC else value / by


def _by_tile(grid: torch.Tensor) -> torch.Tensor:
    """(frames, [channels,] rows, columns) to (tiles, frames, cells), float64, without their means.

    The last tiles are filled up with cells of 0, which add nothing to any product.
    """
    frames, *_, rows, columns = grid.shape
    down, across = -(-rows // TILE), -(-columns // TILE)
    x = grid.to(torch.float64)
    x = x - x.mean(0)
    x = torch.nn.functional.pad(x, (0, across * TILE - columns, 0, down * TILE - rows))
    x = x.reshape(frames, -1, down, TILE, across, TILE).permute(1, 2, 4, 0, 3, 5)
    return x.reshape(-1, frames, TILE * TILE)


class _Halves:
    """Products of every two frames, (tiles, frames, frames), with a transform on one side."""

    def __init__(self, products: torch.Tensor, real: torch.Tensor, imaginary: torch.Tensor) -> None:
        self._real, self._imaginary = real @ products, imaginary @ products

    def power(self, real: torch.Tensor, imaginary: torch.Tensor) -> torch.Tensor:
        """Power spectrum, (tiles, bins), with the same transform on the other side."""
        return (self._real * real).sum(-1) + (self._imaginary * imaginary).sum(-1)

    def cross(self, real: torch.Tensor, imaginary: torch.Tensor) -> torch.Tensor:
        """Complex cross-spectrum, (tiles, bins), with a transform on the other side."""
        a, b = self._real, self._imaginary
        return torch.complex(
            (a * real).sum(-1) + (b * imaginary).sum(-1),
            (b * real).sum(-1) - (a * imaginary).sum(-1),
        )


@dataclass(frozen=True, slots=True)
class _Rolled:
    """Spectra of a reference rolled in time, (tiles, bins) each."""

    power: torch.Tensor
    with_pred: torch.Tensor
    with_ref: torch.Tensor


def _explained(
    s_pp: torch.Tensor,
    s_rr: torch.Tensor,
    cross: torch.Tensor,
    weights: torch.Tensor,
    rolled: list[_Rolled],
) -> torch.Tensor:
    """``g2 S_pp`` of each tile and band, (tiles, bands), with the bias of g2 removed.

    Cells of a tile are not independent, so that 1/count would be too little a bias. It is taken
    from the mean coherence of the rolled reference with what is left of the prediction once the
    reference is taken off: with the prediction itself, a roll within the window would still
    share part of what the reference explains.
    """
    p, r = s_pp @ weights.T, s_rr @ weights.T
    mix = weights.T.to(cross.dtype)
    joint = cross @ mix
    raw = _over(_power(joint), p * r)
    transfer = _over(joint, r)
    left = (1 - raw) * p
    chance = []
    for one in rolled:
        both = one.with_pred @ mix - transfer * (one.with_ref @ mix)
        chance.append(_over(_power(both), left * (one.power @ weights.T)))
    bias = torch.stack(chance).mean(0).clamp(max=MAX_BIAS)
    return (raw - bias) / (1 - bias) * p


def _power(value: torch.Tensor) -> torch.Tensor:
    return value.real.square() + value.imag.square()


def _over(value: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """The quotient; 0 where nothing is divided by the rounding of sums."""
    return torch.where(
        by > ARITHMETIC**2, value / by.clamp(min=ARITHMETIC**2), torch.zeros_like(value)
    )


def _ratios(value: torch.Tensor, by: torch.Tensor) -> Floats:
    return np.asarray(_over(value, by).numpy())
