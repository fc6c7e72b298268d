"""Brackets of several kinds, nested to a bounded depth: which one may be closed?"""

from typing import Any, Literal

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least
from rnnbench.datamodules.token_sequences import PrefixTask


class Dyck(PrefixTask):
    """Tell which bracket is to be closed next, in strings of Dyck-(k, m) (Hewitt et al. 2020, EMNLP).

    Tokens [T] are brackets that open, 0 to k - 1 by their kind, and those that close them, k to 2k - 1. At depth 0 one
    opens, at depth m the innermost one closes, and between them either happens with probability 1/2, as in the source;
    kinds are uniform. The class, at every step [T] or at the end [], is the kind of the innermost open bracket, or k
    where none is open. The source's strings end at depth 0 and are modelled token by token; these are prefixes of any
    length, and what is asked for is what it scores, the closing bracket.

    Args:
        kinds: k.
        depth: m, of brackets open at a time.
        labels: whether there is a class at ``every`` step or at the ``last`` one.
        train_lengths, val_lengths, test_lengths, lengths_per, embedding_size: see ``TokenSequences``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> data = Dyck(kinds=2, depth=3)
    >>> data.label(torch.tensor([["([)]".index(bracket) for bracket in "([])("]])).tolist()
    [[0, 1, 0, 2, 0]]
    """

    def __init__(
        self, kinds: int = 2, depth: int = 4, labels: Literal["last", "every"] = "every", **drawn: Any
    ) -> None:
        check_at_least(1, kinds=kinds, depth=depth)
        self.kinds = kinds
        self.depth = depth
        super().__init__(2 * kinds, kinds + 1, 1, labels=labels, **drawn)
        self.check_sequences_fit(4 * max(high for _, high in self.lengths), 8 * depth * 1024)

    @property
    def variant(self) -> str:
        """Kinds and depth."""
        return f"{self.kinds}-{self.depth}"

    def draw(self, lengths: Tensor, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw strings [B, steps], and label their prefixes [B, steps]."""
        shape = len(lengths), steps
        opens = torch.randint(2, shape, generator=generator) == 0
        kinds = torch.randint(self.kinds, shape, generator=generator)
        depth = torch.zeros(len(lengths), 1, dtype=torch.int64)
        stack = torch.full((len(lengths), self.depth + 1), self.kinds)
        tokens, labels = [], [stack[:, :1]]
        for up, kind in zip(opens.split(1, 1), kinds.split(1, 1), strict=True):
            up = (up | (depth == 0)) & (depth < self.depth)
            tokens.append(torch.where(up, kind, self.kinds + labels[-1]))
            depth = depth + 2 * up - 1
            labels.append(_pushed(stack, depth, up, kind))
        return torch.cat(tokens, 1), torch.cat(labels[1:], 1)

    def label(self, tokens: Tensor) -> Tensor:
        """Return the kind of the innermost open bracket after every step [B, T] of strings [B, T]; k for none."""
        ups = tokens < self.kinds
        depths = (2 * ups.long() - 1).cumsum(1)
        stack = torch.full((len(tokens), self.depth + 1), self.kinds)
        steps = zip(*(part.split(1, 1) for part in (depths, ups, tokens)), strict=True)
        return torch.cat([_pushed(stack, *step) for step in steps], 1)

    def chances(self, steps: int) -> Tensor:
        """Return how likely each kind, and none, is at each step [steps, k + 1]."""
        at = torch.zeros(self.depth + 1, dtype=torch.float64)
        at[0] = 1.0
        likely = torch.empty(steps, self.kinds + 1, dtype=torch.float64)
        for row in likely:
            rising = at * torch.tensor([1.0, *[0.5] * (self.depth - 1), 0.0])
            at = torch.cat([at.new_zeros(1), rising[:-1]]) + torch.cat([(at - rising)[1:], at.new_zeros(1)])
            row[:-1] = (1 - at[0]) / self.kinds
            row[-1] = at[0]
        return likely


def _pushed(stack: Tensor, depth: Tensor, up: Tensor, kind: Tensor) -> Tensor:
    """Put a kind [B, 1] on each stack [B, m + 1] that went up to its depth; return what is on top of each [B, 1]."""
    top = torch.where(up, kind, stack.gather(1, depth))
    # What lies above the depth is overwritten before it is read.
    stack.scatter_(1, depth, top)
    return top
