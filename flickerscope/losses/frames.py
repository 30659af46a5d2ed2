"""Losses on frames and on the differences between successive frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from flickerscope.errors import InputError, SettingsError
from flickerscope.losses.clips import (
    along,
    check_layout,
    check_number,
    check_pair,
    check_tensors,
    frames_that_count,
    full_precision,
    mean_of_counted,
    reduce_clips,
)

__all__ = ["DiffLoss", "Distance", "FlickerLoss"]

Distance: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Compares two tensors: a value for each element (same shape), or one number, already reduced."""

NAMED: dict[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "huber": functional.huber_loss,
}
"""Distances that see nothing but the error pred - target."""


class DiffLoss(nn.Module):
    """Compares the frame-to-frame differences of prediction and target.

    For clips x and y of T frames it is the distance between x[1:] - x[:-1] and y[1:] - y[:-1], by
    default the mean square. A constant error costs nothing: use it beside a frame loss, as
    `FlickerLoss` does.

    With a temporal stride in the latent space (4 or 8 frames a latent), the difference of two
    latents is no difference of frames.

    Args:
        distance: "mse", "l1", "huber", or a function of (differences of pred, differences of
            target) that returns a value per element, such as
            `functools.partial(F.smooth_l1_loss, reduction="none")`, or one number.
        time_dim: the axis of time: 1 for (B, T, ...), 2 for (B, C, T, H, W).
        reduction: "mean", "sum" or, for a loss per clip of shape (B,), "none". "sum" sums over
            elements and clips. The mean is that of each clip over what counts in it, then of the
            clips.

    Raises:
        SettingsError: for a distance, axis or reduction that is not one of these.
    """

    def __init__(
        self, distance: str | Distance = "mse", *, time_dim: int = 1, reduction: str = "mean"
    ) -> None:
        super().__init__()
        check_layout(time_dim, reduction)
        if not callable(distance) and str(distance) not in NAMED:
            allowed = f"{', '.join(NAMED)}, or a function"
            raise SettingsError(f"distance is {distance!r}; allowed: {allowed}")
        self.distance = distance
        self.time_dim = time_dim
        self.reduction = reduction

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
            mask: the frames that count, bool of shape (B, T) or (T,). A difference counts where
                both its frames do; what the others hold (NaN too) has no effect.
            lengths: how many frames of each clip come before its padding, integers from 0 to T of
                shape (B,). On a GPU they are not looked at, so that it need not wait: fewer than 0
                count as 0, more than T as T.
            weights: a factor for the loss of each clip, of shape (B,), such as `min_snr_weight`.

        Raises:
            InputError: where the shapes do not fit, something is no tensor, lengths on the CPU are
                none, or a distance that returns one number is asked for a loss per clip.
        """
        pred, target, keep = self._prepare(pred, target, mask, lengths, weights)
        with torch.autocast(pred.device.type, enabled=False):
            return self._diff_loss(pred, target, keep, weights)

    def _prepare(
        self,
        pred: Tensor,
        target: Tensor,
        mask: Tensor | None,
        lengths: Tensor | None,
        weights: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return both clips with zeros where no frame counts, and (B, T) which frames do."""
        check_pair(pred, target, self.time_dim, weights)
        pred, target = full_precision(pred), full_precision(target)
        keep = frames_that_count(
            mask, lengths, pred.shape[0], pred.shape[self.time_dim], pred.device
        )
        if keep is None:
            return pred, target, None
        dropped = ~along(keep, pred, self.time_dim)
        return pred.masked_fill(dropped, 0), target.masked_fill(dropped, 0), keep

    def _diff_loss(
        self, pred: Tensor, target: Tensor, keep: Tensor | None, weights: Tensor | None
    ) -> Tensor:
        frames = pred.shape[self.time_dim]
        if frames < 2:
            shape = pred.shape[:1] if self.reduction == "none" else ()
            return pred.sum() * 0 + pred.new_zeros(shape)
        if isinstance(self.distance, str):
            # (diff pred) - (diff target) is the difference of two successive errors: compared as
            # such, no difference has to be kept for the way back.
            error = pred - target
            pred = error.narrow(self.time_dim, 1, frames - 1)
            target = error.narrow(self.time_dim, 0, frames - 1)
        else:
            pred, target = pred.diff(dim=self.time_dim), target.diff(dim=self.time_dim)
        both = None if keep is None else keep[:, 1:] & keep[:, :-1]
        return self._reduced(pred, target, both, weights)

    def _reduced(
        self, pred: Tensor, target: Tensor, keep: Tensor | None, weights: Tensor | None
    ) -> Tensor:
        """Return the distance over what counts: in one step where every element counts alike."""
        alike = keep is None and weights is None and self.reduction != "none"
        if isinstance(self.distance, str):
            named = NAMED[self.distance]
            if alike:
                return named(pred, target, reduction=self.reduction)
            values = named(pred, target, reduction="none")
        else:
            values = self.distance(pred, target)
            check_tensors(distance=values)
            if values.dim() == 0 and alike:
                return values
        if values.shape != pred.shape:
            raise InputError(
                f"the distance returned shape {tuple(values.shape)}; allowed: one value per "
                f"element, {tuple(pred.shape)}, or a single one without mask, lengths, weights or "
                'reduction="none"'
            )
        return reduce_clips(self._per_clip(values, keep), weights, self.reduction)

    def _per_clip(self, values: Tensor, keep: Tensor | None) -> Tensor:
        if keep is None:
            flat = values.flatten(1)
            return flat.sum(1) if self.reduction == "sum" else flat.mean(1)
        # Not a product: what a distance makes of two empty frames may be no number.
        values = values.masked_fill(~along(keep, values, self.time_dim), 0)
        total = values.flatten(1).sum(1)
        return total if self.reduction == "sum" else mean_of_counted(total, keep, values)

    def extra_repr(self) -> str:
        """Return what the loss was built from, for print(loss)."""
        return f"distance={self.distance!r}, time_dim={self.time_dim}, reduction={self.reduction!r}"


