"""State tracking: quantities that depend on every input so far, or on all of a window."""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.synthetic import SignalDataModule
from rnnbench.datamodules.task import Metric, Task

#: Of the regressions over all inputs so far: the variance of a target after t of them, None where it is sampled, and
#: the targets of inputs x [B, T, width], given t [T, 1].
_REGRESSIONS: dict[str, tuple[Callable[[int], float] | None, Callable[[Tensor, Tensor], Tensor]]] = {
    "product": (
        lambda t: _root_product_variance(t),
        lambda x, t: _signed_root(x.sign().cumprod(1), x.abs().log().cumsum(1) / t),
    ),
    "product_raw": (None, lambda x, _: x.cumprod(1)),
    "sign_product": (lambda _: 1.0, lambda x, _: x.sign().cumprod(1)),
    "sum": (float, lambda x, _: x.cumsum(1)),
    "mean": (lambda t: 1 / t, lambda x, t: x.cumsum(1) / t),
}
KINDS = ("parity", *_REGRESSIONS, "temporal_product")


class StateTracking(SignalDataModule):
    """Track a running quantity of the inputs at every step, as in the released data of Lizaire et al. 2026.

    ``parity``: inputs [T, 1] are random signs; the target [T] is class 1 where the product of the signs so far is -1
    (an odd number of them are negative), else 0. Accuracy is scored from the second step on (at the first the answer
    is the input itself); chance is 1/2.

    All others: inputs x [T, width] ~ N(0, 1), and targets feature by feature, P_t being x_1 x_2 … x_t:

    * ``product``: sign(P_t) |P_t|^(1/t), the root-normalised product.
    * ``product_raw``: P_t itself.
    * ``sign_product``: sign(P_t), the paper's parity of every feature as a regression.
    * ``sum`` and ``mean``: the running sum, and the same divided by t.
    * ``temporal_product``: the root-normalised product of the last ``window`` inputs; the first ``window - 1`` steps
      have no target and are left out of loss and metrics by their index (they hold 0).

    Their ranked metric is the mean squared error over the targets' variance, pooled over the scored steps (all means
    are 0). Chance is 0 predicted: 1. The variance is exact but for ``product_raw``: P_t has variance 1 but so heavy a
    tail that no affordable sample shows it, so there it is the mean square of the test split's own targets.

    Args:
        kind: ``parity``, ``product``, ``product_raw``, ``sign_product``, ``sum``, ``mean`` or ``temporal_product``.
        length: steps T; at least 2 for ``parity``, at least ``window`` for ``temporal_product``.
        window: inputs of one ``temporal_product``; None for every other kind.
        width: features of the signal; 1 for ``parity``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> signs = torch.tensor([[[1.0], [-1.0], [1.0], [-1.0]]])
    >>> StateTracking("parity", length=4).target(signs).tolist()
    [[0, 1, 1, 0]]
    >>> signal = torch.tensor([[[4.0], [-1.0], [2.0], [0.5]]])
    >>> StateTracking("temporal_product", length=4, window=2).target(signal)[0, :, 0]
    tensor([ 0.0000, -2.0000, -1.4142,  1.0000])
    >>> StateTracking("sign_product", length=4).target(signal)[0, :, 0].tolist()
    [1.0, -1.0, -1.0, -1.0]
    >>> StateTracking("sum", length=4).target(signal)[0, :, 0].tolist()
    [4.0, 3.0, 5.0, 5.5]
    """

    def __init__(
        self,
        kind: Literal["parity", "product", "product_raw", "sign_product", "sum", "mean", "temporal_product"] = "parity",
        length: int = 24,
        window: int | None = None,
        width: int = 1,
        **drawn: Any,
    ) -> None:
        super().__init__(**drawn)
        check_choice("kind", kind, KINDS)
        check_at_least(2 if kind == "parity" else 1, length=length)
        check_at_least(1, width=width)
        if kind == "parity" and width != 1:
            raise ValueError(f"width must be 1 for kind 'parity', which has one sign a step, got {width}")
        if kind == "temporal_product":
            if window is not None:
                check_at_least(1, window=window)
            if window is None or window > length:
                raise ValueError(f"window must be from 1 to {length} (length) for kind {kind!r}, got {window}")
        elif window is not None:
            raise ValueError(f"window must be left out for kind {kind!r}, got {window}: 'temporal_product' has one")
        self.kind = kind
        self.length = length
        self.window = window
        self.width = width
        self.check_sequences_fit(2 * length * width)

    @property
    def task(self) -> Task:
        """Parity as two classes, everything else as a regression, at every step."""
        window = f"{self.window}" if self.window else ""
        width = f"-d{self.width}" if self.width > 1 else ""
        name = f"{self.kind}{window}{width}-T{self.length}"
        if self.kind == "parity":
            metrics = (
                Metric("accuracy", "max", chance=0.5, best=1.0, steps=(1, self.length)),
                Metric("cross_entropy", "min", chance=math.log(2), best=0.0, steps=(1, self.length)),
            )
            return Task(name, 1, 2, self.length, "every", "cross_entropy", metrics)
        return self.regression(name, (self.window or 1) - 1, self._variance)

    @functools.cached_property
    def _variance(self) -> float:
        if self.window is not None:
            return _root_product_variance(self.window)
        variance_at = _REGRESSIONS[self.kind][0]
        if variance_at is None:
            return self.draw_split("test")[1].double().square().mean().item()
        return sum(map(variance_at, range(1, self.length + 1))) / self.length

    def target(self, inputs: Tensor) -> Tensor:
        """Return the targets of inputs [B, T, width]: [B, T] classes for ``parity``, else [B, T, width]."""
        if self.kind == "parity":
            return (inputs[..., 0] < 0).long().cumsum(1) % 2
        if self.window is None:
            counts = torch.arange(1, self.length + 1, dtype=inputs.dtype)[:, None]
            return _REGRESSIONS[self.kind][1](inputs, counts)
        windows = inputs.unfold(1, self.window, 1)
        targets = torch.zeros_like(inputs)
        targets[:, self.window - 1 :] = _signed_root(windows.sign().prod(-1), windows.abs().log().mean(-1))
        return targets

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw inputs [count, T, width] and their targets."""
        inputs = torch.randn(count, self.length, self.width, generator=generator)
        if self.kind == "parity":
            inputs = torch.where(inputs < 0, -1.0, 1.0)
        return inputs, self.target(inputs)


def _signed_root(sign: Tensor, mean_log: Tensor) -> Tensor:
    # By logarithms: a long product itself underflows in single precision. An exact 0 gives exp(-inf) = 0.
    return sign * mean_log.exp()


def _root_product_variance(count: int) -> float:
    # E[|x|^(2/n)]^n for x ~ N(0, 1), as E|x|^p = 2^(p/2) Γ((p+1)/2) / √π.
    return 2 * (math.gamma(1 / count + 0.5) / math.sqrt(math.pi)) ** count
