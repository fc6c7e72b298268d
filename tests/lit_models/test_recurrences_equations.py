"""Architectures of papers against their equations, written out over units in float64: outputs and gradients."""

import functools
import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.antisymmetric import AntisymmetricRNN
from rnnbench.lit_models.recurrences.coupled_oscillator import CoRNN
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.lipschitz import LipschitzRNN
from rnnbench.lit_models.recurrences.multiplicative_integration import MIRNN
from rnnbench.lit_models.recurrences.orthogonal import OrthogonalRNN
from rnnbench.lit_models.recurrences.s4 import S4
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
from rnnbench.lit_models.recurrences.ur_lstm import URLSTM
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from rnnbench.lit_models.scan.policy import use_backend
from tests.lit_models.test_recurrences_wcrnn import RESIDUALS

STEPS, BATCH, INPUTS, UNITS = 4, 2, 2, 4
close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)
Numbers = list[Tensor]


def dot(row: Tensor, values: Numbers) -> Tensor:
    return sum((row[j] * value for j, value in enumerate(values)), torch.zeros((), dtype=torch.float64))


def antisymmetric(net: AntisymmetricRNN, x: Numbers, h: Numbers, gated: bool) -> Numbers:
    # Entries of the strictly upper triangle, row by row.
    places = [(i, j) for i in range(UNITS) for j in range(i + 1, UNITS)]
    w = {place: net.upper[k] for k, place in enumerate(places)}
    following = []
    for i in range(UNITS):
        coupled = -net.gamma * h[i]
        for j in range(UNITS):
            if i != j:
                coupled = coupled + (w[i, j] if i < j else -w[j, i]) * h[j]
        step = net.epsilon * torch.tanh(coupled + dot(net.input_map.weight[i], x) + net.input_map.bias[i])
        if gated:
            k = UNITS + i
            step = step * torch.sigmoid(coupled + dot(net.input_map.weight[k], x) + net.input_map.bias[k])
        following.append(h[i] + step)
    return following


def coupled_oscillators(net: CoRNN, x: Numbers, state: Numbers) -> Numbers:
    y, z = state[:UNITS], state[UNITS:]
    speeds = []
    for i in range(UNITS):
        force = torch.tanh(dot(net.drive.weight[i], [*x, *z, *y]) + net.drive.bias[i])
        speeds.append(z[i] + net.dt * (force - net.gamma * y[i] - net.epsilon * z[i]))
    return [*(y[i] + net.dt * speeds[i] for i in range(UNITS)), *speeds]


def lipschitz(net: LipschitzRNN, x: Numbers, h: Numbers, midpoint: bool) -> Numbers:
    def entry(m: Tensor, i: int, j: int) -> Tensor:
        symmetric, skew = m[i, j] + m[j, i], m[i, j] - m[j, i]
        return (1 - net.beta) * symmetric + net.beta * skew - (net.gamma if i == j else 0)

    def slope(h: Numbers) -> Numbers:
        slopes = []
        for i in range(UNITS):
            linear = sum(entry(net.mixed[0], i, j) * h[j] for j in range(UNITS))
            coupled = sum(entry(net.mixed[1], i, j) * h[j] for j in range(UNITS))
            slopes.append(linear + torch.tanh(coupled + dot(net.input_map.weight[i], x) + net.input_map.bias[i]))
        return slopes

    at = [value + net.epsilon / 2 * k for value, k in zip(h, slope(h), strict=True)] if midpoint else h
    return [value + net.epsilon * k for value, k in zip(h, slope(at), strict=True)]


def multiplicative(net: MIRNN, x: Numbers, h: Numbers) -> Numbers:
    following = []
    for i in range(UNITS):
        wx, uh = dot(net.weight_ih[i], x), dot(net.weight_hh[i], h)
        following.append(torch.tanh(net.alpha[i] * wx * uh + net.beta_1[i] * uh + net.beta_2[i] * wx + net.bias[i]))
    return following


def ur_lstm(net: URLSTM, x: Numbers, state: Numbers) -> Numbers:
    h, c = state[:UNITS], state[UNITS:]

    def drive(gate: int, i: int) -> Tensor:
        row = gate * UNITS + i
        return dot(net.weight_ih[row], x) + dot(net.weight_hh[row], h)

    hidden, cells = [], []
    for i in range(UNITS):
        f = torch.sigmoid(drive(0, i) + net.forget_bias[i])
        r = torch.sigmoid(drive(1, i) + net.bias[i] - net.forget_bias[i])
        g = r * (1 - (1 - f) ** 2) + (1 - r) * f**2
        cells.append(g * c[i] + (1 - g) * torch.tanh(drive(2, i) + net.bias[UNITS + i]))
        hidden.append(torch.sigmoid(drive(3, i) + net.bias[2 * UNITS + i]) * torch.tanh(cells[i]))
    return [*hidden, *cells]


