"""Times the losses against `F.mse_loss`, forward and backward, and takes their peak memory.

Run it with ``python benchmarks/losses.py`` (about two minutes): latents of (4, 16, 49, 60, 104),
laid out (B, C, T, H, W), float32. Times are medians of interleaved runs in one process, as ratios
to `F.mse_loss`; memory is the most that a step holds at once beside the clips and the gradient, in
units of the predicted batch.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from flickerscope.losses import DiffLoss, FlickerLoss, SpectralLoss, csf, diff

SHAPE = (4, 16, 49, 60, 104)

Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, Loss] = {
    "F.mse_loss": functional.mse_loss,
    "DiffLoss": DiffLoss(time_dim=2),
    "FlickerLoss": FlickerLoss(1.0, time_dim=2),
    "FlickerLoss, l1": FlickerLoss(1.0, "l1", time_dim=2),
    "SpectralLoss, diff": SpectralLoss(diff(1.0), time_dim=2),
    "SpectralLoss, csf": SpectralLoss(csf(24), time_dim=2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    pred = torch.randn(SHAPE, device=options.device, requires_grad=True)
    target = torch.randn(SHAPE, device=options.device)
    seconds: dict[str, list[float]] = {name: [] for name in LOSSES}
    for run in range(options.runs + 1):
        for name, loss in LOSSES.items():
            taken = _step(loss, pred, target)
            if run:  # the first one warms up
                seconds[name].append(taken)
    base = statistics.median(seconds["F.mse_loss"])
    print(f"{'loss':20} {'ms':>8} {'x mse':>6} {'memory':>7}")
    for name, loss in LOSSES.items():
        median = statistics.median(seconds[name])
        held = _peak(loss, pred, target) / (pred.numel() * pred.element_size())
        print(f"{name:20} {1e3 * median:8.1f} {median / base:6.2f} {held:7.2f}")


def _step(loss: Loss, pred: Tensor, target: Tensor) -> float:
    pred.grad = None
    begin = time.perf_counter()
    loss(pred, target).backward()
    if pred.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def _peak(loss: Loss, pred: Tensor, target: Tensor) -> float:
    """Return the bytes that a step holds at most beside the clips and the gradient of pred."""
    pred.grad = None
    if pred.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss(pred, target).backward()
        peak = torch.cuda.max_memory_allocated() - before
    else:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
            loss(pred, target).backward()
        held = peak = 0
        for event in record.profiler.kineto_results.events():
            if event.name() == "[memory]":
                held += event.nbytes()
                peak = max(peak, held)
    return peak - pred.numel() * pred.element_size()


if __name__ == "__main__":
    main()
