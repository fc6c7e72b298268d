"""A recurrent network and its feed-forward truncations, trained in parallel on the same batches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from rnnbench.datamodules.checks import check_choice, check_number
from rnnbench.datamodules.task import Batch, Task
from rnnbench.lit_models.dynamics.batch_loss import split_batch
from rnnbench.lit_models.dynamics.precision import converted_copy
from rnnbench.lit_models.dynamics.truncation import check_horizons
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.objective import training_loss
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation


@dataclass(frozen=True)
class TruncatedTraining:
    """How far apart recurrent and truncated training run.

    Attributes:
        ks: [K], numbers of inputs that the truncated networks see.
        distance: [K, steps], ‖w_t - w_t^k‖₂ over all trained parameters after t = 1 … steps updates; infinite or NaN
            from where one of the two diverged.
        moved: [steps], ‖w_t - w_0‖₂, how far training moved the recurrent network.
        relative: [K, steps], distance / moved: 0 for the same training, about 1 for an unrelated one.
    """

    ks: Tensor
    distance: Tensor
    moved: Tensor
    relative: Tensor


@torch.inference_mode(False)
def truncated_training(
    network: Network,
    task: Task,
    batches: Iterable[Batch],
    ks: Sequence[int],
    *,
    learning_rate: float,
    decay: Literal["constant", "1/t"] = "constant",
    gradient_clip_norm: float | None = None,
    project: Callable[[Network], object] | None = None,
    dtype: torch.dtype = torch.float64,
) -> TruncatedTraining:
    """Train a network and, for each k, the same network truncated to its last k inputs, from the same weights.

    All take the same steps of plain gradient descent on the same batches, w_t = w_{t-1} - α_t ∇L_t, with α_t = α or,
    as in the theorem of Miller & Hardt 2019, α/t: the weights of a contractive recurrence (factor λ) and of its
    truncation then stay close, as the gradients differ by O(k λ^k). A truncation of k ≥ T is the network itself: its
    distance is 0 up to rounding.

    Copies of the network are trained, in ``dtype``; of the batches, on any device, each step takes one. The learning
    rate is α, the ``ks`` are at least 1, and ``gradient_clip_norm`` is the largest 2-norm of a gradient, None for any.
    ``project`` is called on each network after each of its steps: the theorem's projection to contractive weights.

    Raises:
        ValueError: an argument is impossible, or there are no batches or nothing to train.

    A network without a connection from state to state is its own truncation:

    >>> from rnnbench.datamodules.adding import Adding
    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> task = Adding(length=5).task
    >>> network = Network(ElmanRNN(2, 3), task.output_size, task.readout)
    >>> _ = torch.nn.init.zeros_(network.recurrence.weight_hh).requires_grad_(False)
    >>> batch = Batch(torch.ones(4, 5, 2), torch.ones(4, 1), None)
    >>> measured = truncated_training(network, task, [batch] * 3, [1, 2], learning_rate=0.1)
    >>> measured.distance.round(decimals=12).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    ks = check_horizons(ks)
    check_choice("decay", decay, ("constant", "1/t"))
    check_number("learning_rate", learning_rate, above=0)
    if gradient_clip_norm is not None:
        check_number("gradient_clip_norm", gradient_clip_norm, above=0)
    learners = [_Learner(network, k, dtype) for k in (None, *ks)]
    start = learners[0].weights()
    moved: list[Tensor] = []
    distance: list[Tensor] = []
    for step, batch in enumerate(batches, 1):
        rate = learning_rate / step if decay == "1/t" else learning_rate
        (here,) = split_batch(batch, dtype, len(batch.inputs), start.device)
        for learner in learners:
            learner.update(task, here, rate, gradient_clip_norm)
            if project is not None:
                project(learner.network)
        full, *truncated = (learner.weights() for learner in learners)
        moved.append((full - start).norm())
        distance.append(torch.stack([(full - each).norm() for each in truncated]))
    if not distance:
        raise ValueError("batches must hold at least 1 batch, got 0")
    apart, way = torch.stack(distance, 1), torch.stack(moved)
    return TruncatedTraining(torch.tensor(ks, device=start.device), apart, way, apart / way)


class _Learner:
    """A copy of a network, truncated to k inputs unless k is None, that descends its own gradient."""

    def __init__(self, network: Network, k: int | None, dtype: torch.dtype) -> None:
        self.network = converted_copy(network, dtype)
        self.parameters = [each for each in self.network.parameters() if each.requires_grad]
        if not self.parameters:
            raise ValueError("network must have a parameter that requires a gradient, but all are frozen")
        if k is not None:
            self.network.recurrence = FeedForwardTruncation.of(self.network.recurrence, k)

    def weights(self) -> Tensor:
        return parameters_to_vector(self.parameters).detach()

    @torch.enable_grad()
    def update(self, task: Task, batch: Batch, rate: float, clip: float | None) -> None:
        outputs = self.network(batch.inputs, batch.lengths).unsqueeze(0)
        loss = training_loss(task, outputs, batch, over_devices=False)[1]
        gradients = torch.autograd.grad(loss, self.parameters, materialize_grads=True)
        if clip is not None:
            norm = torch.stack([each.norm() for each in gradients]).norm()
            rate = rate * (clip / norm).clamp(max=1.0)
        with torch.no_grad():
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter.sub_(rate * gradient)
