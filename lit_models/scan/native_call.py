"""A call of the compiled walks: the tensors that the library is given, by their names, and the numbers about them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from lit_models.scan.native_library import Arguments, native_library, padded_length

# Buffers that are kept for the way back stay small enough for the allocator's heap (``state_rows``).
_STORE_BYTES = 4 * 2**20


class NativeCall:
    """One call, forward or back.

    Args:
        inputs: [T, M or 1, B, D].
        state: [M, B, S].
        units: N.
        chunk: steps that are kept in a row; where walks compute states again, those from one first state.
    """

    def __init__(self, inputs: Tensor, state: Tensor, units: int, chunk: int) -> None:
        """Describe the sizes, and hand the inputs over."""
        self.instances, self.batch = state.shape[:2]
        self.steps, copies, _, self.features = inputs.shape
        self.units = units
        self.columns = padded_length(self.batch, state.element_size())
        self.row = padded_length(units + self.features + 1, state.element_size())
        self.given: dict[str, Tensor] = {}
        self._like, self._chunk = state, chunk
        self.arguments = Arguments(
            steps=self.steps,
            instances=self.instances,
            copies=copies,
            units=units,
            features=self.features,
            batch=self.batch,
            columns=self.columns,
            chunk=chunk,
            row=self.row,
        )
        self.give(inputs=self.padded(inputs.mT))

    def padded(self, columns: Tensor) -> Tensor:
        """Return [..., B] as rows of whole vectors, zeros behind: a copy."""
        return functional.pad(columns, (0, self.columns - self.batch)).clone(memory_format=torch.contiguous_format)

    def give(self, **tensors: Tensor) -> None:
        """Hand tensors to the library under their names."""
        self.given.update({name: tensor.contiguous() for name, tensor in tensors.items()})

    def keep(self, rows: int) -> list[Tensor]:
        """Make room for what is kept of each step, [n, M, rows, columns] for so many chunks at a time; hand it over."""
        step_bytes = max(1, self.instances * rows * self.columns * self._like.element_size())
        length = max(1, _STORE_BYTES // (step_bytes * self._chunk)) * self._chunk
        kept = [
            self._like.new_empty(min(length, self.steps - start), self.instances, rows, self.columns)
            for start in range(0, self.steps, length)
        ]
        self.give_kept(kept)
        return kept

    def give_kept(self, kept: Sequence[Tensor]) -> None:
        """Hand over where what is kept of each chunk lies."""
        # Of instances that share them, a view repeats them.
        self._kept = [tensor.contiguous() for tensor in kept]
        places = [chunk.data_ptr() for tensor in self._kept for chunk in tensor.split(self._chunk)]
        self._places = (ctypes.c_void_p * len(places))(*places)
        self.arguments.activations = ctypes.cast(self._places, ctypes.c_void_p)

    def run(self, name: str) -> None:
        """Call a function of the library, with as much scratch as it wants: ``forward``, or ``forward_lstm``."""
        for key, tensor in self.given.items():
            setattr(self.arguments, key, tensor.data_ptr())
        library, number = native_library(), "float" if self._like.dtype == torch.float32 else "double"
        kind, where = name.partition("_")[1:], ctypes.byref(self.arguments)
        scratch = self._like.new_empty(getattr(library, f"scratch{''.join(kind)}_{number}")(where))
        self.arguments.scratch = scratch.data_ptr()
        getattr(library, f"{name}_{number}")(where)
