"""What people train without rnnbench: one LightningModule and one Trainer for one network, run after run."""

import math
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.benchmark.speed.training_case import LARGEST_NORM, LEARNING_RATE
from rnnbench.datamodules.task import Batch


class PlainModule(L.LightningModule):
    """A network that learns the root mean square error, as a tutorial would write it; ``scores`` are by data loader."""

    def __init__(self, network: nn.Module) -> None:
        """Take the network."""
        super().__init__()
        self.network = network
        self.scores: dict[str, float] = {}
        self._squares: dict[int, list[Tensor]] = {}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss = functional.mse_loss(self.network(batch.inputs), batch.targets).sqrt()
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Keep the squared errors of a batch."""
        squares = (self.network(batch.inputs) - batch.targets).square()
        self._squares.setdefault(dataloader_idx, []).append(squares)

    def on_validation_epoch_end(self) -> None:
        """Score what was kept."""
        for index, squares in self._squares.items():
            self.scores[f"rmse/{index}"] = math.sqrt(torch.cat(squares).mean())
            self.log(f"rmse/{index}", self.scores[f"rmse/{index}"])
        self._squares.clear()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return torch's Adam."""
        return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)


def train_alone(network: nn.Module, data: L.LightningDataModule, steps: int, folder: Path) -> dict[str, float]:
    """Train a network, evaluate it at the end, and return its scores: ``rmse/0`` of validation, ``rmse/1`` of test."""
    model = PlainModule(network)
    settings: dict[str, Any] = {"check_val_every_n_epoch": None, "val_check_interval": steps}
    settings |= {"num_sanity_val_steps": 0, "gradient_clip_val": LARGEST_NORM, "enable_model_summary": False}
    trainer = L.Trainer(accelerator="cpu", max_steps=steps, max_epochs=-1, default_root_dir=folder, **settings)
    trainer.fit(model, datamodule=data)
    return model.scores
