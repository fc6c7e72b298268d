"""The hand-derived scan of weakly coupled residual networks (Dubinin & Effenberger 2024, eqs. 11 and 18)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.eager.activation import tanh_backward
from rnnbench.lit_models.scan.eager.residual_map import ResidualMap, Rows
from rnnbench.lit_models.scan.eager.state_rows import CHUNK, GradientSums, StateInputGradients, StateRows


class ResidualWeights(NamedTuple):
    """W [M, N, N], V [M, N, D], b and γ [M, N], and R: ``own`` and ``cross`` [M, N], or ``dense`` [M, N, N]."""

    weight: Tensor
    input_weight: Tensor
    bias: Tensor
    gamma: Tensor
    own: Tensor | None
    cross: Tensor | None
    dense: Tensor | None


class ResidualKernel(NamedTuple):
    """x' = R x + γ tanh(a) (``linear``) or tanh(R x) + γ tanh(a) (``A``), with a = W x + V s + b.

    A step keeps tanh(a), N numbers a sequence; states are computed again, chunk by chunk, from the first of each:
    in cache that costs no more than to write and read them.
    """

    form: Literal["linear", "A"]

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        own = ResidualWeights(*weights)
        rows = StateRows(inputs, state)
        step = _Step(self.form, rows, own)
        layout, diagonal, gamma = rows.layout, step.diagonal, step.gamma
        joint = layout.matrix(rows.joint(*own[:3], padded=True))
        projector = rows.projector(own.input_weight)
        outputs = rows.new_outputs(keep_outputs)
        states, current = rows.new(CHUNK + 1, rows.rows), layout.native(state.mT)
        xs = step.residual.split(states)
        factors = [layout.pair(joint, x.whole) for x in xs]
        stores = rows.new_chunks(store)
        couplings = _chunks(stores)
        firsts = rows.new(len(range(0, rows.steps, CHUNK)), rows.units) if store else None
        for index, (start, stop) in enumerate(rows.spans()):
            if firsts is not None:
                firsts[index] = current
            chunk = rows.begin(states, current, start, stop, cleared=True)
            for k, coupling in enumerate(couplings[index if store else 0][: stop - start].unbind(0)):
                x, following = xs[k], xs[k + 1]
                torch.bmm(*factors[k], out=coupling)
                if projector is not None:
                    projector(start + k, rows.units_of(coupling))
                coupling.tanh_()
                if diagonal is None:
                    step.add_residual(x, following)
                else:
                    following.whole.addcmul_(diagonal, x.whole)
                following.whole.addcmul_(gamma, coupling)
            current = rows.units_of(chunk[-1])
            if keep_outputs:
                rows.set_outputs(outputs, start, stop, chunk)
        final = layout.logical(current).mT.contiguous()
        return outputs, final, [] if firsts is None else [firsts, *stores]

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``.

        With δ the gradient of x', that of a is γ (1 - tanh²(a)) δ; γ moves into the weights, once.
        """
        (inputs, state, weights), (grad_outputs, grad_final) = given, grads
        own = ResidualWeights(*weights)
        rows = StateRows(inputs, state)
        step = _Step(self.form, rows, own, needs.weights[4:])
        layout, residual = rows.layout, step.residual
        scale = own.gamma.unsqueeze(-1)
        to_inputs = scale * own.input_weight
        # Below the gradient of the state comes, for joined inputs, theirs.
        to_state = layout.matrix(rows.joint(scale * own.weight, to_inputs, None, padded=True).mT)
        delta, spare, inner = residual.split(torch.stack([rows.first_rows(grad_final)] * 3))
        gradient, diagonal = torch.empty_like(delta.whole), step.diagonal
        factors = layout.pair(to_state, gradient)
        sums = GradientSums(rows, gradient, rows.rows) if any(needs.weights[:3]) else None
        d_inputs = StateInputGradients(rows, to_inputs) if needs.inputs else None
        d_gamma = torch.zeros_like(gradient) if needs.weights[3] else None
        states = rows.new(CHUNK + 1, rows.rows)
        xs, kept = residual.split(states), residual.split(rows.new(CHUNK, rows.rows)) if self.form == "A" else None
        arriving = None if grad_outputs is None else rows.new(CHUNK, rows.units)
        wants_residual = any(needs.weights[4:])
        spans = zip(rows.spans(), stores[0], _chunks(stores[1:]), strict=True)
        for (start, stop), first, couplings in reversed(list(spans)):
            chunk = rows.begin(states, first, start, stop, cleared=True)
            step.recompute(chunk, couplings, xs, kept)
            if sums is not None:
                sums.begin(chunk[:-1])
            if arriving is not None and grad_outputs is not None:
                arriving[: stop - start] = layout.native(grad_outputs[start:stop])
            for k, coupling in reversed(list(enumerate(couplings.unbind(0)))):
                if arriving is not None:
                    rows.units_of(delta.whole).add_(arriving[k])
                tanh_backward(delta.whole, coupling, grad_input=gradient)
                if sums is not None:
                    sums.add(start, k)
                if d_gamma is not None:
                    d_gamma.addcmul_(delta.whole, coupling)
                through = delta
                if kept is not None:
                    tanh_backward(delta.whole, kept[k].whole, grad_input=inner.whole)
                    through = inner
                if wants_residual:
                    residual.accumulate(through, xs[k])
                if diagonal is None:
                    residual.set_transposed(through, spare)
                else:
                    torch.mul(delta.whole, diagonal, out=spare.whole)
                spare.whole.baddbmm_(*factors)
                delta, spare = spare, delta
                if d_inputs is not None:
                    d_inputs.set_rows(start + k, delta.whole, gradient)
        return [
            None if d_inputs is None else d_inputs.result(),
            layout.logical(rows.units_of(delta.whole)).mT if needs.state else None,
            *((None,) * 3 if sums is None else sums.result(scale)),
            None if d_gamma is None else layout.logical(rows.units_of(d_gamma)).sum(-1),
            *residual.gradients(),
        ]


