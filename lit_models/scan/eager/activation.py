"""Activations and their backward passes, into given tensors."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

tanh_backward = torch.ops.aten.tanh_backward.grad_input
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_threshold_backward = torch.ops.aten.threshold_backward.grad_input


class Activation(NamedTuple):
    """An activation in time.

    Attributes:
        apply: writes act(x) into a second tensor, or the same.
        vjp: writes, for the gradient of act(x), and given act(x), that of x into a third tensor.
    """

    apply: Callable[[Tensor, Tensor], object]
    vjp: Callable[[Tensor, Tensor, Tensor], object]


ACTIVATIONS = {
    "tanh": Activation(
        lambda x, out: torch.tanh(x, out=out), lambda grad, act, out: tanh_backward(grad, act, grad_input=out)
    ),
    "relu": Activation(
        lambda x, out: torch.clamp(x, min=0.0, out=out),
        lambda grad, act, out: _threshold_backward(grad, act, 0.0, grad_input=out),
    ),
    "identity": Activation(lambda x, out: out if out is x else out.copy_(x), lambda grad, _, out: out.copy_(grad)),
}
