"""What maps share that are linear in their state, with coefficients that the inputs give."""

from abc import abstractmethod

import torch
from torch import Tensor

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.scan.contract import Scanned, takes
from rnnbench.lit_models.scan.linear.gated import gated_scan
from rnnbench.lit_models.scan.padding import freeze_padding, padding_mask

#: Entries of states that a scan without gradients holds at once: evaluation runs in batches of thousands.
MOST_ENTRIES = 2**22


class LinearMap(Recurrence):
    """A recurrence that is linear in its state, whose outputs are the first N numbers of the state.

    Where an output depends on more than the state that the map carries on, it is carried too, though no later state
    depends on it: of the Lyapunov exponents N are -∞ then, and the others are those of the map.
    """

    @abstractmethod
    def project(self, inputs: Tensor) -> Tensor:
        """Return what is affine in the inputs [..., D] of a step, [..., P]."""

    @abstractmethod
    def respond(self, projected: Tensor, state: Tensor, past: Tensor | None) -> Scanned:
        """Return all outputs [T, B, N] and the last state [B, S] of projected inputs [T, B, P] and a state [B, S].

        Steps that ``past`` [T, B, 1] marks leave the state as it is, but for the output that is part of it.
        """

    def scan_linear(self, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool) -> Scanned | None:
        """Respond to the whole sequence at once; as in ``Recurrence.scan_linear``."""
        if not takes(inputs, state, next(self.parameters())):
            return None
        outputs, passed, parts = [], 0, [inputs]
        if not torch.is_grad_enabled():
            parts = inputs.split(max(16, MOST_ENTRIES // max(1, state.numel())))
        for part in parts:
            left = None if lengths is None else (lengths - passed).clamp(0, len(part))
            past = None if left is None else padding_mask(left, part).bool()
            found, final = self.respond(self.project(part), state, past)
            if left is not None:
                found, final = freeze_padding(found, state, left, True, final)
            state, passed = final, passed + len(part)
            outputs.append(found if keep_outputs else inputs.new_empty(0))
        return torch.cat(outputs), state


class DiagonalMap(LinearMap):
    """h_t = a_t ∘ h_{t-1} + u_t, with a_t and u_t [..., N] that a subclass makes of projected inputs; S = N."""

    @abstractmethod
    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Return a and u, both [..., N], of projected inputs [..., P]."""

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next h [B, N]."""
        decay, driven = self.coefficients(projected)
        return decay * state + driven

    def respond(self, projected: Tensor, state: Tensor, past: Tensor | None) -> Scanned:
        """Scan over time, as in ``LinearMap.respond``."""
        decay, driven = self.coefficients(projected)
        if past is not None:
            decay, driven = decay.masked_fill(past, 1.0), driven.masked_fill(past, 0.0)
        states = gated_scan(decay, driven, state)
        return states, states[-1]


def affine(weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return [W, b] [P, D+1] of an affine map, with zeros for b if None."""
    return torch.cat([weight, (torch.zeros_like(weight[:, 0]) if bias is None else bias).unsqueeze(-1)], -1)


def compose(weight: Tensor, inner: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return [W V, W c + b] [P, D+1] of W [P, N] and b after an affine map [V, c] [N, D+1]."""
    found = weight @ inner
    return found if bias is None else torch.cat([found[:, :-1], found[:, -1:] + bias.unsqueeze(-1)], -1)
