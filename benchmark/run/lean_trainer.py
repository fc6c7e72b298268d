"""Lightning's Trainer for ``rnnbench fit``, with less beside a short step, and less to say, than by its defaults."""

import logging
import math
import time
import warnings
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar

#: How warnings begin that tell nothing of what was asked for.
_TIPS = (
    # Of torch, about a call of Lightning's own.
    ".*LeafSpec",
    # The mean loss since the last evaluation is logged whatever the interval.
    "The number of training batches .* is smaller than the logging interval",
    # Without TensorBoard the default logger is CSVLogger, which needs nothing.
    "Starting from v1.9.0",
    # A folder that the user named himself.
    *(".*exists and is not empty", "The dirpath has changed"),
)


class TimedProgressBar(TQDMProgressBar):
    """A progress bar that is drawn so many times a second at most, however short a training step is.

    Args:
        every_seconds: least time between two drawings within an epoch; its last step is always drawn.
    """

    def __init__(self, every_seconds: float = 0.1) -> None:
        super().__init__()
        self.every_seconds = every_seconds
        self._drawn_at = -math.inf

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Draw the step, if it is time or the last one."""
        now = time.monotonic()
        ends = batch_idx + 1 >= trainer.num_training_batches or trainer.global_step == trainer.max_steps
        if ends or now - self._drawn_at >= self.every_seconds:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
            self._drawn_at = now


class LeanTrainer(L.Trainer):
    """A Trainer that draws a ``TimedProgressBar``, unless another is given or none is wanted, and advertises nothing.

    All arguments are Lightning's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = kwargs.get("callbacks") or []
        # Copied before: Lightning adds its own to the list that it is given.
        given = [given] if isinstance(given, L.Callback) else list(given)
        silence_tips()
        # Handed on as they are: LightningCLI reads there which arguments it may offer.
        super().__init__(*args, **kwargs)
        trainer: Any = self
        bar = self.progress_bar_callback
        if type(bar) is TQDMProgressBar and bar not in given:
            trainer.callbacks[trainer.callbacks.index(bar)] = TimedProgressBar()


def silence_tips() -> None:
    """Let Lightning's warnings and messages about what nobody can or need change pass by in silence."""
    for module in ("pytorch.utilities.rank_zero", "fabric.utilities.rank_zero", "fabric.utilities.seed"):
        logging.getLogger(f"lightning.{module}").addFilter(_is_no_tip)
    for text in _TIPS:
        warnings.filterwarnings("ignore", message=text)


def _is_no_tip(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return "Tip: " not in text and not text.startswith(("TPU available: False", "Seed set to"))
