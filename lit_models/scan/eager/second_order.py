"""The hand-derived scan of second-order networks in CP factors (CPRNN)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Needs
from rnnbench.lit_models.scan.eager.parts import (
    Activation,
    InputGradients,
    add_product,
    initial_gradient,
    new_operand,
    new_outputs,
    new_rows,
    new_stores,
    product,
    regroup,
    rows_of,
)


class SecondOrderKernel(NamedTuple):
    """h' = act(W [p ∘ q; h; x; 1]) with p = Aᵀ h and q = Bᵀ x.

    The weights are W [M, N, R+N+D+1], Aᵀ [M, R, N] and Bᵀ [M, R, D]. A step keeps p, q and h': 2R + N numbers a
    sequence.

    Attributes:
        activation: act.
    """

    activation: Literal["tanh", "relu", "identity"]

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Tensor], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See ``ScanKernel.forward``."""
        weight, from_state, from_inputs = weights
        (steps, _, batch, features), (instances, rank, units) = inputs.shape, from_state.shape
        act = Activation(self.activation)
        operand = new_operand(weight, instances, rank + units, features, batch)
        products, hidden = operand.hidden[:, :rank], operand.hidden[:, rank:]
        hidden.copy_(state.transpose(1, 2))
        stored = new_stores(weight, steps, instances, batch, (rank, rank, units), store)
        outputs = new_outputs(weight, steps, instances, units, batch, keep_outputs)
        collected = outputs.unbind(0)
        for t, (x, of_state, of_inputs, following) in enumerate(
            zip(inputs.transpose(-1, -2).unbind(0), *map(rows_of, stored), strict=True)
        ):
            operand.features.copy_(x)
            product(from_state, hidden, out=of_state)
            product(from_inputs, operand.features, out=of_inputs)
            torch.mul(of_state, of_inputs, out=products)
            product(weight, operand.all, out=following)
            act.apply(following, out=following)
            hidden.copy_(following)
            if keep_outputs:
                collected[t].copy_(following)
        return outputs, hidden.transpose(1, 2).clone(), list(chain(*stored)) if store else []

    def backward(
        self,
        inputs: Tensor,
        state: Tensor,
        weights: Sequence[Tensor],
        stores: Sequence[Tensor],
        grad_outputs: Tensor | None,
        grad_final: Tensor | None,
        needs: Needs,
    ) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        weight, from_state, from_inputs = weights
        act = Activation(self.activation)
        (_, _, batch, features), (instances, rank, units) = inputs.shape, from_state.shape
        of_state, of_inputs, hiddens = map(rows_of, regroup(stores, 3))
        xs = inputs.transpose(-1, -2).unbind(0)
        transposed = weight[:, :, :-1].transpose(1, 2).contiguous()
        to_products, to_hidden, to_inputs = transposed.split([rank, units, features], 1)
        state_to_hidden, factors_to_inputs = (w.transpose(1, 2).contiguous() for w in (from_state, from_inputs))
        initial = state.transpose(1, 2)
        d_hidden = initial_gradient(grad_final, weight, instances, units, batch)
        delta = torch.empty_like(d_hidden)
        d_products, d_of_state, d_of_inputs = (new_rows(weight, instances, rank, batch) for _ in range(3))
        operand = new_operand(weight, instances, rank + units, features, batch)
        products, hidden = operand.hidden[:, :rank], operand.hidden[:, rank:]
        d_weights = [torch.zeros_like(w) if any(needs.weights) else None for w in weights]
        d_weight, d_from_state, d_from_inputs = d_weights
        d_inputs = InputGradients(inputs, instances) if needs.inputs else None
        for t in reversed(range(len(xs))):
            if grad_outputs is not None:
                d_hidden.add_(grad_outputs[t])
            act.vjp(d_hidden, hiddens[t], out=delta)
            product(to_products, delta, out=d_products)
            torch.mul(d_products, of_inputs[t], out=d_of_state)
            torch.mul(d_products, of_state[t], out=d_of_inputs)
            if d_weight is not None and d_from_state is not None and d_from_inputs is not None:
                torch.mul(of_state[t], of_inputs[t], out=products)
                hidden.copy_(hiddens[t - 1] if t else initial)
                operand.features.copy_(xs[t])
                d_weight.baddbmm_(delta, operand.all.transpose(1, 2))
                d_from_state.baddbmm_(d_of_state, hidden.transpose(1, 2))
                d_from_inputs.baddbmm_(d_of_inputs, operand.features.transpose(1, 2))
            if d_inputs is not None:
                d_inputs.put(t, (to_inputs, delta), (factors_to_inputs, d_of_inputs))
            product(to_hidden, delta, out=d_hidden)
            add_product(state_to_hidden, d_of_state, out=d_hidden)
        return [
            None if d_inputs is None else d_inputs.result(),
            d_hidden.transpose(1, 2) if needs.state else None,
            *d_weights,
        ]