def orthogonal(net: OrthogonalRNN, x: Numbers, h: Numbers) -> Numbers:
    following = []
    for i in range(UNITS):
        a = dot(net.recurrent_map.weight[i], h) + dot(net.input_map.weight[i], x)
        size = torch.clamp(abs(a) + net.bias[i], min=0)
        following.append(size if a > 0 else -size)
    return following


def elman(net: ElmanRNN, x: Numbers, h: Numbers) -> Numbers:
    biases = net.bias_ih + net.bias_hh
    return [dot(net.weight_ih[i], x) + dot(net.weight_hh[i], h) + biases[i] for i in range(UNITS)]


def second_order(net: SecondOrderRNN, x: Numbers, h: Numbers) -> Numbers:
    pairs = [(i, j, a * b) for i, a in enumerate([*h, 1.0]) for j, b in enumerate([*x, 1.0])]
    return [torch.tanh(sum(net.weight[k, i, j] * product for i, j, product in pairs)) for k in range(UNITS)]


def cp(net: SecondOrderRNN, x: Numbers, h: Numbers) -> Numbers:
    following = []
    for k in range(UNITS):
        value = dot(net.weight_ih[k], x) + dot(net.weight_hh[k], h) + net.bias[k]
        for r in range(net.rank):
            product = dot(net.state_factors[:, r], h) * dot(net.input_factors[:, r], x)
            value = value + net.output_factors[k, r] * product
        following.append(torch.relu(value))
    return following


def wcrnn(net: WCRNN, x: Numbers, h: Numbers) -> Numbers:
    """Eq. 11, 18 and 19 of Dubinin & Effenberger 2024."""
    matrix, following = net.residual_matrix(), []
    act = torch.tanh if net.activation == "tanh" else torch.clone
    for i in range(UNITS):
        a = dot(net.recurrent_map.weight[i], h) + net.recurrent_map.bias[i]
        a = a + dot(net.input_map.weight[i], x) + net.input_map.bias[i]
        residual, gamma = dot(matrix[i], h), net.gamma[i]
        forms = {"linear": residual + gamma * act(a), "A": act(residual) + gamma * act(a)}
        following.append(forms[net.form] if net.form in forms else act(residual + gamma * a))
    return following


CASES: dict[str, tuple[Callable[..., Recurrence], Callable[..., Numbers]]] = {
    "AntisymmetricRNN": (AntisymmetricRNN, functools.partial(antisymmetric, gated=False)),
    "AntisymmetricRNN gated": (
        functools.partial(AntisymmetricRNN, gated=True, epsilon=0.3),
        functools.partial(antisymmetric, gated=True),
    ),
    "CoRNN": (functools.partial(CoRNN, dt=0.3), coupled_oscillators),
    "LipschitzRNN": (functools.partial(LipschitzRNN, sigma=3.0), functools.partial(lipschitz, midpoint=False)),
    "LipschitzRNN midpoint": (
        functools.partial(LipschitzRNN, sigma=3.0, epsilon=0.2, integrator="midpoint"),
        functools.partial(lipschitz, midpoint=True),
    ),
    "ElmanRNN": (functools.partial(ElmanRNN, time_activation="identity"), elman),
    "SecondOrderRNN": (SecondOrderRNN, second_order),
    "SecondOrderRNN CP": (functools.partial(SecondOrderRNN, rank=5, time_activation="relu"), cp),
    "MIRNN": (MIRNN, multiplicative),
    "URLSTM": (URLSTM, ur_lstm),
    "OrthogonalRNN": (OrthogonalRNN, orthogonal),
}
CASES |= {
    f"WCRNN {residual} {form} {activation}": (
        functools.partial(WCRNN, residual=residual, form=form, activation=activation, **settings),
        wcrnn,
    )
    for residual, settings in RESIDUALS.items()
    for form in ("linear", "A", "B")
    for activation in ("tanh", "identity")
}


