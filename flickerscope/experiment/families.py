"""The families of networks that are trained: what each sees, its losses, and what it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from flickerscope.experiment.arms import FIRST, FRAME, PRODUCT, loss_name
from flickerscope.experiment.clips import NOISE, UNIT
from flickerscope.experiment.models import ClipNet, Coder
from flickerscope.experiment.sizes import Size
from flickerscope.losses import DiffLoss, FlickerLoss, flow_snr, min_snr_weight

__all__ = ["FAMILIES", "KL_CONTROL", "Draw", "Task"]

DOSE: Final = 8.0
"""Of the difference loss, beside none."""
COARSER: Final = 4
"""How much coarser the picture is that a sampler is given."""
SAMPLER_STEPS: Final = 8
LEAST_TIME: Final = 1e-3
"""Of a sampler's training, at which its clips are all but clean."""
KL_WEIGHT: Final = 0.02
"""Of the divergence of a sampled latent."""
KL_CONTROL: Final = f"KL/{1 + 2 * DOSE:g}"
"""The frame loss with so much less weight on the divergence: as far as a dose of 8 can shift that
balance, since it weighs white errors 1 + 2 s times."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of prediction and target, (B, 1, T, H, W) each."""


class Draw(Protocol):
    """Gives random numbers of a shape, on the device."""

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Of mean 0 and variance 1."""

    def uniform(self, count: int) -> Tensor:
        """Between 0 and 1, (count,)."""


class Task(Protocol):
    """A network to train with one loss; clips are (B, 1, T, H, W), in units of `UNIT` code values
    around the middle.
    """

    @property
    def loss_name(self) -> str:
        """Of the loss."""

    def build(self, size: Size) -> nn.Module:
        """The network, with random weights."""

    def loss(self, net: nn.Module, x: Tensor, draw: Draw) -> Tensor:
        """The loss of a batch."""

    def make(self, net: nn.Module, x: Tensor, draw: Draw) -> dict[str, Tensor]:
        """What the network makes of clips, by the name of the model."""


@dataclass(frozen=True, slots=True)
class Denoiser:
    """Predicts clean clips from noisy ones."""

    model: str
    clip_wide: bool
    loss_name: str
    measure: Loss

    def build(self, size: Size) -> nn.Module:
        """The network."""
        return _net(1, self.clip_wide, size)

    def loss(self, net: nn.Module, x: Tensor, draw: Draw) -> Tensor:
        """Of the clean clips."""
        return self.measure(self.make(net, x, draw)[self.model], x)

    def make(self, net: nn.Module, x: Tensor, draw: Draw) -> dict[str, Tensor]:
        """Clips from which the noise was taken that they get here."""
        y = x + NOISE / UNIT * draw.normal(x.shape)
        return {self.model: y + net(y)}


@dataclass(frozen=True, slots=True)
class Sampler:
    """Draws what coarse pictures lack, by a rectified flow (Liu et al. 2023) that predicts x0."""

    model: str
    clip_wide: bool
    scale: float

    @property
    def loss_name(self) -> str:
        """Of the flicker loss."""
        return loss_name(self.scale)

    def build(self, size: Size) -> nn.Module:
        """The network: it sees the noisy clip, the coarse one, and the time."""
        return _net(3, self.clip_wide, size)

    def loss(self, net: nn.Module, x: Tensor, draw: Draw) -> Tensor:
        """Of the clean clips, with min-SNR weights; noise is drawn for each frame."""
        t = draw.uniform(len(x)).clamp(min=LEAST_TIME)
        part = t.view(-1, 1, 1, 1, 1)
        x_t = (1 - part) * x + part * draw.normal(x.shape)
        weights = min_snr_weight(flow_snr(t))
        clean = _clean(net, x_t, _coarse(x), t)
        total: Tensor = _flicker(self.scale)(clean, x, weights=weights)
        return total

    def make(self, net: nn.Module, x: Tensor, draw: Draw) -> dict[str, Tensor]:
        """Samples for the coarse pictures of clips; of single frames with shared noise as well."""
        coarse, noise = _coarse(x), draw.normal(x.shape)
        made = {self.model: _flow(net, noise, coarse)}
        if not self.clip_wide:
            made["sampler, shared noise"] = _flow(net, noise[:, :, :1].expand_as(noise), coarse)
        return made


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """Codes single frames; its decoder sees single frames, or the latents of all of them."""

    model: str
    sampled: bool
    temporal: bool
    loss_name: str
    scale: float
    divergence_weight: float

    def build(self, size: Size) -> nn.Module:
        """Encoder and decoder."""
        return Coder(sampled=self.sampled, temporal=self.temporal, size=size)

    def loss(self, net: nn.Module, x: Tensor, draw: Draw) -> Tensor:
        """Of the clips, and the divergence of the latents."""
        made, divergence = net(x, draw.normal(Coder.latent(x.shape)))
        total: Tensor = _flicker(self.scale)(made, x) + self.divergence_weight * divergence
        return total

    def make(self, net: nn.Module, x: Tensor, draw: Draw) -> dict[str, Tensor]:
        """Clips that were coded, with latents that are drawn for each frame."""
        return {self.model: net(x, draw.normal(Coder.latent(x.shape)))[0]}


def _net(inputs: int, clip_wide: bool, size: Size) -> ClipNet:
    return ClipNet(inputs, 1, clip_wide=clip_wide, channels=size.channels, reach=size.reach)


def _flicker(scale: float) -> FlickerLoss:
    return FlickerLoss(scale, time_dim=2)


def _first(pred: Tensor, target: Tensor) -> Tensor:
    first = functional.mse_loss(pred[:, :, 0], target[:, :, 0])
    total: Tensor = first + DiffLoss(time_dim=2)(pred, target)
    return total


def _product(pred: Tensor, target: Tensor) -> Tensor:
    total: Tensor = functional.mse_loss(pred, target) * DiffLoss(time_dim=2)(pred, target)
    return total


def _coarse(x: Tensor) -> Tensor:
    """Clips (B, 1, T, H, W) without what a quarter of the size does not hold."""
    small = functional.avg_pool3d(x, (1, COARSER, COARSER))
    return functional.interpolate(small, size=x.shape[2:], mode="trilinear")


def _clean(net: nn.Module, x_t: Tensor, coarse: Tensor, t: Tensor) -> Tensor:
    """The clean clip that a sampler predicts."""
    told = t.view(-1, 1, 1, 1, 1).expand_as(x_t)
    predicted: Tensor = net(torch.cat([x_t, coarse, told], 1))
    return coarse + predicted


def _flow(net: nn.Module, noise: Tensor, coarse: Tensor) -> Tensor:
    """A sample, by Euler's steps from noise at t = 1 to t = 0."""
    x_t = noise
    for t, after in pairwise(torch.linspace(1, 0, SAMPLER_STEPS + 1).tolist()):
        clean = _clean(net, x_t, coarse, torch.full((len(noise),), t, device=noise.device))
        x_t = clean + after / t * (x_t - clean)
    return x_t


