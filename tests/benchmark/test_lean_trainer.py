"""The Trainer of ``rnnbench fit``: what it fills in, what it leaves alone, and when its progress bar is drawn."""

import logging
from pathlib import Path

import lightning as L
import pytest
from lightning.pytorch.callbacks import TQDMProgressBar

from rnnbench.benchmark.run.lean_trainer import LeanTrainer, TimedProgressBar
from rnnbench.benchmark.run.train import quiet_lightning
from rnnbench.datamodules.adding import Adding
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.recurrences.elman import ElmanRNN


class Drawings(TimedProgressBar):
    """Notes the steps that were drawn."""

    def __init__(self, every_seconds: float) -> None:
        super().__init__(every_seconds)
        self.steps: list[int] = []

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, str | int | float]:
        self.steps.append(trainer.global_step)
        return super().get_metrics(trainer, pl_module)


def drawn_steps(folder: Path, every_seconds: float, **length: int) -> list[int]:
    bar, data = Drawings(every_seconds), Adding(length=4, train_size=32, val_size=4, test_size=4, batch_size=8)
    model = LitSequenceModel(lambda size: ElmanRNN(size, 2), data.task)
    settings = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = LeanTrainer(**settings, **length, limit_val_batches=0, callbacks=[bar], default_root_dir=folder)
    with quiet_lightning():
        trainer.fit(model, datamodule=data)
    return sorted(set(bar.steps))


def test_a_bar_with_no_time_between_drawings_draws_every_step(tmp_path: Path) -> None:
    assert drawn_steps(tmp_path, 0.0, max_epochs=2) == list(range(1, 9))


@pytest.mark.parametrize(("length", "steps"), [({"max_epochs": 2}, [1, 4, 8]), ({"max_steps": 7}, [1, 4, 7])])
def test_a_slow_bar_draws_the_first_step_and_the_last_of_each_epoch(tmp_path, length, steps) -> None:
    assert drawn_steps(tmp_path, 1e6, **length) == steps


@pytest.mark.filterwarnings("ignore:.*logger")
def test_what_is_not_said_is_filled_in_and_what_is_said_stays() -> None:
    with quiet_lightning():
        trainer = LeanTrainer(logger=False, accelerator="cpu", callbacks=TimedProgressBar(3.0))
        assert trainer.progress_bar_callback.every_seconds == 3.0
        for others in (None, [], [L.Callback()]):
            filled_in = LeanTrainer(logger=False, accelerator="cpu", callbacks=others)
            assert isinstance(filled_in.progress_bar_callback, TimedProgressBar)
        theirs = LeanTrainer(logger=False, accelerator="cpu", callbacks=[TQDMProgressBar()])
        assert type(theirs.progress_bar_callback) is TQDMProgressBar
        assert LeanTrainer(logger=False, accelerator="cpu", enable_progress_bar=False).progress_bar_callback is None
        bare = LeanTrainer(barebones=True, accelerator="cpu")
        assert bare.progress_bar_callback is None


@pytest.mark.filterwarnings("ignore:.*logger")
def test_lightning_advertises_nothing(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("lightning.pytorch.utilities.rank_zero"), "filters", [])
    with caplog.at_level("INFO"):
        L.Trainer(accelerator="cpu")
        assert "Tip" in caplog.text
        caplog.clear()
        LeanTrainer(accelerator="cpu")
    assert "GPU available" in caplog.text
    assert "Tip" not in caplog.text
