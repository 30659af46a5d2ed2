"""Small convolutional networks: of single frames, or of whole clips."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from flickerscope.experiment.sizes import SMALL, Size

__all__ = ["ClipNet", "Coder"]

PATCH: Final = 4
"""Pixels to each side of what an autoencoder makes one latent pixel of."""
LATENTS: Final = 4
LOGARITHMS: Final = (-12.0, 6.0)
"""Of the variance of a sampled latent: beyond it, the exponential runs away in training."""


class ClipNet(nn.Module):
    """A residual network over clips: (B, C, T, H, W) to (B, outputs, T, H, W).

    Args:
        inputs, outputs: channels.
        clip_wide: whether frames see one another: as far to either side as the reaches add up.
        channels: inside.
        reach: of each block, frames.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        clip_wide: bool,
        channels: int = SMALL.channels,
        reach: Sequence[int] = SMALL.reach,
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, channels, 3, padding=1)
        self.blocks = nn.ModuleList(_Block(channels, by if clip_wide else 0) for by in reach)
        self.last = nn.Conv2d(channels, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Of clips of any size."""
        batch, _, frames, *size = x.shape
        h = self.first(x.transpose(1, 2).flatten(0, 1))
        for block in self.blocks:
            h = block(h, frames)
        out: Tensor = self.last(functional.silu(h))
        return out.reshape(batch, frames, -1, *size).transpose(1, 2)


class Coder(nn.Module):
    """An autoencoder of single frames, whose decoder may see the whole clip.

    (B, 1, T, H, W) to a latent of a quarter of the size with 4 channels, and back; height and
    width are multiples of 4.

    Args:
        sampled: whether the latent is drawn from a normal distribution, as in a variational
            autoencoder.
        temporal: whether the decoder sees all frames.
        size: of both.
    """

    def __init__(self, *, sampled: bool, temporal: bool, size: Size = SMALL) -> None:
        super().__init__()
        self.sampled = sampled
        statistics = 2 * LATENTS if sampled else LATENTS
        net = partial(ClipNet, channels=size.coder_channels, reach=size.reach)
        self.encoder = net(PATCH**2, statistics, clip_wide=False)
        self.decoder = net(LATENTS, PATCH**2, clip_wide=temporal)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The clips again, and the Kullback-Leibler divergence of the latents a pixel.

        ``noise``: unit normal, of the shape of `latent`.
        """
        coded = self.encoder(_patches(x))
        divergence = coded.new_zeros(())
        if self.sampled:
            mean, logarithm = coded.chunk(2, 1)
            logarithm = logarithm.clamp(*LOGARITHMS)
            variance = logarithm.exp()
            total = (mean.square() + variance - 1 - logarithm).sum() / 2
            divergence = total / x.numel()
            coded = mean + variance.sqrt() * noise
        return _pixels(self.decoder(coded)), divergence

    @staticmethod
    def latent(clips: torch.Size) -> tuple[int, ...]:
        """Shape of the latent of clips of a shape."""
        batch, _, frames, height, width = clips
        return batch, LATENTS, frames, height // PATCH, width // PATCH


class _Block(nn.Module):
    def __init__(self, channels: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.mix = nn.Conv2d(channels * (3 if reach else 1), channels, 1)

    def forward(self, h: Tensor, frames: int) -> Tensor:
        g = functional.silu(self.conv(functional.silu(h)))
        if self.reach:
            clips = g.reshape(-1, frames, *g.shape[1:])
            around = [_moved(clips, by) for by in (self.reach, -self.reach)]
            g = torch.cat([around[0], clips, around[1]], 2).flatten(0, 1)
        mixed: Tensor = h + self.mix(g)
        return mixed


def _moved(clips: Tensor, by: int) -> Tensor:
    """Each frame in the place of the one ``by`` frames later; the ends are repeated."""
    if by > 0:
        ends = clips[:, :1].expand(-1, by, -1, -1, -1)
        return torch.cat([ends, clips[:, :-by]], 1)
    ends = clips[:, -1:].expand(-1, -by, -1, -1, -1)
    return torch.cat([clips[:, -by:], ends], 1)


def _patches(x: Tensor) -> Tensor:
    """(B, 1, T, H, W) to (B, PATCH^2, T, H/PATCH, W/PATCH)."""
    return functional.pixel_unshuffle(x.transpose(1, 2), PATCH).transpose(1, 2)


def _pixels(x: Tensor) -> Tensor:
    """Inverse of `_patches`."""
    return functional.pixel_shuffle(x.transpose(1, 2), PATCH).transpose(1, 2)
