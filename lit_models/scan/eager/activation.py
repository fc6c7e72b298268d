"""An activation and its backward pass, into given tensors."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

tanh_backward = torch.ops.aten.tanh_backward.grad_input
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_threshold_backward = torch.ops.aten.threshold_backward.grad_input


class Activation:
    """act in time, in place where it can be."""

    def __init__(self, name: Literal["tanh", "relu", "identity"]) -> None:
        """Choose act."""
        self._name = name

    def apply(self, values: Tensor, out: Tensor) -> None:
        """Write act(x) into ``out``, ``values`` or another."""
        if self._name == "tanh":
            torch.tanh(values, out=out)
        elif self._name == "relu":
            torch.clamp(values, min=0.0, out=out)
        elif out is not values:
            out.copy_(values)

    def vjp(self, gradient: Tensor, activated: Tensor, out: Tensor) -> None:
        """Write the gradient of x for that of act(x) into ``out``, given act(x)."""
        if self._name == "tanh":
            tanh_backward(gradient, activated, grad_input=out)
        elif self._name == "relu":
            _threshold_backward(gradient, activated, 0.0, grad_input=out)
        else:
            out.copy_(gradient)
