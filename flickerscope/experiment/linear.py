"""The best linear models in closed form, for each loss: denoisers, autoencoders and samplers.

All of them work on one spatial frequency at a time (an orthonormal DCT-II of the picture), whose
values over the frames of a clip have the covariance C, (frames, frames), over the clips. They see
``y = x + n`` with white noise of variance N, and are made for the loss ``E[e Q e]`` of their error
e over time. A model of single frames has one factor g,

    g = tr(Q C) / (tr(Q C) + N tr(Q M)),

with M the covariance over time of unit noise: the identity where it is drawn for each frame, ones
where all frames share it. A model of the whole clip has a matrix, ``W = C (C + N M)^-1``, and Q
drops out: it is the best one for every Q that is positive definite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from flickerscope.experiment.arms import (
    FIRST,
    FRAME,
    PRODUCT,
    Arm,
    diff_form,
    first_form,
    flicker_form,
    loss_name,
)
from flickerscope.experiment.clips import FRAMES, MIDDLE, NOISE, UNIT, to_pixels, to_spatial

__all__ = [
    "Channel",
    "Statistics",
    "clip_filter",
    "covariances",
    "denoiser_null",
    "frame_gain",
    "linear_arms",
    "null_gradient",
]

SCALES: Final = (0.0, 1.0, 8.0)
"""The doses of the difference loss."""
DISTORTION: Final = 100.0
"""Error that the autoencoder may make in each spatial frequency, code^2."""
COARSER: Final = 4
"""How much coarser the picture is that a sampler is given; it draws what that lacks."""
STEPS: Final = 32
"""Of a sampler."""
START: Final = 0.999
"""Time from which a sampler starts: at 1 nothing is seen but noise."""
RIDGE: Final = 1e-3
"""Added to every variance, code^2: still content has singular covariances."""
ROUNDS: Final = 50
"""In which the product of the losses settles on its balance."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the linear models know of the clips."""

    mean: Tensor
    """(K,): of each spatial frequency, code values."""
    covariance: Tensor
    """(K, frames, frames): of each spatial frequency over time, code^2."""

    @property
    def variance(self) -> Tensor:
        """(K,): mean over the frames, code^2."""
        return self.covariance.diagonal(dim1=1, dim2=2).mean(1)


@dataclass(frozen=True, slots=True)
class Channel:
    """What a model gets to see of the clips: ``y = x + n`` in each spatial frequency."""

    noise: Tensor
    """(K,): variance of n, code^2; infinite where nothing is seen."""
    over_time: Tensor
    """(frames, frames): covariance over time of unit noise."""

    def transmit(self, x: Tensor, unit_noise: Tensor) -> Tensor:
        """y, from x and noise of variance 1, (clips, frames, K) each; 0 where nothing is seen."""
        seen = self.noise.isfinite()
        y = x + self.noise.where(seen, 0).sqrt() * unit_noise
        return y * seen


def independent() -> Tensor:
    """Unit noise that is drawn for each frame, (frames, frames)."""
    return torch.eye(FRAMES, dtype=torch.float64)


def shared() -> Tensor:
    """Unit noise that all frames share, (frames, frames)."""
    return torch.ones(FRAMES, FRAMES, dtype=torch.float64)


def covariances(clips: Tensor) -> Statistics:
    """Mean and covariance over time, of clips (clips, frames, rows, columns) of code values."""
    x = to_spatial(clips.double() - MIDDLE).flatten(2)
    mean = x.mean((0, 1))
    x = (x - mean).permute(2, 1, 0)
    covariance = x @ x.mT / x.shape[2]
    return Statistics(mean, covariance + RIDGE * independent())


def frame_gain(statistics: Statistics, channel: Channel, form: Tensor) -> Tensor:
    """The factor of a model of single frames, (K,): ``tr(Q C) / (tr(Q C) + N tr(Q M))``."""
    signal = _traces(statistics.covariance, form)
    noise = channel.noise * float((form * channel.over_time).sum())
    return torch.where(noise.isfinite(), signal / (signal + noise), 0.0)


