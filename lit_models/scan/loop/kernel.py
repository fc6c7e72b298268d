"""Any recurrence as a kernel that keeps nothing: what its backward pass needs it computes again."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands, Scanned, ScannedRecurrence
from rnnbench.lit_models.scan.policy import current_backend, use_backend

#: Scans recurrence, inputs, state and lengths, with or without outputs.
Scan = Callable[[Any, Tensor, Tensor, "Tensor | None", bool], Scanned]


def weights_of(recurrence: Any) -> dict[str, Tensor]:
    """Return the weights of ``LoopKernel``: parameters and buffers."""
    return {**dict(recurrence.named_parameters()), **dict(recurrence.named_buffers())}


class LoopKernel:
    """A scan that torch differentiates; its weights are the recurrence's parameters and buffers."""

    def __init__(self, recurrence: ScannedRecurrence, scan: Scan) -> None:
        self._loop = _Loop(recurrence, scan)
        self._names = [f"recurrence.{name}" for name in weights_of(recurrence)]

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        with torch.no_grad():
            outputs, final = self._scan(inputs, state, weights, keep_outputs)
        return outputs, final, []

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, state, weights), (grad_outputs, grad_final) = given, grads
        wanted = (needs.inputs, needs.state, *needs.weights)
        leaves = [
            tensor.detach().requires_grad_(each) for tensor, each in zip((inputs, state, *weights), wanted, strict=True)
        ]
        with torch.enable_grad():
            values = self._scan(leaves[0], leaves[1], leaves[2:], grad_outputs is not None)
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

    def _scan(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Tensor], keep_outputs: bool
    ) -> tuple[Tensor, Tensor]:
        """Return outputs [T, M, N, B], or an empty tensor, and the final state [M, B, S]."""

        def of_one(weights: Sequence[Tensor], inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            tensors = dict(zip(self._names, weights, strict=True))
            found: Scanned = functional_call(self._loop, tensors, (inputs, state, keep_outputs))
            return found

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
    """A scan as a module whose tensors can be replaced."""

    def __init__(self, recurrence: ScannedRecurrence, scan: Scan) -> None:
        super().__init__()
        self.recurrence, self.scan = recurrence, scan
        # Noted here: the backward pass may run in another thread, where another backend is asked for.
        self.backend = current_backend().name

    def forward(self, inputs: Tensor, state: Tensor, keep_outputs: bool) -> Scanned:
        with use_backend(self.backend):
            return self.scan(self.recurrence, inputs, state, None, keep_outputs)