def _denoisers() -> list[Task]:
    losses: dict[str, Loss] = {
        FRAME: _flicker(0),
        loss_name(DOSE): _flicker(DOSE),
        FIRST: _first,
        PRODUCT: _product,
    }
    return [
        Denoiser(model, clip_wide, name, loss)
        for model, clip_wide in (("per-frame denoiser", False), ("clip-wide denoiser", True))
        for name, loss in losses.items()
    ]


def _samplers() -> list[Task]:
    return [
        Sampler(model, clip_wide, scale)
        for model, clip_wide in (("per-frame sampler", False), ("clip-wide sampler", True))
        for scale in (0.0, DOSE)
    ]


def _autoencoders() -> list[Task]:
    tasks: list[Task] = []
    for model, sampled, temporal in (
        ("autoencoder", False, False),
        ("autoencoder, sampled", True, False),
        ("temporal decoder", True, True),
    ):
        make = partial(Autoencoder, model, sampled, temporal)
        tasks += [make(loss_name(scale), scale, KL_WEIGHT) for scale in (0.0, DOSE)]
        if sampled:
            tasks.append(make(KL_CONTROL, 0.0, KL_WEIGHT / (1 + 2 * DOSE)))
    return tasks


FAMILIES: Final[Mapping[str, Callable[[], list[Task]]]] = {
    "denoisers": _denoisers,
    "samplers": _samplers,
    "autoencoders": _autoencoders,
    "long": lambda: [task for task in _denoisers() if task.loss_name in (FRAME, loss_name(DOSE))],
}
"""By name: what is trained in one go. *long*: what is trained longer."""
