"""The LSTM's forward and backward pass on a GPU: two persistent kernels, and products of whole chunks beside them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.triton.lstm_kernels import lstm_backward, lstm_forward
from rnnbench.lit_models.scan.triton.plan import (
    MOST_FEATURES,
    Plan,
    arriving,
    drives,
    instance_first,
    make_plan,
    on_device_of,
    padded_to,
    spans,
    widen,
    widened,
)
from rnnbench.lit_models.scan.triton.products import StepGradients


def layout(plan: Plan, units: int, depth: int) -> dict[str, Any]:
    """Return the compile-time arguments that both kernels take; a row of the weights has ``depth`` numbers."""
    return plan.options(SIZE=units, DEPTH=depth, UNITS=widen(units))


class TritonLSTMKernel:
    """c' = f c + i g, h' = o tanh(c') with [i; f; o; g] = W [h; x; 1], for W [M, 4N, N+D+1] and states [h, c].

    A step keeps its gates, c' and h': 6N numbers a sequence.
    """

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        (steps, _, batch, features), (instances, _, units) = inputs.shape, (*state.shape[:2], state.shape[2] // 2)
        few, width, weight = features <= MOST_FEATURES, widen(units), weights[0].contiguous()
        plan = make_plan(units, instances * batch, gates=4)
        options = layout(plan, units, weight.shape[2]) | {
            "FEATURES": features if few else 0,
            "KEEP_GATES": store,
            "KEEP_HIDDENS": store or keep_outputs,
        }
        streamed = _beside(weight, plan).mT.contiguous() if plan.block else weight
        before = widened(torch.stack(state.chunk(2, -1)), width)
        final = torch.empty_like(before)
        # One step more than are scanned: the state before each step, and after it.
        hiddens = state.new_empty(instances, steps + 1 if store or keep_outputs else 0, batch, width)
        cells = state.new_empty(instances, steps + 1 if store else 0, batch, width)
        gates = state.new_empty(instances, steps if store else 0, batch, 4 * width)
        rows = weight[..., units:] if few else _widened_rows(weight[..., units:], units, width)
        for start, stop, drive, strides in drives(inputs, instances, rows[..., :-1], rows[..., -1], 2 * final.numel()):
            kept = (before if start == 0 else final, final, gates[:, start:], hiddens[:, start:], cells[:, start:])
            sizes = (stop - start, batch, *strides, gates.stride(0), hiddens.stride(0), cells.stride(0))
            with on_device_of(state):
                lstm_forward[(instances, -(-batch // plan.rows))](drive, weight, streamed, *kept, *sizes, **options)
        outputs = hiddens[:, 1:, :, :units].permute(1, 0, 3, 2) if keep_outputs else state.new_empty(0)
        stores = [each.transpose(0, 1) for each in (gates, hiddens, cells)] if store else []
        return outputs, torch.cat([*final[..., :units]], -1), stores

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, state, weights), (grad_outputs, grad_final) = given, grads
        (steps, _, batch, _), (instances, _, units) = inputs.shape, (*state.shape[:2], state.shape[2] // 2)
        width, weight = widen(units), weights[0].contiguous()
        gates, hiddens, cells = (instance_first(each) for each in stores)
        plan = make_plan(units, instances * batch, gates=4, back=True)
        options = layout(plan, units, weight.shape[2]) | {"ARRIVE": grad_outputs is not None}
        streamed = _beside(weight, plan) if plan.block else weight
        final = torch.zeros_like(state) if grad_final is None else grad_final
        given = widened(torch.stack(final.chunk(2, -1)), width)
        delta = torch.empty_like(given)
        chunks = spans(steps, 2 * delta.numel())
        length = chunks[0][1]
        to_inputs = _widened_rows(weight[..., units:-1], units, width) if needs.inputs else None
        sums = StepGradients(inputs, (instances, 4 * width, width), chunks, needs.weights[0], to_inputs)
        slopes = state.new_empty(instances, length, batch, 4 * width)
        for chunk, (start, stop) in reversed(list(enumerate(chunks))):
            arrivals = slopes if grad_outputs is None else arriving(grad_outputs[start:stop], width)
            fixed = (arrivals, weight, streamed)
            kept = (given if stop == steps else delta, delta, gates[:, start:], cells[:, start:])
            strides = (*arrivals.stride()[:2], gates.stride(0), cells.stride(0), slopes.stride(0))
            sizes = (stop - start, batch, *strides)
            with on_device_of(state):
                lstm_backward[(instances, -(-batch // plan.rows))](*fixed, *kept, slopes, *sizes, **options)
            sums.add(chunk, slopes[:, : stop - start], hiddens)
        by_inputs, by_hidden, by_features, by_bias = sums.result()
        by_weight = None
        if by_hidden is not None and by_features is not None and by_bias is not None:
            by_weight = torch.cat([by_hidden[..., :units], by_features, by_bias.unsqueeze(-1)], -1)
            by_weight = by_weight.unflatten(1, (4, width))[:, :, :units].flatten(1, 2)
        return [by_inputs, torch.cat([*delta[..., :units]], -1) if needs.state else None, by_weight]


def _widened_rows(weight: Tensor, units: int, width: int) -> Tensor:
    """Return [M, 4 units, D] as [M, 4 width, D], with zeros below each gate's rows."""
    return widened(weight.unflatten(1, (4, units)), width, axis=-2).flatten(1, 2)


def _beside(weight: Tensor, plan: Plan) -> Tensor:
    """Return W of [M, 4 N, N+D+1] as [M, 4 padded, padded], with the four rows of a unit beside each other."""
    units = weight.shape[1] // 4
    padded = padded_to(weight[..., :units].unflatten(1, (4, units)), plan.padded, plan.padded)
    return padded.transpose(1, 2).flatten(1, 2)
