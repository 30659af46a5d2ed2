"""Watch the flicker of a model while it trains, in plain PyTorch."""

import torch
from torch import nn

from flickerscope.losses import FlickerLoss
from flickerscope.metrics import ExcessFlicker

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips (B, C, T, H, W) in -1..1 that stand still, and the same with every frame off a bit."""
    picture = torch.rand(size, 1, 1, 6, 8, device=device).repeat_interleave(8, -2)
    clean = (1.2 * picture.repeat_interleave(8, -1) - 0.6).expand(-1, -1, 16, -1, -1)
    return clean, clean + 0.02 * torch.randn(size, 1, 16, 1, 1, device=device)


model = nn.Conv3d(1, 1, (5, 1, 1), padding=(2, 0, 0), padding_mode="replicate", bias=False)
nn.init.dirac_(model.weight)  # at first it lets everything through
model.to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-2)
loss_function = FlickerLoss(diff_scale=1.0, time_dim=2)
metric = ExcessFlicker(fps=24, layout="BCTHW", value_range=(-1, 1), clamp=True).to(device)
validation = [batch(2) for _ in range(2)]

history = []
for epoch in range(2):
    for _ in range(40 * epoch):  # the first epoch: validation alone
        clean, noisy = batch(2)
        loss = loss_function(model(noisy), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with torch.no_grad():
        for clean, noisy in validation:
            metric.update(model(noisy), clean)
    values = metric.compute()
    metric.reset()
    history.append(values["flicker_db"].item())
    print(
        f"epoch {epoch}: {history[-1]:+.1f} dB of flicker over the reference, in the median of "
        f"{values['measured']:.0f} of {values['pairs']:.0f} clips"
    )

assert history[1] < history[0] - 3
