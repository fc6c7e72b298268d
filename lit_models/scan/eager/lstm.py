"""The LSTM's forward and backward pass: one matrix product a step forward, two backward."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Needs
from rnnbench.lit_models.scan.eager.parts import (
    InputGradients,
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


class LSTMKernel:
    """c' = f c + i g, h' = o tanh(c') with [i; f; o; g] = W [h; x; 1], for W [M, 4N, N+D+1] and states [h, c].

    A step keeps its gates, c' and tanh(c'): 6N numbers a sequence.
    """

    #: Signs of a saturating input's weights in the first and the second gate that make the cell keep its value.
    holding_signs = (-1.0, 1.0)

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Tensor], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See ``ScanKernel.forward``."""
        (weight,) = weights
        (steps, _, batch, features), instances, units = inputs.shape, weight.shape[0], weight.shape[1] // 4
        operand = new_operand(weight, instances, units, features, batch)
        initial = state.transpose(1, 2)
        operand.hidden.copy_(initial[:, :units])
        cell = new_rows(weight, instances, units, batch).copy_(initial[:, units:])
        gate_chunks, cell_chunks = new_stores(weight, steps, instances, batch, (4 * units, 2 * units), store)
        outputs = new_outputs(weight, steps, instances, units, batch, keep_outputs)
        collected = outputs.unbind(0)
        for t, (x, gates, sigmoids, input_gate, forget_gate, output_gate, candidate, following, squashed) in enumerate(
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
            self.set_cell((input_gate, forget_gate, candidate), cell, squashed, following)
            cell = following
            torch.tanh(cell, out=squashed)
            torch.mul(output_gate, squashed, out=operand.hidden)
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
        """See ``ScanKernel.backward``."""
        (weight,) = weights
        (steps, _, batch, features), instances, units = inputs.shape, weight.shape[0], weight.shape[1] // 4
        gate_chunks, cell_chunks = regroup(stores, 2)
        input_gate, forget_gate, output_gate, candidate = parts_of(gate_chunks, units)
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
        d_input_gate, d_forget_gate, d_output_gate, d_candidate = deltas.split(units, 1)
        d_sigmoids = deltas[:, : 3 * units]
        through = torch.empty_like(d_hidden)
        operand = new_operand(weight, instances, units, features, batch)
        d_weight = torch.zeros_like(weight) if any(needs.weights) else None
        d_inputs = InputGradients(inputs, instances) if needs.inputs else None
        for t in reversed(range(steps)):
            if grad_outputs is not None:
                d_hidden.add_(grad_outputs[t])
            torch.mul(d_hidden, squashed[t], out=d_output_gate)
            torch.mul(d_hidden, output_gate[t], out=through)
            d_cell.add_(_tanh_backward(through, squashed[t], grad_input=through))
            before = cells[t - 1] if t else initial[:, units:]
            self.set_cell_gradients(
                (input_gate[t], forget_gate[t], candidate[t]),
                before,
                d_cell,
                (d_input_gate, d_forget_gate, d_candidate),
            )
            _sigmoid_backward(d_sigmoids, sigmoids[t], grad_input=d_sigmoids)
            _tanh_backward(d_candidate, candidate[t], grad_input=d_candidate)
            if d_weight is not None:
                if t:
                    torch.mul(output_gate[t - 1], squashed[t - 1], out=operand.hidden)
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
        input_gate, forget_gate, candidate = gates
        torch.mul(forget_gate, cell, out=out).addcmul_(input_gate, candidate)

    def set_cell_gradients(
        self, gates: Sequence[Tensor], before: Tensor, d_cell: Tensor, d_gates: Sequence[Tensor]
    ) -> None:
        """Set the gradients of the gates, and that of the next cell to that of the one before, in place."""
        (input_gate, forget_gate, candidate), (d_input_gate, d_forget_gate, d_candidate) = gates, d_gates
        torch.mul(d_cell, before, out=d_forget_gate)
        torch.mul(d_cell, candidate, out=d_input_gate)
        torch.mul(d_cell, input_gate, out=d_candidate)
        d_cell.mul_(forget_gate)