class _Step:
    """What the forward and the backward pass share: x' = (R x or tanh(R x)) + γ tanh(a), in rows."""

    def __init__(
        self,
        form: Literal["linear", "A"],
        rows: StateRows,
        given: ResidualWeights,
        wanted: Sequence[bool] = (False, False, False),
    ) -> None:
        self.squashes = form == "A"
        self.gamma = rows.constant(given.gamma)
        self.residual = ResidualMap(rows, given.own, given.cross, given.dense, wanted)
        if self.squashes:
            self._squashed = self.residual.split(rows.new(1, rows.rows))[0]
        # Of most networks: this saves two calls a step.
        self.diagonal = None if self.squashes else self.residual.diagonal

    def add_residual(self, x: Rows, following: Rows, squashed: Rows | None = None) -> None:
        """Add R x, or tanh(R x), to ``following``; keep tanh(R x) in ``squashed``, if given."""
        if not self.squashes:
            self.residual.add(x, following)
            return
        kept = self._squashed if squashed is None else squashed
        kept.whole.zero_()
        self.residual.add(x, kept)
        following.whole.add_(kept.whole.tanh_())

    def recompute(self, chunk: Tensor, couplings: Tensor, xs: Sequence[Rows], kept: Sequence[Rows] | None) -> None:
        """Compute a begun chunk's states ``xs`` from its first and all tanh(a); form A keeps tanh(R x) in ``kept``.

        The last state is left out: no gradient depends on it.
        """
        chunk[1:-1].addcmul_(self.gamma, couplings[:-1])
        if kept is not None:
            for k in range(len(couplings)):
                self.add_residual(xs[k], xs[k + 1], kept[k])
            return
        for k in range(len(couplings) - 1):
            if self.diagonal is None:
                self.residual.add(xs[k], xs[k + 1])
            else:
                xs[k + 1].whole.addcmul_(self.diagonal, xs[k].whole)


def _chunks(stores: Sequence[Tensor]) -> list[Tensor]:
    """Return the steps of every chunk; no chunk lies in two stores."""
    return [chunk for each in stores for chunk in each.split(CHUNK)]
