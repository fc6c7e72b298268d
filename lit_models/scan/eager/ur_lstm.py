"""The hand-derived scan of the UR-LSTM: that of the LSTM with another cell."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnbench.lit_models.scan.eager.lstm import LSTMKernel


class URLSTMKernel(LSTMKernel):
    """c' = g c + (1 - g) u with g = f (f + 2 r (1 - f)), h' = o tanh(c') with [r; f; o; u] = W [h; x; 1].

    W [M, 4N, N+D+1] and states [h, c] are as in ``LSTMKernel``, r in the place of i and u in that of g. A step keeps 6N
    numbers a sequence; g is computed again in the backward pass.
    """

    # With f = 1 the effective gate is 1, whatever r is.
    holding_signs = (0.0, 1.0)

    def set_cell(self, gates: Sequence[Tensor], cell: Tensor, scratch: Tensor, out: Tensor) -> None:
        """See ``LSTMKernel.set_cell``."""
        refine, forget, candidate = gates
        _set_effective_gate(refine, forget, scratch)
        torch.lerp(candidate, cell, scratch, out=out)

    def set_cell_gradients(
        self, gates: Sequence[Tensor], before: Tensor, d_cell: Tensor, d_gates: Sequence[Tensor]
    ) -> None:
        """See ``LSTMKernel.set_cell_gradients``."""
        (refine, forget, candidate), (d_refine, d_forget, d_candidate) = gates, d_gates
        # 2 dL/dg first, then dg/df = 2 (f + r - 2 r f) and dg/dr = 2 f (1 - f).
        torch.sub(before, candidate, out=d_refine).mul_(d_cell).mul_(2)
        torch.add(forget, refine, out=d_forget).addcmul_(forget, refine, value=-2).mul_(d_refine)
        d_refine.mul_(forget).addcmul_(d_refine, forget, value=-1)
        _set_effective_gate(refine, forget, d_candidate)
        torch.addcmul(d_cell, d_cell, d_candidate, value=-1, out=d_candidate)
        d_cell.sub_(d_candidate)


def _set_effective_gate(refine: Tensor, forget: Tensor, out: Tensor) -> None:
    """Set ``out`` to g = f (f + 2 r (1 - f))."""
    torch.addcmul(refine, refine, forget, value=-1, out=out)
    torch.add(forget, out, alpha=2, out=out).mul_(forget)
