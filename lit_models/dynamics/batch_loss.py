"""The training loss of one network on fixed sequences, as a pure function of its trained parameters."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rnnbench.datamodules.checks import check_at_least
from rnnbench.datamodules.task import Batch, Task
from rnnbench.lit_models.dynamics.precision import converted_copy
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.objective import loss_quantity, scored_sum
from rnnbench.lit_models.scan.loop.definition import scan_loop


class BatchLoss:
    """What a network's loss is a sum over, on fixed sequences, as a function of the flat vector of its parameters.

    The loss is ``total / count``, or its root for a task of loss ``rmse`` (``training_loss``), where totals and counts
    add up over chunks of the sequences. The network is a copy in evaluation mode, run step by step; only
    parameters that require a gradient are in the vector, in the order of ``named_parameters``: ``parameters`` [P] holds
    their values. Sequences are on the network's device, at most ``chunk`` of them run at a time, all in ``dtype``.

    Raises:
        ValueError: no parameter requires a gradient, the batch is empty, or an argument is not allowed.
    """

    def __init__(self, network: Network, task: Task, batch: Batch, dtype: torch.dtype, chunk: int) -> None:
        self.chunks = split_batch(batch, dtype, chunk)
        self._network = _StepByStep(converted_copy(network, dtype))
        named = [(name, value.detach()) for name, value in self._network.named_parameters() if value.requires_grad]
        if not named:
            raise ValueError("network must have a parameter that requires a gradient, but all are frozen")
        self._names = [name for name, _ in named]
        self._shapes = [value.shape for _, value in named]
        self.parameters = torch.cat([value.flatten() for _, value in named])
        self._quantity, self._steps = loss_quantity(task), task.loss_steps

    def outputs(self, parameters: Tensor, chunk: Batch) -> Tensor:
        """Return the readout [b, K] or [b, T, K] of a chunk for parameters [P]."""
        parts = parameters.split([math.prod(shape) for shape in self._shapes])
        values = {n: part.view(shape) for n, part, shape in zip(self._names, parts, self._shapes, strict=True)}
        outputs: Tensor = functional_call(self._network, values, (chunk.inputs, chunk.lengths))
        return outputs

    def total(self, outputs: Tensor, chunk: Batch) -> tuple[Tensor, int | Tensor]:
        """Return the sum [] over scored terms of a chunk's outputs [b, (T,) K], and the number of terms."""
        totals, count = scored_sum(self._quantity, outputs.unsqueeze(0), chunk.targets, self._steps, chunk.lengths)
        return totals[0], count


class _StepByStep(nn.Module):
    """A network that always runs the plain loop, which can be differentiated any number of times."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor, lengths: Tensor | None) -> Tensor:
        encoded = self.network.encoder(inputs.transpose(0, 1))
        recurrence, every = self.network.recurrence, self.network.readout_at == "every"
        state = recurrence.initial_state(encoded.shape[1])
        outputs, final = scan_loop(recurrence, encoded, state, lengths, keep_outputs=every)
        if every:
            return self.network.readout(outputs).transpose(0, 1)
        return self.network.readout(recurrence.output(final))


def split_batch(batch: Batch, dtype: torch.dtype | None, chunk: int, device: torch.device | None = None) -> list[Batch]:
    """Return a batch in chunks of sequences, its floating-point parts in the given type and all on the given device.

    None for the type or the device that they have.

    Raises:
        ValueError: the batch is empty or the chunk not positive.

    >>> [len(part.inputs) for part in split_batch(Batch(torch.ones(5, 9, 1), torch.ones(5, 1)), None, chunk=2)]
    [2, 2, 1]
    """
    check_at_least(1, chunk=chunk)
    size = len(batch.inputs)
    if size < 1:
        raise ValueError("batch must hold at least 1 sequence, got 0")

    def parts(values: Tensor) -> Sequence[Tensor]:
        # Copies: what was made in inference mode cannot be differentiated.
        return values.detach().to(device, dtype if values.is_floating_point() else None, copy=True).split(chunk)

    inputs, targets = parts(batch.inputs), parts(batch.targets)
    lengths = [None] * len(inputs) if batch.lengths is None else parts(batch.lengths)
    return [Batch(*each) for each in zip(inputs, targets, lengths, strict=True)]
