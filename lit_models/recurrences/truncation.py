"""The feed-forward truncation of a recurrence: the network that sees the last k inputs only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.scan.contract import Scanned, keeps_definition


class FeedForwardTruncation(Recurrence):
    """At every step, a recurrence restarted from its initial state k inputs ago (Miller & Hardt 2019).

    Its state is the window of the last k inputs, oldest first, each with a flag whether it has been seen:
    S = k (D + 1). A step only shifts the window, so the state's dynamics are nilpotent: all Lyapunov exponents are -∞.
    The output runs the recurrence from its initial state over the inputs of the window; before k inputs have been
    seen, over those that have. With k at least the length of the sequence it equals the recurrence.

    Args:
        recurrence: builds it from its input size.
        k: number of inputs that an output depends on.

    A running sum becomes a sum over the last two inputs:

    >>> import torch
    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> running_sum = ElmanRNN(1, 1, time_activation="identity", initialisation="xavier")
    >>> with torch.no_grad():
    ...     _ = running_sum.weight_ih.fill_(1.0), running_sum.weight_hh.fill_(1.0)
    >>> inputs = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1)
    >>> running_sum(inputs)[0].flatten().tolist()
    [1.0, 3.0, 6.0, 10.0]
    >>> FeedForwardTruncation.of(running_sum, k=2)(inputs)[0].flatten().tolist()
    [1.0, 3.0, 5.0, 7.0]
    """

    def __init__(self, input_size: int, recurrence: Callable[[int], Recurrence], k: int) -> None:
        check_at_least(1, input_size=input_size, k=k)
        truncated = recurrence(input_size)
        super().__init__(input_size, truncated.hidden_size, k * (input_size + 1))
        self.k = k
        self.recurrence = truncated

    @classmethod
    def of(cls, recurrence: Recurrence, k: int) -> FeedForwardTruncation:
        """Truncate an existing recurrence, for inference on trained weights: the parameters are shared, not copied."""
        return cls(recurrence.input_size, lambda _: recurrence, k)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the window [B, S] shifted by one input [B, D]."""
        return torch.cat([state[..., self.input_size + 1 :], _mark_seen(projected)], -1)

    def output(self, state: Tensor) -> Tensor:
        """Return the recurrence's output [B, N] over the window [B, S]."""
        return self._run_windows(self._slots(state))[0]

    def run(self, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool) -> Scanned:
        """Run all windows side by side, k steps in all; as in ``Recurrence.run``."""
        if not keeps_definition(type(self), "run"):
            return super().run(inputs, state, lengths, keep_outputs)
        slots = torch.cat([self._slots(state), _mark_seen(inputs)])
        window = slots[-self.k :]
        if lengths is not None:
            positions = lengths + torch.arange(self.k, device=slots.device).unsqueeze(1)
            window = slots.gather(0, positions.unsqueeze(-1).expand(-1, -1, slots.shape[-1]))
        final = window.transpose(0, 1).flatten(1)
        if not keep_outputs:
            return inputs.new_empty(0), final
        if lengths is None:
            return self._run_windows(slots[1:]), final
        # Window e ends after e inputs; past its length a sequence's window is frozen.
        ends = torch.arange(1, len(inputs) + 1, device=inputs.device).unsqueeze(1).minimum(lengths)
        return self._run_windows(slots).gather(0, ends.unsqueeze(-1).expand(-1, -1, self.hidden_size)), final

    def _slots(self, state: Tensor) -> Tensor:
        """Return the window [k, B, D+1] that a state [B, S] holds."""
        return state.unflatten(-1, (self.k, self.input_size + 1)).transpose(0, 1)

    def _run_windows(self, slots: Tensor) -> Tensor:
        """Return the output of every window of k neighbours in slots [k-1+W, B, D+1]: [W, B, N]."""
        windows, batch_size = len(slots) - self.k + 1, slots.shape[1]
        projected = self.recurrence.project(slots[..., :-1])
        seen = slots[..., -1:] > 0.5
        is_linear = keeps_definition(type(self.recurrence), "linear_transition")
        if is_linear and (transition := self.recurrence.linear_transition()) is not None:
            initial = self.recurrence.initial_state(1)
            # Measured from the initial state, what has not been seen, which comes first, adds nothing.
            added = torch.where(seen, projected + initial @ transition.t() - initial, 0.0)
            return self.recurrence.output(initial + _window_sums(added, transition, self.k))
        state = self.recurrence.initial_state(windows * batch_size)
        for age in range(self.k):
            following = self.recurrence.advance(projected[age : age + windows].flatten(0, 1), state)
            state = torch.where(seen[age : age + windows].flatten(0, 1), following, state)
        return self.recurrence.output(state).unflatten(0, (windows, batch_size))


def _mark_seen(inputs: Tensor) -> Tensor:
    """Return inputs [..., D] with the flag 1 [..., D+1]."""
    return functional.pad(inputs, (0, 1), value=1.0)


def _window_sums(added: Tensor, transition: Tensor, k: int) -> Tensor:
    """Return Σ Aʲ b_{t-j} over the last k of b [k-1+W, B, S], with A [S, S]: [W, B, S].

    A sum over 2m is that over m, and that over the m before, moved on by Aᵐ: about 2 log₂ k products instead of k, each
    a sum as the definition has it, so that nothing cancels where A grows.
    """
    sums, power, size = added, transition, 1
    for digit in f"{k:b}"[1:]:
        sums = sums[size:] + sums[:-size] @ power.t()
        power, size = power @ power, 2 * size
        if digit == "1":
            sums = added[size:] + sums[:-1] @ transition.t()
            power, size = power @ transition, size + 1
    return sums
