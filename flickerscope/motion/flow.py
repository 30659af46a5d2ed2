"""How the picture moves between frames: the interface, and the built-in Lucas-Kanade."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import torch
from torch.nn import functional

from flickerscope.compiled.door import takes
from flickerscope.motion import native
from flickerscope.motion.filters import halve, median_of_neighbours, warp, window_mean

__all__ = ["LucasKanade", "Motion", "MotionField", "whole_shift"]

Motion = tuple[torch.Tensor, torch.Tensor]
"""Of frames to the next one and to the one before, pixels, columns first; (..., 2, H, W) each."""

LEAST_POWER: Final = 1e-3
"""Variance of a picture below which it is nothing but rounding, code^2."""
LEAST_CROSS: Final = 1e-6
"""Of two spectra, below which it has no phase."""


class MotionField(Protocol):
    """Finds how each pixel of a frame moves to other frames."""

    @property
    def rows(self) -> int:
        """Short side of the pictures that it wants to see, pixels: 72, 144 or 288."""

    def __call__(self, anchors: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
        """Displacements from anchors to their neighbours.

        Args:
            anchors: (N, H, W), luma code values.
            neighbours: (K, N, H, W), K other frames for each anchor.

        Returns:
            (K, N, 2, H, W), pixels, columns first: ``neighbour[x + u(x)]`` shows what
            ``anchor[x]`` does.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LucasKanade:
    """Pyramidal Lucas-Kanade on the zero-mean sum of squared differences.

    With the gradient g of the anchor and its difference d to the neighbour, warped by the motion
    so far, each step solves ``cov(g, g) u = -cov(g, d)`` over a window; covariances are blind to
    a change of brightness. A step is kept only where it lowers ``var(d)``. It starts, where that
    helps, from the shift of the whole picture: a shaken camera moves it by more than the pyramid
    can find. (Lucas & Kanade 1981; pyramid: Bouguet 2000.)
    """

    rows: int = 72
    """Of the pictures that the other values are made for."""
    levels: int = 3
    """Of the pyramid, each half the size of the one below."""
    radius: int = 3
    """Of the window, pixels."""
    steps: int = 2
    """At each level."""
    damping: float = 2.0
    """Added to the diagonal of cov(g, g), code^2/px^2: what is flat stays where it is."""
    longest_step: float = 1.5
    """Pixels."""

    def __call__(self, anchors: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
        """See `MotionField`."""
        pyramid = [(anchors, neighbours)]
        while len(pyramid) < self.levels and min(pyramid[-1][0].shape[-2:]) > 2 * self.radius:
            anchor, neighbour = pyramid[-1]
            pyramid.append((halve(anchor), halve(neighbour)))
        # Whole pixels of the second level are finer than the coarsest one needs.
        level = min(1, len(pyramid) - 1)
        shift = whole_shift(*pyramid[level]) / 2 ** (len(pyramid) - 1 - level)
        flow = self._start(*pyramid[-1], shift)
        for anchor, neighbour in reversed(pyramid):
            flow = self._refine(anchor, neighbour, _enlarge(flow, anchor))
        return flow

    def _start(
        self, anchor: torch.Tensor, neighbour: torch.Tensor, shift: torch.Tensor
    ) -> torch.Tensor:
        """The shift of the whole picture where it makes a window more alike, and 0 elsewhere.

        (N, H, W), (K, N, H, W) and (K, N, 2) to (K, N, 2, H, W).
        """
        if takes(anchor, neighbour) and neighbour.shape[1:] == anchor.shape:
            return native.started(anchor, neighbour, shift, self.radius)
        window = _Window(anchor[:, None], self.radius, self.damping)
        moved = shift.flatten(0, 1)[:, :, None, None].expand(-1, -1, *anchor.shape[-2:])
        still = torch.zeros_like(moved)
        pictures = neighbour.flatten(0, 1)[:, None]
        better = window.variance(warp(pictures, moved)) < window.variance(pictures)
        return torch.where(better, moved, still).view(*neighbour.shape[:2], *moved.shape[1:])

    def _refine(
        self, anchor: torch.Tensor, neighbour: torch.Tensor, flows: torch.Tensor
    ) -> torch.Tensor:
        """One level: (N, H, W), (K, N, H, W) and (K, N, 2, H, W) to the latter."""
        if takes(anchor, neighbour, flows) and neighbour.shape[1:] == anchor.shape:
            return native.refined(
                anchor,
                neighbour,
                flows,
                radius=self.radius,
                steps=self.steps,
                damping=self.damping,
                longest=self.longest_step,
            )
        window = _Window(anchor[:, None], self.radius, self.damping)
        pictures, flow = neighbour.flatten(0, 1)[:, None], flows.flatten(0, 1)
        best_cost, x, y = window.covariances(warp(pictures, flow))
        best = flow
        for _ in range(self.steps):
            flow = flow - window.step(x, y).clamp_(-self.longest_step, self.longest_step)
            cost, x, y = window.covariances(warp(pictures, flow))
            better = cost < best_cost
            best = torch.where(better, flow, best)
            best_cost = torch.where(better, cost, best_cost)
        return median_of_neighbours(best).view(flows.shape)


def _enlarge(flows: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Twice the motion, for pictures as large as the anchors, (K, N, 2, h, w) alike."""
    size = anchors.shape[-2:]
    if flows.shape[-2:] == size:
        return flows
    if takes(flows):
        return native.enlarged(flows, *size)
    flow = flows.flatten(0, 1)
    large = 2 * functional.interpolate(flow, size=size, mode="bilinear", align_corners=False)
    return large.view(*flows.shape[:3], *size)


def whole_shift(anchors: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
    """Shift of whole pictures by phase correlation, (N, H, W), (K, N, H, W) to (K, N, 2).

    In whole pixels, columns first; 0 where it would be over a quarter of the picture. Under a
    Hann window, so that what leaves the picture on one side has no say. (Kuglin & Hines 1975.)
    """
    height, width = anchors.shape[-2:]
    window = _hann(height, width, anchors.device, anchors.dtype)
    least = (LEAST_POWER * height * width) ** 0.5

    def spectrum(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        centred = x - x.mean((-2, -1), keepdim=True)
        seen = torch.linalg.vector_norm(centred, dim=(-2, -1)) > least
        return torch.fft.rfft2(centred * window), seen

    ours, seen = spectrum(anchors)
    theirs, neighbours_seen = spectrum(neighbours)
    cross = theirs * ours.conj()
    # Several times as quick as to divide by the magnitude.
    scale = (cross * cross.conj()).real.clamp(min=LEAST_CROSS**2).rsqrt()
    peak = torch.fft.irfft2(cross * scale, s=(height, width))
    place = peak.flatten(-2).argmax(-1)
    shift = torch.stack([place % width, place // width], -1)
    sides = torch.tensor([width, height], device=shift.device)
    shift = torch.where(shift > sides // 2, shift - sides, shift)
    near = (shift.abs() <= sides // 4).all(-1, keepdim=True)
    return torch.where(near & (seen & neighbours_seen)[..., None], shift, 0).to(anchors)


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)
def _hann(height: int, width: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    rows, columns = (
        torch.hann_window(length, periodic=False, device=device, dtype=dtype)
        for length in (height, width)
    )
    return rows[:, None] * columns


class _Window:
    """Gradients of the anchors and their covariances, shared by all neighbours and steps."""

    def __init__(self, anchor: torch.Tensor, radius: int, damping: float) -> None:
        p = functional.pad(anchor, (1, 1, 1, 1), mode="replicate")
        gx = (p[..., 1:-1, 2:] - p[..., 1:-1, :-2]) / 2
        gy = (p[..., 2:, 1:-1] - p[..., :-2, 1:-1]) / 2
        means = window_mean(torch.cat([gx, gy, gx * gx, gx * gy, gy * gy], 1), radius)
        self.mean_x, self.mean_y = means[:, :1], means[:, 1:2]
        xx = means[:, 2:3] - self.mean_x**2 + damping
        xy = means[:, 3:4] - self.mean_x * self.mean_y
        yy = means[:, 4:5] - self.mean_y**2 + damping
        determinant = xx * yy - xy * xy
        self.inverse_xx, self.inverse_yy = yy / determinant, xx / determinant
        self.inverse_xy = -xy / determinant
        self.anchor, self.gx, self.gy, self.radius = anchor, gx, gy, radius

    def variance(self, warped: torch.Tensor) -> torch.Tensor:
        """Of the difference to the warped neighbours alone, (K N, 1, H, W) alike."""
        d = warped.view(-1, *self.anchor.shape) - self.anchor
        mean, square = window_mean(torch.stack([d, d * d]).flatten(0, 2), self.radius).chunk(2)
        return square.addcmul_(mean, mean, value=-1)

    def covariances(self, warped: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Variance of the difference to the warped neighbours, its covariances with the gradient.

        (K N, 1, H, W) each.
        """
        anchor = self.anchor
        warped = warped.view(-1, *anchor.shape)
        products = warped.new_empty(*warped.shape[:2], 4, *warped.shape[3:])
        d = torch.sub(warped, anchor, out=products[:, :, :1])
        torch.mul(d, self.gx, out=products[:, :, 1:2])
        torch.mul(d, self.gy, out=products[:, :, 2:3])
        torch.mul(d, d, out=products[:, :, 3:4])
        means = window_mean(products.flatten(0, 1), self.radius).view(products.shape)
        mean, x, y, square = (means[:, :, i : i + 1] for i in range(4))
        square.addcmul_(mean, mean, value=-1)
        x.addcmul_(mean, self.mean_x, value=-1)
        y.addcmul_(mean, self.mean_y, value=-1)
        return square.flatten(0, 1), x, y

    def step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The step of least squares from the covariances with the gradient, (K N, 2, H, W)."""
        step = x.new_empty(*x.shape[:2], 2, *x.shape[3:])
        torch.addcmul(self.inverse_xx * x, self.inverse_xy, y, out=step[:, :, :1])
        torch.addcmul(self.inverse_yy * y, self.inverse_xy, x, out=step[:, :, 1:])
        return step.flatten(0, 1)
