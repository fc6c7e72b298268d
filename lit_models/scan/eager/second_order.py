"""The hand-derived scan of second-order networks in CP factors (CPRNN)."""

from collections.abc import Sequence
from itertools import chain
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.eager.activation import ACTIVATIONS
from rnnbench.lit_models.scan.eager.layout import Buffers, InputGradients


class SecondOrderKernel(NamedTuple):
    """h' = act(W [p ∘ q; h; x; 1]) with p = Aᵀ h and q = Bᵀ x.

    The weights are W [M, N, R+N+D+1], Aᵀ [M, R, N] and Bᵀ [M, R, D]. A step keeps p, q and h': 2R + N numbers a
    sequence.
    """

    activation: Literal["tanh", "relu", "identity"]

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        instances, rank, units = weights[1].shape
        buffers = Buffers(inputs, instances, units)
        layout, act = buffers.layout, ACTIVATIONS[self.activation]
        weight, from_state, from_inputs = map(layout.native, weights)
        operand, both, features = buffers.new_operand(rank + units)
        products, hidden = layout.split(both, [rank, units])
        hidden.copy_(layout.native(state.mT))
        stores = buffers.new_stores((rank, rank, units), store)
        outputs = buffers.new_outputs(keep_outputs)
        collected = layout.native(outputs).unbind(0) if keep_outputs else ()
        for t, (x, of_state, of_inputs, following) in enumerate(
            zip(buffers.native_inputs.unbind(0), *map(buffers.rows_of, stores), strict=True)
        ):
            features.copy_(x)
            layout.product(from_state, hidden, of_state)
            layout.product(from_inputs, features, of_inputs)
            torch.mul(of_state, of_inputs, out=products)
            layout.product(weight, operand, following)
            act.apply(following, following)
            hidden.copy_(following)
            if keep_outputs:
                collected[t].copy_(following)
        return outputs, layout.logical(hidden).mT.clone(), list(chain(*stores)) if store else []

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, state, weights), (grad_outputs, grad_final) = given, grads
        weight, from_state, from_inputs = weights
        instances, rank, units = from_state.shape
        buffers = Buffers(inputs, instances, units)
        layout, act, third = buffers.layout, ACTIVATIONS[self.activation], len(stores) // 3
        of_state, of_inputs, hiddens = (buffers.rows_of(stores[k * third : (k + 1) * third]) for k in range(3))
        transposed = weight[:, :, :-1].mT.contiguous().split([rank, units, buffers.features], 1)
        to_products, to_hidden, to_inputs = map(layout.native, transposed)
        state_to_hidden, factors_to_inputs = (layout.native(w.mT.contiguous()) for w in (from_state, from_inputs))
        initial = layout.native(state.mT)
        d_hidden = buffers.first_gradient(grad_final)
        delta = torch.empty_like(d_hidden)
        d_products, d_of_state, d_of_inputs = buffers.new(3, rank)
        operand, both, features = buffers.new_operand(rank + units)
        products, hidden = layout.split(both, [rank, units])
        by_delta, by_state, by_inputs = map(layout.logical, (delta, d_of_state, d_of_inputs))
        by_operand, by_hidden, by_features = (layout.logical(each).mT for each in (operand, hidden, features))
        d_weights = [torch.zeros_like(w) if any(needs.weights) else None for w in weights]
        d_weight, d_from_state, d_from_inputs = d_weights
        d_inputs = InputGradients(inputs, instances, layout) if needs.inputs else None
        xs = buffers.native_inputs.unbind(0)
        for t in buffers.backward_steps(d_hidden, grad_outputs):
            act.vjp(d_hidden, hiddens[t], delta)
            layout.product(to_products, delta, d_products)
            torch.mul(d_products, of_inputs[t], out=d_of_state)
            torch.mul(d_products, of_state[t], out=d_of_inputs)
            if d_weight is not None and d_from_state is not None and d_from_inputs is not None:
                torch.mul(of_state[t], of_inputs[t], out=products)
                hidden.copy_(hiddens[t - 1] if t else initial)
                features.copy_(xs[t])
                d_weight.baddbmm_(by_delta, by_operand)
                d_from_state.baddbmm_(by_state, by_hidden)
                d_from_inputs.baddbmm_(by_inputs, by_features)
            if d_inputs is not None:
                d_inputs.set_products(t, (to_inputs, delta), (factors_to_inputs, d_of_inputs))
            layout.product(to_hidden, delta, d_hidden)
            layout.add_product(state_to_hidden, d_of_state, d_hidden)
        return [
            None if d_inputs is None else d_inputs.result(),
            layout.logical(d_hidden).mT if needs.state else None,
            *d_weights,
        ]
