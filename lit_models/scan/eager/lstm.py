"""The LSTM's forward and backward pass: one matrix product a step forward, two backward."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.eager.activation import sigmoid_backward, tanh_backward
from rnnbench.lit_models.scan.eager.layout import Buffers, InputGradients


class LSTMKernel:
    """c' = f c + i g, h' = o tanh(c') with [i; f; o; g] = W [h; x; 1], for W [M, 4N, N+D+1] and states [h, c].

    A step keeps its gates, c' and tanh(c'): 6N numbers a sequence.
    """

    #: Signs of a saturating input's weights in the first and the second gate that make the cell keep its value.
    holding_signs = (-1.0, 1.0)

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        buffers = Buffers(inputs, weights[0].shape[0], weights[0].shape[1] // 4)
        layout, units = buffers.layout, buffers.units
        weight, initial = layout.native(weights[0]), layout.native(state.mT)
        operand, hidden, features = buffers.new_operand(units)
        cell = buffers.new(1, units)[0].copy_(layout.slice(initial, units, None))
        hidden.copy_(layout.slice(initial, None, units))
        gate_stores, cell_stores = buffers.new_stores((4 * units, 2 * units), store)
        outputs = buffers.new_outputs(keep_outputs)
        collected = layout.native(outputs).unbind(0) if keep_outputs else ()
        for t, (x, gates, sigmoids, input_gate, forget_gate, output_gate, candidate, following, squashed) in enumerate(
            zip(
                buffers.native_inputs.unbind(0),
                buffers.rows_of(gate_stores),
                buffers.rows_of(gate_stores, 0, 3 * units),
                *buffers.parts_of(gate_stores, 4),
                *buffers.parts_of(cell_stores, 2),
                strict=True,
            )
        ):
            features.copy_(x)
            layout.product(weight, operand, gates)
            torch.sigmoid(sigmoids, out=sigmoids)
            torch.tanh(candidate, out=candidate)
            self.set_cell((input_gate, forget_gate, candidate), cell, squashed, following)
            cell = following
            torch.tanh(cell, out=squashed)
            torch.mul(output_gate, squashed, out=hidden)
            if keep_outputs:
                collected[t].copy_(hidden)
        final = torch.cat([layout.logical(hidden), layout.logical(cell)], 1).mT
        return outputs, final, [*gate_stores, *cell_stores] if store else []

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, state, weights), (grad_outputs, grad_final) = given, grads
        (weight,) = weights
        buffers = Buffers(inputs, weight.shape[0], weight.shape[1] // 4)
        layout, units, half = buffers.layout, buffers.units, len(stores) // 2
        input_gate, forget_gate, output_gate, candidate = buffers.parts_of(stores[:half], 4)
        sigmoids = buffers.rows_of(stores[:half], 0, 3 * units)
        cells, squashed = buffers.parts_of(stores[half:], 2)
        transposed = weight[:, :, :-1].mT.contiguous()
        to_hidden, to_inputs = layout.native(transposed[:, :units]), layout.native(transposed[:, units:])
        first_hidden, first_cell = layout.split(layout.native(state.mT), units)
        halves = (None, None) if grad_final is None else grad_final.split(units, 2)
        d_hidden, d_cell = map(buffers.first_gradient, halves)
        deltas = buffers.new(1, 4 * units)[0]
        d_input_gate, d_forget_gate, d_output_gate, d_candidate = layout.split(deltas, units)
        d_sigmoids = layout.slice(deltas, None, 3 * units)
        through = torch.empty_like(d_hidden)
        operand, hidden, features = buffers.new_operand(units)
        by_gates, by_operand = layout.logical(deltas), layout.logical(operand).mT
        d_weight = torch.zeros_like(weight) if any(needs.weights) else None
        d_inputs = InputGradients(inputs, buffers.instances, layout) if needs.inputs else None
        xs = buffers.native_inputs.unbind(0)
        for t in buffers.backward_steps(d_hidden, grad_outputs):
            torch.mul(d_hidden, squashed[t], out=d_output_gate)
            torch.mul(d_hidden, output_gate[t], out=through)
            d_cell.add_(tanh_backward(through, squashed[t], grad_input=through))
            gates, d_gates = (input_gate[t], forget_gate[t], candidate[t]), (d_input_gate, d_forget_gate, d_candidate)
            self.set_cell_gradients(gates, cells[t - 1] if t else first_cell, d_cell, d_gates)
            sigmoid_backward(d_sigmoids, sigmoids[t], grad_input=d_sigmoids)
            tanh_backward(d_candidate, candidate[t], grad_input=d_candidate)
            if d_weight is not None:
                if t:
                    torch.mul(output_gate[t - 1], squashed[t - 1], out=hidden)
                else:
                    hidden.copy_(first_hidden)
                features.copy_(xs[t])
                d_weight.baddbmm_(by_gates, by_operand)
            if d_inputs is not None:
                d_inputs.set_products(t, (to_inputs, deltas))
            layout.product(to_hidden, deltas, d_hidden)
        return [
            None if d_inputs is None else d_inputs.result(),
            torch.cat([layout.logical(d_hidden), layout.logical(d_cell)], 1).mT if needs.state else None,
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
