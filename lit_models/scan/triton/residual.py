"""The residual family's forward and backward pass on a GPU: two persistent kernels, and products beside them."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.triton.plan import (
    MOST_FEATURES,
    Plan,
    arriving,
    drives,
    exact_products,
    instance_first,
    make_plan,
    on_device_of,
    padded_to,
    spans,
    widen,
    widened,
)
from rnnbench.lit_models.scan.triton.products import ProductSums, StepGradients
from rnnbench.lit_models.scan.triton.residual_kernels import residual_backward, residual_forward

_PARTS = ("gamma", "own", "cross", "dense")


class TritonResidualKernel(NamedTuple):
    """x' = act(a) (``plain``), R x + γ act(a) or act(R x) + γ act(a) (``A``), with a = W x + V s + b.

    Weights are W [M, N, N], V [M, N, D], b [M, N] and, but for the plain form, γ, own and cross [M, N] and dense R
    [M, N, N], None where absent. A step keeps x' and act(a): 2N numbers a sequence; of the plain form x' alone.
    """

    form: Literal["plain", "linear", "A"]
    activation: Literal["tanh", "relu", "identity"]

    def layout(self, plan: Plan, units: int, paired: bool, dense: bool) -> dict[str, Any]:
        """Return the compile-time arguments that both kernels take."""
        return plan.options(UNITS=units, FORM=self.form, ACTIVATION=self.activation, PAIRED=paired, DENSE=dense)

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        (steps, _, batch, features), (instances, _, units) = inputs.shape, state.shape
        plain, few, width = self.form == "plain", features <= MOST_FEATURES, widen(units)
        weight, input_weight, bias, gamma, own, cross, dense = _all(weights, width)
        plan = make_plan(units, instances * batch, matrices=1 if dense is None else 2)
        square = (plan.padded, plan.padded)
        keep_states, keep_couplings = store or keep_outputs, store and not plain
        options = self.layout(plan, width, cross is not None, dense is not None)
        options |= {"FEATURES": features if few else 0, "KEEP_STATES": keep_states, "KEEP_COUPLINGS": keep_couplings}
        before, final = widened(state, width), state.new_empty(instances, batch, width)
        # One step more than are scanned: the state before each step, and after it.
        states = state.new_empty(instances, steps + 1 if keep_states else 0, batch, width)
        couplings = state.new_empty(instances, steps if keep_couplings else 0, batch, width)
        if plan.block:
            weight, dense = (None if each is None else padded_to(each.mT, *square) for each in (weight, dense))
        dense = weight if dense is None else dense
        gamma, own, cross = (bias if each is None else each for each in (gamma, own, cross))
        fixed = (weight, input_weight, bias, gamma, own, cross, dense)
        for start, stop, drive, strides in drives(inputs, instances, input_weight, bias, final.numel()):
            kept = (before if start == 0 else final, final, states[:, start:], couplings[:, start:])
            sizes = (stop - start, batch, *strides, states.stride(0), couplings.stride(0))
            with on_device_of(state):
                residual_forward[(instances, -(-batch // plan.rows))](drive, *fixed, *kept, *sizes, **options)
        outputs = states[:, 1:, :, :units].permute(1, 0, 3, 2) if keep_outputs else state.new_empty(0)
        stores = [states.transpose(0, 1), *([] if plain else [couplings.transpose(0, 1)])] if store else []
        return outputs, final[..., :units], stores

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, state, weights), (grad_outputs, grad_final) = given, grads
        (steps, _, batch, _), (instances, _, units) = inputs.shape, state.shape
        width = widen(units)
        weight, input_weight, _, gamma, own, cross, dense = _all(weights, width)
        need_residual = needs.weights[3:] or (False,) * 4
        states, *rest = (instance_first(each) for each in stores)
        couplings = rest[0] if rest else states[:, 1:]
        plan = make_plan(units, instances * batch, matrices=1 if dense is None else 2, back=True)
        square, programs = (plan.padded, plan.padded), -(-batch // plan.rows)
        wanted = zip(_PARTS, need_residual, strict=True)
        options = self.layout(plan, width, cross is not None, dense is not None)
        options |= {"ARRIVE": grad_outputs is not None, **{f"WANT_{part.upper()}": need for part, need in wanted}}
        # γ moves into the weights, once.
        scale = gamma
        tile, dense_tile = weight, weight if dense is None else dense
        if plan.block:
            tile = padded_to(weight if scale is None else scale.unsqueeze(-1) * weight, *square)
            dense_tile = tile if dense is None else padded_to(dense, *square)
        gamma, own, cross = (weight if each is None else each for each in (gamma, own, cross))
        given = widened(torch.zeros_like(state) if grad_final is None else grad_final, width)
        delta = torch.empty_like(given)
        chunks = spans(steps, delta.numel())
        length = chunks[0][1]
        partials = state.new_empty(len(chunks), 3, instances, programs, width)
        to_inputs = None
        if needs.inputs:
            to_inputs = input_weight if scale is None else scale.unsqueeze(-1) * input_weight
        shape = (instances, width, width)
        sums = StepGradients(inputs, shape, chunks, any(needs.weights[:3]), to_inputs, scale)
        by_dense = (
            ProductSums(state, instances, len(chunks), length * batch, width, width) if need_residual[3] else None
        )
        slopes = state.new_empty(instances, length, batch, width)
        inner = torch.empty_like(slopes) if need_residual[3] else slopes
        for chunk, (start, stop) in reversed(list(enumerate(chunks))):
            mapped = slopes
            if self.form == "A" and dense is not None:
                mapped = torch.empty_like(slopes)
                before = states[:, start:stop].flatten(1, 2)
                with exact_products():
                    mapped[:, : stop - start] = torch.bmm(before, dense.mT).unflatten(1, (stop - start, batch))
            arrivals = slopes if grad_outputs is None else arriving(grad_outputs[start:stop], width)
            fixed = (tile, gamma, own, cross, dense_tile, mapped)
            kept = (given if stop == steps else delta, delta, states[:, start:], couplings[:, start:])
            written = (slopes, inner, partials[chunk])
            strides = (*arrivals.stride()[:2], states.stride(0), couplings.stride(0), slopes.stride(0))
            sizes = (stop - start, batch, *strides)
            with on_device_of(state):
                residual_backward[(instances, programs)](arrivals, *fixed, *kept, *written, *sizes, **options)
            sums.add(chunk, slopes[:, : stop - start], states)
            if by_dense is not None:
                by_dense.add(chunk, inner[:, : stop - start], states[:, start:stop], inputs)
        by_units = partials.sum((0, 3))[..., :units]
        by_inputs, by_weight, *by_others = sums.result()
        by_weights = (None if by_weight is None else by_weight[..., :units], *by_others)
        found = [
            by_inputs,
            delta[..., :units] if needs.state else None,
            *(each[:, :units] if need else None for each, need in zip(by_weights, needs.weights, strict=False)),
            *(each if need else None for each, need in zip(by_units, need_residual, strict=False)),
            None if by_dense is None else by_dense.result()[:, :units, :units],
        ]
        return found[: 2 + len(weights)]


def _all(weights: Sequence[Tensor | None], width: int) -> tuple[Tensor | None, ...]:
    """Return all seven weights for so many units; the plain form has three."""
    weight, input_weight, *others = (*weights, *[None] * (3 + len(_PARTS) - len(weights)))
    *vectors, dense = others
    return (
        padded_to(weight, width, width),
        widened(input_weight, width, axis=-2),
        *(None if each is None else widened(each, width) for each in vectors),
        None if dense is None else padded_to(dense, width, width),
    )
