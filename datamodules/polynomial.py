"""Polynomials of a random signal: how high a degree, over how many steps, can a network compute?"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.synthetic import SignalDataModule
from rnnbench.datamodules.task import Task

#: The targets of each kind, of inputs x [B, T, width] and the degree k.
_TARGETS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "power": lambda x, k: orthonormal_hermite(x, k),
    "product": lambda x, k: x.unfold(1, k, 1).prod(-1),
    "monomial": lambda x, k: x**k,
    "sine": lambda x, k: torch.sin(k * x),
}
KINDS = tuple(_TARGETS)
LARGEST_DEGREE = 1000
LARGEST_MONOMIAL = 28


class Polynomial(SignalDataModule):
    """Compute a polynomial (or a sine) of a delayed signal at every step; after Lizaire et al. 2026.

    Inputs x [T, width] ~ N(0, 1); targets are taken feature by feature, with p = ``delay`` and k = ``degree``:

    * ``power``: He_k(x_{t-p}) / √k!, the Hermite polynomial, orthonormal under N(0, 1).
    * ``product``: x_{t-p} x_{t-p-1} … x_{t-p-k+1}, the last k inputs.
    * ``monomial``: x_{t-p}^k, as in the paper's released code; its lower-order parts are easier.
    * ``sine``: sin(k x_{t-p}), which no finite degree computes.

    ``power`` and ``product`` are orthonormal: every polynomial of lower degree scores exactly chance. The first p steps
    (p + k - 1 for ``product``) have no target and are left out of loss and metrics by their index (they hold 0).

    The ranked metric is the mean squared error over the target's exact variance. Chance is the target's mean: 1. The
    larger k, the heavier the tails of all but ``sine``, and the more a finite test set strays from that.

    Args:
        kind: ``power``, ``product``, ``monomial`` or ``sine``.
        degree: degree k, at least 1; the angular frequency of ``sine``.
        delay: steps p.
        length: steps T, more than those without a target.
        width: features of the signal.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> signal = torch.tensor([[[2.0], [3.0], [0.5], [1.0]]])
    >>> Polynomial("product", degree=2, delay=0, length=4).target(signal)[0, :, 0].tolist()
    [0.0, 6.0, 1.5, 0.5]
    >>> Polynomial("monomial", degree=3, delay=1, length=4).target(signal)[0, :, 0].tolist()
    [0.0, 8.0, 27.0, 0.125]
    """

    def __init__(
        self,
        kind: Literal["power", "product", "monomial", "sine"] = "power",
        degree: int = 2,
        delay: int = 2,
        length: int = 24,
        width: int = 1,
        **drawn: Any,
    ) -> None:
        super().__init__(**drawn)
        check_choice("kind", kind, KINDS)
        check_at_least(1, degree=degree, length=length, width=width)
        check_at_least(0, delay=delay)
        self.unscored = delay + degree - 1 if kind == "product" else delay
        if self.unscored >= length:
            first = f"the first step with a target for kind {kind!r}, degree {degree} and delay {delay}"
            raise ValueError(f"length must be at least {self.unscored + 1}, {first}, got {length}")
        if kind == "monomial" and degree > LARGEST_MONOMIAL:
            reason = "the variance of its targets is beyond single precision"
            raise ValueError(f"degree must be at most {LARGEST_MONOMIAL} for kind {kind!r}, got {degree}: {reason}")
        if degree > LARGEST_DEGREE:
            raise ValueError(f"degree must be at most {LARGEST_DEGREE}, got {degree}")
        self.kind = kind
        self.degree = degree
        self.delay = delay
        self.length = length
        self.width = width
        self.check_sequences_fit(2 * length * width)

    @property
    def task(self) -> Task:
        """The polynomial at every step that has one."""
        width = f"-d{self.width}" if self.width > 1 else ""
        name = f"{self.kind}{self.degree}-p{self.delay}{width}-T{self.length}"
        return self.regression(name, self.unscored, self._variance())

    def _variance(self) -> float:
        k = self.degree
        if self.kind == "monomial":  # E[x^2k] - E[x^k]^2
            return float(_double_factorial(2 * k - 1) - (0 if k % 2 else _double_factorial(k - 1) ** 2))
        if self.kind == "sine":  # E[sin²(kx)], as E[cos(2kx)] = exp(-2k²)
            return (1 - math.exp(-2 * k * k)) / 2
        return 1.0

    def target(self, inputs: Tensor) -> Tensor:
        """Return the targets [B, T, width] of inputs [B, T, width]; 0 where there is none."""
        targets = torch.zeros_like(inputs)
        targets[:, self.unscored :] = _TARGETS[self.kind](inputs[:, : self.length - self.delay], self.degree)
        return targets


def orthonormal_hermite(x: Tensor, degree: int) -> Tensor:
    """Return He_k(x)/√k!, by its recursion h_{n+1} = (x h_n - √n h_{n-1}) / √(n+1).

    >>> orthonormal_hermite(torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64), 2) * math.sqrt(2)  # x² - 1
    tensor([-1.,  0.,  8.], dtype=torch.float64)
    """
    previous, current = torch.zeros_like(x), torch.ones_like(x)
    for n in range(degree):
        previous, current = current, (x * current - math.sqrt(n) * previous) / math.sqrt(n + 1)
    return current


def _double_factorial(n: int) -> int:
    return math.prod(range(n, 0, -2))
