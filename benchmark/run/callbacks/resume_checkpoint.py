"""A checkpoint that an interrupted run goes on from, to the same result as if it had not been interrupted."""

import io
import math
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH

from rnnbench.benchmark.run.ending import end_saved, note_training
from rnnbench.leaderboard.files import write_atomically
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel

#: With several devices, steps after which they agree whether it is time for a checkpoint: to agree takes time itself.
_STEPS_BETWEEN_QUESTIONS = 10
#: Long enough for a step and for writing the checkpoint; what is done in it is done again later.
_SECONDS_BEFORE_DEADLINE = 3.0


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it: whenever it is killed, a whole one is there."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Write the checkpoint and replace the one before.

        Raises:
            OSError: the disk is full or the folder unwritable; the checkpoint before is untouched.
        """
        # Not straight into the file: torch.save hides the system's reason when a disk is full.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getvalue())


class ResumeCheckpoint(L.Callback):
    """Saves the whole training state inside epochs, after each evaluation, and before the training ends on a signal.

    Args:
        path: the file, replaced each time.
        every_seconds: least time between two checkpoints inside an epoch.
        validate_every: steps between evaluations, or None for the end of each epoch.
        deadline: the monotonic time at which the run will be ended; one more checkpoint is saved shortly before.
    """

    def __init__(
        self, path: Path, every_seconds: float, validate_every: int | None, deadline: float = math.inf
    ) -> None:
        self.path = path
        self.every_seconds = every_seconds
        self._last_at = deadline - _SECONDS_BEFORE_DEADLINE
        self.validate_every = validate_every
        self.end_is_wanted = False
        self._saved_at = time.monotonic()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """From here on a step is followed by a place to end at; with several devices not all would come to it."""
        if trainer.world_size == 1:
            note_training(self)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """There is no further step."""
        note_training(None)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """There is no further step."""
        note_training(None)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time, unless an evaluation comes next."""
        step, every = trainer.global_step, self.validate_every
        evaluation_is_due = batch_idx + 1 == trainer.num_training_batches if every is None else step % every == 0
        # A checkpoint between a step and the evaluation that it triggers would lose the evaluation on resuming.
        if not evaluation_is_due and (self.end_is_wanted or self._is_time(trainer)):
            self._save(trainer)
            if self.end_is_wanted:
                end_saved()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save what was evaluated."""
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            self._save(trainer)
            if self.end_is_wanted:
                end_saved()

    def _is_time(self, trainer: L.Trainer) -> bool:
        if trainer.world_size > 1 and trainer.global_step % _STEPS_BETWEEN_QUESTIONS:
            return False
        now = time.monotonic()
        is_time = now - self._saved_at >= self.every_seconds or now >= self._last_at
        # Clocks differ between processes, and all must take part in saving.
        return trainer.strategy.reduce_boolean_decision(is_time, all=False)

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self._saved_at = time.monotonic()
        if self._saved_at >= self._last_at:
            self._last_at = math.inf


class TrainingClock(L.Callback):
    """Measures the seconds spent in training steps, evaluation left out, over all parts of a resumed run."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.steps = 0
        self._began = 0.0

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        """Start a step."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """End a step."""
        self.seconds += time.perf_counter() - self._began
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what was measured so far."""
        return {"seconds": self.seconds, "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what was measured."""
        self.seconds, self.steps = state_dict["seconds"], state_dict["steps"]


class ProgressFile(L.Callback):
    """Tells the launching process how far the run is: once a second it writes a small file.

    It holds the steps done and, once there is one, the latest validation value of the ranked metric, of the instance
    that is best in it, and the metric's name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written_at = 0.0
        self._score = ""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the score of a run that goes on."""
        self._note(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the score."""
        self._note(pl_module)

    def _note(self, model: L.LightningModule) -> None:
        if not isinstance(model, LitSequenceModel) or not model.curve:
            return
        metric = model.task.metrics[0]
        values = [value for value in model.curve[-1]["val"][metric.name] if math.isfinite(value)]
        if values:
            # Written after the next step, not in the next second.
            self._written_at = 0.0
            self._score = f" {(min if metric.direction == 'min' else max)(values)} {metric.name}"

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any, **__: Any) -> None:
        """Write the number of steps."""
        if trainer.is_global_zero and time.monotonic() - self._written_at >= 1.0:
            self.path.write_text(f"{trainer.global_step}{self._score}", encoding="utf-8")
            self._written_at = time.monotonic()
