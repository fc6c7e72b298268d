"""The GRU's forward and backward pass: two matrix products a step forward, four backward."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Needs
from rnnbench.lit_models.scan.eager.parts import (
    InputGradients,
    add_product,
    initial_gradient,
    new_operand,
    new_outputs,
    new_rows,
    new_stores,
    parts_of,
    product,
    regroup,
    rows_of,
)

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


class GRUKernel:
    """h' = (1 - z) n + z h with [r; z; a] = W [h; x; 1] (r and z through σ) and n = tanh(V [x; 1] + r a).

    W is [M, 3N, N+D+1], with zeros where x would meet a, and V [M, N, D+1]. A step keeps r, z, a, n and h': 5N numbers
    a sequence.
    """

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Tensor], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See ``ScanKernel.forward``."""
        weight, to_new = weights
        (steps, _, batch, features), (instances, units, _) = inputs.shape, to_new.shape
        operand = new_operand(weight, instances, units, features, batch)
        hidden = state.transpose(1, 2)
        operand.hidden.copy_(hidden)
        gate_chunks, hidden_chunks = new_stores(weight, steps, instances, batch, (3 * units, 2 * units), store)
        outputs = new_outputs(weight, steps, instances, units, batch, keep_outputs)
        collected = outputs.unbind(0)
        for t, (x, gates, sigmoids, reset, update, linear, new, following) in enumerate(
            zip(
                inputs.transpose(-1, -2).unbind(0),
                rows_of(gate_chunks),
                rows_of(gate_chunks, 0, 2 * units),
                *parts_of(gate_chunks, units),
                *parts_of(hidden_chunks, units),
                strict=True,
            )
        ):
            operand.features.copy_(x)
            product(weight, operand.all, out=gates)
            torch.sigmoid(sigmoids, out=sigmoids)
            product(to_new, operand.features_and_one, out=new)
            new.addcmul_(reset, linear).tanh_()
            hidden = torch.lerp(new, operand.hidden, update, out=following)
            operand.hidden.copy_(hidden)
            if keep_outputs:
                collected[t].copy_(hidden)
        final = operand.hidden.transpose(1, 2).clone()
        return outputs, final, [*gate_chunks, *hidden_chunks] if store else []

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
        weight, to_new = weights
        (steps, _, batch, features), (instances, units, _) = inputs.shape, to_new.shape
        gate_chunks, hidden_chunks = regroup(stores, 2)
        new, hiddens = parts_of(hidden_chunks, units)
        reset, update, linear = parts_of(gate_chunks, units)
        sigmoids = rows_of(gate_chunks, 0, 2 * units)
        xs = inputs.transpose(-1, -2).unbind(0)
        transposed = weight[:, :, :-1].transpose(1, 2).contiguous()
        to_hidden, to_inputs = transposed[:, :units], transposed[:, units:]
        new_to_inputs = to_new[:, :, :-1].transpose(1, 2).contiguous()
        initial = state.transpose(1, 2)
        d_hidden = initial_gradient(grad_final, weight, instances, units, batch)
        deltas = new_rows(weight, instances, 3 * units, batch)
        d_reset, d_update, d_linear = deltas.split(units, 1)
        d_sigmoids = deltas[:, : 2 * units]
        d_new = torch.empty_like(d_hidden)
        operand = new_operand(weight, instances, units, features, batch)
        d_weight, d_to_new = (torch.zeros_like(w) if any(needs.weights) else None for w in weights)
        d_inputs = InputGradients(inputs, instances) if needs.inputs else None
        for t in reversed(range(steps)):
            if grad_outputs is not None:
                d_hidden.add_(grad_outputs[t])
            before = hiddens[t - 1] if t else initial
            torch.sub(before, new[t], out=d_update).mul_(d_hidden)
            torch.addcmul(d_hidden, d_hidden, update[t], value=-1, out=d_new)
            _tanh_backward(d_new, new[t], grad_input=d_new)
            torch.mul(d_new, linear[t], out=d_reset)
            torch.mul(d_new, reset[t], out=d_linear)
            _sigmoid_backward(d_sigmoids, sigmoids[t], grad_input=d_sigmoids)
            if d_weight is not None and d_to_new is not None:
                operand.hidden.copy_(before)
                operand.features.copy_(xs[t])
                d_weight.baddbmm_(deltas, operand.all.transpose(1, 2))
                d_to_new.baddbmm_(d_new, operand.features_and_one.transpose(1, 2))
            if d_inputs is not None:
                d_inputs.put(t, (to_inputs, deltas), (new_to_inputs, d_new))
            d_hidden.mul_(update[t])
            add_product(to_hidden, deltas, out=d_hidden)
        return [
            None if d_inputs is None else d_inputs.result(),
            d_hidden.transpose(1, 2) if needs.state else None,
            d_weight,
            d_to_new,
        ]
