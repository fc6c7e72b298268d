"""Weakly coupled residual recurrent networks (Dubinin & Effenberger 2024)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_choice
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import ACTIVATIONS
from rnnbench.lit_models.scan.contract import KernelCall
from rnnbench.lit_models.scan.eager.elman import ElmanKernel
from rnnbench.lit_models.scan.eager.residual import ResidualKernel

RESIDUALS = ("scalar", "diagonal", "rotation", "rotation_diagonal", "orthogonal")
FORMS = ("linear", "A", "B")


class WCRNN(Recurrence):
    """A fixed residual map R and a weak trained coupling γ (Dubinin & Effenberger 2024).

    With a_t = W_xx x_t + b_xx + W_sx s_t + b_sx and σ the activation:

    * ``form="linear"``: x_{t+1} = R x_t + γ σ(a_t), eq. 11;
    * ``form="A"``: x_{t+1} = σ(R x_t) + γ σ(a_t), eq. 18;
    * ``form="B"``: x_{t+1} = σ(R x_t + γ a_t), eq. 19.

    R is ``scalar`` r I; ``diagonal`` diag(r), eq. 17; ``rotation`` r T with T of 2×2 blocks that rotate the units
    (2i, 2i+1) by φ_i, eq. 16; ``rotation_diagonal`` T diag(r), first scaled and then rotated; ``orthogonal`` r Q with Q
    uniform over the orthogonal group. r, φ and γ are not trained: R is held in the buffers ``residual_own`` and
    ``residual_cross`` [N] (R x = own ∘ x + cross ∘ x with the units of each pair swapped) or ``residual_dense``
    [N, N], and γ in ``gamma`` [N], so that the instances of an ensemble may differ in them. W and b are those of
    ``torch.nn.Linear``. The state is x: S = N.

    Args:
        hidden_size: N; even for rotations.
        residual: kind of R.
        r: residual strength; a pair [low, high] is drawn from U(low, high) for each unit (``diagonal`` and
            ``rotation_diagonal`` only).
        phi: angle of rotation in radians; a pair is drawn from U(low, high) for each block (rotations only).
        gamma: coupling, not negative; a pair is drawn from U(low, high) for each unit.
        form: ``linear`` (eq. 11), ``A`` (eq. 18) or ``B`` (eq. 19).
        activation: σ; ``identity`` is the paper's "no tanh".

    Without coupling the state only rotates, here by a right angle:

    >>> import math
    >>> rotation = WCRNN(1, 2, residual="rotation", phi=math.pi / 2, gamma=0.0)
    >>> rotation.step(torch.zeros(1, 1), torch.tensor([[1.0, 0.0]])).round().abs().tolist()
    [[0.0, 1.0]]
    """

    residual_own: Tensor
    residual_cross: Tensor
    residual_dense: Tensor
    gamma: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        residual: Literal["scalar", "diagonal", "rotation", "rotation_diagonal", "orthogonal"] = "scalar",
        r: float | tuple[float, float] = 1.0,
        phi: float | tuple[float, float] = 0.0,
        gamma: float | tuple[float, float] = 0.01,
        form: Literal["linear", "A", "B"] = "linear",
        activation: Literal["tanh", "identity"] = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_choice("residual", residual, RESIDUALS)
        check_choice("form", form, FORMS)
        check_choice("activation", activation, ("tanh", "identity"))
        r_range, phi_range, gamma_range = _as_range("r", r), _as_range("phi", phi), _as_range("gamma", gamma)
        rotates = residual.startswith("rotation")
        if rotates and hidden_size % 2:
            raise ValueError(f"hidden_size must be even for residual {residual!r}, got {hidden_size}")
        if not rotates and phi_range != (0.0, 0.0):
            raise ValueError(f"phi must be 0 for residual {residual!r}, which has no angle, got {phi}")
        if not residual.endswith("diagonal") and r_range[0] != r_range[1]:
            raise ValueError(f"r must be a single number for residual {residual!r}, got {r}")
        if gamma_range[0] < 0:
            raise ValueError(f"gamma must be at least 0, got {gamma}")
        self.residual, self.form, self.activation = residual, form, activation
        self.input_map = nn.Linear(input_size, hidden_size)
        self.recurrent_map = nn.Linear(hidden_size, hidden_size)
        self.register_buffer("gamma", torch.empty(hidden_size).uniform_(*gamma_range))
        strength = torch.empty(hidden_size).uniform_(*r_range)
        if residual == "orthogonal":
            # Gram-Schmidt of a Gaussian matrix with the signs fixed: uniform, as scipy.stats.ortho_group.
            uniform = nn.init.orthogonal_(torch.empty(hidden_size, hidden_size))
            self.register_buffer("residual_dense", strength * uniform)
        elif rotates:
            angle = torch.empty(hidden_size // 2, 1).uniform_(*phi_range)
            own = strength.unflatten(0, (-1, 2)) * angle.cos()
            cross = strength.unflatten(0, (-1, 2)).flip(-1) * torch.cat([-angle.sin(), angle.sin()], -1)
            self.register_buffer("residual_own", own.flatten())
            self.register_buffer("residual_cross", cross.flatten())
        else:
            self.register_buffer("residual_own", strength)

    def apply_residual(self, state: Tensor) -> Tensor:
        """Return R x [B, N] of a state [B, N]."""
        if self.residual == "orthogonal":
            return state @ self.residual_dense.t()
        scaled = self.residual_own * state
        if self.residual in ("scalar", "diagonal"):
            return scaled
        return torch.addcmul(scaled, self.residual_cross, state.unflatten(-1, (-1, 2)).flip(-1).flatten(-2))

    def residual_matrix(self) -> Tensor:
        """Return R [N, N] as a dense matrix."""
        return self.apply_residual(torch.eye(self.hidden_size).to(self.gamma)).t()

    def project(self, inputs: Tensor) -> Tensor:
        """Return W_sx s + b_sx + b_xx [..., N] of inputs [..., D]."""
        return functional.linear(inputs, self.input_map.weight, self.input_map.bias + self.recurrent_map.bias)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next x [B, N]."""
        activate = ACTIVATIONS[self.activation]
        drive = torch.addmm(projected, state, self.recurrent_map.weight.t())
        residual = self.apply_residual(state)
        if self.form == "B":
            return activate(torch.addcmul(residual, self.gamma, drive))
        if self.form == "A":
            residual = activate(residual)
        return torch.addcmul(residual, self.gamma, activate(drive))

    def scan_kernel(self) -> KernelCall | None:
        """Return the kernel of residual networks, or of Elman networks; as in ``Recurrence.scan_kernel``."""
        weight, input_weight = self.recurrent_map.weight, self.input_map.weight
        bias = self.input_map.bias + self.recurrent_map.bias
        if self.form == "B" or self.activation == "identity":
            # R x + γ (W x + s) = (R + γ W) x + γ s: the residual costs nothing, added to the weights once.
            scale = self.gamma.unsqueeze(-1)
            whole = torch.addcmul(self.residual_matrix(), scale, weight)
            plain = (whole, scale * input_weight, self.gamma * bias)
            return ElmanKernel(self.activation), plain
        own, cross, dense = (self._buffers.get(f"residual_{part}") for part in ("own", "cross", "dense"))
        weights = (weight, input_weight, bias, self.gamma, own, cross, dense)
        return ResidualKernel(self.form), weights


def _as_range(argument: str, value: float | Sequence[float]) -> tuple[float, float]:
    """Return (low, high) of a number or a pair; raise ValueError where it is neither."""
    pair = (value, value) if isinstance(value, (int, float)) else tuple(value)
    largest = torch.finfo(torch.get_default_dtype()).max
    finite = all(isinstance(bound, (int, float)) and abs(bound) <= largest for bound in pair)
    if isinstance(value, bool) or len(pair) != 2 or not finite or pair[0] > pair[1]:
        raise ValueError(f"{argument} must be a finite number or a pair [low, high] with low <= high, got {value}")
    return float(pair[0]), float(pair[1])
