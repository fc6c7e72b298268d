"""The polynomial degree of what a recurrence computes, read off from how its output grows with the inputs."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least
from rnnbench.datamodules.seeds import named_generator
from rnnbench.lit_models.dynamics.precision import converted_copy
from rnnbench.lit_models.recurrence import Recurrence, check_recurrence

# The neglected lower degrees halve from one doubling to the next, so the slope is as far off as its last change.
SETTLED = 1e-3
# Scales that are run side by side.
CHUNK = 32


@dataclass(frozen=True)
class PolynomialDegree:
    """The degree of the output at every step as a polynomial of all inputs so far.

    Attributes:
        steps: [T], counted from 1.
        degree: [T], the median over the samples; -∞ for an output that is always 0, NaN where there is no slope.
        settled: [T], whether in most samples the slope no longer changed before the numbers overflowed.
    """

    steps: Tensor
    degree: Tensor
    settled: Tensor


@torch.no_grad()
def polynomial_degree(
    recurrence: Recurrence, length: int, *, samples: int = 8, dtype: torch.dtype = torch.float64
) -> PolynomialDegree:
    """Fit the degree of the output y_t as a polynomial of x_1 … x_t, for t = 1 … T.

    Along a ray s·x through random inputs x ~ N(0, 1) a polynomial of degree d grows as s^d, so that the slope of
    log‖y_t(s x)‖∞ against log s tends to d. It is taken over the last doubling of s before the numbers overflow (about
    10²⁹⁰ in double precision), separately for every step.

    In a stack of L second-order layers without activations (Lizaire et al. 2026) the degrees d_l(t) follow from the
    product of state and input: with h_0 = 0, d_l(t) = d_l(t-1) + d_{l-1}(t) and d_0 = 1, d_l(0) = 0. Pascal's rule
    solves that: d_L(t) = C(t+L-1, L).

    Bounded networks (tanh, an LSTM's gated output) have degree 0: their output saturates or dies out. A network of
    ReLUs has 1. Degrees above about 100 leave too few doublings to settle.

    A copy of the recurrence is run in ``dtype`` from its initial state, over T = ``length`` steps of ``samples``
    sequences; an impossible argument is a ValueError.

    One unit that multiplies: h_t = (h_{t-1} + 1) x_t.

    >>> from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
    >>> product = SecondOrderRNN(1, 1, time_activation="identity")
    >>> with torch.no_grad():
    ...     _ = product.weight.copy_(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]))
    >>> polynomial_degree(product, 4).degree.round(decimals=3).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    check_at_least(1, length=length, samples=samples)
    check_recurrence(recurrence)
    recurrence = converted_copy(recurrence, dtype)
    # Drawn on the CPU, so that every device sees the same inputs.
    generator = named_generator("polynomial degree", 0)
    inputs = torch.randn(length, samples, recurrence.input_size, generator=generator, dtype=torch.float64)
    inputs = inputs.to(recurrence.initial_state(1).device, dtype)

    # A margin keeps the sums within a step finite, too.
    limit = torch.finfo(dtype).max * 2.0**-60
    exponents = torch.arange(int(math.log2(limit)), device=inputs.device)
    found: list[Tensor] = []
    for chunk in exponents.split(CHUNK):
        sizes = _output_sizes(recurrence, inputs, chunk)
        found.append(torch.where(sizes < limit, sizes, torch.nan).log2())
        if found[-1][-1].isnan().all():
            break
    return _last_slopes(torch.cat(found))


def _output_sizes(recurrence: Recurrence, inputs: Tensor, exponents: Tensor) -> Tensor:
    """Return ‖y_t‖∞ [E, T, samples] for inputs [T, samples, D] scaled by two to the power of exponents [E]."""
    scales = 2 ** exponents.to(inputs)
    scaled = (scales.view(-1, 1, 1) * inputs.unsqueeze(1)).flatten(1, 2)
    # A recurrence without parameters starts in the default dtype whatever it was converted to.
    state = recurrence.initial_state(scaled.shape[1]).to(inputs)
    sizes = []
    for step_inputs in scaled.unbind(0):
        state = recurrence.step(step_inputs, state)
        sizes.append(recurrence.output(state).abs().amax(-1).unflatten(0, (len(exponents), -1)))
    return torch.stack(sizes, 1)


def _last_slopes(logs: Tensor) -> PolynomialDegree:
    """Return the slope over the last doubling before the first overflow in log₂‖y_t‖ [E, T, samples]."""
    valid = (~logs.isnan()).cumprod(0).sum(0)
    # An output of zero has the logarithm -∞.
    zero = (logs.isneginf() | logs.isnan()).all(0) & (valid > 0)

    def log_at(before_last: int) -> Tensor:
        index = valid - 1 - before_last
        taken = logs.gather(0, index.clamp(min=0).unsqueeze(0)).squeeze(0)
        return torch.where(index >= 0, taken, torch.nan)

    last, before = log_at(0) - log_at(1), log_at(1) - log_at(2)
    # What dies out, as behind a closing gate, is bounded.
    dead = log_at(0).isneginf()
    degree = torch.where(zero, -torch.inf, torch.where(dead, 0.0, last))
    settled = dead | ((last - before).abs() < SETTLED)
    steps = torch.arange(1, logs.shape[1] + 1, device=logs.device)
    return PolynomialDegree(steps, degree.nanmedian(-1).values, settled.double().mean(-1) > 0.5)
