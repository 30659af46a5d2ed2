"""A training step of video diffusion with the flicker loss, in the style of diffusers.

Noise predictions are brought to clean latents first: a difference of noises is none of pictures.
"""

import torch
from torch import nn

from flickerscope.losses import FlickerLoss, min_snr_weight, snr, x0_from_v

torch.manual_seed(0)
# With diffusers: noise_scheduler.alphas_cumprod, and a transformer or U-Net as the model.
alphas_cumprod = torch.linspace(0.999, 0.01, 1000)
model = nn.Conv3d(4, 4, kernel_size=3, padding=1)
loss_function = FlickerLoss(diff_scale=1.0, time_dim=2)
latents = torch.randn(2, 4, 8, 6, 10)  # (B, C, T, H, W)

timesteps = torch.randint(0, 1000, (2,))
alpha = alphas_cumprod[timesteps].sqrt()
sigma = (1 - alphas_cumprod[timesteps]).sqrt()
noise = torch.randn_like(latents)
noisy = alpha.view(-1, 1, 1, 1, 1) * latents + sigma.view(-1, 1, 1, 1, 1) * noise

v = model(noisy)  # prediction_type="v_prediction"; x0_from_eps and x0_from_flow for the others
x0 = x0_from_v(noisy, v, alpha, sigma)
loss = loss_function(x0, latents, weights=min_snr_weight(snr(alpha, sigma)))
loss.backward()

print(f"loss: {loss.item():.3f}")
assert model.weight.grad is not None
assert model.weight.grad.isfinite().all()
