"""Information processing capacity: which functions of past inputs a linear readout finds in the state."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.dynamics.linear_readout import driven_states, explained_variance, state_directions
from rnnbench.lit_models.recurrence import Recurrence, check_recurrence

#: How far above its χ² quantile an explained variance must lie: functions of the same inputs are not independent.
MARGIN = 2.0
#: Functions whose values are computed at once.
CHUNK = 64


@dataclass(frozen=True)
class ProcessingCapacity:
    """Explained variance of functions of past inputs, by their degree and by the largest of their delays.

    Attributes:
        degrees: [G], 1 to G.
        delays: [P], 0 to P-1, as many as the lowest degree has; higher ones have fewer, and zeros beyond.
        capacity: [G, P], summed over the functions of a degree whose largest delay this is.
        by_degree: [G], summed over delays.
        total: [], the sum of all.
        rank: linearly independent state variables that vary, which ``total`` cannot exceed but for its sampling error.
    """

    degrees: Tensor
    delays: Tensor
    capacity: Tensor
    by_degree: Tensor
    total: Tensor
    rank: int


@torch.no_grad()
def processing_capacity(
    recurrence: Recurrence,
    *,
    degrees: int = 3,
    functions: int = 1000,
    steps: int = 4000,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> ProcessingCapacity:
    """Return the capacities of products of Legendre polynomials of delayed inputs (Dambre et al. 2012).

    The inputs u are independent in time and over features, uniform on [-1, 1]. Products Π √(2k+1) P_k(u_{t-τ}) over
    delays and features are then orthonormal, and of degree Σ k. The capacity of each is the share of its variance that
    an affine readout of all S state variables explains. Over all such functions together the sum is at most the number
    of linearly independent state variables, and equals it for fading memory: what is missing from it here lies at
    higher degrees and longer delays than those looked at. Degree 1 alone is the ``state_capacity`` of
    ``memory_capacity``, on the same number of delays.

    Chance explains r/n of anything in n = ``steps`` samples, with r the number of independent state variables. A
    capacity is corrected for that, and set to 0 where it is less than ``MARGIN`` = 2 times the 1 - 10⁻⁴ quantile of the
    χ² distribution of r degrees of freedom, divided by n (the factor as in the authors' code; correction: see
    ``memory_capacity``). Capacities below that threshold, about 2 r/n, are missed: the smaller they are and the larger
    the state, the more steps are needed.

    Args:
        recurrence: of D inputs and S states; a copy of it is run, from its initial state.
        degrees: G.
        functions: of each degree at most so many; from that follow the delays, those below P with C(P D + d - 1, d)
            functions of degree d.
        steps: n, after as many steps of washout as there are delays, at least 100.
        seed: of the inputs.
        dtype: of the computation.

    Raises:
        ValueError: an argument is impossible, or there are too few steps for the size of the state.
        FloatingPointError: the state becomes infinite or NaN.

    A shift register of three units remembers three inputs, and computes nothing of them:

    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> register = ElmanRNN(1, 3, time_activation="identity", initialisation="xavier")
    >>> with torch.no_grad():
    ...     _ = register.weight_ih.copy_(torch.eye(3)[:, :1]), register.weight_hh.copy_(torch.ones(2).diag(-1))
    >>> measured = processing_capacity(register, degrees=2, functions=10, steps=500)
    >>> [[round(value, 6) for value in row] for row in measured.capacity[:, :4].tolist()], measured.rank
    ([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]], 3)
    """
    check_at_least(1, degrees=degrees, functions=functions, steps=steps)
    check_recurrence(recurrence)
    features = recurrence.input_size
    windows = [_window(degree, functions, features) for degree in range(1, degrees + 1)]
    if not windows[-1]:
        least = math.comb(features + degrees - 1, degrees)
        raise ValueError(
            f"functions must be at least {least} for degree {degrees} of {features} inputs, got {functions}"
        )
    washout = max(windows[0] - 1, 100)
    inputs, states = driven_states(recurrence, steps, washout, 1, dtype, ("processing capacity", seed))
    directions = state_directions(states.flatten(0, 1), 1000 * torch.finfo(dtype).eps)
    polynomials = _legendre(inputs.flatten(0, 1), degrees)
    capacity = states.new_zeros(degrees, windows[0])
    for degree, window in enumerate(windows, start=1):
        for products in _chunks(degree, window * features):
            targets = torch.stack([_values(polynomials, product, washout) for product in products], 1)
            last = torch.tensor([product[-1] // features for product in products], device=capacity.device)
            capacity[degree - 1].index_add_(0, last, explained_variance(directions, targets, MARGIN))
    of_degree = capacity.sum(1)
    ages, orders = torch.arange(windows[0]).to(last), torch.arange(1, degrees + 1).to(last)
    return ProcessingCapacity(orders, ages, capacity, of_degree, of_degree.sum(), directions.shape[1])


def _window(degree: int, functions: int, features: int) -> int:
    """Return the largest number of delays that have at most so many products of a degree.

    >>> [_window(degree, 1000, 1) for degree in (1, 2, 3)]
    [1000, 44, 17]
    """
    counts = (math.comb(window * features + degree - 1, degree) for window in itertools.count(1))
    return next(window for window, count in enumerate(counts) if count > functions)


def _chunks(degree: int, variables: int) -> Iterator[list[tuple[int, ...]]]:
    """Yield all products of a degree: of variables in increasing order, one as often as its polynomial's degree."""
    products = itertools.combinations_with_replacement(range(variables), degree)
    while chunk := list(itertools.islice(products, CHUNK)):
        yield chunk


def _legendre(inputs: Tensor, degrees: int) -> Tensor:
    """Return the Legendre polynomials of degree 0 to G of inputs [n, D], of variance 1 over [-1, 1]: [G + 1, n, D]."""
    plain = [torch.ones_like(inputs), inputs]
    for k in range(1, degrees):
        plain.append(((2 * k + 1) * inputs * plain[k] - k * plain[k - 1]) / (k + 1))
    return torch.stack([math.sqrt(2 * k + 1) * each for k, each in enumerate(plain)])


def _values(polynomials: Tensor, product: tuple[int, ...], washout: int) -> Tensor:
    """Return the values [steps] of a product, variable τ D + i being the i-th input of τ steps ago."""
    total, features = polynomials.shape[1:]
    values = polynomials.new_ones(total - washout)
    for variable, degree in Counter(product).items():
        delay, feature = divmod(variable, features)
        values = values * polynomials[degree, washout - delay : total - delay, feature]
    return values
