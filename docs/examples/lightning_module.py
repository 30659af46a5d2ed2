"""Train with the flicker loss and log the flicker of the validation clips, in Lightning."""

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from flickerscope.losses import FlickerLoss
from flickerscope.metrics import ExcessFlicker


class Denoiser(lightning.LightningModule):
    """A filter along time for clips (B, C, T, H, W) in -1..1."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Conv3d(
            1, 1, (5, 1, 1), padding=(2, 0, 0), padding_mode="replicate", bias=False
        )
        nn.init.dirac_(self.network.weight)  # at first it lets everything through
        self.loss = FlickerLoss(diff_scale=1.0, time_dim=2)
        # An attribute of the module moves to its device.
        self.flicker = ExcessFlicker(fps=24, layout="BCTHW", value_range=(-1, 1), clamp=True)

    def training_step(self, batch: list[Tensor]) -> Tensor:
        noisy, clean = batch
        return self.loss(self.network(noisy), clean)

    def validation_step(self, batch: list[Tensor]) -> None:
        noisy, clean = batch
        self.flicker.update(self.network(noisy), clean)

    def on_validation_epoch_end(self) -> None:
        # On all ranks: it gathers. What it returns is the same on each, and needs no sync_dist.
        values = self.flicker.compute()
        self.log_dict({f"val/{name}": value for name, value in values.items()})
        self.flicker.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=5e-2)


def clips(count: int) -> TensorDataset:
    """Still pictures of 16 frames, and the same with every frame off a bit."""
    picture = torch.rand(count, 1, 1, 6, 8).repeat_interleave(8, -2).repeat_interleave(8, -1)
    clean = (1.2 * picture - 0.6).expand(-1, -1, 16, -1, -1)
    return TensorDataset(clean + 0.02 * torch.randn(count, 1, 16, 1, 1), clean)


lightning.seed_everything(0, verbose=False)
model = Denoiser()
trainer = lightning.Trainer(
    max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False,
)  # fmt: skip
validation = DataLoader(clips(4), batch_size=2)
before = trainer.validate(model, validation, verbose=False)[0]
trainer.fit(model, DataLoader(clips(80), batch_size=2, shuffle=True), validation)
after = {name: value.item() for name, value in trainer.logged_metrics.items()}

for name, values in (("before", before), ("after", after)):
    print(
        f"{name}: {values['val/flicker_db']:+.1f} dB of flicker over the reference, in the median "
        f"of {values['val/measured']:.0f} of {values['val/pairs']:.0f} clips"
    )
assert after["val/flicker_db"] < before["val/flicker_db"] - 3
