"""The hand-derived scan of second-order networks with a full tensor (2RNN)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.eager.activation import ACTIVATIONS
from rnnbench.lit_models.scan.eager.layout import Buffers, InputGradients


class BilinearKernel(NamedTuple):
    """h' = act(W ([h; 1] ⊗ [x; 1])), as in ``SecondOrderRNN`` (Lizaire et al. 2024, 2026).

    The weight is W [M, N, (N+1)(D+1)], the inputs' index running fastest. A step keeps h': N numbers a sequence. The
    products of state and input are multiplied out again in the backward pass: kept, they would be D+1 times as many.
    """

    activation: Literal["tanh", "relu", "identity"]

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, (weight,) = given
        buffers = Buffers(inputs, *weight.shape[:2])
        layout, act = buffers.layout, ACTIVATIONS[self.activation]
        pairs, weight = _Pairs(buffers), layout.native(weight)
        pairs.hidden.copy_(layout.native(state.mT))
        (stores,) = buffers.new_stores((buffers.units,), store)
        outputs = buffers.new_outputs(keep_outputs)
        collected = layout.native(outputs).unbind(0) if keep_outputs else ()
        for t, following in enumerate(buffers.rows_of(stores)):
            pairs.multiply(t)
            layout.product(weight, pairs.flat, following)
            act.apply(following, following)
            pairs.hidden.copy_(following)
            if keep_outputs:
                collected[t].copy_(following)
        return outputs, layout.logical(pairs.hidden).mT.clone(), list(stores) if store else []

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, state, (weight,)), (grad_outputs, grad_final) = given, grads
        instances, units = weight.shape[:2]
        buffers = Buffers(inputs, instances, units)
        layout, act = buffers.layout, ACTIVATIONS[self.activation]
        pairs, hiddens, initial = _Pairs(buffers), buffers.rows_of(stores), layout.native(state.mT)
        d_hidden = buffers.first_gradient(grad_final)
        delta, d_features = torch.empty_like(d_hidden), buffers.new(1, buffers.features)[0]
        d_flat = torch.empty_like(pairs.flat)
        d_pairs, to_pairs = pairs.table_of(d_flat), layout.native(weight.mT.contiguous())
        d_weight = torch.zeros_like(weight) if needs.weights[0] else None
        d_inputs = InputGradients(inputs, instances, layout) if needs.inputs else None
        for t in buffers.backward_steps(d_hidden, grad_outputs):
            act.vjp(d_hidden, hiddens[t], delta)
            pairs.hidden.copy_(hiddens[t - 1] if t else initial)
            if d_weight is not None:
                pairs.multiply(t)
                d_weight.baddbmm_(layout.logical(delta), layout.logical(pairs.flat).mT)
            layout.product(to_pairs, delta, d_flat)
            if d_inputs is not None:
                pairs.sum_over_state(d_pairs, d_features)
                d_inputs.set(t, d_features)
            pairs.sum_over_inputs(d_pairs, t, d_hidden)
        return [
            None if d_inputs is None else d_inputs.result(),
            layout.logical(d_hidden).mT if needs.state else None,
            d_weight,
        ]


class _Pairs:
    """The products of a step, [h; 1] ⊗ [x; 1].

    Attributes:
        flat: the products, native rows [M, (N+1)(D+1), B].
        hidden: h, native rows [M, N, B], to be written.
    """

    def __init__(self, buffers: Buffers) -> None:
        self._units, self._features = buffers.units, buffers.features
        # Where a native tensor has its rows.
        self._rows = -1 if buffers.layout.batch_first else -2
        self.flat = buffers.new(1, (self._units + 1) * (self._features + 1))[0]
        self._table = self.table_of(self.flat)
        state = buffers.new(1, self._units + 1)[0]
        self.hidden, ones = buffers.layout.split(state, [self._units, 1])
        ones.fill_(1.0)
        # [h; 1] with an axis for the inputs, and [x; 1] of each step with one for the state.
        self._state = state.unsqueeze(self._rows)
        inputs = buffers.native_inputs
        constant = inputs.new_ones(()).expand_as(inputs.narrow(self._rows, 0, 1))
        self._inputs = torch.cat([inputs, constant], self._rows).unsqueeze(self._rows - 1).unbind(0)

    def table_of(self, flat: Tensor) -> Tensor:
        """Return the view of products with an axis for the state, and one for the inputs behind it."""
        return flat.unflatten(self._rows, (self._units + 1, self._features + 1))

    def multiply(self, t: int) -> None:
        """Set the products to those of the state and the inputs of step t."""
        torch.mul(self._state, self._inputs[t], out=self._table)

    def sum_over_inputs(self, table: Tensor, t: int, out: Tensor) -> None:
        """Write Σ_j table_ij [x; 1]_j for each unit i; the products are lost."""
        torch.mul(table, self._inputs[t], out=self._table)
        torch.sum(self._table.narrow(self._rows - 1, 0, self._units), self._rows, out=out)

    def sum_over_state(self, table: Tensor, out: Tensor) -> None:
        """Write Σ_i table_ij [h; 1]_i for each input j; the products are lost."""
        torch.mul(table, self._state, out=self._table)
        torch.sum(self._table.narrow(self._rows, 0, self._features), self._rows - 1, out=out)
