"""The LightningModule: an ensemble of networks of one architecture, trained on one task."""

from collections.abc import Callable, Sequence
from typing import Any, get_args

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rnnbench.datamodules.checks import check_at_least, check_choice, check_number
from rnnbench.datamodules.task import Batch, Task
from rnnbench.lit_models.carried_state import CarriedStates
from rnnbench.lit_models.early_stopping import Patience
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.instance_optimisation import (
    InstanceStep,
    OptimizerName,
    ScheduleName,
    TestAt,
    along_instances,
    check_optimisation,
    clip_and_mask,
    gradient_norms,
    known_to_be_all,
    known_to_be_finite,
    schedule_factor,
    unit_rate_optimizer,
)
from rnnbench.lit_models.length_curve import LengthCurve
from rnnbench.lit_models.network import Network, RecurrenceFactory, make_network
from rnnbench.lit_models.objective import instance_metrics, loss_of_sums, training_loss, valid_steps
from rnnbench.lit_models.stability import CONTRACTION, forget_bound_for, project_stable, stable_cells
from rnnbench.lit_models.token_loss import LARGE_VOCABULARY, summed_cross_entropy

SPLITS = ("val", "test")


class LitSequenceModel(L.LightningModule):
    """Trains M instances of one network at once, each as if it were alone.

    Args:
        recurrence: makes the recurrence from the input size; a sequence of them, one per instance, for a sweep over
            tensor-valued settings.
        task: what is learned; gives the input and output sizes, the loss and the metrics.
        instances: number of each instance, from which its weights are drawn; a number may stand for several points of
            a sweep.
        optimizer: ``sgd``, ``adam`` or ``adamw``.
        learning_rate: peak of the schedule; a sequence gives one per instance.
        momentum: of SGD.
        weight_decay: added to the gradient (``sgd``, ``adam``) or decoupled (``adamw``).
        betas: decay rates of Adam's moments.
        schedule: ``constant``, ``cosine`` to 0 at the last step, or ``plateau``: an instance's rate falls by
            ``plateau_factor`` after ``plateau_patience`` steps without improvement of its validation value (of the
            ranked metric), or since the last time.
        warmup_steps: steps of linear warm-up.
        gradient_clip_norm: largest 2-norm of an instance's gradient; None for no clipping.
        stability_input_bound: the largest absolute input for which an LSTM is to be stable (an ElmanRNN is so for
            all): before the first and after every optimiser step each instance is projected to stable weights
            (``rnnbench.lit_models.stability``). None for no projection.
        stability_contraction: λ*, below which the contraction constant is kept, at most 1.
        stability_forget_bound: how far the forget gate of an LSTM may open then; None for 0.64 λ*.
        patience: steps without improvement of its validation value after which an instance keeps its weights as they
            are; training ends when all instances do. None for the whole length.
        plateau_factor: of schedule ``plateau``.
        plateau_patience: of schedule ``plateau``.
        test_at: whether the weights to keep are those at the ``best`` validation value or the ``last`` ones.

    Attributes:
        curve: one entry per evaluation: ``step``, ``epoch`` (epochs passed, with their fraction), ``train_loss`` (its
            mean since the last evaluation) and, for ``val`` and ``test``, every metric, each a list over instances;
            for test sequences of many lengths also ``by_length``, the ranked metric by range of lengths.
        diverged_at: [M] the step, counted from 1, in which an instance's loss, gradient or weights became infinite or
            NaN (or the number of steps before an evaluation whose value did); -1 while it is ``alive``. From then on it
            is frozen with its last finite weights.
        best_weights: for each tensor of the ensemble, the stack of every instance's values at its best validation, or
            at its last one.

    Raises:
        ValueError: the lengths of ``recurrence``, ``instances`` and ``learning_rate`` differ, or a setting is unknown,
            impossible or without effect.

    >>> import functools
    >>> from rnnbench.datamodules.adding import Adding
    >>> from rnnbench.lit_models.recurrences.gated import LSTM
    >>> model = LitSequenceModel(functools.partial(LSTM, hidden_size=8), Adding(length=20).task, instances=range(5))
    >>> model(torch.zeros(3, 20, 2)).shape, model.parameter_count, model.state_size
    (torch.Size([5, 3, 1]), 393, 16)
    """

    learning_rates: Tensor
    alive: Tensor
    diverged_at: Tensor
    best_value: Tensor
    loss_sum: Tensor
    loss_steps: Tensor

    def __init__(
        self,
        recurrence: RecurrenceFactory | Sequence[RecurrenceFactory],
        task: Task,
        instances: Sequence[int] = (0,),
        optimizer: OptimizerName = "adam",
        learning_rate: float | Sequence[float] = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        schedule: ScheduleName = "constant",
        warmup_steps: int = 0,
        gradient_clip_norm: float | None = None,
        stability_input_bound: float | None = None,
        stability_contraction: float = CONTRACTION,
        stability_forget_bound: float | None = None,
        patience: int | None = None,
        plateau_factor: float = 0.1,
        plateau_patience: int | None = None,
        test_at: TestAt = "best",
    ) -> None:
        super().__init__()
        check_choice("test_at", test_at, get_args(TestAt))
        check_optimisation(optimizer, schedule, warmup_steps, weight_decay, momentum, betas, gradient_clip_norm)
        self.task = task
        self.instances = tuple(instances)
        check_at_least(0, **{f"instances[{index}]": number for index, number in enumerate(self.instances)})
        size = len(self.instances)
        factories = [recurrence] * size if callable(recurrence) else list(recurrence)
        rates = list(learning_rate) if isinstance(learning_rate, Sequence) else [learning_rate] * size
        if not size == len(factories) == len(rates):
            raise ValueError(
                f"recurrence and learning_rate must be one for all or one for each of {size} instances, "
                f"got {len(factories)} and {len(rates)}"
            )
        for rate in rates:
            check_number("learning_rate", rate, above=0)
        pairs = zip(factories, self.instances, strict=True)
        self.ensemble = Ensemble([make_network(factory, task, instance) for factory, instance in pairs])
        self._optimizer = optimizer, momentum, weight_decay, betas
        self.schedule, self.warmup_steps = schedule, warmup_steps
        self.gradient_clip_norm = gradient_clip_norm
        self._stability = (stability_input_bound, stability_contraction, stability_forget_bound)
        if stability_input_bound is not None:
            check_number("stability_input_bound", stability_input_bound, above=0)
            forget_bound_for(stability_contraction, stability_forget_bound, prefix="stability_")
            stable_cells(self.ensemble.network, stability_input_bound)
        elif (stability_contraction, stability_forget_bound) != (CONTRACTION, None):
            raise ValueError(
                "stability_contraction and stability_forget_bound have no effect without stability_input_bound: "
                "give it a number"
            )
        self.test_at = test_at
        self.stopping = Patience(size, schedule, patience, plateau_patience, plateau_factor)
        self.curve: list[dict[str, Any]] = []
        self.best_weights: dict[str, Tensor] = {}
        self._carried = CarriedStates()
        self._metrics = {s: instance_metrics(task, size) for s in SPLITS}
        self._by_length = LengthCurve.of(task, size)
        # Saved in checkpoints; device tensors, so that keeping them costs no synchronisation.
        self.register_buffer("learning_rates", torch.tensor(rates, dtype=torch.float64))
        self.register_buffer("alive", torch.ones(size, dtype=torch.bool))
        self.register_buffer("diverged_at", torch.full((size,), -1))
        self.register_buffer("best_value", torch.full((size,), torch.nan, dtype=torch.float64))
        self.register_buffer("loss_sum", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("loss_steps", torch.zeros((), dtype=torch.int64))

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; at once if it is the hook that runs, which Lightning sets fifty times a step."""
        if name in self.__dict__ and (value is None or isinstance(value, str)):
            # nn.Module searches whether it is a parameter, a buffer or a module.
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return outputs [M, B, K] (readout at the last step) or [M, B, T, K] for inputs [B, T, D]."""
        return self.ensemble(inputs, lengths)

    def on_fit_start(self) -> None:
        """Make every instance stable if that is wanted; weights from a checkpoint are stable already."""
        self.project(self.ensemble.network)

    def project(self, network: Network) -> None:
        """Make a network, or an ensemble's, stable if that is wanted."""
        input_bound, contraction, forget_bound = self._stability
        if input_bound is not None:
            project_stable(network, input_bound, contraction, forget_bound)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the sum of the losses of instances that learn."""
        outputs, state = self._outputs("train", batch, batch_idx)
        if self._reads_in_parts:
            loss, term = loss_of_sums(self.task, *self._sum_in_parts(outputs, batch))
        else:
            loss, term = training_loss(self.task, outputs, batch)
        self._freeze_unless_finite(loss, ahead=1)
        if state is not None:
            self._carried.after("train", state, self.alive)
        # In place: assigning a buffer costs more than the sum.
        self.loss_sum.add_(loss)
        self.loss_steps.add_(1)
        interval = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # Lightning sets it
        if interval and self.global_step % interval == 0:
            # self.log takes time even for what is not written.
            self.log("train_loss", loss[self.alive].mean(), prog_bar=True)
        return torch.where(self.learning, term, 0.0).sum()

    @property
    def learning(self) -> Tensor:
        """The instances [M] that have neither diverged nor stopped."""
        return self.stopping.learning(self.alive)

    def last_step(self, index: int) -> int:
        """Return the optimiser steps of an instance: all there are, or those until it stopped."""
        return self.stopping.stopped(index) or self.global_step

    def on_train_start(self) -> None:
        """End at once if a checkpoint is that of an end: all instances had stopped."""
        self.trainer.should_stop |= self.stopping.is_over

    def _outputs(self, split: str, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor | None]:
        """Return the outputs of a batch, without the readout of a large vocabulary, and the state to carry on."""
        if not self.task.carries_state:
            return self(batch.inputs, batch.lengths), None
        state = self._carried.before(split, batch_idx, batch.inputs)
        return self.ensemble(batch.inputs, batch.lengths, state, carry=True, read=not self._reads_in_parts)

    @property
    def _reads_in_parts(self) -> bool:
        task = self.task
        large = task.carries_state and task.loss == "cross_entropy" and task.output_size >= LARGE_VOCABULARY
        # A metric of one's own reads the scores of all words.
        return large and not task.objectives

    def _sum_in_parts(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, int | Tensor]:
        """Return the summed cross-entropy per instance [M] and its number of terms, before the readout."""
        readout, targets = self.ensemble.network.readout, batch.targets.flatten()
        valid = None if batch.lengths is None else valid_steps(batch.lengths, batch.targets.shape[1]).flatten()
        total = summed_cross_entropy(outputs.flatten(1, 2), readout.weight, readout.bias, targets, valid)
        return total, len(targets) if valid is None else valid.sum()

    def _freeze_unless_finite(self, values: Tensor, ahead: int) -> None:
        if not known_to_be_finite(values):
            self._freeze_unless(values.isfinite(), ahead)

    def _freeze_unless(self, well: Tensor, ahead: int) -> None:
        """Freeze all instances but those that are ``well`` [M]: diverged ``ahead`` steps from now, 1 within a step."""
        if known_to_be_all(well):
            return
        step = self.global_step + ahead
        newly = ~well & self.learning
        self.diverged_at.copy_(torch.where(newly, step, self.diverged_at))
        self.alive.logical_and_(~newly)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return one optimiser over the stacked parameters and, if rates are to change, their schedule per step."""
        if self.trainer.gradient_clip_val:
            raise ValueError(
                "gradient_clip_val must be None: use gradient_clip_norm, which clips each instance by itself"
            )
        name, momentum, weight_decay, betas = self._optimizer
        optimizer = unit_rate_optimizer(name, self.ensemble.parameters(), momentum, weight_decay, betas)
        if self.schedule != "cosine" and not self.warmup_steps:
            return {"optimizer": optimizer}
        total_steps = self._total_steps() if self.schedule == "cosine" else 0
        if self.schedule == "cosine" and self.warmup_steps > total_steps:
            raise ValueError(f"warmup_steps must be at most {total_steps}, all steps, got {self.warmup_steps}")
        factor = schedule_factor(self.schedule, self.warmup_steps, total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}

    def _total_steps(self) -> int:
        # Not trainer.estimated_stepping_batches: it sets up the loaders before a checkpoint gives them their position.
        trainer = self.trainer
        if trainer.max_epochs is None or trainer.max_epochs < 0:
            if trainer.max_steps < 0:
                raise ValueError("max_steps or max_epochs of the Trainer must be given for schedule 'cosine'")
            return trainer.max_steps
        batches, limit = len(trainer.datamodule.train_dataloader()), trainer.limit_train_batches  # type: ignore[attr-defined]
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
        total = trainer.max_epochs * -(-batches // trainer.accumulate_grad_batches)
        return min(total, trainer.max_steps) if trainer.max_steps >= 0 else total

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip every instance's gradient by its own norm, and freeze those whose gradient is not finite."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        norms = gradient_norms(parameters)
        self._freeze_unless_finite(norms, ahead=1)
        clip_and_mask(parameters, norms, self.learning, self.gradient_clip_norm)

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable[[], Any] | None = None
    ) -> None:
        """Step every instance that learns with its own learning rate, and project it if it is to be stable."""
        step = InstanceStep(getattr(optimizer, "optimizer", optimizer))
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self._freeze_unless(step.finish(self.learning_rates, self.learning), ahead=1)
        # After the weights of frozen instances are restored, which an earlier step has projected.
        self.project(self.ensemble.network)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score a batch of the validation split (loader 0) or the test split (loader 1)."""
        self._score(SPLITS[dataloader_idx], batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Score a batch of the test split."""
        self._score("test", batch, batch_idx)

    def _score(self, split: str, batch: Batch, batch_idx: int) -> None:
        outputs, state = self._outputs(split, batch, batch_idx)
        if state is not None:
            self._carried.after(split, state, self.alive)
        summed = {"sums": self._sum_in_parts(outputs, batch)} if self._reads_in_parts else {}
        for metric in self._metrics[split]:
            metric.to(outputs.device).update(outputs, batch.targets, batch.lengths, **summed)
        if self._by_length and split == "test":
            self._by_length.update(outputs, batch)

    def on_validation_epoch_end(self) -> None:
        """Add a point to the learning curve, and keep the weights of instances at their best validation so far."""
        scores = {split: self._collect(split) for split in SPLITS}
        by_length = self._by_length.collect() if self._by_length else {}
        if self.trainer.sanity_checking:
            return
        ranked = scores["val"][self.task.ranked.name]
        self._freeze_unless_finite(ranked, ahead=0)
        self._keep_best(ranked)
        mean_loss = self.loss_sum / self.loss_steps
        point = {split: {name: values.tolist() for name, values in scores[split].items()} for split in SPLITS}
        train_loss = torch.where(self.alive, mean_loss, torch.nan).tolist()
        # Not current_epoch, which differs after the last step between a resumed run and an uninterrupted one.
        epoch = self.global_step / self.trainer.num_training_batches
        if by_length:
            point["by_length"] = {name: values.tolist() for name, values in by_length.items()}
        self.curve.append({"step": self.global_step, "epoch": epoch, "train_loss": train_loss, **point})
        self.loss_sum.zero_()
        self.loss_steps.zero_()
        for split in SPLITS:
            self._log_scores(split, scores[split])
        self._log_scores("test_by_length", by_length)
        self.trainer.should_stop |= self.stopping.is_over

    def on_test_epoch_end(self) -> None:
        """Log the test scores of the weights as they are."""
        self._log_scores("test", self._collect("test"))

    def _collect(self, split: str) -> dict[str, Tensor]:
        # torchmetrics makes a scalar of the one value of a single instance.
        scores: dict[str, Tensor] = {m.metric.name: torch.atleast_1d(m.compute()) for m in self._metrics[split]}
        for metric in self._metrics[split]:
            metric.reset()
        return scores

    def _log_scores(self, split: str, scores: dict[str, Tensor]) -> None:
        for name, values in scores.items():
            self.log(f"{split}/{name}", values[self.alive].mean(), prog_bar=split == "val")
            self.log_dict({f"{split}/{name}/{member}": v for member, v in enumerate(values)})

    def _keep_best(self, values: Tensor) -> None:
        sign = 1.0 if self.task.ranked.direction == "max" else -1.0
        # A comparison with NaN is false: any value beats none.
        learning = self.learning
        better = learning & ~(sign * values <= sign * self.best_value)
        self.best_value.copy_(torch.where(better, values, self.best_value))
        kept = better if self.test_at == "best" else learning
        self.learning_rates.mul_(self.stopping.after(self.global_step, better, self.alive))
        for name, tensor in self.ensemble.state_dict().items():
            before = self.best_weights.get(name, tensor).to(tensor.device)
            self.best_weights[name] = torch.where(along_instances(kept, tensor), tensor, before)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the learning curve, the best weights and, where batches continue each other, the state carried."""
        checkpoint["curve"] = self.curve
        checkpoint["best_weights"] = self.best_weights
        if self.task.carries_state:
            checkpoint["carried_state"] = self._carried.to_save()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what ``on_save_checkpoint`` added."""
        self.curve = checkpoint["curve"]
        self.best_weights = checkpoint["best_weights"]
        self._carried.restore(checkpoint.get("carried_state"), self.trainer.global_rank, self.trainer.world_size)

    @property
    def parameter_count(self) -> int:
        """Trainable parameters of one instance."""
        return sum(p.numel() for p in self.ensemble.parameters() if p.requires_grad) // self.ensemble.size

    @property
    def state_size(self) -> int:
        """S, everything that one instance carries in time."""
        return self.ensemble.network.recurrence.state_size
