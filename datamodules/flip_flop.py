"""The flip-flop: a bit is written, others are to be ignored, and it is read."""

from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_number
from rnnbench.datamodules.task import UNLABELLED
from rnnbench.datamodules.token_sequences import TokenSequences

WRITE, IGNORE, READ = 2, 3, 4


class FlipFlop(TokenSequences):
    """Give the bit that was written last, whenever it is read (Liu et al. 2023, arXiv 2306.00946, definition 1).

    Tokens [T], T even, are pairs of an instruction (2 to write, 3 to ignore, 4 to read) and a bit. The first
    instruction writes and the last one reads; the others ignore with probability ``ignore`` and write or read with half
    of what is left, each. Bits are uniform but for that after a read, which is the one last written: the class of that
    read's own step. Other steps have none, so that the loss is what the source scores. Chance is 1/2.

    Args:
        ignore: probability p_i; 0.8 in the source's training data, 0.98 and 0.1 in its sparse and dense test data.
        train_lengths, val_lengths, test_lengths, lengths_per, embedding_size: see ``TokenSequences``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> tokens = torch.tensor([["01wir".index(symbol) for symbol in "w1i0r1w0r0"]])
    >>> FlipFlop().label(tokens).tolist()
    [[-100, -100, -100, -100, 1, -100, -100, -100, 0, -100]]
    """

    def __init__(
        self,
        ignore: float = 0.8,
        train_lengths: tuple[int, int] = (64, 64),
        val_lengths: tuple[int, int] = (64, 64),
        test_lengths: tuple[int, int] = (64, 256),
        **drawn: Any,
    ) -> None:
        check_number("ignore", ignore, above=0, high=0.999)
        self.ignore = ignore
        super().__init__(5, 2, "every", 4, train_lengths, val_lengths, test_lengths, **drawn)

    def nearest(self, lengths: Tensor) -> Tensor:
        """Return the lengths [B], those that are odd less one."""
        return lengths - lengths % 2

    def draw(self, lengths: Tensor, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw tokens [B, steps] and the bits to be read [B, steps]."""
        size, pairs = len(lengths), steps // 2
        numbers = torch.rand(size, pairs, generator=generator)
        instructions = torch.where(numbers < (1 + self.ignore) / 2, WRITE, READ)
        instructions[numbers < self.ignore] = IGNORE
        instructions[:, 0] = WRITE
        instructions[torch.arange(size), lengths // 2 - 1] = READ
        bits = torch.randint(2, (size, pairs), generator=generator)
        bits = torch.where(instructions == READ, bits.gather(1, _last_written(instructions)), bits)
        tokens = torch.zeros(size, steps, dtype=torch.int64)
        tokens[:, 0 : 2 * pairs : 2], tokens[:, 1 : 2 * pairs : 2] = instructions, bits
        return tokens, self.label(tokens)

    def label(self, tokens: Tensor) -> Tensor:
        """Return the bit to be read at every read, of tokens [B, T]."""
        instructions, bits = tokens[:, 0:-1:2], tokens[:, 1::2]
        labels = torch.full_like(tokens, UNLABELLED)
        read = bits.gather(1, _last_written(instructions))
        labels[:, 0:-1:2] = torch.where(instructions == READ, read, UNLABELLED)
        return labels

    def chances(self, steps: int) -> Tensor:
        """Return how likely each bit is at each step [steps, 2]."""
        likely = torch.zeros(steps, 2, dtype=torch.float64)
        likely[2::2] = 0.5
        return likely


def _last_written(instructions: Tensor) -> Tensor:
    """Return the place of the last write at or before each instruction [B, P]."""
    places = torch.arange(instructions.shape[1]).expand(instructions.shape)
    return torch.where(instructions == WRITE, places, 0).cummax(1).values
