"""Measures of dynamics before, during and after training, of every instance as if it were alone."""

from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from torch import Tensor

from rnnbench.benchmark.measures.base import MeasureOptions, Moment, Subject
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.datamodules.task import Batch, Task
from rnnbench.leaderboard.schema import plain
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel


@dataclass(frozen=True)
class Taken:
    """One measure of one instance at one moment, as ``leaderboard.schema.Measure`` has it, but with its arrays."""

    step: int
    reason: str | None
    settings: dict[str, Any]
    summary: dict[str, Any]
    arrays: dict[str, Tensor]


class TakeMeasures(L.Callback):
    """Takes measures of each instance, alone, and keeps them through interruptions.

    A measure that fails says so, with the reason, in what is kept of it; training goes on. Whatever a measure does, it
    leaves the weights, the random numbers and the mode of what is trained as they were. It needs a
    ``LitSequenceModel`` and a ``SequenceDataModule``, and tells the Trainer's loggers the numbers.

    Attributes:
        measures: by name.
        taken: for each instance, measure and moment (``start``, ``end``, ``epoch-3``), what came out.
    """

    def __init__(self, measures: dict[str, MeasureOptions]) -> None:
        self.measures = measures
        self.taken: list[dict[str, dict[str, Taken]]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: LitSequenceModel) -> None:  # type: ignore[override]
        """Measure what is about to be trained."""
        self._take_at(trainer, pl_module, "start")

    def on_validation_end(self, trainer: L.Trainer, pl_module: LitSequenceModel) -> None:  # type: ignore[override]
        """Measure at the first evaluation after every so many epochs."""
        # Not at the end of the epoch: the checkpoint after an evaluation must hold what belongs to it.
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        for name, options in self.measures.items():
            if options.every_epochs is not None:
                epoch = int(pl_module.curve[-1]["epoch"]) // options.every_epochs * options.every_epochs
                if epoch:
                    self._take(trainer, pl_module, name, f"epoch-{epoch}")

    def on_train_end(self, trainer: L.Trainer, pl_module: LitSequenceModel) -> None:  # type: ignore[override]
        """Measure the last weights."""
        # A run of no steps trains nothing and so never starts.
        self._take_at(trainer, pl_module, "start")
        self._take_at(trainer, pl_module, "end")

    def _take_at(self, trainer: L.Trainer, model: LitSequenceModel, moment: Moment) -> None:
        for name, options in self.measures.items():
            if moment in options.at:
                self._take(trainer, model, name, moment)

    def _take(self, trainer: L.Trainer, model: LitSequenceModel, name: str, moment: str) -> None:
        if not trainer.is_global_zero:
            return
        self.taken = self.taken or [{} for _ in model.instances]
        for index, taken in enumerate(self.taken):
            moments = taken.setdefault(name, {})
            # An instance that has stopped earlier gets no further moments of epochs, as if it were alone.
            stopped = model.last_step(index) < trainer.global_step and moment not in ("start", "end")
            if moment not in moments and not stopped:
                moments[moment] = self._measure(trainer, model, index, self.measures[name], moment)
                _log(trainer, f"{name}/{moment}", index, moments[moment])

    def _measure(
        self, trainer: L.Trainer, model: LitSequenceModel, index: int, options: MeasureOptions, moment: str
    ) -> Taken:
        step = model.last_step(index)
        settings = plain(options.model_dump())
        if moment == "start" and step > 0:
            reason = f"training was at step {step} already when this measure was first asked for"
            return Taken(step, reason, settings, {}, {})
        if not model.get_buffer("alive")[index]:
            reason = f"the instance diverged at step {int(model.get_buffer('diverged_at')[index])}"
            return Taken(step, reason, settings, {}, {})
        try:
            data: SequenceDataModule = trainer.datamodule  # type: ignore[attr-defined]
            summary, arrays = measure_instance(model, index, data, options)
        except Exception as error:
            # Out of memory, not finite, not converged, a user's recurrence: the scores are worth having all the same.
            return Taken(step, f"{type(error).__name__}: {' '.join(str(error).split())}", settings, {}, {})
        return Taken(step, None, settings, summary, arrays)

    def state_dict(self) -> dict[str, Any]:
        """Return what was taken, as plain data and tensors."""
        return {"taken": [{m: {k: vars(t) for k, t in ts.items()} for m, ts in each.items()} for each in self.taken]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with what was taken."""
        self.taken = [
            {m: {k: Taken(**fields) for k, fields in ts.items()} for m, ts in each.items()}
            for each in state_dict["taken"]
        ]


def measure_instance(
    model: LitSequenceModel, index: int, data: SequenceDataModule, options: MeasureOptions
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return summary and arrays of a measure of one instance, alone; whatever goes wrong is raised."""
    # Evaluation runs in inference mode, whose tensors know no gradients.
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        network = model.ensemble.instance(index).eval()
        batch = data.samples(options.split, options.samples if options.uses_sequences else 1)
        device = next(network.readout.parameters()).device

        def at_length(length: int, count: int) -> tuple[Task, Batch]:
            task, drawn = data.at_length(length, count)
            return task, _moved(drawn, device)

        subject = Subject(network, model.task, _moved(batch, device), data.training_batches, at_length, model.project)
        measured = options.take(subject)
        arrays = {key: torch.from_numpy(array) for key, array in measured.arrays.items()}
    return plain(dict(measured.summary)), arrays


def _moved(batch: Batch, device: torch.device) -> Batch:
    lengths = None if batch.lengths is None else batch.lengths.to(device)
    return Batch(batch.inputs.to(device), batch.targets.to(device), lengths)


def _log(trainer: L.Trainer, name: str, index: int, taken: Taken) -> None:
    numbers = {key: value for key, value in taken.summary.items() if isinstance(value, int | float)}
    for logger in trainer.loggers:
        logger.log_metrics({f"{name}/{key}/{index}": value for key, value in numbers.items()}, step=taken.step)
