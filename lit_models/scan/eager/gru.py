"""The GRU's forward and backward pass: two matrix products a step forward, four backward."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.eager.activation import sigmoid_backward, tanh_backward
from rnnbench.lit_models.scan.eager.layout import Buffers, InputGradients


class GRUKernel:
    """h' = (1 - z) n + z h with [r; z; a] = W [h; x; 1] (r and z through σ) and n = tanh(V [x; 1] + r a).

    W is [M, 3N, N+D+1], with zeros where x would meet a, and V [M, N, D+1]. A step keeps r, z, a, n and h': 5N numbers
    a sequence.
    """

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        buffers = Buffers(inputs, *weights[1].shape[:2])
        layout, units = buffers.layout, buffers.units
        weight, to_new = map(layout.native, weights)
        operand, hidden, features = buffers.new_operand(units)
        features_and_one = layout.slice(operand, units, None)
        hidden.copy_(layout.native(state.mT))
        gate_stores, hidden_stores = buffers.new_stores((3 * units, 2 * units), store)
        outputs = buffers.new_outputs(keep_outputs)
        collected = layout.native(outputs).unbind(0) if keep_outputs else ()
        for t, (x, gates, sigmoids, reset, update, linear, new, following) in enumerate(
            zip(
                buffers.native_inputs.unbind(0),
                buffers.rows_of(gate_stores),
                buffers.rows_of(gate_stores, 0, 2 * units),
                *buffers.parts_of(gate_stores, 3),
                *buffers.parts_of(hidden_stores, 2),
                strict=True,
            )
        ):
            features.copy_(x)
            layout.product(weight, operand, gates)
            torch.sigmoid(sigmoids, out=sigmoids)
            layout.product(to_new, features_and_one, new)
            new.addcmul_(reset, linear).tanh_()
            torch.lerp(new, hidden, update, out=following)
            hidden.copy_(following)
            if keep_outputs:
                collected[t].copy_(hidden)
        final = layout.logical(hidden).mT.clone()
        return outputs, final, [*gate_stores, *hidden_stores] if store else []

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, state, weights), (grad_outputs, grad_final) = given, grads
        weight, to_new = weights
        buffers = Buffers(inputs, *to_new.shape[:2])
        layout, units, half = buffers.layout, buffers.units, len(stores) // 2
        reset, update, linear = buffers.parts_of(stores[:half], 3)
        sigmoids = buffers.rows_of(stores[:half], 0, 2 * units)
        new, hiddens = buffers.parts_of(stores[half:], 2)
        transposed = weight[:, :, :-1].mT.contiguous()
        to_hidden, to_inputs = layout.native(transposed[:, :units]), layout.native(transposed[:, units:])
        new_to_inputs = layout.native(to_new[:, :, :-1].mT.contiguous())
        initial = layout.native(state.mT)
        d_hidden = buffers.first_gradient(grad_final)
        deltas = buffers.new(1, 3 * units)[0]
        d_reset, d_update, d_linear = layout.split(deltas, units)
        d_sigmoids = layout.slice(deltas, None, 2 * units)
        d_new = torch.empty_like(d_hidden)
        operand, hidden, features = buffers.new_operand(units)
        by_gates, by_new, by_operand = layout.logical(deltas), layout.logical(d_new), layout.logical(operand).mT
        by_features_and_one = by_operand[:, :, units:]
        d_weight, d_to_new = (torch.zeros_like(w) if any(needs.weights) else None for w in weights)
        d_inputs = InputGradients(inputs, buffers.instances, layout) if needs.inputs else None
        xs = buffers.native_inputs.unbind(0)
        for t in buffers.backward_steps(d_hidden, grad_outputs):
            before = hiddens[t - 1] if t else initial
            torch.sub(before, new[t], out=d_update).mul_(d_hidden)
            torch.addcmul(d_hidden, d_hidden, update[t], value=-1, out=d_new)
            tanh_backward(d_new, new[t], grad_input=d_new)
            torch.mul(d_new, linear[t], out=d_reset)
            torch.mul(d_new, reset[t], out=d_linear)
            sigmoid_backward(d_sigmoids, sigmoids[t], grad_input=d_sigmoids)
            if d_weight is not None and d_to_new is not None:
                hidden.copy_(before)
                features.copy_(xs[t])
                d_weight.baddbmm_(by_gates, by_operand)
                d_to_new.baddbmm_(by_new, by_features_and_one)
            if d_inputs is not None:
                d_inputs.set_products(t, (to_inputs, deltas), (new_to_inputs, d_new))
            d_hidden.mul_(update[t])
            layout.add_product(to_hidden, deltas, d_hidden)
        return [
            None if d_inputs is None else d_inputs.result(),
            layout.logical(d_hidden).mT if needs.state else None,
            d_weight,
            d_to_new,
        ]
