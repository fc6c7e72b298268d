"""The state that every instance carries from one batch to the next, where batches continue each other."""

import torch
import torch.distributed
from torch import Tensor


class CarriedStates:
    """States [M, B, S] between batches, one for each of training, validation and test.

    Gradients end at the edge of a batch (truncated backpropagation through time). The first batch of an epoch starts
    from the initial state.

    >>> states = CarriedStates()
    >>> states.before("train", batch_idx=0, like=torch.zeros(1)) is None
    True
    >>> states.after("train", torch.ones(1, 1, 2), alive=torch.tensor([True]))
    >>> states.before("train", batch_idx=1, like=torch.zeros(1)).tolist()
    [[[1.0, 1.0]]]
    """

    def __init__(self) -> None:
        self._states: dict[str, Tensor] = {}

    def before(self, split: str, batch_idx: int, like: Tensor) -> Tensor | None:
        """Return the state before a batch, on the device of a tensor; None where an epoch begins."""
        if batch_idx == 0:
            self._states.pop(split, None)
            return None
        self._states[split] = self._states[split].to(like.device)
        return self._states[split]

    def after(self, split: str, state: Tensor, alive: Tensor) -> None:
        """Keep the state after a batch; instances that are not ``alive`` [M] keep the one they had."""
        state, before = state.detach(), self._states.get(split)
        self._states[split] = state if before is None else torch.where(alive.view(-1, 1, 1), state, before)

    def to_save(self) -> Tensor | None:
        """Return the training state of the streams of all devices, joined; all of them must call this."""
        state = self._states.get("train")
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return state
        parts: list[Tensor | None] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, None if state is None else state.cpu())
        own = [part for part in parts if part is not None]
        return torch.cat(own, 1) if own else None

    def restore(self, state: Tensor | None, rank: int, world_size: int) -> None:
        """Restore this device's part of what ``to_save`` returned."""
        self._states.clear()
        if state is not None:
            streams = state.shape[1]
            self._states["train"] = state[:, streams * rank // world_size : streams * (rank + 1) // world_size]
