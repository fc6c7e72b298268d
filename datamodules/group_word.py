"""The word problem of a group: the product of all elements so far."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from rnnbench.datamodules.permutation_groups import check_generators, generated_group, named_generators, product_table
from rnnbench.datamodules.token_sequences import PrefixTask


class GroupWord(PrefixTask):
    """Multiply the elements of a finite group (Merrill et al. 2024, arXiv 2404.08819).

    Tokens [T] are elements, drawn uniformly; the class, at every step [T] or at the end [], is their product so far: of
    permutations, the first token is applied first. Elements are numbered in lexical order of their images, from the
    identity on, and all are equally likely at every step. A5 and S5 are not solvable, and their word problems complete
    for NC¹; Z60 and A4xZ5, of as many elements as A5, are the controls.

    Args:
        group: ``S5``, ``A5``, ``Z60`` or any other such number, or a product such as ``A4xZ5``.
        generators: permutations, as lists of images, that generate another group; ``group`` is its name then.
        labels: whether there is a class at ``every`` step, as in the source, or at the ``last`` one.
        train_lengths, val_lengths, test_lengths, lengths_per, embedding_size: see ``TokenSequences``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> data = GroupWord("S3")
    >>> data.elements[3], data.elements[1]
    ((1, 2, 0), (0, 2, 1))
    >>> data.label(torch.tensor([[3, 1, 1]])).tolist(), data.elements[5]  # (1, 2, 0), then (0, 2, 1), twice
    ([[3, 5, 3]], (2, 1, 0))
    >>> GroupWord("A4xZ5").task.output_size, GroupWord("V4", [[1, 0, 3, 2], [2, 3, 0, 1]]).task.name
    (60, 'GroupWord-V4-T3-20')
    """

    def __init__(
        self,
        group: str = "A5",
        generators: Sequence[Sequence[int]] | None = None,
        labels: Literal["last", "every"] = "every",
        train_lengths: tuple[int, int] = (3, 20),
        val_lengths: tuple[int, int] = (3, 20),
        test_lengths: tuple[int, int] = (3, 20),
        **drawn: Any,
    ) -> None:
        found = named_generators(group) if generators is None else check_generators(generators)
        self.group = group
        self.elements = generated_group(found)
        self._table = torch.tensor(product_table(self.elements))
        size = len(self.elements)
        lengths = {"train_lengths": train_lengths, "val_lengths": val_lengths, "test_lengths": test_lengths}
        super().__init__(size, size, 1, labels=labels, **lengths, **drawn)

    @property
    def variant(self) -> str:
        """The group's name."""
        return f"-{self.group}"

    def label(self, tokens: Tensor) -> Tensor:
        """Return the product of every prefix [B, T] of tokens [B, T]."""
        products = [tokens[:, 0]]
        for token in tokens[:, 1:].unbind(1):
            products.append(self._table[products[-1], token])
        return torch.stack(products, 1)

    def chances(self, steps: int) -> Tensor:
        """Return how likely each element is at each step [steps, K]."""
        return torch.full((steps, self.classes), 1 / self.classes, dtype=torch.float64)
