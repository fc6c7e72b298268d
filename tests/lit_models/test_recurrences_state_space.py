"""S4, S4D and LRU: kernels from dense matrices, blocks written out in numpy, convolution against steps."""

import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import scipy.stats
import torch

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences import _state_space
from rnnbench.lit_models.recurrences._hippo import hippo_legs, hippo_legs_dplr
from rnnbench.lit_models.recurrences.lru import LRU
from rnnbench.lit_models.recurrences.s4 import S4
from rnnbench.lit_models.recurrences.s4d import S4D
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.scan.policy import use_backend

close = functools.partial(np.testing.assert_allclose, atol=1e-10, rtol=1e-10)
FEATURES, SIZE, STEPS = 4, 8, 80
BLOCKS: dict[str, Callable[[int], Recurrence]] = {
    "S4D lin": lambda size: S4D(2, FEATURES, size),
    "S4D inv": lambda size: S4D(2, FEATURES, size, initialisation="inv"),
    "S4D legs pre": lambda size: S4D(2, FEATURES, size, initialisation="legs", norm="pre"),
    "S4": lambda size: S4(2, FEATURES, size),
    "S4 pre": lambda size: S4(2, FEATURES, size, num_ssms=2, norm="pre"),
    "LRU": lambda size: LRU(2, FEATURES, size, r_min=0.9, r_max=0.999),
}
for_all = pytest.mark.parametrize("name", BLOCKS)


def make(name: str, size: int = SIZE, dtype: torch.dtype = torch.float64) -> Recurrence:
    torch.manual_seed(3)
    block = BLOCKS[name](size)
    with torch.no_grad():
        # Away from the start, where the features are alike.
        for parameter in block.parameters():
            parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
    return block.to(dtype)


def with_conjugates(*parts: torch.Tensor) -> np.ndarray:
    values = parts[0].detach().numpy() + 1j * parts[1].detach().numpy()
    return np.concatenate([values, values.conj()], -1)


def taps(discrete: np.ndarray, enter: np.ndarray, leave: np.ndarray, length: int) -> np.ndarray:
    found = []
    for _ in range(length):
        found.append(leave @ enter)
        enter = discrete @ enter
    close(np.imag(found), 0)
    return np.real(found)


@pytest.mark.parametrize("name", ["S4D lin", "S4D inv", "S4D legs pre"])
def test_s4d_kernel_from_dense_matrices(name: str) -> None:
    block = make(name)
    diagonal = with_conjugates(-block.log_decay.exp(), block.frequency)
    leave = with_conjugates(block.c_real, block.c_imag)
    for h in range(FEATURES):
        matrix, ones = np.diag(diagonal[h]), np.ones(SIZE)
        discrete = scipy.linalg.expm(math.exp(block.log_dt[h].item()) * matrix)
        held = np.linalg.solve(matrix, (discrete - np.eye(SIZE)) @ ones)
        close(block.kernel(STEPS)[h].detach().numpy(), taps(discrete, held, leave[h], STEPS))


@pytest.mark.parametrize("name", ["S4", "S4 pre"])
def test_s4_kernel_from_dense_matrices(name: str) -> None:
    block = make(name)
    diagonal = with_conjugates(-block.log_decay.exp(), block.frequency)
    low_rank = with_conjugates(block.p_real, block.p_imag)
    enter, leave = with_conjugates(block.b_real, block.b_imag), with_conjugates(block.c_real, block.c_imag)
    for h in range(FEATURES):
        group = h * len(diagonal) // FEATURES
        matrix = np.diag(diagonal[group]) - np.outer(low_rank[group], low_rank[group].conj())
        step = math.exp(block.log_dt[h].item())
        backward = np.linalg.inv(np.eye(SIZE) - step / 2 * matrix)
        discrete = backward @ (np.eye(SIZE) + step / 2 * matrix)
        expected = taps(discrete, step * backward @ enter[group], leave[h], STEPS)
        close(block.kernel(STEPS)[h].detach().numpy(), expected)


def test_hippo_legs_written_out() -> None:
    matrix, enter = hippo_legs(5)
    for n in range(5):
        assert enter[n] == pytest.approx(math.sqrt(2 * n + 1))
        for k in range(5):
            below = math.sqrt((2 * n + 1) * (2 * k + 1)) if n > k else 0
            assert matrix[n, k] == pytest.approx(-(n + 1 if n == k else below))