class FlickerLoss(DiffLoss):
    """The loss of the frames plus diff_scale times the loss of their differences.

    For squared errors e = pred - target over T frames it is a weighted temporal spectrum. With
    sums, exactly,

        sum e^2 + s sum (diff e)^2 = sum_k [1 + s (2 - 2 cos(pi k / T))] E_k^2,

    where E is the orthonormal DCT-II of e along time. With means, s is
    diff_scale * T / (T - 1): the mean of the differences has one term less. So
    `FlickerLoss(d)` equals `SpectralLoss(diff(d * T / (T - 1)))`. The other distances are no
    weighted spectra, and the identity does not hold for them.

    The largest weight over the smallest is about 1 + 4 s. Keep it under about 10: a larger one
    slows what is not flicker, and asks for a smaller learning rate.

    A difference of noise predictions is not one of pictures: bring eps-, v- and flow-matching
    predictions to x0 first (`x0_from_eps` and its kind), and weigh with `min_snr_weight`.

    Args:
        diff_scale: the factor of the difference loss, 0 or more.
        distance: as in `DiffLoss`.
        time_dim: as in `DiffLoss`.
        reduction: as in `DiffLoss`.

    Raises:
        SettingsError: for a diff_scale that is no finite number from 0 up, and as `DiffLoss`.
    """

    def __init__(
        self,
        diff_scale: float = 1.0,
        distance: str | Distance = "mse",
        *,
        time_dim: int = 1,
        reduction: str = "mean",
    ) -> None:
        super().__init__(distance, time_dim=time_dim, reduction=reduction)
        check_number("diff_scale", diff_scale)
        self.diff_scale = diff_scale

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        *,
        mask: Tensor | None = None,
        lengths: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Return frame loss + diff_scale * diff loss; arguments and errors as in `DiffLoss`."""
        pred, target, keep = self._prepare(pred, target, mask, lengths, weights)
        with torch.autocast(pred.device.type, enabled=False):
            loss = self._reduced(pred, target, keep, weights)
            if self.diff_scale:
                loss = loss + self.diff_scale * self._diff_loss(pred, target, keep, weights)
            return loss

    def extra_repr(self) -> str:
        """Return what the loss was built from, for print(loss)."""
        return f"diff_scale={self.diff_scale}, {super().extra_repr()}"
