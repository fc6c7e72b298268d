"""The Lyapunov spectrum of an instance, driven by the task's sequences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeInt

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Measured, MeasureOptions, Subject, as_arrays

if TYPE_CHECKING:
    from rnnbench.datamodules.task import Task
    from rnnbench.lit_models.recurrence import Recurrence

#: Most points in time of the stored curves.
POINTS = 100


class Lyapunov(MeasureOptions):
    """Exponents in nats per step; finite-time exponents as in Dubinin & Effenberger 2024, figures 2B, 5B and B.1.

    Attributes:
        count: how many leading exponents; None for all, as many as the state has entries.
        state_transient: steps that come before all others.
        tangent_transient: steps after those that turn tangent vectors to the exponents' directions.
        qr_every: most steps between orthonormalisations; ``auto`` leaves them to the condition of R alone.
        curve: whether to store the finite-time exponents of the first sequence, from its first step on.
    """

    count: Count | None = None
    state_transient: NonNegativeInt = 0
    tangent_transient: NonNegativeInt = 0
    qr_every: Count | Literal["auto"] = "auto"
    curve: bool = True

    def check(self, recurrence: Recurrence, task: Task) -> None:
        """Check the settings against the size of the state and the length of the sequences.

        Raises:
            ValueError: names the setting and what is allowed.
        """
        if self.count is not None and self.count > recurrence.state_size:
            size = recurrence.state_size
            raise ValueError(f"count must be at most the size of the state, {size}, got {self.count}")
        transient = self.state_transient + self.tangent_transient
        if transient >= task.steps:
            raise ValueError(
                f"state_transient and tangent_transient together must be less than the {task.steps} steps of a "
                f"sequence, got {transient}"
            )

    def take(self, subject: Subject) -> Measured:
        """Return the spectra and the first sequence's curves.

        Summary: ``mean`` (of all exponents), ``largest`` with its standard error ``largest_se`` over sequences,
        ``smallest`` (means over sequences), ``kaplan_yorke`` and ``entropy_rate`` (means over sequences),
        ``convergence`` (the largest change in the last half), ``minus_infinite`` (number of exponents that are -inf,
        over all sequences), ``not_finite`` (number of sequences left out), ``sequences``, ``steps`` (accumulated).
        Arrays: ``exponents`` [B, K], descending; ``curve_steps`` [P]; ``curve`` [P, S], the running means of the
        factors of the first sequence, columns as QR leaves them.

        Raises:
            ValueError: sequences are of different lengths, or too short for the transients, or ``count`` is above S.
            ArithmeticError: no sequence is finite.
        """
        import torch

        from rnnbench.lit_models.dynamics.lyapunov import finite_time_exponents, lyapunov_spectrum

        if subject.batch.lengths is not None:
            raise ValueError("the sequences are of different lengths: exponents are measured where all have T steps")
        recurrence, inputs = subject.network.recurrence, subject.encoded().detach()
        spectrum = lyapunov_spectrum(
            recurrence, inputs, **self.model_dump(include={"count", "state_transient", "tangent_transient", "qr_every"})
        )
        sequences = len(spectrum.finite)
        if not spectrum.finite.any():
            raise ArithmeticError(f"states or derivatives of all {sequences} sequences are not finite")
        exponents = spectrum.exponents[spectrum.finite]
        summary = {
            "mean": spectrum.mean.mean().item(),
            "largest": spectrum.mean[0].item(),
            "largest_se": spectrum.standard_error[0].item(),
            "smallest": spectrum.mean[-1].item(),
            "kaplan_yorke": spectrum.kaplan_yorke[spectrum.finite].mean().item(),
            "entropy_rate": spectrum.entropy_rate[spectrum.finite].mean().item(),
            "convergence": spectrum.convergence[spectrum.finite].max().item(),
            "minus_infinite": int((exponents == -math.inf).sum()),
            "not_finite": sequences - len(exponents),
            "sequences": sequences,
            "steps": spectrum.steps,
        }
        arrays = as_arrays(exponents=spectrum.exponents)
        if self.curve:
            means = finite_time_exponents(recurrence, inputs[:, :1]).running_means[:, 0]
            steps = torch.linspace(1, len(means), min(POINTS, len(means)), dtype=torch.float64).round().long()
            arrays |= as_arrays(curve_steps=steps, curve=means[steps.to(means.device) - 1])
        return Measured(summary, arrays)
