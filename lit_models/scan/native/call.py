"""A call of the compiled kernels: the tensors that the library is given, by their names, and the numbers about them."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from rnnbench.lit_models.scan.contract import Grads
from rnnbench.lit_models.scan.eager.layout import store_lengths
from rnnbench.lit_models.scan.native.library import Arguments, call_library, padded_length

# What a block of sequences works on stays in the processor's caches; so many sequences fill registers well.
_BLOCK_BYTES = 3 * 2**19
_NARROWEST = 64


class NativeCall:
    """One call, forward or backward, for inputs [T, M or 1, B, D] and a state [M, B, S] of N units.

    Args:
        chunk: steps that are kept in a row; where kernels compute states again, those from one first state.
        rows: numbers a sequence that a kernel works on again and again. A batch for which they are too many for the
            caches is scanned block by block: for the library each block is an instance of its own.
        gates: rows of the weights for each unit.
    """

    def __init__(self, inputs: Tensor, state: Tensor, units: int, chunk: int, rows: int, gates: int = 1) -> None:
        self.instances, self.batch = state.shape[:2]
        self.steps, copies, _, self.features = inputs.shape
        self.units = units
        widest = _BLOCK_BYTES // (rows * state.element_size()) // _NARROWEST * _NARROWEST
        self.blocks = -(-self.batch // max(widest, _NARROWEST))
        self._sequences = -(-self.batch // self.blocks)
        self.columns = padded_length(self._sequences, state.element_size())
        self.row = padded_length(units + self.features + 1, state.element_size())
        self.given: dict[str, Tensor] = {}
        self._like, self._chunk = state, chunk
        self.arguments = Arguments(
            steps=self.steps,
            instances=self.instances * self.blocks,
            copies=copies * self.blocks,
            units=units,
            features=self.features,
            batch=self._sequences,
            columns=self.columns,
            chunk=chunk,
            blocks=self.blocks,
            whole=self.batch,
            row=self.row,
            gates=gates,
        )
        self.bind(inputs=self.padded(inputs.mT))

    def padded(self, columns: Tensor) -> Tensor:
        """Return [..., I, R, B] as rows of whole vectors, zeros behind, [..., I * blocks, R, columns]: a copy."""
        if self.blocks > 1:
            columns = functional.pad(columns, (0, self.blocks * self._sequences - self.batch))
            columns = columns.unflatten(-1, (self.blocks, -1)).transpose(-3, -2).flatten(-4, -3)
        if self.columns == self._sequences:
            return columns.clone(memory_format=torch.contiguous_format)
        padded = columns.new_zeros(*columns.shape[:-1], self.columns)
        padded[..., : self._sequences] = columns
        return padded

    def whole(self, name: str) -> Tensor:
        """Return what was given and is ``padded`` without its padding again, [..., I, R, B]."""
        columns = self.given[name][..., : self._sequences]
        if self.blocks == 1:
            return columns
        return columns.unflatten(-3, (-1, self.blocks)).transpose(-3, -2).flatten(-2)[..., : self.batch]

    def bind(self, **tensors: Tensor) -> None:
        """Hand tensors to the library under their names."""
        self.given.update({name: tensor.contiguous() for name, tensor in tensors.items()})

    def keep(self, rows: int) -> list[Tensor]:
        """Hand over room for ``rows`` of each step and block, [n, M, R, columns] for some chunks at a time."""
        rows *= self.blocks
        step_bytes = self.instances * rows * self.columns * self._like.element_size()
        lengths = store_lengths(self.steps, step_bytes, self._chunk)
        kept = [self._like.new_empty(length, self.instances, rows, self.columns) for length in lengths]
        self.bind_kept(kept)
        return kept

    def bind_kept(self, kept: Sequence[Tensor]) -> None:
        """Hand over where what is kept of each chunk lies."""
        # Of instances that share them, a view repeats them.
        self._kept = [tensor.contiguous() for tensor in kept]
        places = [
            tensor.data_ptr() + start * tensor.stride(0) * tensor.element_size()
            for tensor in self._kept
            for start in range(0, len(tensor), self._chunk)
        ]
        self._places = (ctypes.c_void_p * len(places))(*places)
        self.arguments.activations = ctypes.cast(self._places, ctypes.c_void_p)

    def forward(self, joint: Tensor, keep_outputs: bool) -> tuple[Tensor, Tensor]:
        """Scan with weights [M, gates N, N+D+1]; return outputs [T, M, N, B], maybe empty, and the final state."""
        outputs = self._like.new_empty(0)
        self.bind(joint=joint, state=self.padded(self._like.mT))
        if keep_outputs:
            outputs = self._like.new_empty(self.steps, self.instances, self.units, self.batch)
            self.bind(outputs=outputs)
        self.run("forward")
        return outputs, self.whole("state").mT.contiguous()

    def backward(
        self, to_state: Tensor, kept: Sequence[Tensor], grads: Grads, wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of inputs, state and joint, those that are wanted, for W and V [M, gates N, N+D]."""
        state = self._like
        self.bind(
            to_state=to_state, state=self.padded(torch.zeros_like(state.mT) if grads.final is None else grads.final.mT)
        )
        self.bind_kept(kept)
        if grads.outputs is not None:
            self.bind(grad_outputs=grads.outputs)
        if wanted[0]:
            self.bind(d_inputs=torch.zeros_like(self.given["inputs"]))
        if wanted[2]:
            self.bind(d_joint=state.new_zeros(self.instances, self.arguments.gates * self.units, self.row))
        self.run("backward")
        return (
            self.whole("d_inputs").mT if wanted[0] else None,
            self.whole("state").mT if wanted[1] else None,
            self.given["d_joint"][..., : self.units + self.features + 1] if wanted[2] else None,
        )

    def run(self, name: str) -> None:
        """Call a function of the library, with as much scratch as it wants."""
        for key, tensor in self.given.items():
            setattr(self.arguments, key, tensor.data_ptr())
        scratch = self._like.new_empty(call_library("scratch", self.arguments, self._like.dtype))
        self.arguments.scratch = scratch.data_ptr()
        call_library(name, self.arguments, self._like.dtype)
