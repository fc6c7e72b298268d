"""What is lost when a recurrence sees the last k inputs only: states, outputs, scores (Miller & Hardt 2019)."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.task import Batch, Task
from rnnbench.lit_models.contraction import ORDERS, Contraction, Norm, contraction, contraction_norm
from rnnbench.lit_models.dynamics.batch_loss import split_batch
from rnnbench.lit_models.dynamics.precision import converted_copy
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.objective import instance_metrics
from rnnbench.lit_models.recurrence import Recurrence, check_recurrence
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation

#: Entries of the states that are run side by side, at most: 32 MB in double precision.
MOST_ENTRIES = 2**22

#: States that differ by no more than so many rounding units of their norm count as equal: rounding errors of two runs
#: would exceed a bound that falls without end.
ROUNDING_UNITS = 100


@dataclass(frozen=True)
class TruncationError:
    """Distances between a recurrence and its truncations. K numbers of inputs, T' measured steps, B sequences.

    Attributes:
        ks: numbers of inputs that the truncations see.
        state_error: ‖h_t - h_t^k‖ [K, T', B].
        output_error: ‖y_t - y_t^k‖ [K, T', B] in the same norm.
        state_norm: ‖h_t‖ [T', B].
        bound: λ^k (L_x B_x + ‖φ(0, 0)‖) / (1 - λ) [K], which the state's error cannot exceed; NaN where the map is not
            known to be contractive.
        norm: ``2``, or ``inf`` (LSTM, over (h, c)).
        contraction: λ and the other constants; None where none are known.
    """

    ks: tuple[int, ...]
    state_error: Tensor
    output_error: Tensor
    state_norm: Tensor
    bound: Tensor
    norm: Norm
    contraction: Contraction | None


@dataclass(frozen=True)
class TruncatedScores:
    """Scores of a network whose recurrence sees the last k inputs only.

    Attributes:
        ks: numbers of inputs.
        scores: for each metric of the task, its values [K] in double precision.
        full: for each metric, its value without truncation.
    """

    ks: tuple[int, ...]
    scores: dict[str, Tensor]
    full: dict[str, Tensor]


@torch.no_grad()
def truncation_error(
    recurrence: Recurrence,
    inputs: Tensor,
    ks: Sequence[int],
    *,
    lengths: Tensor | None = None,
    steps: Literal["last", "all"] = "last",
    readout: nn.Module | None = None,
    input_bound: float | None = None,
    dtype: torch.dtype = torch.float64,
) -> TruncationError:
    """Return how far the states h_t^k, reset to the initial state k steps before t, are from h_t.

    Before k inputs have been seen the two are the same. The bound holds from zero states on with inputs of at most
    B_x, in the 2-norm for ElmanRNN and the ∞-norm of (h, c) for LSTM (Miller & Hardt 2019, with the term ‖φ(0, 0)‖ for
    biases).

    Args:
        recurrence: stays as it is; a copy in ``dtype`` is run, step by step.
        inputs: [T, B, D].
        ks: numbers of inputs, each at least 1.
        lengths: [B], valid steps of each sequence, whose last step is its own; None for all T. For ``last`` only.
        steps: ``last``, T' = 1, costs Σ k steps; ``all``, T' = T, costs Σ k (T - k) steps, as many side by side as
            ``MOST_ENTRIES`` allows.
        readout: y is the readout of the output; None for the output itself.
        input_bound: B_x in the recurrence's norm; None for the largest of these inputs.
        dtype: in which all is computed.

    Raises:
        ValueError: an argument is impossible, inputs exceed ``input_bound``, or states or outputs are not finite.

    A running sum forgets nothing: what is cut off is missing.

    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> running_sum = ElmanRNN(1, 1, time_activation="identity", initialisation="xavier")
    >>> with torch.no_grad():
    ...     _ = running_sum.weight_ih.fill_(1.0), running_sum.weight_hh.fill_(1.0)
    >>> inputs = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1)
    >>> truncation_error(running_sum, inputs, [1, 2, 4]).state_error.flatten().tolist()
    [6.0, 3.0, 0.0]
    >>> truncation_error(running_sum, inputs, [2], steps="all").state_error.flatten().tolist()
    [0.0, 0.0, 1.0, 3.0]
    """
    check_recurrence(recurrence)
    ks = check_horizons(ks)
    check_choice("steps", steps, ("last", "all"))
    if inputs.dim() != 3 or 0 in inputs.shape:
        raise ValueError(f"inputs must have the shape [T, B, D] without an empty axis, got {list(inputs.shape)}")
    name = type(recurrence).__name__
    norm = contraction_norm(recurrence) or "2"
    cell, inputs = converted_copy(recurrence, dtype), inputs.to(dtype)
    starts = None
    if lengths is not None:
        if steps != "last":
            raise ValueError(f"steps must be 'last' for sequences of unequal lengths, got {steps!r}")
        inputs, starts = _end_together(inputs, lengths)
    constants = contraction(recurrence, _bound_of(inputs, norm, input_bound))
    head = nn.Identity() if readout is None else converted_copy(readout, dtype)
    total = len(inputs)
    first = total if steps == "last" else 1
    full = _states(cell, inputs, starts, first)
    outputs = _outputs(cell, head, full)
    if not (full.isfinite().all() and outputs.isfinite().all()):
        raise ValueError(f"states and outputs of {name} must be finite, but are not on these inputs")
    state_error, output_error = full.new_zeros(2, len(ks), *full.shape[:2]).unbind()
    for index, k in enumerate(ks):
        for start, restarted in _restarted(cell, inputs, starts, k, max(first, k + 1)):
            at = slice(start - first, start - first + len(restarted))
            state_error[index, at] = _sizes(full[at] - restarted, norm)
            output_error[index, at] = _sizes(outputs[at] - _outputs(cell, head, restarted), norm)
    if not (state_error.isfinite().all() and output_error.isfinite().all()):
        raise ValueError(f"states and outputs of truncations of {name} must be finite, but are not on these inputs")
    size = _sizes(full, norm)
    state_error = torch.where(state_error > ROUNDING_UNITS * torch.finfo(dtype).eps * size, state_error, 0.0)
    bounds = [math.nan if constants is None else constants.truncation_bound(k) for k in ks]
    return TruncationError(ks, state_error, output_error, size, full.new_tensor(bounds), norm, constants)


@torch.no_grad()
def truncated_scores(network: Network, task: Task, batch: Batch, ks: Sequence[int]) -> TruncatedScores:
    """Return a task's metrics of a trained network whose recurrence is replaced by its truncations to ``ks`` inputs.

    Copies of the network are scored, in its own precision and mode, on sequences [B, T, D] on its device; with k from T
    on, a truncation is the whole recurrence.

    Raises:
        ValueError: a k is impossible, or there is no sequence.

    >>> from rnnbench.datamodules.adding import Adding
    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> data = Adding(length=6, test_size=8)
    >>> data.setup()
    >>> scores = truncated_scores(Network.of(ElmanRNN(2, 3), data.task), data.task, data.samples("test", 8), [1, 6])
    >>> scores.ks, scores.scores["rmse"][1].item() == scores.full["rmse"].item()
    ((1, 6), True)
    """
    ks = check_horizons(ks)
    steps = batch.inputs.shape[1]
    full = batch_scores(network, task, batch)
    rows = []
    # At every step that is read out a window of its own is run, at once for all steps.
    windows = steps if network.readout_at == "every" else 1
    sequences = max(1, MOST_ENTRIES // (windows * network.recurrence.state_size))
    for k in ks:
        if k >= steps:
            rows.append(full)
            continue
        truncated = copy.deepcopy(network)
        truncated.recurrence = FeedForwardTruncation.of(truncated.recurrence, k)
        rows.append(batch_scores(truncated, task, batch, sequences))
    return TruncatedScores(ks, {name: torch.stack([row[name] for row in rows]) for name in full}, full)


def check_horizons(ks: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of inputs that truncations see.

    Raises:
        ValueError: there is none, or one is less than 1.

    >>> check_horizons([1, 0])
    Traceback (most recent call last):
    ValueError: ks[1] must be at least 1, got 0
    """
    if not ks:
        raise ValueError("ks must hold at least 1 number of inputs, got 0")
    check_at_least(1, **{f"ks[{index}]": k for index, k in enumerate(ks)})
    return tuple(ks)


def _sizes(vectors: Tensor, norm: Norm) -> Tensor:
    return torch.linalg.vector_norm(vectors, ORDERS[norm], -1)


def _bound_of(inputs: Tensor, norm: Norm, given: float | None) -> float:
    """Return B_x: what was given, if the inputs [T, B, D] keep to it, or else their largest norm."""
    largest = _sizes(inputs, norm).max().item()
    if not math.isfinite(largest):
        raise ValueError("inputs must be finite, but have an infinite or NaN entry")
    if given is None:
        return largest
    # Inputs rounded to single precision may exceed their bound by a rounding error.
    if not largest <= given * (1 + 1e-6):
        raise ValueError(f"input_bound must be at least {largest}, the largest norm of these inputs, got {given}")
    return max(given, largest)


def _end_together(inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return sequences [T, B, D] shifted so that all end at step T, zeros before them, and their first steps [B, 1]."""
    starts = len(inputs) - lengths
    places = torch.arange(len(inputs), device=inputs.device).unsqueeze(1) - starts
    shifted = inputs.gather(0, places.clamp(min=0).unsqueeze(-1).expand(-1, -1, inputs.shape[-1]))
    return torch.where((places >= 0).unsqueeze(-1), shifted, 0.0), starts.unsqueeze(-1)


def _states(cell: Recurrence, inputs: Tensor, starts: Tensor | None, first: int) -> Tensor:
    """Return the states after ``first``, ..., T inputs [T - first + 1, B, S]."""
    state = cell.initial_state(inputs.shape[1]).to(inputs)
    kept = []
    for count, x in enumerate(inputs.unbind(0), start=1):
        following = cell.step(x, state)
        state = following if starts is None else torch.where(count > starts, following, state)
        if count >= first:
            kept.append(state)
    return torch.stack(kept)


def _outputs(cell: Recurrence, head: nn.Module, states: Tensor) -> Tensor:
    """Return the readouts [W, B, K] of states [W, B, S]."""
    # The contract of ``output`` knows one batch axis only.
    return head(cell.output(states.flatten(0, 1))).unflatten(0, states.shape[:2])


def _restarted(
    cell: Recurrence, inputs: Tensor, starts: Tensor | None, k: int, first: int
) -> Iterator[tuple[int, Tensor]]:
    """Yield the states after ``first``, ..., T inputs of which the last k were seen: counts and states [W, B, S]."""
    total, batch_size, _ = inputs.shape
    windows = max(1, MOST_ENTRIES // (batch_size * cell.state_size))
    for start in range(first, total + 1, windows):
        count = min(windows, total + 1 - start)
        state = cell.initial_state(count * batch_size).to(inputs)
        for age in range(k):
            oldest = start - k + age
            following = cell.step(inputs[oldest : oldest + count].flatten(0, 1), state)
            # Sequences that start late are measured at one step only.
            state = following if starts is None else torch.where(oldest >= starts, following, state)
        yield start, state.unflatten(0, (count, batch_size))


def batch_scores(network: Network, task: Task, batch: Batch, sequences: int | None = None) -> dict[str, Tensor]:
    """Return every metric of a network on a batch, so many sequences at a time (None: all at once), by its name."""
    # Not over devices: one of them measures while the others wait.
    metrics = instance_metrics(task, 1, over_devices=False)
    for inputs, targets, lengths in split_batch(batch, None, sequences or max(1, len(batch.inputs))):
        outputs = network(inputs, lengths).unsqueeze(0)
        for metric in metrics:
            metric.to(outputs.device).update(outputs, targets, lengths)
    return {metric.metric.name: metric.compute().reshape(()) for metric in metrics}
