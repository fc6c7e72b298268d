"""Lyapunov exponents of a recurrence along the trajectories that its inputs drive."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_number
from rnnbench.lit_models.dynamics.dimension import entropy_rate, kaplan_yorke_dimension
from rnnbench.lit_models.dynamics.log_growth import Interval, chunk_steps, log_growth
from rnnbench.lit_models.dynamics.precision import converted_copy
from rnnbench.lit_models.dynamics.tangent import run_states
from rnnbench.lit_models.recurrence import Recurrence, check_recurrence

#: A curve is thinned to half of its points whenever it has twice as many.
CURVE_POINTS = 512


@dataclass(frozen=True)
class LyapunovSpectrum:
    """Exponents in nats per step, of B sequences and K of the S directions, on the inputs' device.

    A sequence whose state or derivative is not finite anywhere has NaN in place of all its numbers, and is left out of
    ``mean`` and ``standard_error``. An exponent is -inf where a direction is lost, as in a map of rank below S.

    Attributes:
        exponents: [B, K], descending.
        mean: over finite sequences [K].
        standard_error: of the mean [K]; 0 where the sequences agree exactly, NaN for fewer than two sequences and where
            only some of them have -inf.
        curve: running means at the orthonormalisations [P, B, K]; the last point is ``exponents``, in the same order.
            Of long curves only every second, fourth, ... point is kept, and the last.
        curve_steps: accumulated steps at those points [P].
        convergence: |exponent - its running mean after half the accumulated steps (rounded down)| [B, K]: what the last
            half changed. 0 where both are -inf; NaN with a single step.
        kaplan_yorke: Kaplan-Yorke dimension [B]; NaN where the K leading exponents do not decide it.
        entropy_rate: sum of the positive exponents [B], an upper bound of the entropy rate (Pesin); NaN where the K
            leading exponents do not hold all positive ones.
        finite: which sequences were finite throughout [B], bool.
        steps: number of accumulated steps.
    """

    exponents: Tensor
    mean: Tensor
    standard_error: Tensor
    curve: Tensor
    curve_steps: Tensor
    convergence: Tensor
    kaplan_yorke: Tensor
    entropy_rate: Tensor
    finite: Tensor
    steps: int


@dataclass(frozen=True)
class FiniteTimeExponents:
    """Stretching of S directions at every step (Dubinin & Effenberger 2024, algorithm 1), columns as QR leaves them.

    Attributes:
        log_factors: log |diag R| of every step [T, B, S], nats.
        running_means: their means over the steps so far [T, B, S].
        finite: which sequences were finite throughout [B], bool; the others are NaN everywhere.
    """

    log_factors: Tensor
    running_means: Tensor
    finite: Tensor


@torch.inference_mode(False)
@torch.no_grad()
def lyapunov_spectrum(
    recurrence: Recurrence,
    inputs: Tensor,
    *,
    count: int | None = None,
    state_transient: int = 0,
    tangent_transient: int = 0,
    qr_every: Interval = "auto",
    state: Tensor | None = None,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> LyapunovSpectrum:
    """Measure the Lyapunov spectrum of a recurrence's whole state along driven trajectories.

    The inputs are run through once: ``state_transient`` steps with the state alone; ``tangent_transient`` steps in
    which the tangent vectors turn to the directions of the exponents; and the rest, over which log |diag R| is
    accumulated and divided by the number of steps. Trajectories are never repeated: too few inputs are an error.

    All S vectors start as the identity, which is exact at once for diagonal and upper triangular Jacobians; fewer than
    S start as random orthonormal ones, the same for every sequence. An instance of an ensemble is measured as
    ``ensemble.instance(i).recurrence``. The recurrence given is not touched: a copy in ``dtype`` and evaluation mode
    is run through ``project`` and ``advance``.

    Args:
        recurrence: on the inputs' device.
        inputs: [T, B, D].
        count: K, how many leading exponents; None for all S.
        state_transient: steps run before there are tangent vectors.
        tangent_transient: steps after those without accumulation.
        qr_every: most steps between orthonormalisations, fewer where the condition of R asks for it; ``auto`` for
            the condition alone.
        state: [B, S] before the first input; None for ``initial_state``.
        dtype: ``torch.float64`` or ``torch.float32``, in which a direction that one step shrinks a million times more
            than another counts as lost.
        seed: of the random start.

    Raises:
        ValueError: an argument is impossible, or the transients leave no step.

    >>> from rnnbench.lit_models.recurrences.wcrnn import WCRNN
    >>> decaying = WCRNN(input_size=1, hidden_size=3, r=0.5, gamma=0.0)
    >>> spectrum = lyapunov_spectrum(decaying, torch.zeros(20, 1, 1))
    >>> spectrum.exponents.exp().round(decimals=9).tolist()
    [[0.5, 0.5, 0.5]]
    """
    recurrence, inputs, state = prepared(recurrence, inputs, state, dtype)
    total, batch_size, state_size = len(inputs), inputs.shape[1], state.shape[1]
    count = state_size if count is None else count
    check_at_least(1, count=count)
    check_number("count", count, high=state_size)
    check_at_least(0, state_transient=state_transient, tangent_transient=tangent_transient)
    if qr_every != "auto":
        check_at_least(1, qr_every=qr_every)
    steps = total - state_transient - tangent_transient
    if steps < 1:
        raise ValueError(
            f"state_transient and tangent_transient must sum to less than the {total} inputs, "
            f"got {state_transient} and {tangent_transient}"
        )
    for chunk in inputs[:state_transient].split(chunk_steps(inputs, state)):
        state = run_states(recurrence, recurrence.project(chunk), state)[-1]
    sums, curve, half = inputs.new_zeros(batch_size, count), [], torch.full((), torch.nan).to(inputs)
    stops = [stop for stop in (tangent_transient, tangent_transient + steps // 2, tangent_transient + steps) if stop]
    tangents = _start(count, batch_size, state_size, seed).to(inputs)
    for done, log_factors in log_growth(recurrence, inputs[state_transient:], state, tangents, qr_every, stops):
        accumulated = done - tangent_transient
        if accumulated > 0:
            sums = sums + log_factors
            curve.append((accumulated, sums / accumulated))
        if accumulated > 0 and accumulated == steps // 2:
            half = sums / accumulated
        if len(curve) > 2 * CURVE_POINTS:
            curve = curve[1::2]
    return _spectrum(curve, half, state_size)


@torch.inference_mode(False)
@torch.no_grad()
def finite_time_exponents(
    recurrence: Recurrence, inputs: Tensor, *, state: Tensor | None = None, dtype: torch.dtype = torch.float64
) -> FiniteTimeExponents:
    """Collect the stretching factors of every step (Dubinin & Effenberger 2024, appendix A, algorithm 1).

    The vectors start as the identity at the first input, without a transient; after every step QR is taken and diag(R)
    kept. The paper calls these the eigenvalues of the variational term; they are stretching factors of a moving frame,
    and equal eigenvalues in modulus only in the limit of a long product. Arguments and errors are as in
    ``lyapunov_spectrum``.

    >>> from rnnbench.lit_models.recurrences.wcrnn import WCRNN
    >>> decaying = WCRNN(input_size=1, hidden_size=2, r=0.5, gamma=0.0)
    >>> finite_time_exponents(decaying, torch.zeros(2, 1, 1)).log_factors.exp().round(decimals=9).flatten().tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    recurrence, inputs, state = prepared(recurrence, inputs, state, dtype)
    total, batch_size, state_size = len(inputs), inputs.shape[1], state.shape[1]
    tangents = _start(state_size, batch_size, state_size, 0).to(inputs)
    growth = log_growth(recurrence, inputs, state, tangents, 1, range(1, total + 1))
    log_factors = torch.stack([factors for _, factors in growth])
    # A sum holds the NaN of any step; a sequence that fails late has no number at all.
    finite = ~log_factors.sum(0).isnan().any(-1)
    log_factors = log_factors.masked_fill(~finite.unsqueeze(-1), torch.nan)
    ends = torch.arange(1, total + 1, device=inputs.device).reshape(-1, 1, 1)
    return FiniteTimeExponents(log_factors, log_factors.cumsum(0) / ends, finite)


