"""Hand-derived scans of LSTM and GRU: one matrix product a step forward, two backward."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnbench.lit_models.scan.walk import Needs
from rnnbench.lit_models.scan.walk_parts import (
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


class LSTMWalk:
    """c' = f c + i g, h' = o tanh(c') with [i; f; o; g] = W [h; x; 1], for W [M, 4N, N+D+1] and states [h, c].

    A step keeps its gates, c' and tanh(c'): 6N numbers a sequence.
    """

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Tensor], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See ``Walk.forward``."""
        (weight,) = weights
        (steps, _, batch, features), instances, units = inputs.shape, weight.shape[0], weight.shape[1] // 4
        operand = new_operand(weight, instances, units, features, batch)
        initial = state.transpose(1, 2)
        operand.hidden.copy_(initial[:, :units])
        cell = new_rows(weight, instances, units, batch).copy_(initial[:, units:])
        gate_chunks, cell_chunks = new_stores(weight, steps, instances, batch, (4 * units, 2 * units), store)
        outputs = new_outputs(weight, steps, instances, units, batch, keep_outputs)
        collected = outputs.unbind(0)
        for t, (x, gates, sigmoids, write, keep, read, candidate, following, squashed) in enumerate(
            zip(
                inputs.transpose(-1, -2).unbind(0),
                rows_of(gate_chunks),
                rows_of(gate_chunks, 0, 3 * units),
                *parts_of(gate_chunks, units),
                *parts_of(cell_chunks, units),
                strict=True,
            )
        ):
            operand.features.copy_(x)
            product(weight, operand.all, out=gates)
            torch.sigmoid(sigmoids, out=sigmoids)
            torch.tanh(candidate, out=candidate)
            self.set_cell((write, keep, candidate), cell, squashed, following)
            cell = following
            torch.tanh(cell, out=squashed)
            torch.mul(read, squashed, out=operand.hidden)
            if keep_outputs:
                collected[t].copy_(operand.hidden)
        final = torch.cat([operand.hidden, cell], 1).transpose(1, 2)
        return outputs, final, [*gate_chunks, *cell_chunks] if store else []

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
        """See ``Walk.backward``."""
        (weight,) = weights
        (steps, _, batch, features), instances, units = inputs.shape, weight.shape[0], weight.shape[1] // 4
        gate_chunks, cell_chunks = regroup(stores, 2)
        write, keep, read, candidate = parts_of(gate_chunks, units)
        sigmoids = rows_of(gate_chunks, 0, 3 * units)
        cells, squashed = parts_of(cell_chunks, units)
        xs = inputs.transpose(-1, -2).unbind(0)
        transposed = weight[:, :, :-1].transpose(1, 2).contiguous()
        to_hidden, to_inputs = transposed[:, :units], transposed[:, units:]
        initial = state.transpose(1, 2)
        d_hidden, d_cell = (
            initial_gradient(part, weight, instances, units, batch)
            for part in ((None, None) if grad_final is None else grad_final.split(units, 2))
        )
        deltas = new_rows(weight, instances, 4 * units, batch)
        d_write, d_keep, d_read, d_candidate = deltas.split(units, 1)
        d_sigmoids = deltas[:, : 3 * units]
        through = torch.empty_like(d_hidden)
        operand = new_operand(weight, instances, units, features, batch)
        d_weight = torch.zeros_like(weight) if any(needs.weights) else None
        d_inputs = InputGradients(inputs, instances) if needs.inputs else None
        for t in reversed(range(steps)):
            if grad_outputs is not None:
                d_hidden.add_(grad_outputs[t])
            torch.mul(d_hidden, squashed[t], out=d_read)
            torch.mul(d_hidden, read[t], out=through)
            d_cell.add_(_tanh_backward(through, squashed[t], grad_input=through))
            before = cells[t - 1] if t else initial[:, units:]
            self.set_cell_gradients((write[t], keep[t], candidate[t]), before, d_cell, (d_write, d_keep, d_candidate))
            _sigmoid_backward(d_sigmoids, sigmoids[t], grad_input=d_sigmoids)
            _tanh_backward(d_candidate, candidate[t], grad_input=d_candidate)
            if d_weight is not None:
                if t:
                    torch.mul(read[t - 1], squashed[t - 1], out=operand.hidden)
                else:
                    operand.hidden.copy_(initial[:, :units])
                operand.features.copy_(xs[t])
                d_weight.baddbmm_(deltas, operand.all.transpose(1, 2))
            if d_inputs is not None:
                d_inputs.put(t, (to_inputs, deltas))
            product(to_hidden, deltas, out=d_hidden)
        return [
            None if d_inputs is None else d_inputs.result(),
            torch.cat([d_hidden, d_cell], 1).transpose(1, 2) if needs.state else None,
            d_weight,
        ]

    def set_cell(self, gates: Sequence[Tensor], cell: Tensor, scratch: Tensor, out: Tensor) -> None:
        """Set ``out`` to the next cell, from the first, second and last gate and the cell before, maybe ``out`` too."""
        write, keep, candidate = gates
        torch.mul(keep, cell, out=out).addcmul_(write, candidate)

    def set_cell_gradients(
        self, gates: Sequence[Tensor], before: Tensor, d_cell: Tensor, d_gates: Sequence[Tensor]
    ) -> None:
        """Set the gradients of the gates, and that of the next cell to that of the one before, in place."""
        (write, keep, candidate), (d_write, d_keep, d_candidate) = gates, d_gates
        torch.mul(d_cell, before, out=d_keep)
        torch.mul(d_cell, candidate, out=d_write)
        torch.mul(d_cell, write, out=d_candidate)
        d_cell.mul_(keep)


class GRUWalk:
    """h' = (1 - z) n + z h with [r; z; a] = W [h; x; 1] (r and z through σ) and n = tanh(V [x; 1] + r a).

    W is [M, 3N, N+D+1], with zeros where x would meet a, and V [M, N, D+1]. A step keeps r, z, a, n and h': 5N numbers
    a sequence.
    """

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Tensor], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See ``Walk.forward``."""
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
        """See ``Walk.backward``."""
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
