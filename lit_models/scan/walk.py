"""What a hand-derived scan has to give: the way through time and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor


class Needs(NamedTuple):
    """Whether the gradients of inputs, state and each weight are wanted."""

    inputs: bool
    state: bool
    weights: tuple[bool, ...]


class Walk(Protocol):
    """One architecture's way through time and back: plain maths on tensors that no autograd sees."""

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Any], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Walk inputs [T, M or 1, B, D] from a state [M, B, S], with weights [M, ...], some of which may be None.

        Returns:
            Outputs [T, M, N, B] (empty without ``keep_outputs``), the final state [M, B, S], and what ``backward``
            needs to know of the steps, tensors [T', M, ...] (nothing without ``store``).
        """
        ...

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
        """Return the gradients of inputs, state and each weight; those that are not needed may be None."""
        ...