def prepared(
    recurrence: Recurrence, inputs: Tensor, state: Tensor | None, dtype: torch.dtype
) -> tuple[Recurrence, Tensor, Tensor]:
    """Return a copy of the recurrence, the inputs and the first state, all in ``dtype`` on the inputs' device."""
    check_recurrence(recurrence)
    if inputs.dim() != 3 or 0 in inputs.shape[:2] or inputs.shape[2] != recurrence.input_size:
        raise ValueError(
            f"inputs must have the shape [T, B, {recurrence.input_size}] with T and B at least 1, "
            f"got {list(inputs.shape)}"
        )
    recurrence = converted_copy(recurrence, dtype).to(inputs.device).requires_grad_(False)
    start = recurrence.initial_state(inputs.shape[1])
    if state is not None and state.shape != start.shape:
        raise ValueError(f"state must have the shape {list(start.shape)}, got {list(state.shape)}")
    start = start if state is None else state.detach()
    # Copies: what was made in inference mode cannot be differentiated.
    return recurrence, inputs.detach().to(dtype, copy=True), start.to(inputs.device, dtype, copy=True)


def _start(count: int, batch_size: int, state_size: int, seed: int) -> Tensor:
    """Return orthonormal vectors [K, B, S] to begin with."""
    if count == state_size:
        vectors = torch.eye(state_size, dtype=torch.float64)
    else:
        drawn = torch.randn(state_size, count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        vectors = torch.linalg.qr(drawn)[0].t()
    return vectors.unsqueeze(1).expand(-1, batch_size, -1).contiguous()


def _spectrum(curve: list[tuple[int, Tensor]], half: Tensor, state_size: int) -> LyapunovSpectrum:
    """Return the spectrum from running means [B, K] after so many steps, and that at half time."""
    steps, final = curve[-1]
    finite = ~final.isnan().any(-1)
    final = final.masked_fill(~finite.unsqueeze(-1), torch.nan)
    exponents, order = final.sort(dim=-1, descending=True, stable=True)
    half = half.expand_as(final).gather(-1, order)
    both_lost = (half == -torch.inf) & (exponents == -torch.inf)
    points = torch.stack([means for _, means in curve])
    points = points.masked_fill(~finite.unsqueeze(-1), torch.nan).gather(-1, order.expand_as(points))
    known = exponents[finite]
    mean, standard_error = known.sum(0) / len(known), torch.full_like(final[0], torch.nan)
    if len(known) > 1:
        standard_error = ((known - mean).square().sum(0) / (len(known) - 1) / len(known)).sqrt()
        standard_error = standard_error.masked_fill((known == known[0]).all(0), 0.0)
    return LyapunovSpectrum(
        exponents=exponents,
        mean=mean,
        standard_error=standard_error,
        curve=points,
        curve_steps=torch.tensor([step for step, _ in curve], device=final.device),
        convergence=(exponents - half).abs().masked_fill(both_lost, 0.0),
        kaplan_yorke=kaplan_yorke_dimension(exponents, state_size),
        entropy_rate=entropy_rate(exponents, state_size),
        finite=finite,
        steps=steps,
    )
