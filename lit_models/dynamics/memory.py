"""Memory capacity: how much of every past input a linear readout finds in the state."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.dynamics.linear_readout import (
    Distribution,
    driven_states,
    explained_variance,
    state_directions,
)
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.stacked import StackedRNN


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
    distribution: Distribution = "uniform",
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
    stream = "memory capacity", seed
    inputs, states = driven_states(recurrence, steps, washout, sequences, dtype, stream, distribution)
    cutoff = 1000 * torch.finfo(dtype).eps if regularisation is None else regularisation
    past = [inputs[washout - delay : washout - delay + steps].flatten(0, 1) for delay in range(delays)]

    def explained(seen: Tensor) -> Tensor:
        directions = state_directions(seen, cutoff)
        return torch.stack([explained_variance(directions, each).sum() for each in past])

    whole = states.flatten(0, 1)
    capacity = state_capacity = explained(whole)
    if isinstance(recurrence, StackedRNN):
        capacity = explained(whole[:, -recurrence.layers[-1].state_size :])
    ages = torch.arange(delays, device=capacity.device)
    return MemoryCapacity(ages, capacity, capacity.sum(), state_capacity, state_capacity.sum())
