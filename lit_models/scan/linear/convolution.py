"""Convolution with the kernel of a linear state space, chunk by chunk, with the state carried from one to the next.

Over a whole sequence y_t = Σ_j C Ā^j B̄ u_{t-j} + C Ā^{t+1} x_0. Within a chunk of 64 steps this is a product with a
Toeplitz matrix of the kernel's first taps; all that came before the chunk is in the state at its start. Everything is
a matrix product or a short scan from chunk to chunk, whatever state the sequence starts with, and the last state comes
with it. Convolution by FFT, with the same error, takes half as long again, without the last state.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from rnnbench.lit_models.scan.linear.diagonal import diagonal_scan

#: Steps of a chunk. Measured on one core, 16 takes 2.7 and 32 takes 1.4 times as long as 64; 128 takes as long.
CHUNK = 64


class Transition:
    """Powers of the matrices Ā [H, S, S] of H features, acting on S real coordinates of a state."""

    def __init__(self, first: Tensor, multiply: Callable[[Tensor, Tensor], Tensor] = torch.matmul) -> None:
        self._squares, self._multiply = [first], multiply

    def _encode(self, coordinates: Tensor) -> Tensor:
        """Return what is multiplied by Ā, of [H, S, ...]."""
        return coordinates

    def _decode(self, values: Tensor) -> Tensor:
        """Return coordinates [H, S, ...] again."""
        return values

    def _square(self, i: int) -> Tensor:
        """Return Ā^(2^i), made when it is first asked for."""
        while len(self._squares) <= i:
            self._squares.append(self._multiply(self._squares[-1], self._squares[-1]))
        return self._squares[i]

    def _doubled(self, start: Tensor, count: int, transposed: bool = False) -> Tensor:
        """Return Ā^j s [..., count], twice as many in each round."""
        powers, i = start.unsqueeze(-1), 0
        while powers.shape[-1] < count:
            square = self._square(i).mT if transposed else self._square(i)
            powers, i = torch.cat([powers, self._multiply(square, powers)], -1), i + 1
        return powers[..., :count]

    def _applied(self, steps: int, values: Tensor) -> Tensor:
        for i in range(steps.bit_length()):
            if steps >> i & 1:
                values = self._multiply(self._square(i), values)
        return values

    def columns(self, start: Tensor, count: int) -> Tensor:
        """Return Ā^j b for j = 0 ... count - 1 [H, S, count] of b [H, S]."""
        return self._decode(self._doubled(self._encode(start), count))

    def rows(self, start: Tensor, count: int) -> Tensor:
        """Return cᵀ Ā^j for j = 0 ... count - 1 [H, count, S] of c [H, S]."""
        return self._doubled(start, count, transposed=True).mT

    def apply(self, steps: int, states: Tensor) -> Tensor:
        """Return Ā^steps x [H, S, X] of states x [H, S, X]."""
        return self._decode(self._applied(steps, self._encode(states)))

    def apply_each(self, steps: Tensor, most: int, states: Tensor) -> Tensor:
        """Return Ā^steps x [H, S, X] of states x [H, S, X], for steps [X] of at most ``most``."""
        values = self._encode(states)
        for i in range(most.bit_length()):
            values = torch.where(steps.bitwise_right_shift(i) & 1 == 1, self._multiply(self._square(i), values), values)
        return self._decode(values)

    def scan(self, steps: int, entering: Tensor, state: Tensor) -> Tensor:
        """Return x_0 and all x_{k+1} = Ā^steps x_k + e_k, [H, S, n+1, B], of e [H, S, n, B] and x_0 [H, S, B]."""
        states = [state]
        for step in entering.unbind(2):
            states.append(self.apply(steps, states[-1]) + step)
        return torch.stack(states, 2)


class DiagonalTransition(Transition):
    """Ā = diag(λ), λ complex [H, P]. The S = 2P coordinates are the real parts, then the imaginary parts."""

    def __init__(self, decay: Tensor) -> None:
        super().__init__(decay.unsqueeze(-1), torch.mul)

    def _encode(self, coordinates: Tensor) -> Tensor:
        return torch.complex(*coordinates.chunk(2, 1))

    def _decode(self, values: Tensor) -> Tensor:
        return torch.cat([values.real, values.imag], 1)

    def rows(self, start: Tensor, count: int) -> Tensor:
        """See ``Transition.rows``: (a, b) · (Re x, Im x) is Re((a - ib) x)."""
        real, imaginary = start.chunk(2, 1)
        powers = self._doubled(torch.complex(real, -imaginary), count)
        return torch.cat([powers.real, -powers.imag], 1).transpose(1, 2)

    def scan(self, steps: int, entering: Tensor, state: Tensor) -> Tensor:
        """Return the states at the starts of chunks, as in ``Transition``."""
        first = self._encode(state)
        states = first.unsqueeze(0)
        if entering.shape[2]:
            driven = self._encode(entering).movedim(2, 0)
            decay = self._applied(steps, torch.ones_like(self._squares[0]))
            states = torch.cat([states, diagonal_scan(decay, driven, first)])
        return torch.view_as_real(states).permute(1, 4, 2, 0, 3).flatten(1, 2)


def kernel(transition: Transition, enter: Tensor, leave: Tensor, length: int) -> Tensor:
    """Return the taps C Ā^j B̄ for j = 0 ... length - 1 [H, length] of B̄ (``enter``) and C (``leave``), both [H, S]."""
    return (leave.unsqueeze(1) @ transition.columns(enter, length)).squeeze(1)


def scan_chunks(
    transition: Transition, enter: Tensor, leave: Tensor, inputs: Tensor, state: Tensor, keep_outputs: bool
) -> tuple[Tensor | None, Tensor]:
    """Return y_t = C x_t for all t [T, B, H] (None without ``keep_outputs``) and x_T [B, H, S].

    x_t = Ā x_{t-1} + B̄ u_t, for every feature by itself, with B̄ (``enter``) and C (``leave``) [H, S], inputs u
    [T, B, H], T at least 1, and the state x_0 [B, H, S].
    """
    steps, batch, features = inputs.shape
    length = min(CHUNK, 1 << (steps - 1).bit_length())
    whole, rest = divmod(steps, length)
    count = whole + bool(rest)
    padded = functional.pad(inputs, (0, 0, 0, 0, 0, -steps % length))
    chunks = padded.unflatten(0, (count, length)).permute(3, 1, 0, 2).flatten(2)
    columns = transition.columns(enter, length).flip(-1)
    entering = (columns @ chunks[..., : whole * batch]).unflatten(-1, (whole, batch))
    starts = transition.scan(length, entering, state.movedim(0, -1))
    final = starts[:, :, whole]
    if rest:
        final = transition.apply(rest, final)
        final = final + columns[..., length - rest :] @ chunks[:, :rest, whole * batch :]
    if not keep_outputs:
        return None, final.movedim(-1, 0)
    toeplitz = _toeplitz(kernel(transition, enter, leave, length))
    rows = transition.rows(leave, length + 1)[:, 1:]
    outputs = toeplitz @ chunks + rows @ starts[:, :, :count].flatten(2)
    outputs = outputs.unflatten(-1, (count, batch)).permute(2, 1, 3, 0).reshape(count * length, batch, features)
    return outputs[:steps], final.movedim(-1, 0)


def _toeplitz(taps: Tensor) -> Tensor:
    """Return the lower triangular matrices [H, L, L] with taps[t - j] at (t, j) of taps [H, L]."""
    length = taps.shape[-1]
    return functional.pad(taps, (length - 1, 0)).unfold(-1, length, 1).flip(-1)
