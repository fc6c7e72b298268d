"""Eigenvalues of the loss's Hessian and of its Gauss–Newton part."""

from typing import Literal

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Measured, MeasureOptions, Subject, as_arrays


class Hessian(MeasureOptions):
    """Leading eigenvalues of the training loss's Hessian on fixed sequences (``hessian_spectrum``).

    Arrays: ``eigenvalues`` [k] and ``ggn_eigenvalues`` [k], of largest magnitude first.

    Attributes:
        samples: number of sequences; the paper takes 1,000.
        count: k, at most the number of parameters; None for all, for at most 3,000 parameters.
        ggn: whether eigenvalues of the generalised Gauss–Newton matrix are found too.
        dtype: of the computation.
    """

    samples: Count = 100
    count: Count | None = 20
    ggn: bool = True
    dtype: Literal["float64", "float32"] = "float64"

    def take(self, subject: Subject) -> Measured:
        """Return the extreme eigenvalues and the loss, and the eigenvalues found."""
        import torch

        from rnnbench.lit_models.dynamics.hessian import hessian_spectrum

        measured = subject.network, subject.task, subject.batch
        dtype = getattr(torch, self.dtype)
        spectrum = hessian_spectrum(*measured, count=self.count, dtype=dtype)
        summary = {
            "largest": spectrum.eigenvalues.max().item(),
            "smallest": spectrum.eigenvalues.min().item(),
            "largest_magnitude": spectrum.eigenvalues[0].abs().item(),
            "loss": spectrum.loss.item(),
            "samples": len(subject.batch.inputs),
        }
        arrays = as_arrays(eigenvalues=spectrum.eigenvalues)
        if self.ggn:
            positive = hessian_spectrum(*measured, count=self.count, matrix="ggn", dtype=dtype).eigenvalues
            summary["ggn_largest"] = positive.max().item()
            arrays |= as_arrays(ggn_eigenvalues=positive)
        return Measured(summary, arrays)
