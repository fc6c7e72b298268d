"""When an instance stops learning, and when its rate falls: what validation decides for each instance by itself."""

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_at_least, check_number


class Patience(nn.Module):
    """Counts the steps without improvement of each of M instances; its buffers are part of a checkpoint.

    Args:
        size: M.
        schedule: of the learning rates; ``plateau`` needs ``plateau_patience``, the others have none.
        patience: steps without improvement after which an instance stops; None for never.
        plateau_patience: steps without improvement, or since the last reduction, after which its learning rate is
            multiplied by ``plateau_factor``.
        plateau_factor: above 0 and at most 1.

    Attributes:
        stopped_at: [M] the step of the evaluation at which an instance stopped, or at which it was found to have
            diverged; -1 as long as it learns.

    >>> patience, alive = Patience(2, "constant", 20), torch.tensor([True, True])
    >>> for step, better in ((10, [True, True]), (20, [True, False]), (30, [False, False])):
    ...     _ = patience.after(step, torch.tensor(better), alive)
    >>> patience.learning(alive).tolist(), patience.stopped(1)
    ([True, False], 30)
    """

    improved_at: Tensor
    reduced_at: Tensor
    stopped_at: Tensor

    def __init__(
        self,
        size: int,
        schedule: str,
        patience: int | None,
        plateau_patience: int | None = None,
        plateau_factor: float = 0.1,
    ) -> None:
        super().__init__()
        if (schedule == "plateau") != (plateau_patience is not None):
            raise ValueError("plateau_patience must be given for schedule 'plateau', and for no other")
        for name, steps in (("patience", patience), ("plateau_patience", plateau_patience)):
            if steps is not None:
                check_at_least(1, **{name: steps})
        check_number("plateau_factor", plateau_factor, above=0, high=1)
        self._patience, self._plateau_patience, self._factor = patience, plateau_patience, plateau_factor
        # Checkpoints of before there was such a setting hold none.
        needed = patience is not None or plateau_patience is not None
        for name, start in (("improved_at", 0), ("reduced_at", 0), ("stopped_at", -1)):
            self.register_buffer(name, torch.full((size,), start), persistent=needed)

    def learning(self, alive: Tensor) -> Tensor:
        """Return which of the instances [M] that are ``alive`` have not stopped."""
        return alive if self._patience is None else alive & (self.stopped_at < 0)

    def stopped(self, index: int) -> int | None:
        """Return the step at which an instance stopped; None if it has not."""
        step = int(self.stopped_at[index])
        return None if step < 0 else step

    @property
    def is_over(self) -> bool:
        """Whether all instances have stopped."""
        return self._patience is not None and bool((self.stopped_at >= 0).all())

    def after(self, step: int, better: Tensor, alive: Tensor) -> Tensor:
        """Take account of an evaluation after so many steps, and return the factors [M] of the learning rates then.

        Instances [M] that are ``better`` have their best validation value so far; those ``alive`` have not diverged.
        """
        self.improved_at.masked_fill_(better, step)
        if self._patience is not None:
            ends = (self.stopped_at < 0) & (~alive | (step - self.improved_at >= self._patience))
            self.stopped_at.masked_fill_(ends, step)
        factors = torch.ones_like(self.improved_at, dtype=torch.float64)
        if self._plateau_patience is not None:
            falls = step - torch.maximum(self.improved_at, self.reduced_at) >= self._plateau_patience
            self.reduced_at.masked_fill_(falls, step)
            factors.masked_fill_(falls, self._factor)
        return factors
