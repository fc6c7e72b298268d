"""The contract of a recurrence: one flat state, one ``step`` as its definition, and a ``forward`` that equals it."""

from abc import ABC, abstractmethod
from itertools import chain

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.scan.contract import KernelCall, Scanned
from rnnbench.lit_models.scan.dispatch import scan


class Recurrence(nn.Module, ABC):
    """A recurrent state update. Time-major: inputs are [T, B, D].

    A subclass defines ``advance`` and, where part of a step does not depend on the state, ``project``; ``step`` is
    their composition, and ``forward`` projects all inputs at once before it scans them.

    Attributes:
        input_size: D, features of one input.
        hidden_size: N, units of the output.
        state_size: S, everything carried in time.

    >>> class Leaky(Recurrence):
    ...     def __init__(self, input_size: int, hidden_size: int) -> None:
    ...         super().__init__(input_size, hidden_size)
    ...         self.weight = nn.Parameter(torch.ones(hidden_size, input_size))
    ...
    ...     def advance(self, projected: Tensor, state: Tensor) -> Tensor:
    ...         return 0.5 * state + projected @ self.weight.t()
    >>> outputs, state = Leaky(1, 1)(torch.tensor([1.0, 0.0, 2.0]).reshape(3, 1, 1))
    >>> outputs.flatten().tolist()
    [1.0, 0.5, 2.25]
    """

    def __init__(self, input_size: int, hidden_size: int, state_size: int | None = None) -> None:
        """Store the sizes; raise ValueError unless they are positive, as subclasses do for whatever they refuse."""
        super().__init__()
        check_at_least(1, input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.state_size = hidden_size if state_size is None else state_size

    def initial_state(self, batch_size: int) -> Tensor:
        """Return the state [B, S] before the first input: zeros."""
        # A recurrence may have no parameters; StopIteration would end an epoch silently.
        like = next(chain(self.parameters(), self.buffers()), None)
        return (torch.empty(0) if like is None else like).new_zeros(batch_size, self.state_size)

    def project(self, inputs: Tensor) -> Tensor:
        """Return the part [..., P] of a step that depends on the inputs [..., D] alone."""
        return inputs

    @abstractmethod
    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next state [B, S] from projected inputs [B, P] and the state [B, S]."""

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return the next state [B, S] from inputs [B, D] and state [B, S]: the definition of the architecture."""
        return self.advance(self.project(inputs), state)

    def output(self, state: Tensor) -> Tensor:
        """Return the output [B, N] that the next layer or the readout sees: the first N numbers of the state.

        >>> from rnnbench.lit_models.recurrences.gated import LSTM
        >>> class ShowsCell(LSTM):
        ...     def output(self, state: Tensor) -> Tensor:
        ...         return state[..., self.hidden_size :]
        >>> ShowsCell(1, 2).output(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
        tensor([[3., 4.]])
        """
        return state if self.state_size == self.hidden_size else state[..., : self.hidden_size]

    def scan_kernel(self) -> KernelCall | None:
        """Return a hand-derived kernel that equals the loop over ``step``, gradients too, and its weights.

        None, as here, where there is none. Classes derived from one that gives a kernel have it too as long as they
        override nothing of its definition (``scan.contract.keeps_definition``); else they take the loop.
        """
        return None

    def scan_linear(self, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool) -> Scanned | None:
        """Scan in closed form, of operations that torch differentiates, where the state's update is linear.

        As for ``scan_kernel``, it must equal the loop; arguments and results are as in ``scan_loop``. None, as here,
        where there is no closed form.
        """
        return None

    def linear_transition(self) -> Tensor | None:
        """Return the matrix A [S, S] of steps that are linear with the same A at every one: A h + projected.

        As for ``scan_kernel``, ``advance`` must equal it. None, as here, where it does not.
        """
        return None

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return outputs [T, B, N] and the final state [B, S] of inputs [T, B, D].

        The state before them is ``initial_state`` if None; past its length [B] a sequence's state stays as it is.
        """
        return self.run(inputs, self.initial_state(inputs.shape[1]) if state is None else state, lengths, True)

    def forward_last(
        self, inputs: Tensor, state: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Like ``forward``, but return only the last output [B, N], without keeping the others."""
        state = self.initial_state(inputs.shape[1]) if state is None else state
        final = self.run(inputs, state, lengths, keep_outputs=False)[1]
        return self.output(final), final

    def run(self, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool) -> Scanned:
        """Run over a sequence from a given state; without ``keep_outputs``, outputs are an empty tensor."""
        return scan(self, inputs, state, lengths, keep_outputs)


def check_recurrence(given: object) -> None:
    """Raise ValueError unless something is a recurrence; the message says where a network has its own.

    >>> check_recurrence(nn.Linear(1, 1))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: recurrence must be a Recurrence, got a Linear: give network.recurrence of a network, ...
    """
    if not isinstance(given, Recurrence):
        own = "give network.recurrence of a network, or ensemble.instance(i).recurrence of an ensemble"
        raise ValueError(f"recurrence must be a Recurrence, got a {type(given).__name__}: {own}")
