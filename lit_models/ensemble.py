"""Networks of one architecture trained together along a leading instance axis."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

N = TypeVar("N", bound=nn.Module)


class Ensemble(nn.Module, Generic[N]):
    """M networks as one module whose parameters and buffers are stacks [M, ...].

    The stacks take the places of the first network's own tensors, so the names in ``state_dict`` are the network's.

    Args:
        networks: networks that differ in the values of their tensors alone.

    Raises:
        ValueError: there is no network, or two differ in more than the values of their tensors: in shapes, ties,
            modules, or plain settings (numbers, strings, tuples).

    >>> ensemble = Ensemble([nn.Linear(2, 3) for _ in range(5)])
    >>> ensemble(torch.zeros(7, 2)).shape
    torch.Size([5, 7, 3])
    """

    def __init__(self, networks: Sequence[N]) -> None:
        """Stack the networks' parameters and buffers; the networks themselves stay as they are."""
        super().__init__()
        if not networks:
            raise ValueError("an ensemble must have at least 1 network, got 0")
        for network in networks[1:]:
            _check_alike(networks[0], network)
        self.size = len(networks)
        others = [dict(_named_tensors(network)) for network in networks]
        self.network: N = _rebuilt(networks[0], lambda name, _: torch.stack([other[name].detach() for other in others]))

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, state: Tensor | None = None, **options: bool
    ) -> Any:
        """Return what the network does, with a leading instance axis, for inputs and lengths [B] that all share.

        The state [M, B, S] before the first input is every instance's own, None for the initial one; options are the
        network's (``carry`` and ``read`` of ``Network.forward``).
        """
        shared = (inputs,) if lengths is None and state is None else (inputs, lengths)
        # Looked up each time: modules may be replaced.
        places = _places(self.network)
        stacks = [table[name] for table, name in places]

        def call(tensors: list[Tensor], *own: Tensor) -> Any:
            with _placed(places, tensors):
                return self.network(*shared, *own, **options)

        own = () if state is None else (state,)
        if self.size == 1:
            # vmap makes a loop of small operations 1.5 to 2.2 times slower, for nothing here. Not [0], whose gradient
            # is written into zeros; and not squeeze(0): gradients of two biases that are added would be one memory,
            # which clipping scales twice.
            results = call([stack.unbind(0)[0] for stack in stacks], *(each[0] for each in own))
            return tuple(r.unsqueeze(0) for r in results) if isinstance(results, tuple) else results.unsqueeze(0)
        return torch.vmap(call)(stacks, *own)

    def instance(self, index: int) -> N:
        """Return a copy of one instance as a network of its own; raise IndexError if there is none."""
        if not 0 <= index < self.size:
            raise IndexError(f"instance must be at least 0 and below {self.size}, got {index}")
        return _rebuilt(self.network, lambda _, stack: stack.detach()[index].clone())


def _named_tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]


def _places(module: nn.Module) -> list[tuple[dict[str, Any], str]]:
    """Return where a module and those in it keep their tensors: tables and names, a tied tensor's each."""
    tables = (table for each in module.modules() for table in (each._parameters, each._buffers))
    return [(table, name) for table in tables for name, tensor in table.items() if tensor is not None]


@contextmanager
def _placed(places: Sequence[tuple[dict[str, Any], str]], tensors: Sequence[Tensor]) -> Iterator[None]:
    """Put other tensors in their places for a while, in a third of the time of ``torch.func.functional_call``."""
    kept = [table[name] for table, name in places]
    try:
        for (table, name), tensor in zip(places, tensors, strict=True):
            table[name] = tensor
        yield
    finally:
        for (table, name), tensor in zip(places, kept, strict=True):
            table[name] = tensor


def _rebuilt(network: N, value_of: Callable[[str, Tensor], Tensor]) -> N:
    """Return a copy of a network with other values in the places of its tensors, each from its name and the tensor."""
    network = copy.deepcopy(network)
    values: dict[int, Tensor] = {}
    for name, tensor in _named_tensors(network):
        # A tied tensor has several names and one value.
        if id(tensor) not in values:
            value = value_of(name, tensor)
            is_parameter = isinstance(tensor, nn.Parameter)
            values[id(tensor)] = nn.Parameter(value, tensor.requires_grad) if is_parameter else value
        path, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(path), leaf, values[id(tensor)])
    return network


def _check_alike(first: nn.Module, other: nn.Module) -> None:
    for (what, ours), theirs in zip(_described(first).items(), _described(other).values(), strict=True):
        unlike = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        if unlike:
            name = unlike[0]
            raise ValueError(
                f"networks of an ensemble must differ in the values of their tensors alone, but their {what} differ "
                f"in {name or 'the network itself'}: {ours.get(name)} and {theirs.get(name)}"
            )


def _described(network: nn.Module) -> dict[str, dict[str, object]]:
    tied_to: dict[int, str] = {}
    plain = (bool, int, float, str, tuple)
    return {
        "tensors": {
            name: (tuple(tensor.shape), tensor.dtype, f"tied to {tied_to.setdefault(id(tensor), name)}")
            for name, tensor in _named_tensors(network)
        },
        # A parametrised module has a class of its own.
        "modules": {name: type_before_parametrizations(module) for name, module in network.named_modules()},
        "settings": {
            name: {key: value for key, value in vars(module).items() if isinstance(value, plain)}
            for name, module in network.named_modules()
        },
    }
