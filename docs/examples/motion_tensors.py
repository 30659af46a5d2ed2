"""Tell flicker from motion in a batch of tensors, where they are: on a GPU or not."""

import torch

from flickerscope.motion import flicker

device = "cuda" if torch.cuda.is_available() else "cpu"
noise = torch.Generator().manual_seed(0)
picture = torch.rand(1, 1, 24, 48, generator=noise)
picture = 40 + 170 * torch.nn.functional.interpolate(picture, (144, 288), mode="bicubic")[0, 0]

# A batch of two clips of 24 frames, luma in code values 0..255: a pan, and the same with flicker.
pan = torch.stack([picture[:, 2 * t : 2 * t + 192] for t in range(24)])
alternation = torch.tensor([1.0, -1.0]).repeat(12)[:, None, None]
batch = torch.stack([pan, pan + alternation]).to(device)

clean, flickering = flicker(batch, texture=True)
print(f"clean pan: {clean.flicker:.2f} code^2, it moves by {clean.speed:.1f} pixels of 72 rows")
print(f"flickering: {flickering.flicker:.2f} code^2 over {100 * flickering.area:.0f} % of it")

# An alternation by a reads 4 a^2, whatever moves under it.
assert abs(clean.flicker) < 0.1
assert abs(flickering.flicker - 4) < 0.12
