"""Rows [state; inputs; 1] of many instances, so that inputs and biases join a step's one matrix product."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from rnnbench.lit_models.scan.eager.layout import Buffers, InputGradients, store_lengths

# Steps whose states are held at a time: their inputs are filled in together, and they stay in cache.
CHUNK = 16


class StateRows(Buffers):
    """Buffers of rows [state; inputs; 1] for a scan from ``state`` [M, B, N] over inputs [T, I, B, D].

    Few inputs ride along in the product with the state; many would double what is stored, and are multiplied apart:
    then R = N + 1, otherwise N + D + 1. Steps are native (``Layout``).
    """

    def __init__(self, inputs: Tensor, state: Tensor) -> None:
        super().__init__(inputs, state.shape[0], state.shape[2])
        # Rows of inputs go through what is done to states, times zero: an infinite one would spoil the step after it.
        known_finite = inputs.device.type != "cpu" or math.isfinite(inputs.sum())
        self.joined = self.features <= max(1, self.units // 16) and known_finite
        self.rows = self.units + 1 + (self.features if self.joined else 0)

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield the first step of every chunk and the one after its last."""
        for start in range(0, self.steps, CHUNK):
            yield start, min(start + CHUNK, self.steps)

    def new_chunks(self, store: bool) -> list[Tensor]:
        """Return room for R rows of each step of every chunk; without ``store`` the same for each chunk."""
        if not store:
            return [self.new(CHUNK, self.rows)]
        step_bytes = self.instances * self.rows * self.batch * self.inputs.element_size()
        # Whole chunks, so that none lies in two buffers.
        return [self.new(length, self.rows) for length in store_lengths(self.steps, step_bytes, CHUNK)]

    def units_of(self, steps: Tensor) -> Tensor:
        """Return the rows of the units alone."""
        return self.layout.slice(steps, None, self.units)

    def begin(self, chunk: Tensor, first: Tensor, start: int, stop: int, cleared: bool = False) -> Tensor:
        """Fill a chunk, room for the states before step ``start`` and after each to ``stop``; return it cut to these.

        Its first state, native, is copied; with ``cleared`` the others begin as zeros, which steps are added to.
        """
        chunk = chunk[: stop - start + 1]
        # First of all: it may be a view of the chunk's last state.
        self.units_of(chunk[0]).copy_(first)
        if cleared:
            chunk[1:] = 0
        self.layout.slice(chunk, self.rows - 1, None).fill_(1.0)
        if self.joined:
            self.layout.slice(chunk[:-1], self.units, self.rows - 1).copy_(self.native_inputs[start:stop])
        return chunk

    def joint(self, weight: Tensor, input_weight: Tensor, bias: Tensor | None, padded: bool = False) -> Tensor:
        """Return [W, V if joined, b or 0] [M, N, R], with rows of zeros below it, R in all, if ``padded``."""
        bias = weight.new_zeros(weight.shape[:2]) if bias is None else bias
        found = torch.cat([weight, *([input_weight] if self.joined else []), bias.unsqueeze(-1)], -1)
        return self.pad(found) if padded else found

    def pad(self, values: Tensor) -> Tensor:
        """Return [M, R, ...] of [M, N, ...], with zeros below."""
        return torch.cat([values, values.new_zeros(len(values), self.rows - self.units, *values.shape[2:])], 1)

    def constant(self, values: Tensor) -> Tensor:
        """Return each unit's number of [M, N] for native steps, zero for inputs and the one."""
        return self.layout.constant(self.pad(values))

    def projector(self, input_weight: Tensor) -> Callable[[int, Tensor], object] | None:
        """Return what adds V s of a step to a native total, for V [M, P, D]; None where inputs are joined."""
        if self.joined:
            return None
        add, matrix = self.layout.add_product, self.layout.matrix(input_weight)
        steps = self.native_inputs.expand(-1, self.instances, -1, -1).unbind(0)
        return lambda step, total: add(matrix, steps[step], total)

    def first_rows(self, grad_final: Tensor | None) -> Tensor:
        """Return the gradient [M, B, N] of the final state as native rows, zeros elsewhere."""
        rows = self.new(1, self.rows)[0].zero_()
        if grad_final is not None:
            self.units_of(rows).copy_(self.layout.native(grad_final.mT))
        return rows

    def set_outputs(self, outputs: Tensor, start: int, stop: int, chunk: Tensor) -> None:
        """Copy the states after each step of a chunk to their places in outputs [T, M, N, B]."""
        outputs[start:stop] = self.layout.logical(self.units_of(chunk[1:]))


class GradientSums:
    """Sums of the gradients of W, V and b over time, from the gradients of a = W x + V s + b [M, P, B], P ≥ N."""

    def __init__(self, rows: StateRows, gradient: Tensor, gradient_rows: int) -> None:
        """Make room for the sums; ``gradient`` is the native tensor that holds each step's gradient in turn."""
        self._rows = rows
        self._joint = rows.inputs.new_zeros(rows.instances, gradient_rows, rows.rows)
        self._gradient = rows.layout.logical(gradient)
        # A product whose factors both run along the batch takes twice the time of one and a copy, batch first.
        self._transposed = None if rows.layout.batch_first else rows.new(CHUNK, rows.rows).mT.contiguous()
        self._operands: Sequence[Tensor] = ()
        self._apart: Tensor | None = None
        if not rows.joined:
            self._apart = rows.inputs.new_zeros(rows.instances, gradient_rows, rows.features)
            self._inputs = rows.inputs.expand(-1, rows.instances, -1, -1).unbind(0)

    def begin(self, operands: Tensor) -> None:
        """Take the native steps of all rows of a chunk."""
        if self._transposed is not None:
            operands = self._transposed[: len(operands)].copy_(operands.mT)
        self._operands = operands.unbind(0)

    def add(self, start: int, k: int) -> None:
        """Add the part of step k of a chunk that begins at ``start``."""
        self._joint.baddbmm_(self._gradient, self._operands[k])
        if self._apart is not None:
            self._apart.baddbmm_(self._gradient, self._inputs[start + k])

    def result(self, factor: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of W [M, N, N], V [M, N, D] and b [M, N], each row times ``factor`` ([M, N, 1])."""
        units = self._rows.units
        joint = self._joint[:, :units] * factor
        apart = joint[..., units:-1] if self._apart is None else self._apart[:, :units] * factor
        return joint[..., :units], apart, joint[..., -1]


class StateInputGradients(InputGradients):
    """The gradients of inputs, which for joined inputs stand in the rows below the state's."""

    def __init__(self, rows: StateRows, input_weight: Tensor) -> None:
        super().__init__(rows.inputs, rows.instances, rows.layout)
        self._rows, self._to_inputs = rows, rows.layout.native(input_weight.mT)

    def set_rows(self, step: int, delta: Tensor, gradient: Tensor) -> None:
        """Set those of a step, from the native rows of the state's gradient, or as Vᵀ g for g of at least N rows."""
        rows = self._rows
        if rows.joined:
            self.set(step, rows.layout.slice(delta, rows.units, rows.rows - 1))
        else:
            self.set_products(step, (self._to_inputs, rows.units_of(gradient)))
