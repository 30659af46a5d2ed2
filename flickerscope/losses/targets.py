"""Turns what diffusion and flow-matching models predict into clean clips, with matching weights."""

from __future__ import annotations

import math

from torch import Tensor

from flickerscope.errors import InputError, SettingsError

__all__ = [
    "eps_weight",
    "flow_snr",
    "flow_weight",
    "min_snr_weight",
    "snr",
    "v_weight",
    "x0_from_eps",
    "x0_from_flow",
    "x0_from_v",
]


def x0_from_eps(x_t: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return x0 = (x_t - sigma eps) / alpha, for x_t = alpha x0 + sigma eps.

    Args:
        x_t: the noisy clips, of shape (B, ...).
        eps: the predicted noise, of the same shape.
        alpha: the factor of the signal, one per clip, (B,): sqrt(alphas_cumprod[t]).
        sigma: the factor of the noise, one per clip, (B,): sqrt(1 - alphas_cumprod[t]).
    """
    return (x_t - _per_clip(sigma, x_t) * eps) / _per_clip(alpha, x_t)


def x0_from_v(x_t: Tensor, v: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return x0 = alpha x_t - sigma v, for v = alpha eps - sigma x0 (Salimans & Ho 2022).

    This holds where alpha^2 + sigma^2 = 1. Arguments as in `x0_from_eps`.
    """
    return _per_clip(alpha, x_t) * x_t - _per_clip(sigma, x_t) * v


def x0_from_flow(x_t: Tensor, v: Tensor, t: Tensor) -> Tensor:
    """Return x0 = x_t - t v, for x_t = (1 - t) x0 + t eps and the velocity v = eps - x0.

    Args:
        x_t: the noisy clips, of shape (B, ...).
        v: the predicted velocity, of the same shape.
        t: the time of each clip, (B,): 0 is the clean clip, 1 is noise.
    """
    return x_t - _per_clip(t, x_t) * v


def snr(alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return the signal-to-noise ratio (alpha / sigma)^2, (B,)."""
    return (alpha / sigma).square()


def flow_snr(t: Tensor) -> Tensor:
    """Return the signal-to-noise ratio ((1 - t) / t)^2 of flow matching, (B,)."""
    return ((1 - t) / t).square()


def eps_weight(ratio: Tensor) -> Tensor:
    """Return SNR: the squared x0 error times it is the squared eps error."""
    return ratio


def v_weight(ratio: Tensor) -> Tensor:
    """Return SNR + 1: the squared x0 error times it is the squared v error."""
    return ratio + 1


def flow_weight(t: Tensor) -> Tensor:
    """Return 1 / t^2: the squared x0 error times it is the squared error of the velocity."""
    return t.square().reciprocal()


def min_snr_weight(ratio: Tensor, gamma: float = 5.0) -> Tensor:
    """Return min(SNR, gamma), the weight of an x0 loss (Hang et al. 2023).

    Raises:
        SettingsError: for a gamma that is not above 0.
    """
    if not (math.isfinite(gamma) and gamma > 0):
        raise SettingsError(f"gamma is {gamma}; allowed: above 0")
    return ratio.clamp(max=gamma)


def _per_clip(values: Tensor, clips: Tensor) -> Tensor:
    """Return a value for each clip (B,), or one for all, in a shape that broadcasts over clips."""
    if values.dim() and values.shape != clips.shape[:1]:
        raise InputError(
            f"schedule values of shape {tuple(values.shape)}; "
            f"allowed: one per clip, ({clips.shape[0]},), or one for all"
        )
    return values.to(clips).reshape(-1, *[1] * (clips.dim() - 1))
