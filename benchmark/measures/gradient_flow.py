"""Gradients of backpropagation through time."""

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Measured, MeasureOptions, Subject, as_arrays


class GradientFlow(MeasureOptions):
    """Norms of the gradients ∂L/∂h_t of every sequence's own loss by time (``lit_models.dynamics.gradient_flow``).

    Arrays: ``norm_inf`` and ``norm_2`` [T], means over sequences of the norms after step 1, …, T; in single precision,
    so that what is below 1e-45 is 0.
    """

    samples: Count = 64

    def take(self, subject: Subject) -> Measured:
        """Return the slope of log ‖∂L/∂h_t‖₂ against T - t in nats per step, and the norms.

        ``slope`` and its standard error ``slope_se`` are over the ``slopes`` sequences whose gradients are never 0;
        ``first_norm`` and ``last_norm`` are of ``norm_2`` at t = 1 and t = T, and ``ratio`` is the first by the last.
        """
        from rnnbench.lit_models.dynamics.gradient_flow import gradient_flow

        flow = gradient_flow(subject.network, subject.task, subject.batch)
        slopes = flow.slope[flow.slope.isfinite()]
        count = len(slopes)
        norm_2 = flow.norm_2.mean(1)
        first, last = norm_2[0].item(), norm_2[-1].item()
        summary = {
            "slope": slopes.mean().item() if count else None,
            "slope_se": slopes.std().item() / count**0.5 if count > 1 else None,
            "slopes": count,
            "first_norm": first,
            "last_norm": last,
            "ratio": first / last if last > 0 else None,
        }
        return Measured(summary, as_arrays(norm_inf=flow.norm_inf.mean(1), norm_2=norm_2))
