"""How a network sees tokens: one-hot vectors or learned ones."""

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_at_least
from rnnbench.datamodules.task import Tokens

LARGEST_ONE_HOT = 1024
"""Tokens of the largest vocabulary whose one-hot vectors are written out."""


class OneHot(nn.Module):
    """Tokens as vectors [D] of zeros and a one; ValueError unless D is from 1 to ``LARGEST_ONE_HOT``.

    >>> OneHot(3)(torch.tensor([2, 0])).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        check_at_least(1, size=size)
        if size > LARGEST_ONE_HOT:
            raise ValueError(
                f"embedding_size must be a number for more than {LARGEST_ONE_HOT} tokens, whose one-hot vectors would "
                f"fill the memory, got None for {size}"
            )
        self.size = size
        self.one: Tensor
        # Holds the network's floating-point type and nothing else.
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [..., D] of tokens [...]."""
        return nn.functional.one_hot(tokens, self.size).to(self.one.dtype)


class Embedding(nn.Module):
    """Tokens as rows [D] of a learned table, drawn from U(-0.1, 0.1).

    >>> Embedding(5, 2)(torch.tensor([[4, 0, 4]])).shape
    torch.Size([1, 3, 2])
    """

    def __init__(self, vocabulary_size: int, size: int) -> None:
        super().__init__()
        check_at_least(1, vocabulary_size=vocabulary_size, size=size)
        self.weight = nn.Parameter(torch.empty(vocabulary_size, size).uniform_(-0.1, 0.1))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [..., D] of tokens [...]."""
        return nn.functional.embedding(tokens, self.weight)


def make_encoder(tokens: Tokens | None) -> OneHot | Embedding | None:
    """Return the encoder of a task's inputs; None for inputs that are numbers already.

    >>> make_encoder(Tokens(vocabulary_size=50)), make_encoder(Tokens(vocabulary_size=50, embedding_size=8))
    (OneHot(), Embedding())
    """
    if tokens is None:
        return None
    if tokens.embedding_size is None:
        return OneHot(tokens.vocabulary_size)
    return Embedding(tokens.vocabulary_size, tokens.embedding_size)