def clip_filter(statistics: Statistics, channel: Channel) -> Tensor:
    """The matrix of a model of whole clips, (K, frames, frames): ``C (C + N M)^-1``."""
    seen = channel.noise.isfinite()
    noise = channel.noise.where(seen, 0)[:, None, None] * channel.over_time
    c = statistics.covariance
    # Both factors are symmetric: C (C + N M)^-1 is the transpose of (C + N M)^-1 C.
    matrices: Tensor = torch.linalg.solve(c + noise, c).mT
    return matrices * seen[:, None, None]


def null_gradient(statistics: Statistics, channel: Channel, form: Tensor) -> float:
    """Largest gradient of the loss of form Q at the clip-wide optimum, over that at W = 0.

    The gradient of ``E[e Q e]`` with respect to W is ``2 Q (W (C + N M) - C)``: 0 for every Q where
    it is 0 for one, which is the null hypothesis at the optimum.
    """
    c = statistics.covariance
    w = clip_filter(statistics, channel)
    seen = channel.noise.isfinite()
    noise = channel.noise.where(seen, 0)[:, None, None] * channel.over_time
    left = form @ (w @ (c + noise) - c)
    return float(left[seen].abs().max() / (form @ c)[seen].abs().max())


def product_gain(statistics: Statistics, channel: Channel) -> Tensor:
    """The factor of a model of single frames for the product of both losses, (K,).

    Where the product is stationary, so is frame loss + (frame loss / difference loss) x difference
    loss: the balance is found by turns, from 1 on.
    """
    frames, diffs = flicker_form(0, FRAMES), diff_form(FRAMES)
    balance = 1.0
    gain = frame_gain(statistics, channel, frames + balance * diffs)
    for _ in range(ROUNDS):
        balance = _loss(statistics, channel, gain, frames) / _loss(statistics, channel, gain, diffs)
        gain = frame_gain(statistics, channel, frames + balance * diffs)
    return gain


def linear_arms(
    train: Mapping[str, Tensor], test: Mapping[str, Tensor], generator: torch.Generator
) -> dict[Arm, dict[str, Tensor]]:
    """What every linear model makes of the test clips.

    One set of models is made of all training clips together; of the clip-wide denoiser also one for
    each class, which is what a model could do that knows the content.

    Args:
        train, test: clips by class of content, (clips, FRAMES, rows, rows), code values.
        generator: of the noise, the same for every arm.

    Returns:
        For each arm and class, clips like those of ``test``.
    """
    statistics = covariances(torch.cat(list(train.values())))
    arms: dict[Arm, dict[str, Tensor]] = {}
    for content, clips in test.items():
        own = covariances(train[content]) if len(train) > 1 else None
        x = to_spatial(clips.double() - MIDDLE).flatten(2) - statistics.mean
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        start = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        for part in (
            _denoised(statistics, own, x, noise),
            _coded(statistics, x, noise),
            _sampled(statistics, x, start),
        ):
            for arm, values in part.items():
                pixels = to_pixels((values + statistics.mean).reshape(clips.shape))
                arms.setdefault(arm, {})[content] = (pixels + MIDDLE).float()
    return arms


def _denoised(
    statistics: Statistics, own: Statistics | None, x: Tensor, noise: Tensor
) -> dict[Arm, Tensor]:
    channel = _noisy(statistics)
    y = channel.transmit(x, noise)
    arms = _per_frame("per-frame denoiser", statistics, channel, y, SCALES)
    first = frame_gain(statistics, channel, first_form(FRAMES))
    arms[Arm("per-frame denoiser", FIRST)] = first * y
    arms[Arm("per-frame denoiser", PRODUCT)] = product_gain(statistics, channel) * y
    arms[Arm("clip-wide denoiser", FRAME)] = _filtered(clip_filter(statistics, channel), y)
    if own is not None:
        filtered = _filtered(clip_filter(own, channel), y)
        arms[Arm("clip-wide, by class", FRAME)] = filtered
    return arms


