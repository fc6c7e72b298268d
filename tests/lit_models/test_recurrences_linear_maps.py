"""Recurrences most of which are linear in their state, against their equations over units in float64."""

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.long_expressive_memory import LEM
from rnnbench.lit_models.recurrences.minimal import MinGRU, MinLSTM
from rnnbench.lit_models.recurrences.rg_lru import RGLRU
from rnnbench.lit_models.recurrences.slstm import SLSTM
from rnnbench.lit_models.scan.policy import use_backend
from tests.lit_models.test_recurrences_equations import INPUTS, UNITS, Numbers, check_equations, close, dot

sigmoid = torch.sigmoid
HEADS, SIZE = 2, UNITS // 2


def affine(layer: torch.nn.Linear, x: Numbers) -> Numbers:
    zero = torch.zeros((), dtype=torch.float64)
    return [dot(row, x) + (zero if layer.bias is None else layer.bias[i]) for i, row in enumerate(layer.weight)]


def above_zero(a: Tensor) -> Tensor:
    return a + 0.5 if a >= 0 else sigmoid(a)


def min_gru(net: MinGRU, x: Numbers, h: Numbers) -> Numbers:
    a = affine(net.drive, x)
    gates = [sigmoid(value) for value in a[:UNITS]]
    return [(1 - z) * h[i] + z * above_zero(a[UNITS + i]) for i, z in enumerate(gates)]


def min_lstm(net: MinLSTM, x: Numbers, h: Numbers) -> Numbers:
    a, following = affine(net.drive, x), []
    for i in range(UNITS):
        forget, enter = sigmoid(a[i]), sigmoid(a[UNITS + i])
        candidate = above_zero(a[2 * UNITS + i])
        following.append((forget * h[i] + enter * candidate) / (forget + enter))
    return following


def rg_lru(net: RGLRU, x: Numbers, h: Numbers) -> Numbers:
    x, following = affine(net.encoder, x), []
    for n in range(UNITS):
        head, i = divmod(n, SIZE)
        block = x[head * SIZE : (head + 1) * SIZE]
        r, enter = (sigmoid(dot(net.gate_weight[g, head, :, i], block) + net.gate_bias[g, n]) for g in (0, 1))
        a = sigmoid(net.decay[n]) ** (8 * r)
        following.append(a * h[n] + torch.sqrt(1 - a**2) * enter * x[n])
    return following


def lem(net: LEM, x: Numbers, state: Numbers) -> Numbers:
    y, z = state[:UNITS], state[UNITS:]
    from_x, from_y = affine(net.input_map, x), affine(net.recurrent_map, y)
    drive = [a + b for a, b in zip(from_x, from_y, strict=False)]
    for i in range(UNITS):
        step = net.dt * sigmoid(drive[i])
        z[i] = (1 - step) * z[i] + step * torch.tanh(drive[2 * UNITS + i])
    from_z = affine(net.memory_map, z)
    for i in range(UNITS):
        step = net.dt * sigmoid(drive[UNITS + i])
        y[i] = (1 - step) * y[i] + step * torch.tanh(from_z[i] + from_x[3 * UNITS + i])
    return [*y, *z]


def slstm(net: SLSTM, x: Numbers, state: Numbers) -> Numbers:
    h, c, n, m = (state[k * UNITS : (k + 1) * UNITS] for k in range(4))
    drive = affine(net.input_map, x)
    for unit in range(UNITS):
        head, i = divmod(unit, SIZE)
        block = h[head * SIZE : (head + 1) * SIZE]
        enter, forget, candidate, leave = (
            drive[g * UNITS + unit] + dot(net.recurrent_weight[head, :, g, i], block) for g in range(4)
        )
        log_forget = torch.log(sigmoid(forget))
        following = max(log_forget + m[unit], enter)
        enter, forget = torch.exp(enter - following), torch.exp(log_forget + m[unit] - following)
        c[unit] = forget * c[unit] + enter * torch.tanh(candidate)
        n[unit] = forget * n[unit] + enter
        m[unit] = following
        drive[unit] = sigmoid(leave) * c[unit] / n[unit]
    return [*drive[:UNITS], *c, *n, *m]


CASES: dict[str, tuple[Callable[..., Recurrence], Callable[..., Numbers]]] = {
    "MinGRU": (MinGRU, min_gru),
    "MinLSTM": (MinLSTM, min_lstm),
    "RGLRU": (functools.partial(RGLRU, heads=HEADS), rg_lru),
    "LEM": (functools.partial(LEM, dt=0.7), lem),
    "SLSTM": (functools.partial(SLSTM, heads=HEADS), slstm),
}


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_equations_over_units_and_heads(name: str) -> None:
    build, equations = CASES[name]
    check_equations(build(INPUTS, UNITS), equations)


@pytest.mark.parametrize("lengths", [None, (150, 70, 1)], ids=["whole", "lengths"])
@pytest.mark.parametrize("name", sorted(CASES.keys() - {"LEM", "SLSTM"}))
def test_many_steps_at_once_equal_the_loop(name: str, lengths: tuple[int, ...] | None) -> None:
    network = CASES[name][0](INPUTS, UNITS).double()
    inputs = torch.randn(150, 3, INPUTS, dtype=torch.float64, requires_grad=True)
    state = torch.randn(3, network.state_size, dtype=torch.float64, requires_grad=True)
    given = None if lengths is None else torch.tensor(lengths)
    found = []
    for backend in ("loop", "auto"):
        with use_backend(backend):
            values = network(inputs, state, given)
            loss = sum((value * torch.linspace(-1, 2, value.shape[-1]).double()).square().mean() for value in values)
            found.append([*values, *torch.autograd.grad(loss, [inputs, state, *network.parameters()])])
            with torch.no_grad():
                found[-1] += [*network.forward_last(inputs, state, given)]
    close(*found)
