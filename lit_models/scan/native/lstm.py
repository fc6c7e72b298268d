"""The LSTM's hand-derived scan in C: what follows a product of a step's gates is done while they are in registers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.native.call import NativeCall

# Nothing is computed again: steps need not be kept in a row, and of large batches few fit into one buffer.
_CHUNK = 1
#: Of a unit: i, f, o, g and c'.
_KEPT = 5


class NativeLSTMKernel:
    """c' = f c + i g, h' = o tanh(c') with [i; f; o; g] = W [h; x; 1], as ``LSTMKernel``.

    A step keeps its gates and c': 5N numbers a sequence.
    """

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        (weight,) = weights
        units = weight.shape[1] // 4
        call = _call(inputs, state, units)
        call.bind(joint=_by_unit(weight), state=call.padded(state.mT))
        outputs = state.new_empty(0)
        if keep_outputs:
            outputs = state.new_empty(call.steps, call.instances, units, call.batch)
            call.bind(outputs=outputs)
        stores = call.keep(_KEPT * units) if store else []
        call.run("forward_lstm")
        return outputs, call.whole("state").mT.contiguous(), stores

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, state, weights), (grad_outputs, grad_final) = given, grads
        (weight,) = weights
        units = weight.shape[1] // 4
        call = _call(inputs, state, units)
        final = torch.zeros_like(state) if grad_final is None else grad_final
        call.bind(state=call.padded(final.mT), firsts=call.padded(state.mT), to_state=_by_unit(weight)[..., :-1])
        call.bind_kept(stores)
        if grad_outputs is not None:
            call.bind(grad_outputs=grad_outputs)
        if needs.inputs:
            call.bind(d_inputs=torch.zeros_like(call.given["inputs"]))
        if any(needs.weights):
            call.bind(d_joint=state.new_zeros(call.instances, units, 4, call.row))
        call.run("backward_lstm")
        d_joint = call.given.get("d_joint")
        return [
            call.whole("d_inputs").mT if needs.inputs else None,
            call.whole("state").mT if needs.state else None,
            None if d_joint is None else d_joint[..., : weight.shape[2]].transpose(1, 2).flatten(1, 2),
        ]


def _call(inputs: Tensor, state: Tensor, units: int) -> NativeCall:
    # Two states with their inputs; what is kept, and gradients of both states and of the gates.
    rows = 2 * (units + inputs.shape[3] + 1) + (_KEPT + 7) * units
    return NativeCall(inputs, state, units, _CHUNK, rows)


def _by_unit(weight: Tensor) -> Tensor:
    """Return the rows of gates [M, 4N, K] as the four of each unit, [M, N, 4, K]."""
    return weight.unflatten(1, (4, -1)).transpose(1, 2)
