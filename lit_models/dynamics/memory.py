"""Memory capacity: how much of every past input a linear readout finds in the state."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.seeds import named_generator
from rnnbench.lit_models.dynamics.precision import converted_copy
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.stacked import StackedRNN

# Below this probability under chance a delay counts as remembered: of 100 forgotten delays, 0.01 on average pass.
SIGNIFICANCE = 1e-4


@dataclass(frozen=True)
class MemoryCapacity:
    """The memory capacity of a recurrence and its parts.

    Attributes:
        delays: [P], in steps: 0 to P-1.
        capacity: [P], explained variance of the input of that many steps ago, summed over the D input features.
        total: [], the sum over delays.
        state_capacity: [P], as ``capacity``, from the states of all layers of a stack; the same for others.
        state_total: [], its sum.
    """

    delays: Tensor
    capacity: Tensor
    total: Tensor
    state_capacity: Tensor
    state_total: Tensor


@torch.no_grad()
def memory_capacity(
    recurrence: Recurrence,
    *,
    delays: int,
    steps: int,
    washout: int | None = None,
    sequences: int = 1,
    distribution: Literal["uniform", "normal"] = "uniform",
    regularisation: float | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> MemoryCapacity:
    """Return the short-term memory capacity Σ_τ R²(u_{t-τ} from h_t) of Jaeger 2002, delay 0 included.

    The inputs u are independent in time and over features. For each delay τ = 0 … P-1 and each feature, R² is the
    share of the variance of u_{t-τ} that an affine readout of the whole state h_t explains, where h_t has already seen
    u_t (hence delay 0 counts). Of a stack h_t is the state of the top layer, which alone reaches the readout; what the
    states of all layers explain is given too. Over all functions of the past together the capacity cannot exceed S
    (Dambre et al. 2012), and a linear recurrence whose states can all be reached from the inputs attains S with enough
    delays: n units of a controllable linear network with D = 1 remember n inputs.

    A readout of r state directions explains r/n of the variance of anything in n = ``sequences`` × ``steps`` samples.
    R² is corrected for that (1 - (1 - R²)(n-1)/(n-r-1)), and set to 0 where chance alone reaches it with a probability
    above 10⁻⁴ (n R² follows a χ² distribution of r degrees of freedom then). What is left is a sampling error that
    falls with 1/√n. Readouts are solved by a singular value decomposition of the centred state, each unit scaled to
    the same variance.

    Args:
        recurrence: of D inputs and S states; a copy of it is run, from its initial state.
        delays: P.
        steps: steps of each sequence that the readout is fitted to.
        washout: steps before them, at least P-1; None for P-1, but at least 100.
        sequences: number of independent sequences.
        distribution: of the inputs: ``uniform`` on [-1, 1], or ``normal`` with variance 1.
        regularisation: directions of the state below this share of the largest singular value are left out: rounding
            errors and, in long memories of many units, inputs too faint to read; None for 1,000 rounding units.
        seed: of the inputs.
        dtype: of the computation.

    Raises:
        ValueError: an argument is impossible, or the samples are too few for the state.
        FloatingPointError: the state becomes infinite or NaN.

    A shift register of three units remembers three inputs and nothing else:

    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> register = ElmanRNN(1, 3, time_activation="identity", initialisation="xavier")
    >>> with torch.no_grad():
    ...     _ = register.weight_ih.copy_(torch.tensor([[1.0], [0.0], [0.0]]))
    ...     _ = register.weight_hh.copy_(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    >>> measured = memory_capacity(register, delays=5, steps=500)
    >>> [round(value, 6) for value in measured.capacity.tolist()], round(measured.total.item(), 6)
    ([1.0, 1.0, 1.0, 0.0, 0.0], 3.0)
    """
    washout = max(delays - 1, 100) if washout is None else washout
    check_at_least(1, delays=delays, steps=steps, sequences=sequences)
    check_at_least(delays - 1, washout=washout)
    if regularisation is not None and not 0 <= regularisation < 1:
        raise ValueError(f"regularisation must be None, or at least 0 and below 1, got {regularisation}")
    needed = 2 * recurrence.state_size + 2
    if sequences * steps < needed:
        raise ValueError(
            f"steps × sequences must be at least {needed} for a state of {recurrence.state_size}, got "
            f"{steps} × {sequences}"
        )
    check_choice("distribution", distribution, ("uniform", "normal"))
    recurrence = converted_copy(recurrence, dtype)
    cutoff = 1000 * torch.finfo(dtype).eps if regularisation is None else regularisation
    # A recurrence without parameters starts in the default dtype whatever it was converted to.
    state = recurrence.initial_state(sequences).to(dtype)
    shape = (washout + steps, sequences, recurrence.input_size)
    # Drawn on the CPU, so that every device sees the same inputs.
    generator = named_generator("memory capacity", seed)
    if distribution == "uniform":
        inputs = 2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1
    else:
        inputs = torch.randn(shape, generator=generator, dtype=torch.float64)
    inputs = inputs.to(state)

    states = state.new_empty(steps, sequences, recurrence.state_size)
    for t, step_inputs in enumerate(inputs.unbind(0)):
        state = recurrence.step(step_inputs, state)
        if t >= washout:
            states[t - washout] = state
    if not states.isfinite().all():
        raise FloatingPointError(f"the state becomes infinite or NaN within {washout + steps} steps of random inputs")

    past = [inputs[washout - delay : washout - delay + steps].flatten(0, 1) for delay in range(delays)]

    def explained(seen: Tensor) -> Tensor:
        directions = _directions(seen, cutoff)
        return torch.stack([_explained_variance(directions, each).sum() for each in past])

    whole = states.flatten(0, 1)
    capacity = state_capacity = explained(whole)
    if isinstance(recurrence, StackedRNN):
        capacity = explained(whole[:, -recurrence.layers[-1].state_size :])
    ages = torch.arange(delays, device=capacity.device)
    return MemoryCapacity(ages, capacity, capacity.sum(), state_capacity, state_capacity.sum())


def _directions(states: Tensor, cutoff: float) -> Tensor:
    """Return an orthonormal basis [n, r] of what varies in states [n, S]; r is 0 where nothing does."""
    largest = states.abs().amax(0)
    varying = states / torch.where(largest > 0, largest, 1.0)  # squares of large states would overflow
    varying = varying - varying.mean(0)
    spread = varying.square().mean(0).sqrt()
    moves = spread > cutoff  # what is left of a constant unit are rounding errors of its mean
    if not moves.any():
        return states.new_empty(len(states), 0)
    basis, singular, _ = torch.linalg.svd(varying[:, moves] / spread[moves], full_matrices=False)
    return basis[:, singular > cutoff * singular[0]]


def _explained_variance(directions: Tensor, targets: Tensor) -> Tensor:
    """Return the corrected R² [D] of targets [n, D] from an orthonormal basis [n, r]; 0 where it may be chance."""
    samples, rank = directions.shape
    if not rank:
        return targets.new_zeros(targets.shape[1])
    targets = targets - targets.mean(0)
    share = (directions.T @ targets).square().sum(0) / targets.square().sum(0)
    corrected = 1 - (1 - share) * (samples - 1) / (samples - rank - 1)
    chance = torch.special.gammaincc(torch.full_like(share, rank / 2), samples * share / 2)
    return torch.where(chance < SIGNIFICANCE, corrected, 0.0)
