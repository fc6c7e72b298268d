"""Recurrences that are linear in their state, in C: some steps at a time, with what the inputs give of them.

Whole sequences of projected inputs, coefficients and gradients would not fit into a processor's caches. Of each chunk
the first state is kept; in the backward pass its inputs are projected, and its states computed, again.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.native.library import Arguments, call_library

LinearForm = Literal["minGRU", "minLSTM", "RG-LRU", "blocks", "S6", "delta", "RWKV-7"]

# What a chunk works on stays in the processor's caches, but calls of few steps cost more than they do.
_CHUNK_BYTES = 2**20
_FEWEST_STEPS = 8
_VECTOR_BYTES = 64
# As in module.c.
_WIDEST = 4
_WITH_HEADS = ("delta", "RWKV-7")
# As UPDATE_VECTORS of module.c, and outputs.
_VECTORS_OF_UPDATE = 7


class NativeLinearKernel(NamedTuple):
    """The formulas of MinGRU, MinLSTM, RGLRU, BlockDiagonalRNN, S6, DeltaNet and RWKV7.

    Weights are W [M, P, D+1], the last column a bias, of the rows W [x; 1] that a step takes (``native/linear.h`` and
    ``heads.h`` have their order), and then factors of units: c log a [M, N] of an RG-LRU; the rates [M, N, K] and the
    factors of x [M, N] of S6; the largest β and, if it is gated, the heads' rates [M, 1 or 1+H] of DeltaNet; ξ and ρ
    [M, N] of RWKV-7.

    Attributes:
        form: which of them.
        units: N.
        features: rows of a block, K of S6, or numbers d of a head.
        updates: of DeltaNet in a step.
    """

    form: LinearForm
    units: int
    features: int = 1
    updates: int = 1

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, first, (joint, *factors) = given
        state = first.mT.clone(memory_format=torch.contiguous_format)
        outputs = inputs.new_empty(len(inputs) if keep_outputs else 0, len(state), self.units, state.shape[2])
        firsts, columns = [], self._columns(inputs, joint)
        for chunk in self._chunks(inputs, joint, state):
            if store:
                firsts.append(state.clone())
            arrays = {"outputs": outputs[chunk]} if keep_outputs else {}
            self._call(
                "linear_forward", joint, factors, state=state, inputs=self._rows(joint, columns, chunk), **arrays
            )
        stores = [torch.stack(firsts)] if store else []
        return outputs if keep_outputs else inputs.new_empty(0), state.mT.contiguous(), stores

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        inputs, first, (joint, *factors) = given
        state = torch.zeros_like(first.mT) if grads.final is None else grads.final.mT
        state = state.clone(memory_format=torch.contiguous_format)
        d_inputs = torch.empty_like(inputs, memory_format=torch.contiguous_format) if needs.inputs else None
        d_joint, *d_factors = (torch.zeros_like(each, memory_format=torch.contiguous_format) for each in given.weights)
        chunks, columns = self._chunks(inputs, joint, state), self._columns(inputs, joint)
        for chunk, kept in zip(reversed(chunks), reversed(stores[0].unbind(0)), strict=True):
            rows = self._rows(joint, columns, chunk)
            arrays = {"state": state, "firsts": kept, "inputs": rows}
            if grads.outputs is not None:
                arrays["grad_outputs"] = grads.outputs[chunk]
            arrays |= dict(zip(("d_own", "d_gain"), d_factors, strict=False))
            if self._computes_rows(joint):
                d_columns = torch.zeros_like(rows)
                if d_inputs is not None:
                    arrays["d_inputs"] = d_columns
                self._call("linear_backward", joint, factors, d_joint=d_joint, **arrays)
            else:
                d_rows = torch.empty_like(rows)
                self._call("linear_backward", joint, factors, d_inputs=d_rows, **arrays)
                d_joint += d_rows.flatten(2) @ columns[:, :, chunk].flatten(2).mT
                if d_inputs is not None:
                    d_columns = (joint[..., :-1].mT @ d_rows.flatten(2)).unflatten(2, rows.shape[2:])
            if d_inputs is not None:
                own = d_columns.permute(2, 0, 3, 1)
                d_inputs[chunk] = own if own.shape[1] == inputs.shape[1] else own.sum(1, keepdim=True)
        return [d_inputs, state.mT.contiguous(), d_joint, *d_factors]

    def _computes_rows(self, joint: Tensor) -> bool:
        """Return whether the library computes the rows: not those that it reads more than once."""
        return joint.shape[2] <= _WIDEST and self.form not in ("S6", *_WITH_HEADS)

    def _columns(self, inputs: Tensor, joint: Tensor) -> Tensor:
        """Return x, or [x; 1] where rows are computed here, [M or 1, D or D+1, T, B] of inputs [T, M or 1, B, D]."""
        if not self._computes_rows(joint):
            inputs = functional.pad(inputs, (0, 1), value=1.0)
        return inputs.permute(1, 3, 0, 2).contiguous()

    def _rows(self, joint: Tensor, columns: Tensor, chunk: slice) -> Tensor:
        """Return what the library takes of some steps, contiguous: x, or the rows [M, P, steps, B]."""
        part = columns[:, :, chunk]
        return (
            part.contiguous() if self._computes_rows(joint) else (joint @ part.flatten(2)).unflatten(2, part.shape[2:])
        )

    def _chunks(self, inputs: Tensor, joint: Tensor, state: Tensor) -> list[slice]:
        """Return the steps of each chunk."""
        rows = state.shape[1] if self._computes_rows(joint) else joint.shape[0] * joint.shape[1] + state.shape[1]
        length = max(_FEWEST_STEPS, _CHUNK_BYTES // (rows * state.shape[2] * state.element_size()))
        return [slice(start, start + length) for start in range(0, len(inputs), length)]

    def _call(self, name: str, joint: Tensor, factors: Sequence[Tensor], **arrays: Tensor) -> None:
        """Call the library; what it writes to is contiguous."""
        inputs, (instances, size, batch) = arrays["inputs"], arrays["state"].shape
        steps, owned = inputs.shape[2], factors[0][0].numel() if factors else 0
        computes_rows = self._computes_rows(joint)
        arrays |= {"joint": joint, **dict(zip(("own", "gain"), factors, strict=False))}
        back = name == "linear_backward"
        # A vector for each weight and factor, and states of all steps.
        vectors, states = owned + self.units + computes_rows * joint[0].numel(), steps * size * batch
        if self.form in _WITH_HEADS:
            memory, width = self.features**2, (_VECTORS_OF_UPDATE + 1) * self.features
            vectors += (memory + width) * (2 + back * steps * self.updates)
            states = 0
        vectors *= _VECTOR_BYTES // inputs.element_size()
        arrays["scratch"] = inputs.new_empty(vectors + states if back or self.form in _WITH_HEADS else 0)
        # Held until the call returns.
        arrays = {key: array.contiguous() for key, array in arrays.items()}
        arguments = Arguments(
            steps=steps,
            instances=instances,
            copies=len(inputs),
            units=self.units,
            features=self.features,
            batch=batch,
            columns=size,
            activation=get_args(LinearForm).index(self.form),
            gates=self.updates,
            owned=owned,
            width=computes_rows * joint.shape[2],
            row=joint.shape[1],
            **{key: array.data_ptr() for key, array in arrays.items()},
        )
        call_library(name, arguments, inputs.dtype)
