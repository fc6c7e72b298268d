"""Hand-derived backpropagation through time for the residual family and the Elman network.

x' = act(a), R x + γ act(a) or act(R x) + γ act(a), with a = W x + V s + b (Dubinin & Effenberger 2024, eqs. 11, 18).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lit_models.scan.residual_walk import Setting, Stored, Tensors, Walk, walk_forward
from lit_models.scan.residual_walk_back import WalkBack, Wanted

_INSTEAD = "differentiate step, or walk within lit_models.scan.choice.scanning('loop')"


class _Plan(NamedTuple):
    setting: Setting
    keep_outputs: bool
    store: bool


def fused_residual(setting: Setting, tensors: Tensors, keep_outputs: bool) -> tuple[Tensor, Tensor] | None:
    """Walk one network through time.

    Args:
        setting: form and activation.
        tensors: inputs [T, B, D], state [B, N], W [N, N], V [N, D], b, γ, own and cross [N], dense R [N, N]; without
            an instance axis, which ``torch.vmap`` adds.
        keep_outputs: whether all states are returned.

    Returns:
        Outputs [T, B, N] (empty without ``keep_outputs``) and the final state [B, N]; None for what is left to the
        loop: sequences of no steps, other types than float32 and float64, or several of them, and autocast.
    """
    dtypes = {tensor.dtype for tensor in tensors if tensor is not None}
    if len(tensors.inputs) == 0 or len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        return None
    if torch.is_autocast_enabled(tensors.inputs.device.type):
        return None
    native = [None if each is None else each.unsqueeze(0) for each in tensors[1:]]
    outputs, final, *_ = _apply(_Plan(setting, keep_outputs, False), tensors.inputs.unsqueeze(1), *native)
    return (outputs.squeeze(1) if keep_outputs else outputs), final.squeeze(0)


def _apply(plan: _Plan, *tensors: Tensor | None) -> Any:
    # Within vmap a tensor does not show that it requires a gradient; the rule below asks again, where it does.
    differentiated = any(tensor is not None and tensor.requires_grad for tensor in tensors)
    store = torch.is_grad_enabled() and (plan.store or differentiated)
    return _FusedResidual.apply(plan._replace(store=store), *tensors)


class _FusedResidual(torch.autograd.Function):
    """Takes ``Tensors`` with an instance axis; also returns what it stored, for there alone may saved tensors be."""

    @staticmethod
    def forward(plan: _Plan, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        outputs, final, stored = walk_forward(Walk(plan.setting, Tensors(*tensors)), plan.keep_outputs, plan.store)
        return outputs, final, *stored.states, *stored.couplings

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        plan, *tensors = inputs
        outputs, _, *stored = output
        ctx.plan = plan
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*stored, *([] if plan.keep_outputs else [outputs]))
        ctx.save_for_backward(*tensors, *stored)

    @staticmethod
    def backward(ctx: Any, by_outputs: Tensor | None, by_final: Tensor | None, *_: None) -> tuple[Any, ...]:
        wanted = Wanted(*ctx.needs_input_grad[1:])
        found = iter(_FusedResidualBackward.apply(ctx.plan.setting, wanted, by_outputs, by_final, *ctx.saved_tensors))
        return None, *(next(found) if each else None for each in wanted)

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> None:
        raise RuntimeError(f"a fused scan has no derivative in forward mode: {_INSTEAD}")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], plan: _Plan, *tensors: Tensor | None) -> tuple[Any, ...]:
        size = info.batch_size
        inputs, *others = tensors
        native = [_join_axis(tensor, dim, size) for tensor, dim in zip(others, in_dims[2:], strict=True)]
        instances = len(native[0]) // size
        if in_dims[1] is not None:
            inputs = inputs.movedim(in_dims[1], 1).expand(-1, -1, instances, -1, -1).flatten(1, 2)
        elif inputs.shape[1] > 1:
            inputs = inputs.unsqueeze(1).expand(-1, size, -1, -1, -1).flatten(1, 2)
        outputs, final, *stored = _apply(plan, inputs, *native)
        # Chunks have a time axis before the instance axis, states have none.
        found = [final, *stored]
        dims = [each.dim() - 3 for each in found]
        found = [each.unflatten(dim, (size, instances)) for each, dim in zip(found, dims, strict=True)]
        if not plan.keep_outputs:
            return (outputs, *found), (None, *dims)
        return (outputs.unflatten(1, (size, instances)), *found), (1, *dims)


class _FusedResidualBackward(torch.autograd.Function):
    """The way back as a function of its own, so that differentiating it again raises instead of giving zeros."""

    @staticmethod
    def forward(
        setting: Setting, wanted: Wanted, by_outputs: Tensor | None, by_final: Tensor | None, *saved: Tensor | None
    ) -> tuple[Tensor, ...]:
        count = len(Tensors._fields)
        walk = Walk(setting, Tensors(*saved[:count]))
        chunks = len(list(walk.spans()))
        stored = Stored(list(saved[count : count + chunks]), list(saved[count + chunks :]))
        found = WalkBack(walk, stored, wanted).run(by_outputs, by_final)
        return tuple(each for each in found if each is not None)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> None:
        raise RuntimeError(f"a fused scan has no second derivative: {_INSTEAD}")

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> None:
        raise RuntimeError(f"a fused scan has no derivative in forward mode: {_INSTEAD}")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *_: Any) -> None:
        raise RuntimeError(f"the gradient of a fused scan cannot be batched: {_INSTEAD}")


def _join_axis(tensor: Tensor | None, dim: int | None, size: int) -> Tensor | None:
    """Join vmap's axis with the instance axis, which is first."""
    if tensor is None:
        return None
    batched = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return batched.flatten(0, 1)
