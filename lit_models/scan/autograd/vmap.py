"""The instance axis that ``torch.vmap`` adds, taken off its tensors and put back.

What ``vmap`` does around an ``autograd.Function``, and around each view before and after it, takes longer than the rest
of a small network's step: 1 to 2 ms for a forward and backward pass. Where ``vmap`` is the only transform, scans go
past it, by private names of torch; this goes when torch's own way costs less than a tenth of that.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from torch import Tensor

try:
    from torch._C._functorch import (
        TransformType,
        _add_batch_dim,
        _unwrap_batched,
        get_dynamic_layer_stack_depth,
        peek_interpreter_stack,
    )
    from torch._functorch.pyfunctorch import temporarily_pop_interpreter_stack
except ImportError:
    # Not part of torch's promises: a release without them leaves scans to its own way.
    get_dynamic_layer_stack_depth = None  # type: ignore[assignment]


def level_of_vmap() -> int | None:
    """Return the level of ``vmap``; None if there is none, or another transform besides."""
    if get_dynamic_layer_stack_depth is None or get_dynamic_layer_stack_depth() != 1:
        return None
    top = peek_interpreter_stack()
    return top.level() if top.key() == TransformType.Vmap else None


def unwrap_vmap(
    tensors: Sequence[Tensor | None], axes: Sequence[int], level: int
) -> tuple[list[Tensor | None], int | None]:
    """Return tensors with their instances on an axis each, of length one where all share them, and how many there are.

    None stands for as many as it does without instances: no tensor has any.
    """
    parts = [(None, None) if each is None else _unwrap_batched(each, level) for each in tensors]
    sizes = {each.shape[dim] for each, dim in parts if each is not None and dim is not None}
    found = [
        None if each is None else each.unsqueeze(axis) if dim is None else each.movedim(dim, axis)
        for (each, dim), axis in zip(parts, axes, strict=True)
    ]
    return found, max(sizes, default=None)


def wrap_vmap(tensor: Tensor, axis: int, level: int) -> Tensor:
    """Return a tensor whose axis of instances ``vmap`` has again."""
    return _add_batch_dim(tensor, axis, level)


def below_vmap() -> AbstractContextManager[None]:
    """Compute as if there were no ``vmap``."""
    return temporarily_pop_interpreter_stack()
