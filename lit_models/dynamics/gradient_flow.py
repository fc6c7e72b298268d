"""How the loss's gradient with respect to the state changes through backpropagation in time."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnbench.datamodules.task import Batch, Task
from rnnbench.lit_models.dynamics.batch_loss import split_batch
from rnnbench.lit_models.dynamics.precision import converted_copy
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.objective import loss_of_sums, loss_quantity, scored_sum


@dataclass(frozen=True)
class GradientFlow:
    """∂L_b/∂h_t, the gradient of a sequence's own loss with respect to its whole state h_t after step t = 1, …, T.

    Attributes:
        norm_inf: largest magnitude of an entry [T, B].
        norm_2: Euclidean norm [T, B].
        slope: least-squares slope of log ‖∂L_b/∂h_t‖₂ against the number of steps from t to the end [B], in nats per
            step: negative where gradients vanish backwards in time. NaN where a norm is 0, and for a single step.
        loss: L_b [B].
    """

    norm_inf: Tensor
    norm_2: Tensor
    slope: Tensor
    loss: Tensor


@torch.inference_mode(False)
@torch.enable_grad()
def gradient_flow(
    network: Network, task: Task, batch: Batch, *, dtype: torch.dtype = torch.float64, chunk: int = 128
) -> GradientFlow:
    """Measure the gradients of backpropagation through time (Dubinin & Effenberger 2024, Fig. 2D, 5D, B.4B).

    L_b is the loss of sequence b alone: the mean over its scored steps and outputs, and for a task of loss ``rmse`` the
    root of that mean (so a perfect sequence has gradient 0, as in training). A gradient is total: through later states
    and, where there is a readout at every step, through the step's own output. Past its length a sequence's state is
    frozen: the norms are constant there (with a readout at every step they fall, as fewer scored steps are left), and
    the slope is over the steps up to the length.

    A copy of the network is run in ``dtype`` and evaluation mode, on at most ``chunk`` sequences at a time.

    Raises:
        ValueError: an argument is not allowed.
        FloatingPointError: a sequence's loss or gradient is not finite.

    A state that halves at each step, h_t = h_{t-1} / 2 + x_t: so do gradients, backwards in time.

    >>> import math
    >>> from rnnbench.datamodules.task import Metric
    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> network = Network(ElmanRNN(1, 1, time_activation="identity"), 1, "last").requires_grad_(False)
    >>> for weight, value in zip(network.parameters(), (1.0, 0.5, 0.0, 0.0, 1.0, 0.0), strict=True):
    ...     _ = weight.fill_(value)
    >>> task = Task("sum", 1, 1, 3, "last", "mse", (Metric("mse", "min", 1.0, 0.0),))
    >>> flow = gradient_flow(network, task, Batch(torch.ones(1, 3, 1), torch.ones(1, 1), None))
    >>> flow.norm_2.flatten().tolist(), math.isclose(flow.slope.item(), math.log(0.5))
    ([0.375, 0.75, 1.5], True)
    """
    # Without gradients of the weights only states are kept for the backward pass.
    frozen = converted_copy(network, dtype).requires_grad_(False)
    parts = [_flow(frozen, task, part) for part in split_batch(batch, dtype, chunk)]
    norm_inf, norm_2 = (torch.cat([part[index] for part in parts], 1) for index in (0, 1))
    return GradientFlow(norm_inf, norm_2, _slopes(norm_2, batch.lengths), torch.cat([part[2] for part in parts]))


def _flow(network: Network, task: Task, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return the norms [T, B], of maximum and Euclidean, and the losses [B]."""
    recurrence = network.recurrence
    # Inputs that require gradients start a graph even for states that forget the past.
    encoded = network.encoder(batch.inputs.transpose(0, 1)).detach().requires_grad_()
    state = recurrence.initial_state(encoded.shape[1])
    states, outputs = [], []
    for t, projected in enumerate(recurrence.project(encoded).unbind(0)):
        following = recurrence.advance(projected, state)
        state = following if batch.lengths is None else torch.where((t < batch.lengths)[:, None], following, state)
        states.append(state)
        if network.readout_at == "every":
            outputs.append(network.readout(recurrence.output(state)))
    answers = torch.stack(outputs, 1) if outputs else network.readout(recurrence.output(state))
    losses, terms = loss_of_sums(task, *_sums(task, answers, batch), over_devices=False)
    # A state may act on no loss at all: past the last scored step, or in a part that no output reads.
    gradients = torch.autograd.grad(terms.sum(), states, materialize_grads=True)
    norm_inf = torch.stack([gradient.abs().amax(-1) for gradient in gradients])
    norm_2 = torch.stack([torch.linalg.vector_norm(gradient, dim=-1) for gradient in gradients])
    finite = losses.isfinite() & norm_2.isfinite().all(0)
    if not finite.all():
        raise FloatingPointError(
            f"{int((~finite).sum())} of {len(losses)} sequences have a loss or a gradient that is not finite"
        )
    return norm_inf, norm_2, losses


def _sums(task: Task, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return every sequence's own sum [B] over what is scored, and its number of terms [B]."""
    whole = torch.full((len(outputs),), batch.inputs.shape[1], device=outputs.device)
    lengths = whole if batch.lengths is None else batch.lengths

    def own(output: Tensor, target: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        scored = output[None, None], target[None], task.loss_steps, length.reshape(1)
        total, count = scored_sum(loss_quantity(task), *scored)
        return total[0], torch.as_tensor(count, device=outputs.device)

    sums: tuple[Tensor, Tensor] = torch.vmap(own)(outputs, batch.targets, lengths)
    return sums


def _slopes(norms: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the slope [B] of log norms [T, B] against steps to the end, over steps up to each sequence's length."""
    steps = torch.arange(1, len(norms) + 1, device=norms.device).unsqueeze(-1)
    ends = torch.full_like(norms[0], len(norms)) if lengths is None else lengths.to(norms)
    weights = (steps <= ends).to(norms)
    remaining = weights * (ends - steps)
    centred = weights * (remaining - remaining.sum(0) / ends)
    logs = torch.where(weights > 0, norms, 1).log()
    slopes = (centred * logs).sum(0) / centred.square().sum(0)
    return torch.where(logs.isfinite().all(0), slopes, torch.nan)
