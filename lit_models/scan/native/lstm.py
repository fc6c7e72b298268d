"""The LSTM's hand-derived scan in C: what follows a product of a step's gates is done while they are in registers."""

from collections.abc import Sequence

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
        call, units = _call(given)
        stores = call.keep(_KEPT * units) if store else []
        return *call.forward(_by_unit(given.weights[0]), keep_outputs), stores

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        call, units = _call(given)
        call.bind(firsts=call.padded(given.state.mT))
        wanted = (needs.inputs, needs.state, needs.weights[0])
        *found, d_joint = call.backward(_by_unit(given.weights[0])[..., :-1], stores, grads, wanted)
        return [*found, None if d_joint is None else d_joint.unflatten(1, (units, 4)).transpose(1, 2).flatten(1, 2)]


def _call(given: Operands) -> tuple[NativeCall, int]:
    """Return a call, and N."""
    units = given.weights[0].shape[1] // 4
    # Two states with their inputs; what is kept, and gradients of both states and of the gates.
    rows = 2 * (units + given.inputs.shape[3] + 1) + (_KEPT + 7) * units
    return NativeCall(given.inputs, given.state, units, _CHUNK, rows, gates=4), units


def _by_unit(weight: Tensor) -> Tensor:
    """Return the rows of gates [M, 4N, K] as the four of each unit, [M, N, 4, K]."""
    return weight.unflatten(1, (4, -1)).transpose(1, 2)
