"""What an affine readout of a recurrence's state explains, above chance: what capacities are made of."""

from typing import Literal

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_choice
from rnnbench.datamodules.seeds import named_generator
from rnnbench.lit_models.dynamics.precision import converted_copy
from rnnbench.lit_models.recurrence import Recurrence, check_recurrence

# Below this probability under chance a target counts as explained: of 100 others, 0.01 on average pass.
SIGNIFICANCE = 1e-4

Distribution = Literal["uniform", "normal"]


@torch.no_grad()
def driven_states(
    recurrence: Recurrence,
    steps: int,
    washout: int,
    sequences: int,
    dtype: torch.dtype,
    stream: tuple[str, int],
    distribution: Distribution = "uniform",
) -> tuple[Tensor, Tensor]:
    """Drive a copy of a recurrence by random inputs, from its initial state.

    Args:
        recurrence: of D inputs and S states.
        steps: those whose states are returned.
        washout: steps before them.
        sequences: B, independent of each other.
        dtype: of the computation.
        stream: name and seed of the inputs' random numbers.
        distribution: of the inputs: ``uniform`` on [-1, 1], or ``normal`` with variance 1.

    Returns:
        The inputs [washout + steps, B, D], and the states [steps, B, S] after the last of them.

    Raises:
        ValueError: there are too few steps for the size of the state.
        FloatingPointError: the state becomes infinite or NaN.
    """
    check_recurrence(recurrence)
    needed = 2 * recurrence.state_size + 2
    if sequences * steps < needed:
        raise ValueError(
            f"steps × sequences must be at least {needed} for a state of {recurrence.state_size}, got "
            f"{steps} × {sequences}"
        )
    check_choice("distribution", distribution, ("uniform", "normal"))
    recurrence = converted_copy(recurrence, dtype)
    # A recurrence without parameters starts in the default dtype whatever it was converted to.
    state = recurrence.initial_state(sequences).to(dtype)
    shape = (washout + steps, sequences, recurrence.input_size)
    # Drawn on the CPU, so that every device sees the same inputs.
    generator = named_generator(*stream)
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
    return inputs, states


def state_directions(states: Tensor, cutoff: float) -> Tensor:
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


def explained_variance(directions: Tensor, targets: Tensor, margin: float = 1.0) -> Tensor:
    """Return the corrected R² [D] of targets [n, D] from an orthonormal basis [n, r]; 0 where it may be chance.

    That is where n R² / ``margin`` is below the quantile 1 - 10⁻⁴ of the χ² distribution of r degrees of freedom.
    """
    samples, rank = directions.shape
    if not rank:
        return targets.new_zeros(targets.shape[1])
    targets = targets - targets.mean(0)
    share = (directions.T @ targets).square().sum(0) / targets.square().sum(0)
    corrected = 1 - (1 - share) * (samples - 1) / (samples - rank - 1)
    chance = torch.special.gammaincc(torch.full_like(share, rank / 2), samples * share / (2 * margin))
    return torch.where(chance < SIGNIFICANCE, corrected, 0.0)
