"""Any recurrence as a walk that keeps nothing: what it needs on the way back it computes again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rnnbench.lit_models.scan.checkpointed import SegmentedWalk
from rnnbench.lit_models.scan.choice import chosen, scan, scanning
from rnnbench.lit_models.scan.instance_scan import scan_instances
from rnnbench.lit_models.scan.walk import Needs

if TYPE_CHECKING:
    from rnnbench.lit_models.recurrence import Recurrence


def scan_checkpointed_loop(
    recurrence: Recurrence, inputs: Tensor, state: Tensor, keep_outputs: bool, length: int
) -> tuple[Tensor, Tensor] | None:
    """Walk the loop in segments of ``length`` steps; None for what ``scan_instances`` refuses.

    Args:
        recurrence: gives the step.
        inputs: [T, B, D].
        state: [B, S].
        keep_outputs: whether outputs are wanted.
        length: steps whose intermediate values are held at a time on the way back.

    Returns:
        Outputs [T, B, N] (an empty tensor without ``keep_outputs``) and the final state [B, S].
    """
    walk = SegmentedWalk(LoopWalk(recurrence), length, walks_again=True)
    return scan_instances(walk, inputs, state, weights_of(recurrence), keep_outputs)


def weights_of(recurrence: Recurrence) -> list[Tensor]:
    """Return the weights of ``LoopWalk``."""
    return list(_named_tensors(recurrence).values())


class LoopWalk:
    """The loop over ``step``; its weights are the recurrence's parameters and buffers.

    Args:
        recurrence: gives the step.
    """

    def __init__(self, recurrence: Recurrence) -> None:
        """Note the names of the recurrence's tensors."""
        self._loop = _Loop(recurrence)
        self._names = [f"recurrence.{name}" for name in _named_tensors(recurrence)]

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Any], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See ``Walk.forward``."""
        with torch.no_grad():
            outputs, final = self._walk(inputs, state, weights, keep_outputs)
        return outputs, final, []

    def backward(
        self,
        inputs: Tensor,
        state: Tensor,
        weights: Sequence[Any],
        stores: Sequence[Tensor],
        grad_outputs: Tensor | None,
        grad_final: Tensor | None,
        needs: Needs,
    ) -> list[Tensor | None]:
        """See ``Walk.backward``."""
        wanted = (needs.inputs, needs.state, *needs.weights)
        leaves = [
            tensor.detach().requires_grad_(each) for tensor, each in zip((inputs, state, *weights), wanted, strict=True)
        ]
        with torch.enable_grad():
            values = self._walk(leaves[0], leaves[1], leaves[2:], grad_outputs is not None)
        arriving = [
            (value, gradient)
            for value, gradient in zip(values, (grad_outputs, grad_final), strict=True)
            if gradient is not None and value.requires_grad
        ]
        asked = [leaf for leaf in leaves if leaf.requires_grad]
        if not arriving:
            return [None] * len(leaves)
        ends, gradients = zip(*arriving, strict=True)
        found = iter(torch.autograd.grad(ends, asked, gradients, materialize_grads=True))
        return [next(found) if leaf.requires_grad else None for leaf in leaves]

    def _walk(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Tensor], keep_outputs: bool
    ) -> tuple[Tensor, Tensor]:
        """Return outputs [T, M, N, B], or an empty tensor, and the final state [M, B, S]."""

        def of_one(weights: Sequence[Tensor], inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            tensors = dict(zip(self._names, weights, strict=True))
            return functional_call(self._loop, tensors, (inputs, state, keep_outputs))

        if len(state) == 1:
            # vmap makes a loop of small operations 1.5 to 2.2 times slower, for nothing here.
            outputs, final = of_one([weight[0] for weight in weights], inputs[:, 0], state[0])
            outputs, final = outputs.unsqueeze(1), final.unsqueeze(0)
        else:
            shared = inputs.shape[1] == 1
            over = torch.vmap(of_one, (0, None if shared else 1, 0), (1 if keep_outputs else 0, 0))
            outputs, final = over(list(weights), inputs[:, 0] if shared else inputs, state)
        return outputs.mT if keep_outputs else inputs.new_empty(0), final


class _Loop(nn.Module):
    """The loop, or a scan that torch differentiates, as a module whose tensors can be replaced."""

    def __init__(self, recurrence: Recurrence) -> None:
        super().__init__()
        self.recurrence = recurrence
        # Noted here: the way back may be another thread's, where another scan is chosen.
        self.name = chosen().name

    def forward(self, inputs: Tensor, state: Tensor, keep_outputs: bool) -> tuple[Tensor, Tensor]:
        with scanning(self.name):
            return scan(self.recurrence, inputs, state, None, keep_outputs)


def _named_tensors(recurrence: Recurrence) -> dict[str, Tensor]:
    return {**dict(recurrence.named_parameters()), **dict(recurrence.named_buffers())}
