"""Products of a step's Jacobian with many tangent vectors at once, and states along a trajectory."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import vjp, vmap

from rnnbench.lit_models.recurrence import Recurrence

#: Entries of states that are differentiated side by side, at most: 8 MB in double precision.
MOST_ENTRIES = 2**20


def tangent_products(recurrence: Recurrence, projected: Tensor, state: Tensor, tangents: Tensor) -> Tensor:
    """Multiply tangent vectors by the Jacobian of ``advance`` with respect to the state; the Jacobian is never built.

    J v is taken as the transpose of the linear map u ↦ Jᵀ u. It equals the product by dual numbers (``torch.func.jvp``
    under ``vmap``), which copies every intermediate tangent and takes 1.2 to 2 times as long.
    Of projected inputs [B, P], a state [B, S] and K vectors for each sequence [K, B, S], it returns [K, B, S]: row k, b
    is J_b tangents[k, b], with J_b = ∂ advance(projected, state)[b] / ∂ state[b].

    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> linear = ElmanRNN(1, 2, time_activation="identity").requires_grad_(False)
    >>> _ = linear.weight_hh.copy_(torch.tensor([[0.0, 2.0], [3.0, 0.0]]))
    >>> tangent_products(linear, torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([[[1.0, 0.0]]])).tolist()
    [[[0.0, 3.0]]]
    """
    following, transposed = vjp(lambda value: recurrence.advance(projected, value), state)[:2]
    product = vjp(lambda cotangent: transposed(cotangent)[0], torch.zeros_like(following))[1]
    return vmap(lambda tangent: product(tangent)[0])(tangents)


def run_states(recurrence: Recurrence, projected: Iterable[Tensor], state: Tensor) -> Tensor:
    """Return the states [T+1, B, S] before the first and after every step of projected inputs, T of [B, P].

    >>> from rnnbench.lit_models.recurrences.wcrnn import WCRNN
    >>> decaying = WCRNN(1, 1, r=0.5, gamma=0.0)
    >>> run_states(decaying, torch.zeros(2, 1, 1), torch.ones(1, 1)).flatten().tolist()
    [1.0, 0.5, 0.25]
    """
    states = [state]
    for step in projected:
        states.append(recurrence.advance(step, states[-1]))
    return torch.stack(states)


def linearised_step(recurrence: Recurrence, projected: Tensor, state: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next state [B, S], and the Jacobian with respect to the state [B, S] times one tangent [B, S].

    By dual numbers, which for a single tangent take less than ``tangent_products``; without gradients.

    >>> from rnnbench.lit_models.recurrences.wcrnn import WCRNN
    >>> decaying = WCRNN(1, 1, r=0.5, gamma=0.0).requires_grad_(False)
    >>> linearised_step(decaying, torch.zeros(1, 1), torch.ones(1, 1), torch.full((1, 1), 3.0))
    (tensor([[0.5000]]), tensor([[1.5000]]))
    """
    with forward_ad.dual_level():
        following = recurrence.advance(projected, forward_ad.make_dual(state, tangent))
        value, pushed = forward_ad.unpack_dual(following)
        return value.detach(), torch.zeros_like(value) if pushed is None else pushed.detach()


def jacobian_diagonal(recurrence: Recurrence, projected: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next states [R, S] of projected inputs [R, P] and states [R, S], and ∂ next_i / ∂ state_i [R, S].

    It takes S products with the Jacobian, as many side by side as ``MOST_ENTRIES`` allows.
    """
    rows, size = states.shape
    value, diagonal = states, torch.empty_like(states)
    for units in torch.arange(size, device=states.device).split(max(1, MOST_ENTRIES // (rows * size))):
        directions = torch.eye(size).to(states)[units].repeat_interleave(rows, 0)
        repeated = projected.repeat(len(units), 1), states.repeat(len(units), 1)
        following, pushed = linearised_step(recurrence, *repeated, directions)
        value = following[:rows]
        diagonal[:, units] = (
            pushed.unflatten(0, (-1, rows)).gather(2, units.view(-1, 1, 1).expand(-1, rows, 1))[..., 0].T
        )
    return value, diagonal
