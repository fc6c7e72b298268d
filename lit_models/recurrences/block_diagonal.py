"""A linear network whose block-diagonal transition is linear in the input (Walker et al. 2025)."""

import math

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_at_least, check_number
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import add_constants, check_divides
from rnnbench.lit_models.recurrences._linear_map import LinearMap, affine
from rnnbench.lit_models.scan.contract import KernelCall, Scanned
from rnnbench.lit_models.scan.linear.gated import matrix_scan
from rnnbench.lit_models.scan.native.linear import NativeLinearKernel


class BlockDiagonalRNN(LinearMap, Recurrence):
    """h_t = (I + Δ Σ_i [1; x_t]_i A_i) h_{t-1} + W x_t + b, with block-diagonal A_i (Walker et al. 2025).

    The block-diagonal structured linear CDE (BD-SLiCE), as a step of its Euler scheme: the linear second-order network
    (``SecondOrderRNN`` without activation) with most of its tensor left out. With blocks of one number it is the
    diagonal D-SLiCE. As in the authors' code A starts from N(0, 1/block_size), Δ is 1/40 and not trained. Deviations: a
    sequence starts from zero, and W x_t + b is added in each step, where the code starts from W x_1 + b instead; W and
    b are drawn as in ``torch.nn.Linear``; states are not clipped at 10^11. The state is h: S = N.

    Args:
        hidden_size: N, a multiple of ``block_size``.
        block_size: rows and columns of a block.
        dt: Δ, positive.

    Inputs of one flip the sign of h - ½, inputs of zero keep it: the state is the parity of the ones.

    >>> network = BlockDiagonalRNN(1, 1, block_size=1, dt=1.0)
    >>> with torch.no_grad():
    ...     _ = network.transition.copy_(torch.tensor([[0.0], [-2.0]])), network.drive.weight.fill_(1.0)
    ...     _ = network.drive.bias.zero_()
    >>> network(torch.tensor([1.0, 0.0, 1.0, 1.0]).reshape(4, 1, 1))[0].flatten().tolist()
    [1.0, 1.0, 0.0, 1.0]
    """

    def __init__(self, input_size: int, hidden_size: int, block_size: int = 4, dt: float = 0.025) -> None:
        super().__init__(input_size, hidden_size)
        check_at_least(1, block_size=block_size)
        check_divides(block_size=block_size, hidden_size=hidden_size)
        check_number("dt", dt, above=0)
        (self.dt,) = add_constants(self, dt=dt)
        self.block_size = block_size
        entries = torch.randn(input_size + 1, hidden_size * block_size)
        # Rows of 1 and of each input; columns are the blocks' entries, row by row.
        self.transition = nn.Parameter(entries / math.sqrt(block_size))
        self.drive = nn.Linear(input_size, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        """Return the blocks of the transition and W x + b [..., N (block_size + 1)] of inputs [..., D]."""
        return torch.cat([inputs @ (self.dt * self.transition[1:]) + self._constant(), self.drive(inputs)], -1)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next h [B, N]."""
        transitions, driven = self._parts(projected)
        blocks = state.unflatten(-1, (-1, self.block_size, 1))
        return (transitions @ blocks).flatten(-3) + driven

    def respond(self, projected: Tensor, state: Tensor, past: Tensor | None) -> Scanned:
        """Scan over time, as in ``LinearMap.respond``."""
        transitions, driven = self._parts(projected)
        if past is not None:
            identity = torch.eye(self.block_size, dtype=state.dtype, device=state.device)
            transitions = torch.where(past[..., None, None], identity, transitions)
            driven = driven.masked_fill(past, 0.0)
        driven, state = (each.unflatten(-1, (-1, self.block_size)) for each in (driven, state))
        states = matrix_scan(transitions, driven, state).flatten(-2)
        return states, states[-1]

    def scan_kernel(self) -> KernelCall:
        """Return the scan in C and the affine maps of the inputs that the blocks, and W x + b, are."""
        blocks = affine((self.dt * self.transition[1:]).mT, self._constant())
        kernel = NativeLinearKernel("blocks", self.hidden_size, self.block_size)
        return kernel, [torch.cat([blocks, affine(self.drive.weight, self.drive.bias)])]

    def _constant(self) -> Tensor:
        """Return the blocks I + Δ A_0 [N block_size]."""
        identity = torch.eye(self.block_size, dtype=self.transition.dtype, device=self.transition.device).flatten()
        return self.dt * self.transition[0] + identity.repeat(self.hidden_size // self.block_size)

    def _parts(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Return blocks [..., N / block_size, block_size, block_size] and W x + b [..., N]."""
        entries, driven = projected.split([self.hidden_size * self.block_size, self.hidden_size], -1)
        return entries.unflatten(-1, (-1, self.block_size, self.block_size)), driven
