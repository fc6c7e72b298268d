"""Modular arithmetic without brackets: the value of an expression of residues and operators."""

from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.task import UNLABELLED
from rnnbench.datamodules.token_sequences import PrefixTask

OPERATORS = "+-*"


class ModularArithmetic(PrefixTask):
    """Compute an expression modulo a number, products first (Delétang et al. 2023, and their code).

    Tokens [T], T odd: residues 0 to ``modulus - 1``, drawn uniformly, and between them operators (``modulus`` and
    above, in the order given), also drawn uniformly; of an even length that is drawn the last step is left out, as in
    the source. The class is the value, at the end [] or of all so far at every residue [T]; operators have none. Its
    chance follows from a chain over all sums and last products. The source's vocabulary has a blank more, never used.

    Args:
        modulus: residues.
        operators: some of ``+``, ``-`` and ``*``.
        labels: whether there is a class at the ``last`` step, as in the source, or at ``every`` residue.
        train_lengths, val_lengths, test_lengths, lengths_per, embedding_size: see ``TokenSequences``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> data = ModularArithmetic(labels="every")
    >>> ["0 1 2 3 4 + - *".split().index(symbol) for symbol in "0*1+4*3-2"]
    [0, 7, 1, 5, 4, 7, 3, 6, 2]
    >>> data.label(torch.tensor([[0, 7, 1, 5, 4, 7, 3, 6, 2]])).tolist()  # 0, 0, 4, 12 and 10, modulo 5
    [[0, -100, 0, -100, 4, -100, 2, -100, 0]]
    """

    def __init__(self, modulus: int = 5, operators: str = OPERATORS, **drawn: Any) -> None:
        check_at_least(2, modulus=modulus)
        if not operators or len(set(operators)) < len(operators):
            raise ValueError(f"operators must be some of {OPERATORS}, each once, got {operators!r}")
        for operator in operators:
            check_choice("operators", operator, OPERATORS)
        self.modulus = modulus
        self.operators = operators
        super().__init__(modulus + len(operators), modulus, 1, **drawn)
        if modulus > 64:
            raise ValueError(f"modulus must be at most 64, got {modulus}: chance follows from all pairs of residues")

    @property
    def variant(self) -> str:
        """The modulus and the operators, where they are not those of the source."""
        modulus = f"{self.modulus}" if self.modulus != 5 else ""
        return modulus + (self.operators if set(self.operators) != set(OPERATORS) else "")

    def nearest(self, lengths: Tensor) -> Tensor:
        """Return the lengths [B], those that are even less one."""
        return lengths - 1 + lengths % 2

    def draw(self, lengths: Tensor, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw expressions [B, steps] and the values of their prefixes [B, steps]."""
        size = len(lengths)
        tokens = torch.randint(self.modulus, (size, steps), generator=generator)
        operators = torch.randint(len(self.operators), (size, steps // 2), generator=generator)
        tokens[:, 1::2] = self.modulus + operators
        return tokens, self.label(tokens)

    def label(self, tokens: Tensor) -> Tensor:
        """Return the value of every prefix [B, T] that ends in a residue, of tokens [B, T]."""
        labels = torch.full_like(tokens, UNLABELLED)
        total, product = torch.zeros_like(tokens[:, 0]), tokens[:, 0]
        labels[:, 0] = product
        for place in range(2, tokens.shape[1], 2):
            total, product = self._after(total, product, tokens[:, place - 1] - self.modulus, tokens[:, place])
            labels[:, place] = (total + product) % self.modulus
        return labels

    def _after(self, total: Tensor, product: Tensor, operator: Tensor, residue: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of all finished products and the last, unfinished one, after an operator and a residue."""
        signs = torch.tensor([{"+": 1, "-": -1, "*": 0}[symbol] for symbol in self.operators])[operator]
        total = torch.where(signs == 0, total, total + product) % self.modulus
        return total, torch.where(signs == 0, product * residue, signs * residue) % self.modulus

    def chances(self, steps: int) -> Tensor:
        """Return how likely each value is at each step [steps, modulus], zeros at operators."""
        size, kinds = self.modulus, len(self.operators)
        grid = [torch.arange(number) for number in (size, size, kinds, size)]
        total, product, operator, residue = torch.meshgrid(*grid, indexing="ij")
        following = self._after(total, product, operator, residue)
        places = (following[0] * size + following[1]).flatten()
        values = (grid[0][:, None] + grid[1]) % size
        joint = torch.zeros(size, size, dtype=torch.float64)
        joint[0] = 1 / size
        likely = torch.zeros(steps, size, dtype=torch.float64)
        for place in range(0, steps, 2):
            likely[place].scatter_add_(0, values.flatten(), joint.flatten())
            spread = (joint / (kinds * size))[:, :, None, None].expand(total.shape).flatten()
            joint = torch.zeros(size * size, dtype=torch.float64).scatter_add_(0, places, spread).view(size, size)
        return likely
