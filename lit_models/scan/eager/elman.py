"""The hand-derived scan of the Elman network, and of all that can be written as one."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.eager.activation import ACTIVATIONS
from rnnbench.lit_models.scan.eager.state_rows import CHUNK, GradientSums, StateInputGradients, StateRows


class ElmanKernel(NamedTuple):
    """x' = act(W x + V s + b), for W [M, N, N], V [M, N, D] and b [M, N] (Elman 1990).

    A step keeps its state, N numbers a sequence, and what the product reads beside it.
    """

    activation: Literal["tanh", "relu", "identity"]

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        rows = StateRows(inputs, state)
        layout, act = rows.layout, ACTIVATIONS[self.activation]
        joint = layout.matrix(rows.joint(*weights))
        projector = rows.projector(weights[1])
        outputs = rows.new_outputs(keep_outputs)
        # The product is read again at once: in one buffer, it stays in cache.
        total = rows.new(1, rows.units)[0]
        states, current = None, layout.native(state.mT)
        stored: list[Tensor] = []
        for start, stop in rows.spans():
            if states is None or store:
                states = rows.new(stop - start + 1, rows.rows)
            if store:
                stored.append(states)
            chunk = rows.begin(states, current, start, stop)
            following = rows.units_of(chunk)[1:]
            for k, (operand, x) in enumerate(zip(chunk[:-1].unbind(0), following.unbind(0), strict=True)):
                layout.product(joint, operand, total)
                if projector is not None:
                    projector(start + k, total)
                act.apply(total, x)
            current = following[-1]
            if keep_outputs:
                rows.set_outputs(outputs, start, stop, chunk)
        return outputs, layout.logical(current).mT.contiguous(), stored

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, state, weights), (grad_outputs, grad_final) = given, grads
        rows = StateRows(inputs, state)
        layout, act = rows.layout, ACTIVATIONS[self.activation]
        weight, input_weight, _ = weights
        # Below the gradient of the state comes, for joined inputs, theirs.
        to_rows = layout.matrix(rows.joint(weight, input_weight, None).mT)
        delta = rows.first_rows(grad_final)
        by_state = rows.units_of(delta)
        gradient = rows.new(1, rows.units)[0]
        sums = GradientSums(rows, gradient, rows.units) if any(needs.weights) else None
        d_inputs = StateInputGradients(rows, input_weight) if needs.inputs else None
        arriving = None if grad_outputs is None else rows.new(CHUNK, rows.units)
        for (start, stop), chunk in reversed(list(zip(rows.spans(), stores, strict=True))):
            if arriving is not None and grad_outputs is not None:
                arriving[: stop - start] = layout.native(grad_outputs[start:stop])
            if sums is not None:
                sums.begin(chunk[:-1])
            states = rows.units_of(chunk).unbind(0)
            for k in reversed(range(stop - start)):
                if arriving is not None:
                    by_state.add_(arriving[k])
                act.vjp(by_state, states[k + 1], gradient)
                if sums is not None:
                    sums.add(start, k)
                layout.product(to_rows, gradient, delta)
                if d_inputs is not None:
                    d_inputs.set_rows(start + k, delta, gradient)
        return [
            None if d_inputs is None else d_inputs.result(),
            layout.logical(by_state).mT if needs.state else None,
            *((None,) * 3 if sums is None else sums.result(1.0)),
        ]
