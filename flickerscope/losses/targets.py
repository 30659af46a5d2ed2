"""Turns what diffusion and flow-matching models predict into clean clips, with matching weights."""

from __future__ import annotations

from torch import Tensor

from flickerscope.errors import InputError
from flickerscope.losses.clips import check_number, check_tensors, values_are_at_hand

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

    At alpha = 0, the last step of a schedule with zero terminal SNR, x_t holds nothing of x0 and
    noise tells nothing of it either: there the result is no number. Train such a schedule on v
    (`x0_from_v`), which has no such step, or draw steps before it. An alpha on a GPU is not looked
    at, so that it need not wait.

    Args:
        x_t: the noisy clips, of shape (B, ...).
        eps: the predicted noise, of the same shape.
        alpha: the factor of the signal, one per clip, (B,): sqrt(alphas_cumprod[t]).
        sigma: the factor of the noise, one per clip, (B,): sqrt(1 - alphas_cumprod[t]).

    Raises:
        InputError: where the shapes do not fit, something is no tensor, or an alpha on the CPU
            is 0.
    """
    _check_clips(x_t, eps=eps)
    scale = _per_clip(alpha, x_t)
    if values_are_at_hand(alpha) and not alpha.all():
        raise InputError("alpha holds 0, where eps tells nothing of x0; allowed: above 0; or use v")
    return (x_t - _per_clip(sigma, x_t) * eps) / scale


def x0_from_v(x_t: Tensor, v: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return x0 = alpha x_t - sigma v, for v = alpha eps - sigma x0 (Salimans & Ho 2022).

    This holds where alpha^2 + sigma^2 = 1, at alpha = 0 too. Arguments as in `x0_from_eps`.

    Raises:
        InputError: where the shapes do not fit, or something is no tensor.
    """
    _check_clips(x_t, v=v)
    return _per_clip(alpha, x_t) * x_t - _per_clip(sigma, x_t) * v


def x0_from_flow(x_t: Tensor, v: Tensor, t: Tensor) -> Tensor:
    """Return x0 = x_t - t v, for x_t = (1 - t) x0 + t eps and the velocity v = eps - x0.

    Args:
        x_t: the noisy clips, of shape (B, ...).
        v: the predicted velocity, of the same shape.
        t: the time of each clip, (B,): 0 is the clean clip, 1 is noise.

    Raises:
        InputError: where the shapes do not fit, or something is no tensor.
    """
    _check_clips(x_t, v=v)
    return x_t - _per_clip(t, x_t) * v


def snr(alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return the signal-to-noise ratio (alpha / sigma)^2, (B,); infinite at sigma = 0.

    `min_snr_weight` makes a finite weight of it.
    """
    check_tensors(alpha=alpha, sigma=sigma)
    return (alpha / sigma).square()


def flow_snr(t: Tensor) -> Tensor:
    """Return the signal-to-noise ratio ((1 - t) / t)^2 of flow matching, (B,); infinite at t = 0.

    `min_snr_weight` makes a finite weight of it.
    """
    check_tensors(t=t)
    return ((1 - t) / t).square()


def eps_weight(ratio: Tensor) -> Tensor:
    """Return SNR: the squared x0 error times it is the squared eps error."""
    return ratio


def v_weight(ratio: Tensor) -> Tensor:
    """Return SNR + 1: the squared x0 error times it is the squared v error."""
    return ratio + 1


def flow_weight(t: Tensor) -> Tensor:
    """Return 1 / t^2: the squared x0 error times it is the squared error of the velocity.

    It is infinite at t = 0: draw times above.
    """
    check_tensors(t=t)
    return t.square().reciprocal()


def min_snr_weight(ratio: Tensor, gamma: float = 5.0) -> Tensor:
    """Return min(SNR, gamma), the weight of an x0 loss (Hang et al. 2023).

    Raises:
        SettingsError: for a gamma that is not above 0.
    """
    check_number("gamma", gamma, above=True)
    check_tensors(ratio=ratio)
    return ratio.clamp(max=gamma)


def _check_clips(x_t: Tensor, **predicted: Tensor) -> None:
    """Refuse a prediction that is not of the shape of its clips."""
    check_tensors(x_t=x_t, **predicted)
    for name, values in predicted.items():
        if values.shape != x_t.shape:
            raise InputError(
                f"x_t {tuple(x_t.shape)} and {name} {tuple(values.shape)} must have one shape"
            )
    if not x_t.is_floating_point():
        raise InputError(f"x_t is of {x_t.dtype}; allowed: floats")


def _per_clip(values: Tensor, clips: Tensor) -> Tensor:
    """Return a value for each clip (B,), or one for all, in a shape that broadcasts over clips."""
    check_tensors(schedule=values)
    if values.dim() and values.shape != clips.shape[:1]:
        raise InputError(
            f"schedule values of shape {tuple(values.shape)}; "
            f"allowed: one per clip, ({clips.shape[0]},), or one for all"
        )
    return values.to(clips).reshape(-1, *[1] * (clips.dim() - 1))
