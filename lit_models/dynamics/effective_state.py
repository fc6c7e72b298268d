"""How many dimensions of the state past inputs move: the rank of the map from them to it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad

from rnnbench.datamodules.checks import check_number
from rnnbench.lit_models.dynamics.lyapunov import prepared
from rnnbench.lit_models.dynamics.tangent import tangent_products
from rnnbench.lit_models.recurrence import Recurrence


@dataclass(frozen=True)
class EffectiveState:
    """The map from all inputs to the last state, linearised along B sequences.

    Attributes:
        singular_values: of ∂h_T / ∂(x_1, ..., x_T) [B, min(S, T D)], descending.
        rank: how many of them are above the tolerance [B].
        entropy: exp(-Σ p log p) with p the singular values divided by their sum [B]; 0 where all are 0.
    """

    singular_values: Tensor
    rank: Tensor
    entropy: Tensor


@torch.inference_mode(False)
@torch.no_grad()
def effective_state(
    recurrence: Recurrence,
    inputs: Tensor,
    *,
    tolerance: float = 1e-6,
    state: Tensor | None = None,
    dtype: torch.dtype = torch.float64,
) -> EffectiveState:
    """Return the rank of the map from past inputs to the state, at most S.

    The effective state size of Parnichkun et al. 2025 is the rank of the map from past inputs to future *outputs*, per
    channel of an operator: singular values above a tolerance, or without one the exponential of their entropy. Here it
    is that of the map to the state, the reachable part, of all features together, at the last step; a map that is not
    linear in its inputs is linearised along each sequence; and the tolerance is a share of the largest singular value.
    Of a linear recurrence it is the rank of its controllability matrix, and the same on all inputs. Where a map
    expands, the oldest inputs move the state most, all along its most expanding directions, and few singular values are
    left beside theirs.

    The tangents of all inputs are carried along, and replaced by the R of their QR decomposition, which has the same
    singular values, whenever there are more than 2 S: memory for B × (2 S + D) × S numbers.

    Args:
        recurrence: on the inputs' device; a copy in ``dtype`` is run.
        inputs: [T, B, D].
        tolerance: the share of the largest singular value from which on one counts.
        state: [B, S] before the first input; None for ``initial_state``.
        dtype: of the computation.

    Raises:
        ValueError: an argument is impossible.
        FloatingPointError: the state or a derivative becomes infinite or NaN.

    A shift register of four units holds the last four inputs, once there were so many:

    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> register = ElmanRNN(1, 4, time_activation="identity", initialisation="xavier")
    >>> with torch.no_grad():
    ...     _ = register.weight_ih.copy_(torch.eye(4)[:, :1]), register.weight_hh.copy_(torch.ones(3).diag(-1))
    >>> [effective_state(register, torch.ones(steps, 1, 1)).rank.item() for steps in (1, 3, 4, 9)]
    [1, 3, 4, 4]
    """
    check_number("tolerance", tolerance, low=0, high=1)
    recurrence, inputs, state = prepared(recurrence, inputs, state, dtype)
    batch_size, size = state.shape
    tangents = state.new_zeros(0, batch_size, size)
    for step in inputs.unbind(0):
        moved = tangent_products(recurrence, recurrence.project(step), state, tangents) if len(tangents) else tangents
        state, own = _input_tangents(recurrence, step, state)
        tangents = torch.cat([moved, own])
        if len(tangents) > 2 * size:
            tangents = torch.linalg.qr(tangents.transpose(0, 1), mode="r").R.transpose(0, 1)
    if not (state.isfinite().all() and tangents.isfinite().all()):
        raise FloatingPointError(f"the state or a derivative becomes infinite or NaN within {len(inputs)} steps")
    values = torch.linalg.svdvals(tangents.transpose(0, 1))
    share = values / values.sum(-1, keepdim=True)
    entropy = torch.where(values[:, 0] > 0, -torch.xlogy(share, share).sum(-1), -torch.inf).exp()
    return EffectiveState(values, (values > tolerance * values[:, :1]).sum(-1), entropy)


def _input_tangents(recurrence: Recurrence, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next state [B, S] and its derivatives by each of the inputs' features [D, B, S]."""
    batch_size, features = inputs.shape
    directions = torch.eye(features).to(inputs).repeat_interleave(batch_size, 0)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(inputs.repeat(features, 1), directions)
        following, pushed = forward_ad.unpack_dual(recurrence.step(dual, state.repeat(features, 1)))
        pushed = torch.zeros_like(following) if pushed is None else pushed
        return following[:batch_size].detach(), pushed.detach().unflatten(0, (features, batch_size))
