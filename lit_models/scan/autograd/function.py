"""A kernel as an ``autograd.Function``: instance axis, ``vmap``, order of derivatives."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from rnnbench.lit_models.scan.autograd.vmap import below_vmap, level_of_vmap, unwrap_vmap, wrap_vmap
from rnnbench.lit_models.scan.contract import Grads, Needs, Operands, ScanKernel, Scanned

try:
    from torch._functorch.utils import unwrap_dead_wrappers
except ImportError:
    # Not part of torch's promises.
    unwrap_dead_wrappers = None  # type: ignore[assignment]

# Where the instance axis stands: inputs [T, M or 1, B, D], outputs [T, M, N, B] and stores [T', M, rows, B] have it
# after time, state [M, B, S] and weights [M, ...] first.
_IN_TIME, _FIRST = 1, 0

_INSTEAD = "compute within rnnbench.use_backend('loop')"


def scan_instances(
    kernel: ScanKernel, inputs: Tensor, state: Tensor, weights: Sequence[Tensor | None], keep_outputs: bool
) -> Scanned:
    """Scan one network, or under ``torch.vmap`` many at once.

    Inputs are [T, B, D], T at least 1, the state is [B, S], and weights are one network's, as the kernel takes them.
    """
    level = level_of_vmap()
    if level is not None:
        found = _scan_all(kernel, (inputs, state, *weights), keep_outputs, level)
        if found is not None:
            return found
    others = (None if tensor is None else tensor.unsqueeze(_FIRST) for tensor in (state, *weights))
    tensors = [inputs.unsqueeze(_IN_TIME), *others]
    outputs, final, *_ = _Scan.apply(kernel, _wants_gradients(tensors), keep_outputs, *tensors)
    return outputs.squeeze(_IN_TIME).transpose(-1, -2) if keep_outputs else outputs, final.squeeze(_FIRST)


def _scan_all(
    kernel: ScanKernel, tensors: Sequence[Tensor | None], keep_outputs: bool, level: int
) -> tuple[Tensor, Tensor] | None:
    """Scan all instances of the only ``vmap`` past it; None if no tensor has any."""
    apart, instances = unwrap_vmap(tensors, (_IN_TIME, *[_FIRST] * (len(tensors) - 1)), level)
    if instances is None:
        return None
    # Inputs that all instances share stay one.
    apart[1:] = (None if each is None else each.expand(instances, *each.shape[1:]) for each in apart[1:])
    with below_vmap():
        outputs, final, *_ = _Scan.apply(kernel, _wants_gradients(apart), keep_outputs, *apart)
        if keep_outputs:
            outputs = outputs.transpose(-1, -2)
    return wrap_vmap(outputs, _IN_TIME, level) if keep_outputs else outputs, wrap_vmap(final, _FIRST, level)


class _Scan(Function):
    @classmethod
    def apply(cls, *args: Any) -> Any:
        # What it inherits binds arguments to names at each call: without that, a forward and backward pass of 16 Elman
        # units over 20 steps takes 7 % less time. This goes when torch's own way costs less than 2 %.
        if unwrap_dead_wrappers is None or torch._C._are_functorch_transforms_active():
            return super().apply(*args)  # type: ignore[no-untyped-call]
        return super(Function, cls).apply(*unwrap_dead_wrappers(args))  # type: ignore[misc]

    @staticmethod
    def forward(
        kernel: ScanKernel, store: bool, keep_outputs: bool, inputs: Tensor, state: Tensor, *weights: Tensor | None
    ) -> tuple[Tensor, ...]:
        outputs, final, stores = kernel.forward(Operands(inputs, state, weights), store, keep_outputs)
        return outputs, final, *stores

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.kernel, ctx.store, ctx.keep_outputs, *tensors = inputs
        ctx.weights = len(tensors) - 2
        stores = output[2:]
        ctx.mark_non_differentiable(*stores, *([] if ctx.keep_outputs else output[:1]))
        ctx.set_materialize_grads(False)
        if ctx.store:
            ctx.save_for_backward(*tensors, *stores)

    @staticmethod
    def backward(ctx: Any, grad_outputs: Tensor | None, grad_final: Tensor | None, *_: None) -> tuple[Any, ...]:
        if not ctx.store:
            raise RuntimeError(f"a hand-derived scan ran without a sign that gradients are wanted: {_INSTEAD}")
        # Once: torch.utils.checkpoint refuses to give them twice.
        saved = ctx.saved_tensors
        tensors, stores = saved[: ctx.weights + 2], saved[ctx.weights + 2 :]
        by_inputs, by_state, *by_weights = ctx.needs_input_grad[3:]
        needs = Needs(by_inputs, by_state, tuple(by_weights))
        if torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
            arguments = (ctx.kernel, needs, ctx.weights, grad_outputs, grad_final, *tensors, *stores)
            found = _Gradients.apply(*arguments)  # type: ignore[no-untyped-call]
        else:
            # Nobody differentiates again, or batches.
            given = Operands(tensors[0], tensors[1], tensors[2:])
            found = ctx.kernel.backward(given, stores, Grads(grad_outputs, grad_final), needs)
        return (None, None, None, *found)

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> None:
        raise RuntimeError(f"a hand-derived scan has no derivative in forward mode: {_INSTEAD}")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[tuple[Tensor, ...], tuple[Any, ...]]:
        kernel, store, keep_outputs, inputs, *others = args
        instances = _without(others[1], in_dims[5]).shape[_FIRST]
        # Inputs that all instances share stay one.
        if in_dims[3] is not None or inputs.shape[_IN_TIME] > 1:
            inputs = _fold(inputs, in_dims[3], _IN_TIME, info.batch_size, instances)
        others = [_fold(tensor, dim, _FIRST, info.batch_size) for tensor, dim in zip(others, in_dims[4:], strict=True)]
        store = store or _wants_gradients([inputs, *others])
        outputs, final, *stores = _Scan.apply(kernel, store, keep_outputs, inputs, *others)
        sizes = (info.batch_size, instances)
        return (
            (
                outputs.unflatten(_IN_TIME, sizes) if keep_outputs else outputs,
                final.unflatten(_FIRST, sizes),
                *(stored.unflatten(_IN_TIME, sizes) for stored in stores),
            ),
            (_IN_TIME if keep_outputs else None, _FIRST, *(_IN_TIME for _ in stores)),
        )


class _Gradients(Function):
    """A kernel's backward pass as a function of its own, so that a second derivative raises instead of being wrong."""

    @staticmethod
    def forward(
        kernel: ScanKernel,
        needs: Needs,
        weights: int,
        grad_outputs: Tensor | None,
        grad_final: Tensor | None,
        inputs: Tensor,
        state: Tensor,
        *others: Any,
    ) -> tuple[Tensor | None, ...]:
        given, grads = Operands(inputs, state, others[:weights]), Grads(grad_outputs, grad_final)
        return tuple(kernel.backward(given, others[weights:], grads, needs))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor | None, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Any, ...]:
        raise RuntimeError(f"a hand-derived scan has no second derivative: {_INSTEAD}")

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> None:
        raise RuntimeError(f"a hand-derived scan has no derivative in forward mode: {_INSTEAD}")

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[tuple[Tensor | None, ...], tuple[int | None, ...]]:
        kernel, needs, weights, *tensors = args
        instances = _without(tensors[4], in_dims[7]).shape[_FIRST]
        axes = [_IN_TIME, _FIRST, _IN_TIME, *[_FIRST] * (1 + weights)]
        axes += [_IN_TIME] * (len(tensors) - len(axes))
        folded = [
            _fold(tensor, dim, axis, info.batch_size, instances)
            for tensor, dim, axis in zip(tensors, in_dims[3:], axes, strict=True)
        ]
        shared = _without(tensors[2], in_dims[5]).shape[_IN_TIME] < instances
        sizes = (info.batch_size, instances)
        gradients = _Gradients.apply(kernel, needs, weights, *folded)  # type: ignore[no-untyped-call]
        found = [
            gradient if gradient is None else gradient.unflatten(axis, sizes)
            for gradient, axis in zip(gradients, axes[2:], strict=False)
        ]
        if shared and found[0] is not None:
            found[0] = found[0].sum(_IN_TIME + 1, keepdim=True)
        dims = [None if gradient is None else axis for gradient, axis in zip(found, axes[2:], strict=False)]
        return tuple(found), tuple(dims)


def _wants_gradients(tensors: Sequence[Tensor | None]) -> bool:
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def _without(tensor: Tensor, dim: int | None) -> Tensor:
    return tensor if dim is None else tensor.select(dim, 0)


def _fold(tensor: Tensor | None, dim: int | None, axis: int, size: int, instances: int | None = None) -> Tensor | None:
    """Merge the axis of a ``vmap``, which may be missing, into the instance axis, of length one or ``instances``."""
    if tensor is None:
        return None
    tensor = tensor.unsqueeze(axis) if dim is None else tensor.movedim(dim, axis)
    shape = list(tensor.shape)
    shape[axis] = size
    shape[axis + 1] = shape[axis + 1] if instances is None else instances
    return tensor.expand(shape).flatten(axis, axis + 1)
