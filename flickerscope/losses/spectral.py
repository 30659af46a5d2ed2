"""Losses that weigh the error by its temporal frequency, in the orthonormal DCT-II basis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import TypeAlias

import torch
from torch import Tensor, nn

from flickerscope.errors import InputError, SettingsError
from flickerscope.losses.clips import (
    along,
    check_layout,
    check_number,
    check_pair,
    frames_that_count,
    full_precision,
    mean_of_counted,
    reduce_clips,
)

__all__ = ["SpectralLoss", "SpectralWeights", "band", "csf", "dct_basis", "diff", "frame"]

SpectralWeights: TypeAlias = Callable[[int], Tensor]
"""Gives, for a number of frames T, the weights of the T basis functions: float64 of shape (T,)."""


class SpectralLoss(nn.Module):
    """The mean of w_k E_k^2: squared errors weighed by temporal frequency.

    E is the orthonormal DCT-II along time of the error pred - target. Basis function k has the
    frequency k / (2 T) cycles a frame, so k fps / (2 T) Hz. With all weights 1 it is the mean
    squared error (Parseval). max(w) / min(w) is the condition of the problem: keep it under
    about 10.

    With `mask` or `lengths`, each run of frames that count is transformed by itself, over its own
    length: padding changes nothing, and `diff(s)` stays the flicker loss, whose differences count
    where both their frames do.

    Args:
        weights: one of `frame()`, `diff(s)`, `csf(fps)`, `band(low, high, fps)`, any function from
            a number of frames T to T weights, or the T weights, for clips of T frames only.
            No weight may be negative.
        time_dim: the axis of time: 1 for (B, T, ...), 2 for (B, C, T, H, W).
        reduction: "mean", "sum" or, for a loss per clip of shape (B,), "none".

    Raises:
        SettingsError: for an axis, a reduction or weights that are not one of these.
    """

    def __init__(
        self, weights: SpectralWeights | Tensor, *, time_dim: int = 1, reduction: str = "mean"
    ) -> None:
        super().__init__()
        check_layout(time_dim, reduction)
        self.spectral_weights = weights
        self.time_dim = time_dim
        self.reduction = reduction
        if isinstance(weights, Tensor):
            _check_weights(weights, weights.numel())
        elif not callable(weights):
            raise SettingsError(
                f"weights is {weights!r}; allowed: frame(), diff(s), csf(fps), "
                "band(low, high, fps), a function of the number of frames, or a tensor"
            )
        # By the number of frames: float64, on the CPU.
        self._weighted: dict[int, Tensor] = {}
        # The basis used last, as it was used: clips seldom change their length in training.
        self._cached: tuple[tuple[object, ...], Tensor] | None = None

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        *,
        mask: Tensor | None = None,
        lengths: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Return the loss, computed in float32 or wider, under autocast too.

        Args:
            pred: the predicted clips, of shape (B, T, ...) or as time_dim says.
            target: the clips to be met, of the same shape.
            mask: the frames that count, bool of shape (B, T) or (T,). What the others hold (NaN
                too) has no effect.
            lengths: how many frames of each clip come before its padding, integers from 0 to T of
                shape (B,).
            weights: a factor for the loss of each clip, of shape (B,).

        The mask and the lengths are read on the CPU: there, they keep a GPU from waiting.

        Raises:
            InputError: where the shapes, or the spectral weights and the frames, do not fit,
                something is no tensor, or lengths are none.
            SettingsError: for spectral weights that are no tensor, negative or infinite.
        """
        check_pair(pred, target, self.time_dim, weights)
        batch, frames = pred.shape[0], pred.shape[self.time_dim]
        keep = frames_that_count(mask, lengths, batch, frames, torch.device("cpu"))
        with torch.autocast(pred.device.type, enabled=False):
            error = full_precision(pred) - full_precision(target)
            basis = self._basis(error, keep)
            if keep is not None:
                keep = keep.to(error.device)
                error = error.masked_fill(~along(keep, error, self.time_dim), 0)
                basis = basis if self.time_dim == 1 else basis[:, None]
            error = error.reshape(*pred.shape[: self.time_dim + 1], -1)  # (B, T, N), (B, C, T, N)
            values = torch.matmul(basis, error).square().flatten(1)
            if self.reduction == "sum":
                per_clip = values.sum(1)
            elif keep is None:
                per_clip = values.mean(1)
            else:
                per_clip = mean_of_counted(values.sum(1), keep, values)
            return reduce_clips(per_clip, weights, self.reduction)

    def _basis(self, error: Tensor, keep: Tensor | None) -> Tensor:
        """Return the basis with row k times sqrt(w_k), of the error's type and device.

        It is (T, T), or (B, T, T) where not all frames count: a block for each run of those that
        do, and zero elsewhere.
        """
        frames = error.shape[self.time_dim]
        asked = (frames, None if keep is None else keep.tolist(), error.dtype, error.device)
        if self._cached is None or self._cached[0] != asked:
            # Kept for training too, though a validation in inference mode may come first.
            with torch.inference_mode(False):
                if keep is None:
                    basis = self._of_length(frames)
                else:
                    basis = torch.zeros(len(keep), frames, frames, dtype=torch.float64)
                    for clip, row in zip(basis, keep.tolist(), strict=True):
                        for part in _runs(row):
                            clip[part, part] = self._of_length(part.stop - part.start)
                self._cached = asked, basis.to(error.dtype).to(error.device)
        return self._cached[1]

    def _of_length(self, frames: int) -> Tensor:
        if frames not in self._weighted:
            given = self.spectral_weights
            curve = given if isinstance(given, Tensor) else given(frames)
            if not isinstance(curve, Tensor):
                raise SettingsError(f"weights gave a {type(curve).__name__}; allowed: a tensor")
            if curve.shape != (frames,):
                raise InputError(
                    f"weights of shape {tuple(curve.shape)} for clips of {frames} frames"
                )
            _check_weights(curve, frames)
            curve = curve.detach().to("cpu", torch.float64).clone()
            self._weighted[frames] = dct_basis(frames) * curve.sqrt()[:, None]
        return self._weighted[frames]

    def extra_repr(self) -> str:
        """Return what the loss was built from, for print(loss)."""
        return f"time_dim={self.time_dim}, reduction={self.reduction!r}"


