"""Train a denoiser of clips with the flicker loss, in plain PyTorch."""

import torch
from torch import nn

from flickerscope.losses import FlickerLoss

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Conv3d(1, 1, kernel_size=3, padding=1, padding_mode="replicate").to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
loss_function = FlickerLoss(diff_scale=1.0, time_dim=2)  # clips are (B, C, T, H, W)

losses = []
for _ in range(60):
    clean = torch.rand(4, 1, 1, 1, 1, device=device).expand(4, 1, 8, 12, 12)
    noisy = clean + 0.1 * torch.randn_like(clean)
    loss = loss_function(model(noisy), clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

print(f"loss: {losses[0]:.3f} at the first step, {losses[-1]:.3f} at the last")
assert losses[-1] < losses[0] / 4
