"""The block around a linear state space that S4, S4D and LRU share: norm, gated linear unit, residual."""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.scan.contract import Scanned, takes

#: Entries [steps, B, N] that a scan without gradients holds at once: evaluation runs in batches of thousands.
MOST_ENTRIES = 2**22

NORMS = ("pre", "post")


class StateSpaceBlock(Recurrence):
    """A linear state space in the block of its paper, as one recurrence.

    With e_t the encoded input (an affine map where D differs from N, the input itself where it does not) and LN layer
    normalisation:

    * ``norm="pre"``: u_t = LN(e_t); ``norm="post"``: u_t = e_t;
    * x_t = A x_{t-1} + B u_t and y_t = C x_t + d ∘ u_t, where A, B and C are a subclass's;
    * z_t = e_t + GLU(W GELU(y_t) + b), with W [2N, N]; the output is z_t for ``pre``, LN(z_t) for ``post``.

    The state is [x_t, e_t]: e_t is carried since the output reads it, but no later state depends on it, so of the
    Lyapunov exponents N are -∞ and the others are those of the linear map.
    """

    def __init__(self, input_size: int, hidden_size: int, state_dim: int, latent_size: int, norm: str) -> None:
        """Add the block around a state space of ``latent_size`` real numbers, ``state_dim`` as its paper counts."""
        check_at_least(1, state_dim=state_dim)
        check_choice("norm", norm, NORMS)
        super().__init__(input_size, hidden_size, latent_size + hidden_size)
        self.norm_at = norm
        self.encoder = nn.Identity() if input_size == hidden_size else nn.Linear(input_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.skip = nn.Parameter(torch.randn(hidden_size))
        self.mix = nn.Linear(hidden_size, 2 * hidden_size)

    @abstractmethod
    def transition(self, latent: Tensor, driven: Tensor) -> Tensor:
        """Return A x + B u [B, latent] of x [B, latent] and u [B, N]."""

    @abstractmethod
    def readout(self, latent: Tensor) -> Tensor:
        """Return C x [B, N] of x [B, latent]."""

    @abstractmethod
    def respond(self, driven: Tensor, latent: Tensor, keep_outputs: bool) -> Scanned:
        """Return C x_t for all t [T, B, N] (an empty tensor without ``keep_outputs``) and x_T, of u and x_0."""

    def project(self, inputs: Tensor) -> Tensor:
        """Return e [..., N] of inputs [..., D]."""
        return self.encoder(inputs)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next [x, e] [B, S]."""
        latent = self.transition(state[..., : -self.hidden_size], self._driven(projected))
        return torch.cat([latent, projected], -1)

    def output(self, state: Tensor) -> Tensor:
        """Return the block's output [B, N]."""
        return self._leave(self.readout(state[..., : -self.hidden_size]), state[..., -self.hidden_size :])

    @abstractmethod
    def decay_latent(self, latent: Tensor, steps: Tensor, most: int) -> Tensor:
        """Return A^steps x [B, latent] of x [B, latent] for steps [B], each from 0 to ``most``."""

    def scan_linear(self, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool) -> Scanned | None:
        """Respond to the whole sequence at once; as in ``Recurrence.scan_linear``."""
        if not takes(inputs, state, self.skip):
            return None
        outputs, passed, parts = [], 0, [inputs]
        if not torch.is_grad_enabled():
            parts = inputs.split(max(64, MOST_ENTRIES // max(1, inputs.shape[1] * self.hidden_size)))
        for part in parts:
            if lengths is None:
                found, state = self._respond(part, state, keep_outputs)
            else:
                found, state = self._respond_to(part, state, (lengths - passed).clamp(0, len(part)), keep_outputs)
            passed += len(part)
            outputs.append(found)
        return torch.cat(outputs), state

    def _respond(self, inputs: Tensor, state: Tensor, keep_outputs: bool) -> Scanned:
        encoded = self.project(inputs)
        read, latent = self.respond(self._driven(encoded), state[..., : -self.hidden_size], keep_outputs)
        final = torch.cat([latent, encoded[-1]], -1)
        return self._leave(read, encoded) if keep_outputs else read, final

    def _respond_to(self, inputs: Tensor, state: Tensor, lengths: Tensor, keep_outputs: bool) -> tuple[Tensor, Tensor]:
        latent, before = state[..., : -self.hidden_size], state[..., -self.hidden_size :]
        encoded = self.project(inputs)
        driven = self._driven(encoded)
        times, none = torch.arange(len(inputs), device=inputs.device).unsqueeze(-1), (lengths == 0).unsqueeze(-1)
        # Moved so that all end together, after zeros, sequences have their last states at the same time; what is left
        # of the state before them is added.
        own_time = times - (len(inputs) - lengths)
        aligned = _pick(driven, own_time.clamp(min=0)).masked_fill((own_time < 0).unsqueeze(-1), 0.0)
        response = self.respond(aligned, torch.zeros_like(latent), keep_outputs=False)[1]
        last = torch.where(none, before, _pick(encoded, (lengths - 1).clamp(min=0).unsqueeze(0))[0])
        final = torch.cat([response + self.decay_latent(latent, lengths, len(inputs)), last], -1)
        if not keep_outputs:
            return inputs.new_empty(0), final
        read, _ = self.respond(driven, latent, keep_outputs=True)
        standing = _pick(self._leave(read, encoded), times.minimum(lengths - 1).clamp(min=0))
        return torch.where(none, self.output(state), standing), final

    def _driven(self, encoded: Tensor) -> Tensor:
        return self.norm(encoded) if self.norm_at == "pre" else encoded

    def _leave(self, read: Tensor, encoded: Tensor) -> Tensor:
        """Return the output [..., N] of C x and e, both [..., N]."""
        mixed, gate = self.mix(functional.gelu(read + self.skip * self._driven(encoded))).chunk(2, -1)
        # Not functional.glu, whose forward-mode derivative has no rule for vmap.
        output = encoded + mixed * torch.sigmoid(gate)
        return self.norm(output) if self.norm_at == "post" else output


def _pick(values: Tensor, times: Tensor) -> Tensor:
    """Return the values [T', B, N] at times [T', B] of values [T, B, N]."""
    return values.gather(0, times.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