def _check_weights(weights: Tensor, frames: int) -> None:
    if weights.shape != (frames,) or not bool((weights.isfinite() & (weights >= 0)).all()):
        raise SettingsError("spectral weights must be a list of finite numbers, none negative")


def _runs(keep: list[bool]) -> Iterator[slice]:
    """Yield the stretches of frames that count."""
    start = 0
    for counts, group in groupby(keep):
        stop = start + len(list(group))
        if counts:
            yield slice(start, stop)
        start = stop


def dct_basis(frames: int) -> Tensor:
    """Return the orthonormal DCT-II of a number of frames T: float64, (T, T), a row per frequency.

    Row k is sqrt(2 / T) cos(pi k (2 t + 1) / (2 T)), row 0 is 1 / sqrt(T).

    Raises:
        SettingsError: for less than one frame.
    """
    if frames < 1:
        raise SettingsError(f"frames is {frames}; allowed: 1 or more")
    step = torch.arange(frames, dtype=torch.float64)
    basis = torch.cos(math.pi * step[:, None] * (2 * step + 1) / (2 * frames))
    basis *= math.sqrt(2 / frames)
    basis[0] = 1 / math.sqrt(frames)
    return basis


def frame() -> SpectralWeights:
    """Return weights of 1 for every frequency: the mean squared error."""
    return partial(_diff_curve, scale=0.0)


def diff(scale: float) -> SpectralWeights:
    """Return 1 + s (2 - 2 cos(pi k / T)): squared frame errors plus s times those of differences.

    Both are sums over time here; see `FlickerLoss` for means.

    Raises:
        SettingsError: for a negative or infinite scale.
    """
    check_number("scale", scale)
    return partial(_diff_curve, scale=scale)


def csf(fps: float) -> SpectralWeights:
    """Return (S(f) / max S)^2 + 0.1: errors count as far as the eye sees their flicker.

    S is the temporal contrast sensitivity of Watson (1986) with the parameters of Watson & Ahumada
    (2011), |148.7 [(1 + 2 pi i f tau)^-15 - 0.882 (1 + 2 pi i f 1.834 tau)^-16]|, tau = 2.67 ms,
    with its maximum near 9 Hz, at f = k fps / (2 T). The 0.1 keeps every frequency trained.

    Raises:
        SettingsError: for a frame rate that is not above 0.
    """
    check_number("fps", fps, above=True)
    return partial(_csf_curve, fps=fps)


def band(low: float, high: float, fps: float, *, floor: float = 0.1) -> SpectralWeights:
    """Return 1 from low to high Hz (both included) and floor elsewhere.

    A floor of 0 leaves everything outside the band, the mean picture too, without any gradient.

    Raises:
        SettingsError: for an empty band, or a number that is negative or infinite.
    """
    check_number("fps", fps, above=True)
    check_number("floor", floor)
    check_number("low", low)
    check_number("high", high)
    if not low < high:
        raise SettingsError(f"the band from {low} to {high} Hz is empty")
    return partial(_band_curve, low=low, high=high, fps=fps, floor=floor)


# Functions of the module, not of the presets, so that a model with its loss can be pickled.
def _diff_curve(frames: int, scale: float) -> Tensor:
    return 1 + scale * (2 - 2 * torch.cos(math.pi * _steps(frames) / frames))


def _csf_curve(frames: int, fps: float) -> Tensor:
    peak = _sensitivity(torch.linspace(0, 60, 6001, dtype=torch.float64)).max()
    return (_sensitivity(_hertz(frames, fps)) / peak).square() + 0.1


def _band_curve(frames: int, low: float, high: float, fps: float, floor: float) -> Tensor:
    hertz = _hertz(frames, fps)
    return torch.where((hertz >= low) & (hertz <= high), 1.0, floor).to(torch.float64)


def _hertz(frames: int, fps: float) -> Tensor:
    return _steps(frames) * (fps / (2 * frames))


def _steps(frames: int) -> Tensor:
    return torch.arange(frames, dtype=torch.float64)


def _sensitivity(hertz: Tensor) -> Tensor:
    turn = 2j * math.pi * 0.00267 * hertz
    return 148.7 * ((1 + turn) ** -15 - 0.882 * (1 + 1.834 * turn) ** -16).abs()
