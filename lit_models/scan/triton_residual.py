"""The residual family's walk on a GPU: two persistent kernels, and products over whole chunks of time outside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

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
from lit_models.scan.triton_residual_kernels import residual_backward, residual_forward
from lit_models.scan.walk import Needs

_PARTS = ("gamma", "own", "cross", "dense")


class Setting(NamedTuple):
    """What is not a tensor: the form of the update, and act."""

    form: Literal["plain", "linear", "A"]
    activation: Literal["tanh", "relu", "identity"]


def layout(setting: Setting, plan: Plan, units: int, paired: bool, dense: bool) -> dict[str, Any]:
    """Return the compile-time arguments that both kernels take."""
    return {
        "UNITS": units,
        "PADDED": plan.padded,
        "ROWS": plan.rows,
        "BLOCK": plan.block,
        "FORM": setting.form,
        "ACTIVATION": setting.activation,
        "PAIRED": paired,
        "DENSE": dense,
        "num_warps": plan.warps,
    }


class TritonResidualWalk:
    """x' = act(a), R x + γ act(a) or act(R x) + γ act(a), with a = W x + V s + b; see ``instance_scan.Walk``.

    Weights are W [M, N, N], V [M, N, D], b [M, N] and, but for the plain form, γ, own and cross [M, N] and dense R
    [M, N, N], None where absent. A step keeps x' and act(a): 2N numbers a sequence; of the plain form x' alone.

    Args:
        setting: form and activation.
    """

    def __init__(self, setting: Setting) -> None:
        """Remember the setting."""
        self.setting = setting

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Tensor | None], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See ``Walk.forward``."""
        weight, input_weight, bias, gamma, own, cross, dense = _all(weights)
        (steps, _, batch, features), (instances, _, units) = inputs.shape, state.shape
        plain, few = self.setting.form == "plain", features <= MOST_FEATURES
        plan = make_plan(units, instances * batch, matrices=1 if dense is None else 2)
        square = (plan.padded, plan.padded)
        keep_states, keep_couplings = store or keep_outputs, store and not plain
        options = layout(self.setting, plan, units, cross is not None, dense is not None)
        options |= {"FEATURES": features if few else 0, "KEEP_STATES": keep_states, "KEEP_COUPLINGS": keep_couplings}
        final = state.clone(memory_format=torch.contiguous_format)
        # One step more than are walked: the state before each step, and after it.
        states = state.new_empty(instances, steps + 1 if keep_states else 0, batch, units)
        couplings = state.new_empty(instances, steps if keep_couplings else 0, batch, units)
        if keep_states:
            states[:, 0] = state
        tile = padded_to(weight.mT, *square)
        dense_tile = tile if dense is None else padded_to(dense.mT, *square)
        bias, input_weight = bias.contiguous(), input_weight.contiguous()
        gamma, own, cross = (bias if each is None else each.contiguous() for each in (gamma, own, cross))
        for start, stop in [(0, steps)] if few else spans(steps):
            if few:
                drive = inputs
            else:
                with exact_products():
                    drive = torch.baddbmm(
                        bias.unsqueeze(1), flat_inputs(inputs, start, stop, instances), input_weight.mT
                    )
                drive = drive.unflatten(1, (stop - start, batch)).transpose(0, 1)
            by_step, by_instance, by_row, by_unit = drive.stride()
            with on_device_of(state):
                residual_forward[(instances, -(-batch // plan.rows))](
                    drive,
                    tile,
                    input_weight,
                    bias,
                    gamma,
                    own,
                    cross,
                    dense_tile,
                    final,
                    states[:, start + 1 :],
                    couplings[:, start:],
                    stop - start,
                    batch,
                    by_instance if drive.shape[1] > 1 else 0,
                    by_step,
                    by_row,
                    by_unit,
                    states.stride(0),
                    couplings.stride(0),
                    **options,
                )
        outputs = states[:, 1:].permute(1, 0, 3, 2) if keep_outputs else state.new_empty(0)
        stores = [states.transpose(0, 1), *([] if plain else [couplings.transpose(0, 1)])] if store else []
        return outputs, final, stores

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
        weight, input_weight, _, gamma, own, cross, dense = _all(weights)
        (steps, _, batch, _), (instances, _, units) = inputs.shape, state.shape
        need_weight, need_input_weight, need_bias, *need_residual = needs.weights
        need_residual = need_residual or [False] * 4
        form = self.setting.form
        states, *rest = (instance_first(each) for each in stores)
        couplings = rest[0] if rest else states[:, 1:]
        plan = make_plan(units, instances * batch, matrices=1 if dense is None else 2)
        square, programs = (plan.padded, plan.padded), -(-batch // plan.rows)
        wanted = zip(_PARTS, need_residual, strict=True)
        options = layout(self.setting, plan, units, cross is not None, dense is not None)
        options |= {"ARRIVE": grad_outputs is not None, **{f"WANT_{part.upper()}": need for part, need in wanted}}
        tile = padded_to(weight, *square)
        dense_tile = tile if dense is None else padded_to(dense, *square)
        gamma, own, cross = (tile if each is None else each.contiguous() for each in (gamma, own, cross))
        delta = torch.zeros_like(state) if grad_final is None else grad_final
        delta = delta.clone(memory_format=torch.contiguous_format)
        partials = state.new_zeros(3, instances, programs, units)
        by_weight, by_input_weight, by_dense = (
            torch.zeros_like(each) if need else None
            for each, need in ((weight, need_weight), (input_weight, need_input_weight), (dense, need_residual[3]))
        )
        by_bias = state.new_zeros(instances, units) if need_bias else None
        by_inputs = InputGradients(inputs) if needs.inputs else None
        length = max(stop - start for start, stop in spans(steps))
        pulled = state.new_empty(instances, length, batch, units)
        inner = torch.empty_like(pulled) if need_residual[3] else pulled
        for start, stop in reversed(list(spans(steps))):
            before = states[:, start:stop].flatten(1, 2)
            turned = pulled
            if form == "A" and dense is not None:
                turned = torch.empty_like(pulled)
                with exact_products():
                    turned[:, : stop - start] = torch.bmm(before, dense.mT).unflatten(1, (stop - start, batch))
            arrivals = pulled.permute(1, 0, 3, 2) if grad_outputs is None else grad_outputs[start:stop]
            by_step, by_instance, by_unit, by_row = arrivals.stride()
            with on_device_of(state):
                residual_backward[(instances, programs)](
                    arrivals,
                    tile,
                    gamma,
                    own,
                    cross,
                    dense_tile,
                    turned,
                    delta,
                    states[:, start:],
                    couplings[:, start:],
                    pulled,
                    inner,
                    partials,
                    stop - start,
                    batch,
                    by_instance,
                    by_step,
                    by_row,
                    by_unit,
                    states.stride(0),
                    couplings.stride(0),
                    pulled.stride(0),
                    **options,
                )
            deltas = pulled[:, : stop - start].flatten(1, 2)
            with exact_products():
                if by_weight is not None:
                    by_weight.baddbmm_(deltas.mT, before)
                if by_input_weight is not None:
                    by_input_weight.baddbmm_(deltas.mT, flat_inputs(inputs, start, stop, instances))
                if by_dense is not None:
                    by_dense.baddbmm_(inner[:, : stop - start].flatten(1, 2).mT, before)
                if by_inputs is not None:
                    by_inputs.put(start, stop, deltas, input_weight)
            if by_bias is not None:
                by_bias += deltas.sum(1)
        by_units = partials.sum(2)
        return [
            None if by_inputs is None else by_inputs.all,
            delta if needs.state else None,
            by_weight,
            by_input_weight,
            by_bias,
            *(gradient if need else None for gradient, need in zip(by_units, need_residual, strict=False)),
            by_dense,
        ][: 2 + len(weights)]


def _all(weights: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Return all seven weights; the plain form has three."""
    return (*weights, *[None] * (3 + len(_PARTS) - len(weights)))
