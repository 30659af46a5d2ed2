"""Log the flicker of validation clips to TensorBoard: every number, and the figure."""

import torch
from torch.utils.tensorboard import SummaryWriter

from flickerscope.metrics import ExcessFlicker

torch.manual_seed(0)
picture = torch.rand(2, 1, 1, 48, 64).expand(2, 16, 3, 48, 64)  # (B, T, C, H, W) in 0..1
metric = ExcessFlicker(fps=24, clamp=True)

with SummaryWriter("runs/flicker") as writer:
    for step, sigma in enumerate((0.02, 0.01)):
        metric.reset()
        metric.update(picture + sigma * torch.randn(2, 16, 1, 1, 1), picture)
        for name, value in metric.compute().items():
            writer.add_scalar(f"flicker/{name}", value, step)
    figure, _ = metric.plot()  # of the clips since the last reset
    writer.add_figure("flicker", figure, step)
