"""The cross-entropy of a large vocabulary in parts, without holding the scores of all positions."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

LARGE_VOCABULARY = 2048
"""Classes from which on the readout and its loss are computed together, in parts."""
PART = 2**23
"""Scores that are held at a time, at most (32 MB in single precision)."""


def summed_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, valid: Tensor | None = None
) -> Tensor:
    """Return the summed cross-entropy (nats) of every instance [M], of affine readouts of large vocabularies.

    Equal to ``F.cross_entropy(hidden @ weightᵀ + bias, targets, reduction="sum")`` instance by instance, for ``hidden``
    [M, P, N] at P positions, ``weight`` [M, K, N], ``bias`` [M, K], classes ``targets`` [P] and which positions count,
    ``valid`` [P]. Scores are computed for some positions at a time, and their gradients with them, so that neither the
    scores [M, P, K] nor their logarithms are ever held. Differentiable once, in reverse mode.

    Of two equally likely classes each costs log 2:

    >>> zero = torch.zeros(1, 2, 3)
    >>> summed_cross_entropy(torch.zeros(1, 4, 3), zero, zero[..., 0], torch.tensor([0, 1, 1, 0])).exp().round().item()
    16.0
    """
    total: Tensor = _SummedCrossEntropy.apply(  # type: ignore[no-untyped-call]  # torch's apply is not annotated
        hidden, weight, bias, targets, valid, torch.is_grad_enabled()
    )
    return total


class _SummedCrossEntropy(Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, valid: Tensor | None, grad: bool
    ) -> Tensor:
        wanted = grad and any(ctx.needs_input_grad[:3])
        gradients = [torch.zeros_like(each) for each in (hidden, weight, bias)] if wanted else []
        sums = hidden.new_zeros(len(hidden))
        size = max(1, PART // weight.shape[1])
        for m in range(len(hidden)):
            for start in range(0, hidden.shape[1], size):
                part = slice(start, start + size)
                scores = torch.addmm(bias[m], hidden[m, part], weight[m].t())
                goal = targets[part].unsqueeze(-1)
                losses = scores.logsumexp(-1, keepdim=True)
                terms = (losses - scores.gather(-1, goal))[:, 0]
                counts = None if valid is None else valid[part]
                sums[m] += (terms if counts is None else torch.where(counts, terms, 0.0)).sum()
                if not wanted:
                    continue
                # d/d scores: the probabilities, less 1 at the target.
                slopes = scores.sub_(losses).exp_()
                slopes.scatter_add_(-1, goal, slopes.new_full(goal.shape, -1.0))
                if counts is not None:
                    slopes = torch.where(counts.unsqueeze(-1), slopes, 0.0)
                torch.mm(slopes, weight[m], out=gradients[0][m, part])
                gradients[1][m].addmm_(slopes.t(), hidden[m, part])
                gradients[2][m] += slopes.sum(0)
        ctx.save_for_backward(*gradients)
        return sums

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        # Once: torch.utils.checkpoint refuses to give them twice.
        saved = ctx.saved_tensors
        if not saved:
            raise RuntimeError("the cross-entropy of a large vocabulary was computed without gradients")
        hidden, weight, bias = saved
        scale = upstream.view(-1, 1, 1)
        return hidden * scale, weight * scale, bias * scale[..., 0], None, None, None
