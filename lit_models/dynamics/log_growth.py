"""How much tangent vectors grow along trajectories, orthonormalised at intervals that adapt to their condition."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from rnnbench.lit_models.dynamics.orthonormalise import orthonormalise
from rnnbench.lit_models.dynamics.tangent import run_states, tangent_products
from rnnbench.lit_models.recurrence import Recurrence

#: Most steps and most entries (of states or inputs) that are prepared at once.
MOST_STEPS, MOST_ENTRIES = 1024, 2**21
#: What share of the allowed condition an interval is chosen for.
TARGET = 0.8

Interval: TypeAlias = int | Literal["auto"]


@dataclass(frozen=True)
class IntervalRule:
    """Decides after how many steps vectors are orthonormalised.

    Vectors pushed forward without it all turn to the fastest growing direction. What is then left of vector i beside
    those before it, r_ii, is known to the machine's precision times ‖a_i‖ / r_ii, a_i being the vector itself.

    Attributes:
        qr_every: most steps, or ``auto`` for no such limit; no more than keep ‖a_i‖ / r_ii below precision^(-3/8),
            7e5 in double precision.
        dtype: floating type of the vectors.
    """

    qr_every: Interval
    dtype: torch.dtype

    def strain(self, log_factors: Tensor, log_lengths: Tensor) -> float:
        """Return how much of what is allowed an interval used, from [B, K] each; above 1 it was too long."""
        precision = torch.finfo(self.dtype)
        alive = log_factors > -math.inf
        # A quarter of the range of exponents leaves room for the largest vector beside the smallest.
        strain = log_lengths.abs() / (math.log(precision.max) / 4)
        strain = strain.maximum((log_lengths - log_factors) / (-3 / 8 * math.log(precision.eps)))
        return torch.where(alive, strain, 0.0).amax().item()

    def following(self, interval: int, length: int, strain: float) -> int:
        """Return the next interval after ``length`` steps of ``interval`` that used ``strain``."""
        most = 2 * interval if length == interval else interval
        cap = MOST_STEPS if self.qr_every == "auto" else self.qr_every
        return max(1, min(most, cap, int(TARGET * length / strain) if strain > 0 else most))


def log_growth(
    recurrence: Recurrence, inputs: Tensor, state: Tensor, tangents: Tensor, qr_every: Interval, stops: Sequence[int]
) -> Iterator[tuple[int, Tensor]]:
    """Follow trajectories and yield the logarithms of R's diagonal at every orthonormalisation.

    A vector may come to nothing only within a single step, and no product may overflow but within one: intervals in
    which this happens, or that were too long for the precision, are done again in halves. A sequence whose state or
    vectors are not finite is left out from then on; all its factors are NaN. All sequences share the intervals, which
    change a sequence's factors by no more than rounding errors.

    The recurrence has no gradients and the dtype of inputs [T, B, D], the first state [B, S] and orthonormal tangents
    [K, B, S]. At ``stops``, increasing and the last one T, there is an orthonormalisation in any case.

    Yields:
        The number of steps done, and the log-factors [B, K] since the last orthonormalisation.
    """
    rule, count, batch_size = IntervalRule(qr_every, inputs.dtype), tangents.shape[0], inputs.shape[1]
    remaining = torch.arange(batch_size, device=inputs.device)
    alive = torch.ones(batch_size, count, dtype=torch.bool, device=inputs.device)
    interval, done = 1 if qr_every == "auto" else qr_every, 0
    for chunk in inputs.split(chunk_steps(inputs, state)):
        projected = recurrence.project(chunk[:, remaining])
        states = run_states(recurrence, projected, state)
        finite = states.isfinite().all(-1).all(0)
        t = 0
        while t < len(chunk):
            if not finite.all():
                remaining, alive, tangents = remaining[finite], alive[finite], tangents[:, finite]
                projected, states = projected[:, finite], states[:, finite]
            if not len(remaining):
                yield from ((stop, inputs.new_full((batch_size, count), math.nan)) for stop in stops if stop > done)
                return
            length = min(interval, len(chunk) - t, next(stop for stop in stops if stop > done) - done)
            vectors = tangents
            for step in range(t, t + length):
                vectors = tangent_products(recurrence, projected[step], states[step], vectors)
            directions, log_factors, log_lengths = orthonormalise(vectors)
            finite = log_factors.isfinite().logical_or(log_factors == -math.inf).all(1)
            strain, died = rule.strain(log_factors, log_lengths), alive & (log_factors == -math.inf)
            if length > 1 and (strain > 1 or not finite.all() or died.any()):
                interval, finite = length // 2, torch.ones_like(finite)
                continue
            t, done = t + length, done + length
            tangents, alive, interval = directions, alive & ~died, rule.following(interval, length, strain)
            yield done, inputs.new_full((batch_size, count), math.nan).index_copy(0, remaining, log_factors)
        state = states[-1]
        if not finite.all():
            remaining, alive, tangents, state = remaining[finite], alive[finite], tangents[:, finite], state[finite]


def chunk_steps(inputs: Tensor, state: Tensor) -> int:
    """Return how many steps of inputs [T, B, D] to prepare at once for states [B, S]."""
    entries = inputs.shape[1] * max(inputs.shape[2], state.shape[1])
    return min(MOST_STEPS, max(1, MOST_ENTRIES // entries))