def check_equations(
    network: Recurrence, equations: Callable[..., Numbers], read: Callable[..., Numbers] | None = None
) -> None:
    """Check the loop over ``step`` against equations; outputs are the first numbers of the state if none are read."""
    with torch.no_grad():
        for parameter in network.double().parameters():
            # Biases and gains that start from one number each differ between units here.
            parameter.add_(0.1 * torch.randn_like(parameter))
    inputs = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64, requires_grad=True)
    start = torch.randn(BATCH, network.state_size, dtype=torch.float64, requires_grad=True)
    columns, finals = [], []
    for b in range(BATCH):
        state, outputs = list(start[b]), []
        for t in range(STEPS):
            state = equations(network, list(inputs[t, b]), state)
            outputs.append(torch.stack(state[:UNITS] if read is None else read(network, state)))
        columns.append(torch.stack(outputs))
        finals.append(torch.stack(state))
    expected = torch.stack(columns, 1), torch.stack(finals)
    # The definition; that every other scan equals it is a contract.
    with use_backend("loop"):
        found = network(inputs, start)
    close(found, expected)
    weights = [torch.randn_like(value) for value in expected]
    wanted = [inputs, start, *network.parameters()]
    gradients, expected_gradients = (
        torch.autograd.grad(sum((v * w).sum() for v, w in zip(values, weights, strict=True)), wanted)
        for values in (found, expected)
    )
    close(gradients, expected_gradients)
    assert all(gradient.abs().max() > 0 for gradient in gradients)


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_equations_over_units(name: str) -> None:
    build, equations = CASES[name]
    check_equations(build(INPUTS, UNITS), equations)


@pytest.mark.parametrize(
    ("build", "argument", "value", "allowed"),
    [
        (AntisymmetricRNN, "epsilon", 0.0, "above 0"),
        (AntisymmetricRNN, "gamma", -0.1, "at least 0"),
        (AntisymmetricRNN, "sigma_w", math.nan, "a finite number"),
        (CoRNN, "dt", -1.0, "above 0"),
        (CoRNN, "gamma", -1.0, "at least 0"),
        (CoRNN, "epsilon", math.inf, "a finite number"),
        (LipschitzRNN, "epsilon", 0.0, "above 0"),
        (LipschitzRNN, "beta", 1.5, "at least 0 and at most 1"),
        (LipschitzRNN, "gamma", -1.0, "at least 0"),
        (LipschitzRNN, "sigma", -1.0, "at least 0"),
        (MIRNN, "alpha", math.inf, "a finite number"),
        # Numbers that the weights' type cannot hold.
        (MIRNN, "alpha", 1e300, "fit torch.float32"),
        (CoRNN, "dt", 1e-300, "fit torch.float32"),
        (LipschitzRNN, "sigma", 1e300, "fit torch.float32"),
        (AntisymmetricRNN, "sigma_w", 1e39, "fit torch.float32"),
        (S4, "dt_max", 1e300, "fit torch.float32"),
        (S4, "dt_min", 1e-300, "fit torch.float32"),
        (WCRNN, "r", 1e39, "a finite number or a pair .*"),
    ],
)
def test_impossible_settings_are_refused(build: type, argument: str, value: float, allowed: str) -> None:
    with pytest.raises(ValueError, match=rf"{argument} must (be )?{allowed}, got {re.escape(str(value))}"):
        build(INPUTS, UNITS, **{argument: value})


def test_published_parameter_counts_with_a_readout_of_ten_classes() -> None:
    def count(network: Recurrence) -> int:
        return sum(parameter.numel() for parameter in network.parameters()) + 10 * network.hidden_size + 10

    # "10k" with 128 units (Chang et al. 2019), 134k with 256 (Rusch & Mishra 2021), 34k with 128 (both).
    assert count(AntisymmetricRNN(1, 128)) == 9_674
    assert count(CoRNN(1, 256)) == 134_154
    assert count(CoRNN(1, 128)) == 34_314
    assert count(LipschitzRNN(1, 128)) == 34_314


def test_antisymmetric_weights_are_drawn_as_in_the_appendix() -> None:
    network = AntisymmetricRNN(9, 200, sigma_w=2.0)
    assert network.upper.std().item() == pytest.approx(2 / math.sqrt(200), rel=0.02)
    assert network.input_map.weight.std().item() == pytest.approx(1 / 3, rel=0.05)
    assert not network.input_map.bias.any()
    coupling = network.coupling() + network.gamma * torch.eye(200)
    assert torch.equal(coupling, -coupling.T)
