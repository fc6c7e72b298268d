"""A network: encoder, recurrence, affine readout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.seeds import derive_seed
from rnnbench.datamodules.task import Task
from rnnbench.lit_models.encoder import Embedding, make_encoder
from rnnbench.lit_models.recurrence import Recurrence

RecurrenceFactory = Callable[[int], Recurrence]


class Network(nn.Module):
    """Encoder → recurrence → affine readout, batch-major at the door and time-major inside.

    The recurrence's parameters are never touched: they stay bit-equal to those given.

    Args:
        recurrence: the recurrence of D inputs and N outputs.
        output_size: K.
        readout: whether the readout is applied to the ``last`` output or to ``every`` one.
        encoder: maps inputs [T, B, ...] to [T, B, D]; the identity if None.
        tied: whether the readout's weights are those of the encoder, an ``Embedding`` of K tokens in N entries.

    Raises:
        ValueError: ``output_size`` is not positive, ``readout`` is unknown, or weights to be tied do not fit.

    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> network = Network(ElmanRNN(input_size=2, hidden_size=8), output_size=3, readout="last")
    >>> network(torch.zeros(5, 20, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        recurrence: Recurrence,
        output_size: int,
        readout: Literal["last", "every"],
        encoder: nn.Module | None = None,
        tied: bool = False,
    ) -> None:
        """Add a readout with PyTorch's default initialisation."""
        super().__init__()
        check_at_least(1, output_size=output_size)
        check_choice("readout", readout, ("last", "every"))
        self.encoder = nn.Identity() if encoder is None else encoder
        self.recurrence = recurrence
        self.readout = nn.Linear(recurrence.hidden_size, output_size)
        self.readout_at = readout
        if not tied:
            return
        needed = tuple(self.readout.weight.shape)
        if not isinstance(self.encoder, Embedding) or tuple(self.encoder.weight.shape) != needed:
            raise ValueError(
                f"tied weights need an embedding of {needed[1]} entries, the recurrence's outputs, for each of "
                f"{needed[0]} tokens: make embedding_size and hidden_size equal"
            )
        self.readout.weight = self.encoder.weight

    @classmethod
    def of(cls, recurrence: Recurrence, task: Task) -> Network:
        """Return the network of a task around a recurrence; ValueError if weights to be tied do not fit."""
        tied = task.tokens is not None and task.tokens.tied
        return cls(recurrence, task.output_size, task.readout, make_encoder(task.tokens), tied)

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor | None = None,
        state: Tensor | None = None,
        *,
        carry: bool = False,
        read: bool = True,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return outputs [B, K] of the last step, or [B, T, K] of every step, for inputs [B, T, D].

        Where sequences have ``lengths`` [B], outputs past them mean nothing, and nothing scores them.

        The state before the first input is [B, S], None for the recurrence's initial one. With ``carry`` that after all
        steps is returned too, for a readout at every step (else ValueError); without ``read``, the recurrence's outputs
        [B, (T,) N].
        """
        encoded = self.encoder(inputs.transpose(0, 1))
        readout = self.readout if read else nn.Identity()
        if self.readout_at == "last":
            if carry:
                raise ValueError("carry must be False for a readout at the last step, got True")
            if lengths is None:
                return readout(self.recurrence.forward_last(encoded, state)[0])
            outputs = self.recurrence(encoded, state)[0]
            last = (lengths - 1).view(1, -1, 1).expand(1, -1, outputs.shape[-1])
            return readout(torch.gather(outputs, 0, last)[0])
        # Padding comes last and a recurrence is causal: scanning it changes no step before, and scans of whole
        # sequences are faster than those that freeze each at its own length.
        outputs, final = self.recurrence(encoded, state)
        outputs = readout(outputs).transpose(0, 1)
        return (outputs, final) if carry else outputs


def make_network(factory: RecurrenceFactory, task: Task, instance: int) -> Network:
    """Return the network of one instance, its weights drawn from the random stream of that instance alone.

    >>> import functools
    >>> from rnnbench.datamodules.adding import Adding
    >>> from rnnbench.lit_models.recurrences.gated import LSTM
    >>> networks = [make_network(functools.partial(LSTM, hidden_size=8), Adding(length=20).task, 3) for _ in range(2)]
    >>> torch.equal(networks[0].readout.weight, networks[1].readout.weight)
    True
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which seeds the generators of all devices.
        torch.default_generator.manual_seed(derive_seed("weights", instance))
        return Network.of(factory(task.input_size), task)
