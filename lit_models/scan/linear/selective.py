"""Mamba's selective scan, step by step: whole sequences of its decays would not fit into a processor's cache."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands

# Gradients of the last step alone decay to denormal numbers, which take several times as long as others: so many steps
# apart, those that would soon be are set to zero.
_FLUSH_EVERY = 16


class SelectiveKernel(NamedTuple):
    """h_t = exp(-Δ_t r) ∘ h_{t-1} + u_t B_tᵀ and y_t = h_t C_t, as a ``ScanKernel``; it keeps h for the backward pass.

    Inputs are [Δ, u, B, C] [T, M or 1, B, 2N + 2K], the state is h [M, B, N K], the one weight the rates r [M, N, K];
    N are the ``units``. Within, h is [M, K, B, N]: operations run along sequences and units, the longest axes.
    """

    units: int

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, first, (rates,) = given
        steps, entering, enter, leave = self._parts(inputs, rates)
        state = _inside(first, rates)
        states = state.new_empty(len(inputs) if store else 1, *state.shape)
        outputs = state.new_empty(len(inputs) if keep_outputs else 0, len(state), *state.shape[2:])
        rates = -rates.mT.unsqueeze(2)
        for t in range(len(inputs)):
            decay = (steps[t] * rates).exp_()
            state = torch.mul(decay, state, out=states[t]) if store else decay.mul_(state)
            state.addcmul_(entering[t], enter[t])
            if keep_outputs:
                torch.sum(state * leave[t], 1, out=outputs[t])
        return outputs.mT if keep_outputs else inputs.new_empty(0), _outside(state), [states] if store else []

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        inputs, first, (rates,) = given
        (states,) = stores
        steps, entering, enter, leave = self._parts(inputs, rates)
        before = _inside(first, rates)
        found = states.new_empty(len(inputs), len(before), *inputs.shape[2:])
        d_steps, d_entering, d_enter, d_leave = found.split(self._sizes(rates), -1)
        d_leave.zero_()
        d_outputs = None if grads.outputs is None else grads.outputs.mT.unsqueeze(2)
        back = torch.zeros_like(before) if grads.final is None else _inside(grads.final, rates).clone()
        rates, by_rates = -rates.mT.unsqueeze(2), torch.zeros_like(before)
        numbers = torch.finfo(back.dtype)
        smallest = numbers.tiny / numbers.eps
        for t in reversed(range(len(inputs))):
            if d_outputs is not None:
                back.addcmul_(d_outputs[t], leave[t])
                d_leave[t] = (d_outputs[t] * states[t]).sum(-1).mT
            d_entering[t] = (back * enter[t]).sum(1)
            d_enter[t] = (back * entering[t]).sum(-1).mT
            back *= (steps[t] * rates).exp_()
            if t % _FLUSH_EVERY == 0:
                back.masked_fill_(back.abs() < smallest, 0.0)
            exponent = back * (states[t - 1] if t else before)
            d_steps[t] = (exponent * rates).sum(1)
            by_rates.addcmul_(exponent, steps[t])
        if inputs.shape[1] < len(before):
            found = found.sum(1, keepdim=True)
        return [found, _outside(back), -by_rates.sum(2).mT]

    def _sizes(self, rates: Tensor) -> list[int]:
        return [self.units, self.units, rates.shape[-1], rates.shape[-1]]

    def _parts(self, inputs: Tensor, rates: Tensor) -> tuple[Tensor, ...]:
        """Return Δ and u [T, M, 1, B, N], B and C [T, M, K, B, 1]."""
        steps, entering, enter, leave = inputs.split(self._sizes(rates), -1)
        return steps.unsqueeze(2), entering.unsqueeze(2), enter.mT.unsqueeze(-1), leave.mT.unsqueeze(-1)


def _inside(state: Tensor, rates: Tensor) -> Tensor:
    """Return h [M, K, B, N] of [M, B, N K]."""
    return state.unflatten(-1, rates.shape[1:]).movedim(-1, 1).contiguous()


def _outside(state: Tensor) -> Tensor:
    """Return h [M, B, N K] of [M, K, B, N]."""
    return state.movedim(1, -1).flatten(-2)