def test_hippo_legs_is_normal_plus_low_rank() -> None:
    size = 16
    matrix, enter = hippo_legs(size)
    diagonal, low_rank, entered = (np.concatenate([v, v.conj()]) for v in hippo_legs_dplr(size))
    structured = np.diag(diagonal) - np.outer(low_rank, low_rank.conj())
    # Both are the same map in two bases that a unitary map relates: what they say of inner products is the same.
    direct, other = enter, entered
    for _ in range(4):
        np.testing.assert_allclose((entered.conj() @ other).real, enter @ direct, rtol=1e-9)
        np.testing.assert_allclose((entered.conj() @ other).imag, 0, atol=1e-9 * abs(enter @ direct))
        direct, other = matrix @ direct, structured @ other
    low_rank_there = np.sqrt(np.arange(size) + 0.5)
    np.testing.assert_allclose(low_rank.conj() @ entered, low_rank_there @ enter, rtol=1e-9)
    assert (diagonal[: size // 2].imag > 0).all()
    assert (np.diff(diagonal[: size // 2].imag) > 0).all()


def layer_norm(block: Recurrence, values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return normed * block.norm.weight.detach().numpy() + block.norm.bias.detach().numpy()


def affine(layer: torch.nn.Linear, values: np.ndarray) -> np.ndarray:
    return values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def leave_block(block: Recurrence, read: np.ndarray, driven: np.ndarray, encoded: np.ndarray) -> np.ndarray:
    y = read + block.skip.detach().numpy() * driven
    mixed = affine(block.mix, y * 0.5 * (1 + scipy.special.erf(y / math.sqrt(2))))
    return encoded + mixed[..., :FEATURES] / (1 + np.exp(-mixed[..., FEATURES:]))


def test_lru_written_out() -> None:
    block = make("LRU")
    inputs = torch.randn(20, 3, 2, dtype=torch.float64)
    tensors = {name: value.detach().numpy() for name, value in block.named_parameters()}
    decay = np.exp(-np.exp(tensors["log_rate"]) + 1j * np.exp(tensors["log_phase"]))
    enter = tensors["b_real"] + 1j * tensors["b_imag"]
    leave = tensors["c_real"] + 1j * tensors["c_imag"]
    state, expected = np.zeros((3, SIZE), complex), []
    for step in inputs.numpy():
        encoded = affine(block.encoder, step)
        driven = layer_norm(block, encoded)
        state = decay * state + np.exp(tensors["log_gain"]) * (driven @ enter.T)
        expected.append(leave_block(block, (state @ leave.T).real, driven, encoded))
    outputs, final = block(inputs)
    close(outputs.detach().numpy(), np.array(expected))
    close(
        final.detach().numpy(), np.concatenate([state.real, state.imag, affine(block.encoder, inputs[-1].numpy())], -1)
    )


@pytest.mark.parametrize("name", ["S4D lin", "S4D legs pre", "S4", "S4 pre"])
def test_block_of_a_convolution_written_out(name: str) -> None:
    block = make(name)
    inputs = torch.randn(70, 3, 2, dtype=torch.float64)
    encoded = affine(block.encoder, inputs.numpy())
    driven = layer_norm(block, encoded) if name.endswith("pre") else encoded
    kernel = block.kernel(70).detach().numpy()
    read = np.array([sum(kernel[:, j] * driven[t - j] for j in range(t + 1)) for t in range(70)])
    expected = leave_block(block, read, driven, encoded)
    expected = expected if name.endswith("pre") else layer_norm(block, expected)
    close(block(inputs)[0].detach().numpy(), expected)


def run(block: Recurrence, inputs: torch.Tensor, state: torch.Tensor, name: str) -> list[torch.Tensor]:
    """Outputs, the final state, and gradients of all weights, of the inputs and of the state."""
    inputs, state = (value.to(block.skip).requires_grad_() for value in (inputs, state))
    with use_backend(name):
        outputs, final = block(inputs, state)
        last, last_final = block.forward_last(inputs, state)
    weights = torch.randn(*outputs.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    wanted = [inputs, state, *block.parameters()]
    gradients = torch.autograd.grad((outputs * weights.to(outputs)).sum() + final.square().mean(), wanted)
    gradients_of_last = torch.autograd.grad(last.square().sum(), wanted)
    return [outputs, final, last, last_final, *gradients, *gradients_of_last]


def errors(found: list[torch.Tensor], expected: list[torch.Tensor]) -> list[float]:
    """Largest differences, each of the largest entry."""
    return [((a.double() - b).abs().max() / b.abs().max()).item() for a, b in zip(found, expected, strict=True)]


@for_all
@pytest.mark.parametrize("from_zero", [True, False], ids=["from zero", "from a state"])
def test_whole_sequences_equal_steps(name: str, from_zero: bool) -> None:
    inputs, block = torch.randn(STEPS, 2, 2), make(name, 16)
    state = torch.zeros(2, block.state_size)
    if not from_zero:
        state = block(torch.randn(STEPS, 2, 2, dtype=torch.float64))[1].detach()
    exact = run(block, inputs, state, "loop")
    assert all(value.abs().max() > 0 for value in exact)
    assert max(errors(run(block, inputs, state, "eager"), exact)) <= 1e-10
    single = block.float()
    whole, steps = (run(single, inputs, state, scan) for scan in ("eager", "loop"))
    assert max(errors(whole, [value.double() for value in steps])[:4]) <= 1e-5
    # Gradients behind a norm cancel: there both are off by as much.
    for found, rounding in zip(errors(whole, exact), errors(steps, exact), strict=True):
        assert found <= max(1e-5, 3 * rounding)


@for_all
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "lengths"])
@pytest.mark.parametrize("part", [1, _state_space.MOST_ENTRIES], ids=["in parts", "in one part"])
def test_parts_and_lengths_equal_steps(name: str, part: int, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also lengths of zero, and of whole parts, and inputs past the end that are not numbers one would like."""
    monkeypatch.setattr(_state_space, "MOST_ENTRIES", part)
    block = make(name)
    lengths = None if whole else torch.tensor([0, 1, 63, 64, 65, STEPS])
    inputs = torch.randn(STEPS, 6, 2, dtype=torch.float64)
    if lengths is not None:
        inputs[torch.arange(STEPS).unsqueeze(-1) >= lengths] = 1e6
    state = block(torch.randn(5, 6, 2, dtype=torch.float64))[1].detach()
    with torch.no_grad():
        for run in (block, block.forward_last):
            found = run(inputs, state, lengths)
            assert block.scan_linear(inputs, state, lengths, False) is not None
            with use_backend("loop"):
                torch.testing.assert_close(found, run(inputs, state, lengths), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("cls", [S4, S4D, LRU])
def test_stack_with_a_carried_state_equals_steps(cls: type[Recurrence]) -> None:
    stack = StackedRNN(2, functools.partial(cls, hidden_size=FEATURES, state_dim=SIZE), num_layers=2).double()
    assert sum(isinstance(module, torch.nn.Identity) for module in stack.modules()) == 1
    inputs = torch.randn(STEPS, 3, 2, dtype=torch.float64)
    first, state = stack(inputs[:30])
    second, final = stack(inputs[30:], state)
    with use_backend("loop"):
        expected = stack(inputs)
    torch.testing.assert_close((torch.cat([first, second]), final), expected, atol=1e-10, rtol=1e-10)


def test_s4d_starts_as_published() -> None:
    n = np.arange(32)
    for name, expected in {"lin": math.pi * n, "inv": 64 / math.pi * (64 / (2 * n + 1) - 1)}.items():
        block = S4D(1, 3, 64, initialisation=name)
        np.testing.assert_allclose(block.frequency.detach().numpy(), np.tile(expected, (3, 1)), rtol=1e-6)
        np.testing.assert_allclose(-block.log_decay.exp().detach().numpy(), -0.5, rtol=1e-6)


def test_steps_are_log_uniform() -> None:
    steps = S4D(1, 500, 2, dt_min=0.01, dt_max=0.5).log_dt.detach().numpy()
    low, high = math.log(0.01), math.log(0.5)
    assert scipy.stats.kstest((steps - low) / (high - low), "uniform").pvalue > 0.01


def test_lru_starts_on_the_ring() -> None:
    block = LRU(1, 2, 2000, r_min=0.5, r_max=0.9, max_phase=1.0)
    decay = block.eigenvalues().detach().numpy()
    area = (np.abs(decay) ** 2 - 0.25) / (0.81 - 0.25)
    assert scipy.stats.kstest(area, "uniform").pvalue > 0.01
    assert scipy.stats.kstest(np.angle(decay), "uniform").pvalue > 0.01
    np.testing.assert_allclose(block.log_gain.exp().detach().numpy(), np.sqrt(1 - np.abs(decay) ** 2), rtol=1e-4)


@pytest.mark.parametrize(
    "extreme", [{"r_min": 0.99999999, "r_max": 1.0}, {"r_min": 0.0, "r_max": 1e-30}, {"max_phase": 1e-60}]
)
def test_lru_starts_finite_at_the_ends_of_the_ring(extreme: dict[str, float]) -> None:
    block = LRU(1, 2, 200, **extreme)
    assert all(parameter.isfinite().all() for parameter in block.parameters())
    assert (block.eigenvalues().abs() < 1).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: S4D(1, 2, state_dim=3), "state_dim must be even, .* got 3"),
        (lambda: S4(1, 2, state_dim=0), "state_dim must be at least 1, got 0"),
        (lambda: S4(1, 2, dt_min=0.2), "dt_min and dt_max must be finite .* got 0.2 and 0.1"),
        (lambda: S4D(1, 2, dt_min=0.0), "dt_min and dt_max must be finite .* got 0.0 and 0.1"),
        (lambda: S4(1, 4, num_ssms=3), "num_ssms must divide hidden_size, 4, got 3"),
        (lambda: S4(1, 4, num_ssms=0), "num_ssms must be at least 1, got 0"),
        (lambda: LRU(1, 2, state_dim=-1), "state_dim must be at least 1, got -1"),
        (lambda: LRU(1, 2, r_min=0.9, r_max=0.8), "r_min and r_max must satisfy .* got 0.9 and 0.8"),
        (lambda: LRU(1, 2, r_max=1.1), "r_min and r_max must satisfy .* got 0.0 and 1.1"),
        (lambda: LRU(1, 2, max_phase=7.0), "max_phase must be above 0 and at most 2π, got 7.0"),
    ],
)
def test_impossible_arguments_are_refused(build: Callable[[], Recurrence], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
