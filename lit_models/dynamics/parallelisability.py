"""How many Newton iterations over the whole sequence at once give the states of a recurrence, against its length T."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_number
from rnnbench.lit_models.dynamics.lyapunov import prepared
from rnnbench.lit_models.dynamics.tangent import jacobian_diagonal, linearised_step, run_states
from rnnbench.lit_models.recurrence import Recurrence


@dataclass(frozen=True)
class Parallelisability:
    """Iterations until the states of the first T steps are those of the sequential run. K lengths, B sequences.

    Attributes:
        steps: lengths T [K].
        newton: iterations of Newton's method [K, B].
        diagonal: of its variant with the Jacobian's diagonal alone [K, B].
    """

    steps: tuple[int, ...]
    newton: Tensor
    diagonal: Tensor


@torch.inference_mode(False)
@torch.no_grad()
def parallelisability(
    recurrence: Recurrence,
    inputs: Tensor,
    steps: Sequence[int],
    *,
    tolerance: float = 1e-6,
    state: Tensor | None = None,
    dtype: torch.dtype = torch.float64,
) -> Parallelisability:
    """Count the iterations of Newton's method on a whole sequence of states (DEER, Lim et al. 2024) and of its variant.

    With f(x_t, h_{t-1}) the recurrence's step and A_t its Jacobian with respect to the state at the guess h_{t-1}, an
    iteration solves the linear recurrence

        h'_t = f(x_t, h_{t-1}) + A_t (h'_{t-1} - h_{t-1}),   h'_0 = h_0,

    for the next guess h', which a machine may do for all t at once; ``diagonal`` keeps the diagonal of A_t alone
    (quasi-DEER, Gonzalez et al. 2024). The first guess is the initial state at every step; where a guess is not finite
    it starts from there again (``reset`` in the code of Gonzalez et al. 2025). Counted are the iterations after which
    no state of the first T steps is farther than ``tolerance`` × max(1, ‖h_t‖∞) from that of the sequential run, in the
    ∞-norm: their code stops at a small residual instead, which in chaos can belong to a wrong path. Of a map that is
    linear in the state it is 1, whatever its exponents; where the diagonal is zero, i iterations see the last i inputs,
    as a truncation does.

    Step i is exact after i iterations, so that T always suffice, and no more are counted: these steps are taken from
    the sequential run, since in chaos their rounding errors would grow along the rest of the sequence. As guesses at t
    depend on earlier ones only, the longest T gives the counts of all others.

    The linear recurrence is solved step by step, by one product with A_t each, without forming A_t: memory for
    T × B × S numbers. Its diagonal takes S products for all steps side by side (``tangent.MOST_ENTRIES``), and as many
    numbers again. The time is up to T²/2 products, where T iterations are needed.

    Args:
        recurrence: on the inputs' device; a copy in ``dtype`` is run.
        inputs: [T, B, D].
        steps: lengths, each from 1 to T, increasing.
        tolerance: largest distance of a state.
        state: [B, S] before the first input; None for ``initial_state``.
        dtype: of the computation.

    Raises:
        ValueError: an argument is impossible.
        FloatingPointError: the states of the sequential run are not finite.

    Two units that hand each other half of their value: the map is linear, and its diagonal is zero.

    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> swap = ElmanRNN(1, 2, time_activation="identity", initialisation="xavier")
    >>> with torch.no_grad():
    ...     _ = swap.weight_ih.fill_(1.0), swap.weight_hh.copy_(torch.tensor([[0.0, 0.5], [0.5, 0.0]]))
    >>> found = parallelisability(swap, torch.ones(40, 1, 1), [5, 20, 40], tolerance=1e-3)
    >>> found.newton.flatten().tolist(), found.diagonal.flatten().tolist()
    ([1.0, 1.0, 1.0], [5.0, 10.0, 10.0])
    """
    check_at_least(1, **{f"steps[{index}]": length for index, length in enumerate(steps)})
    if not steps or any(low >= high for low, high in itertools.pairwise(steps)) or steps[-1] > len(inputs):
        raise ValueError(
            f"steps must increase and be at most {len(inputs)}, the steps of the inputs, got {list(steps)}"
        )
    check_number("tolerance", tolerance, above=0)
    recurrence, inputs, state = prepared(recurrence, inputs[: steps[-1]], state, dtype)
    projected = recurrence.project(inputs)
    states = run_states(recurrence, projected, state)
    if not states.isfinite().all():
        raise FloatingPointError(f"the state becomes infinite or NaN within {len(inputs)} steps")
    newton, diagonal = (_iterations(recurrence, projected, states, steps, tolerance, alone) for alone in (False, True))
    return Parallelisability(tuple(steps), newton, diagonal)


def _iterations(
    recurrence: Recurrence, projected: Tensor, states: Tensor, steps: Sequence[int], tolerance: float, diagonal: bool
) -> Tensor:
    """Return the iterations [K, B] that give the states [T + 1, B, S] of projected inputs [T, B, P] up to each T."""
    start, guess = states[0], states[:1].repeat(len(states), 1, 1)
    allowed = tolerance * states.abs().amax(-1).clamp(min=1)
    found = allowed.new_full((len(steps), len(start)), math.nan)
    for count in range(len(states)):
        if count:
            known = count - 1
            following = _iterate(recurrence, projected[known:], guess[known:], diagonal)
            finite = following.isfinite().all(-1, keepdim=True)
            guess[count:] = torch.where(finite, following, start)
            guess[count] = states[count]
        right = ((guess - states).abs().amax(-1) <= allowed).cummin(0).values[list(steps)]
        found = torch.where(found.isnan() & right, float(count), found)
        if not found.isnan().any():
            break
    return found


def _iterate(recurrence: Recurrence, projected: Tensor, guess: Tensor, diagonal: bool) -> Tensor:
    """Return the next guess [T, B, S] after the first of the guessed states [T + 1, B, S], which is exact."""
    change, found = torch.zeros_like(guess[0]), []
    if diagonal:
        flat = jacobian_diagonal(recurrence, projected.flatten(0, 1), guess[:-1].flatten(0, 1))
        values, slopes = (each.view_as(guess[:-1]) for each in flat)
    for t, following in enumerate(guess[1:]):
        if diagonal:
            found.append(values[t] + slopes[t] * change)
        else:
            found.append(torch.add(*linearised_step(recurrence, projected[t], guess[t], change)))
        change = found[-1] - following
    return torch.stack(found)