def _coded(statistics: Statistics, x: Tensor, noise: Tensor) -> dict[Arm, Tensor]:
    """Autoencoders: what varies less than the distortion is dropped, the rest is a noisy latent.

    A spatial frequency of variance S is sent as x + n, n of variance ``S D / (S - D)``, from which
    ``(1 - D/S) (x + n)`` has the least error, D (Cover & Thomas, section 10.3).
    """
    variance = statistics.variance
    kept = variance > DISTORTION
    sampled = torch.where(
        kept, variance * DISTORTION / (variance - DISTORTION).clamp(min=1e-9), math.inf
    )
    exact = torch.where(kept, 0.0, math.inf)
    arms: dict[Arm, Tensor] = {}
    for name, variances in (("autoencoder", exact), ("autoencoder, sampled", sampled)):
        channel = Channel(variances.double(), independent())
        y = channel.transmit(x, noise)
        arms |= _per_frame(name, statistics, channel, y, (0.0, 8.0))
    whole = _filtered(clip_filter(statistics, channel), y)
    arms[Arm("temporal decoder", FRAME)] = whole
    return arms


def _sampled(statistics: Statistics, x: Tensor, start: Tensor) -> dict[Arm, Tensor]:
    """Samplers: they are given the coarse picture, and draw the fine one from noise."""
    side = math.isqrt(x.shape[2])
    index = torch.arange(side)
    given = index < side // COARSER
    coarse = (given[:, None] & given).flatten()
    arms: dict[Arm, Tensor] = {}
    for name, over_time, noise in (
        ("per-frame sampler", independent(), start),
        ("sampler, shared noise", shared(), start[:, :1].expand_as(start)),
    ):
        for scale in (0.0, 8.0):
            form = flicker_form(scale, FRAMES)
            fine = _flow(statistics, noise, over_time, form)
            arm = Arm(name, loss_name(scale))
            arms[arm] = torch.where(coarse, x, fine)
    fine = _flow(statistics, start, independent(), None)
    arms[Arm("clip-wide sampler", FRAME)] = torch.where(coarse, x, fine)
    return arms


def _flow(statistics: Statistics, noise: Tensor, over_time: Tensor, form: Tensor | None) -> Tensor:
    """Follow ``x_t = (1 - t) x0 + t eps`` from noise to a clip with the best linear model of x0.

    ``form``: of the loss, for a model of single frames; ``None``: of whole clips.
    """
    x = UNIT * noise
    times = torch.linspace(START, 0, STEPS + 1, dtype=torch.float64).tolist()
    for t, after in pairwise(times):
        level = (UNIT * t / (1 - t)) ** 2  # of the noise in x_t / (1 - t)
        channel = Channel(torch.full_like(statistics.mean, level), over_time)
        seen = x / (1 - t)
        if form is None:
            clean = _filtered(clip_filter(statistics, channel), seen)
        else:
            clean = frame_gain(statistics, channel, form) * seen
        x = clean + after / t * (x - clean)
    return x


def _noisy(statistics: Statistics) -> Channel:
    """White noise, as a denoiser sees it."""
    return Channel(torch.full_like(statistics.mean, NOISE**2), independent())


def _per_frame(
    model: str, statistics: Statistics, channel: Channel, y: Tensor, scales: tuple[float, ...]
) -> dict[Arm, Tensor]:
    return {
        Arm(model, loss_name(scale)): y
        * frame_gain(statistics, channel, flicker_form(scale, FRAMES))
        for scale in scales
    }


def _filtered(matrices: Tensor, y: Tensor) -> Tensor:
    """Matrices (K, frames, frames) over the time of clips (clips, frames, K)."""
    return (matrices @ y.permute(2, 1, 0)).permute(2, 1, 0)


def _traces(covariance: Tensor, form: Tensor) -> Tensor:
    """tr(Q C), (K,)."""
    return (covariance * form).sum((1, 2))


def _loss(statistics: Statistics, channel: Channel, gain: Tensor, form: Tensor) -> float:
    """E[e Q e] of a model of single frames, summed over the spatial frequencies."""
    noise = channel.noise * float((form * channel.over_time).sum())
    signal = _traces(statistics.covariance, form)
    return float(((1 - gain) ** 2 * signal + gain**2 * noise).sum())


def denoiser_null(clips: Tensor, form: Tensor) -> float:
    """`null_gradient` of the clip-wide denoiser that is made of these clips."""
    statistics = covariances(clips)
    return null_gradient(statistics, _noisy(statistics), form)
