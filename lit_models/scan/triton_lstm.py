"""The LSTM's walk on a GPU: two persistent kernels, and products over whole chunks of time outside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lit_models.scan.triton_lstm_kernels import lstm_backward, lstm_forward
from lit_models.scan.triton_plan import (
    MOST_FEATURES,
    InputGradients,
    Plan,
    exact_products,
    flat_inputs,
    instance_first,
    make_plan,
    on_device_of,
    padded_to,
    spans,
)
from lit_models.scan.walk import Needs


def layout(plan: Plan, units: int) -> dict[str, Any]:
    """Return the compile-time arguments that both kernels take."""
    return {
        "UNITS": units,
        "PADDED": plan.padded,
        "ROWS": plan.rows,
        "BLOCK": plan.block,
        "num_warps": plan.warps,
    }


class TritonLSTMWalk:
    """c' = f c + i g, h' = o tanh(c') with [i; f; o; g] = W [h; x; 1], for W [M, 4N, N+D+1] and states [h, c].

    See ``instance_scan.Walk``. A step keeps its gates, c' and h': 6N numbers a sequence.
    """

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Tensor | None], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See ``Walk.forward``."""
        beside = _gates_beside(weights[0])
        (steps, _, batch, features), (instances, _, units) = inputs.shape, (*state.shape[:2], state.shape[2] // 2)
        few = features <= MOST_FEATURES
        plan = make_plan(units, instances * batch, gates=4)
        options = layout(plan, units) | {
            "FEATURES": features if few else 0,
            "KEEP_GATES": store,
            "KEEP_HIDDENS": store or keep_outputs,
        }
        padded = functional.pad(beside, (0, 0, 0, 4 * (plan.padded - units)))
        tile = padded_to(padded[..., :units].mT, plan.padded, 4 * plan.padded)
        input_weight = padded[..., units:].mT.contiguous()
        final = torch.stack(state.chunk(2, -1))
        # One step more than are walked: the state before each step, and after it.
        hiddens = state.new_empty(instances, steps + 1 if store or keep_outputs else 0, batch, units)
        cells = state.new_empty(instances, steps + 1 if store else 0, batch, units)
        gates = state.new_empty(instances, steps if store else 0, batch, 4 * units)
        for kept, first in zip((hiddens, cells), final, strict=True):
            kept[:, :1] = first.unsqueeze(1)
        for start, stop in [(0, steps)] if few else spans(steps):
            if few:
                drive = inputs
            else:
                to_gates = beside[..., units:]
                with exact_products():
                    drive = torch.baddbmm(
                        to_gates[..., -1].unsqueeze(1),
                        flat_inputs(inputs, start, stop, instances),
                        to_gates[..., :-1].mT,
                    )
                drive = drive.unflatten(1, (stop - start, batch)).transpose(0, 1)
            by_step, by_instance, by_row, by_unit = drive.stride()
            with on_device_of(state):
                lstm_forward[(instances, -(-batch // plan.rows))](
                    drive,
                    tile,
                    input_weight,
                    final,
                    gates[:, start:],
                    hiddens[:, start + 1 :],
                    cells[:, start + 1 :],
                    stop - start,
                    batch,
                    by_instance if drive.shape[1] > 1 else 0,
                    by_step,
                    by_row,
                    by_unit,
                    gates.stride(0),
                    hiddens.stride(0),
                    cells.stride(0),
                    **options,
                )
        outputs = hiddens[:, 1:].permute(1, 0, 3, 2) if keep_outputs else state.new_empty(0)
        stores = [each.transpose(0, 1) for each in (gates, hiddens, cells)] if store else []
        return outputs, torch.cat([*final], -1), stores

    def backward(
        self,
        inputs: Tensor,
        state: Tensor,
        weights: Sequence[Tensor | None],
        stores: Sequence[Tensor],
        grad_outputs: Tensor | None,
        grad_final: Tensor | None,
        needs: Needs,
    ) -> list[Tensor | None]:
        """See ``Walk.backward``."""
        beside = _gates_beside(weights[0])
        (steps, _, batch, _), (instances, _, units) = inputs.shape, (*state.shape[:2], state.shape[2] // 2)
        gates, hiddens, cells = (instance_first(each) for each in stores)
        plan = make_plan(units, instances * batch, gates=4)
        options = layout(plan, units) | {"ARRIVE": grad_outputs is not None}
        tile = padded_to(beside[..., :units], 4 * plan.padded, plan.padded)
        to_inputs = beside[..., units:-1]
        delta = torch.stack((torch.zeros_like(state) if grad_final is None else grad_final).chunk(2, -1))
        by_weight = torch.zeros_like(beside) if needs.weights[0] else None
        by_inputs = InputGradients(inputs) if needs.inputs else None
        length = max(stop - start for start, stop in spans(steps))
        pulled = state.new_empty(instances, length, batch, 4 * units)
        for start, stop in reversed(list(spans(steps))):
            arrivals = pulled.permute(1, 0, 3, 2) if grad_outputs is None else grad_outputs[start:stop]
            by_step, by_instance, by_unit, by_row = arrivals.stride()
            with on_device_of(state):
                lstm_backward[(instances, -(-batch // plan.rows))](
                    arrivals,
                    tile,
                    delta,
                    gates[:, start:],
                    cells[:, start:],
                    pulled,
                    stop - start,
                    batch,
                    by_instance,
                    by_step,
                    by_row,
                    by_unit,
                    gates.stride(0),
                    cells.stride(0),
                    pulled.stride(0),
                    **options,
                )
            deltas = pulled[:, : stop - start].flatten(1, 2)
            with exact_products():
                if by_weight is not None:
                    by_weight[..., :units].baddbmm_(deltas.mT, hiddens[:, start:stop].flatten(1, 2))
                    by_weight[..., units:-1].baddbmm_(deltas.mT, flat_inputs(inputs, start, stop, instances))
                    by_weight[..., -1] += deltas.sum(1)
                if by_inputs is not None:
                    by_inputs.put(start, stop, deltas, to_inputs)
        if by_weight is not None:
            by_weight = by_weight.unflatten(1, (units, 4)).transpose(1, 2).flatten(1, 2)
        return [
            None if by_inputs is None else by_inputs.all,
            torch.cat([*delta], -1) if needs.state else None,
            by_weight,
        ]


def _gates_beside(weight: Tensor) -> Tensor:
    """Return [M, 4N, ...] with the four rows of a unit beside each other instead of N rows of each gate."""
    return weight.unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2)
