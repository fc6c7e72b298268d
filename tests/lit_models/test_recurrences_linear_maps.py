"""Recurrences most of which are linear in their state, against their equations over units in float64."""

import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.block_diagonal import BlockDiagonalRNN
from rnnbench.lit_models.recurrences.delta_net import DeltaNet
from rnnbench.lit_models.recurrences.gated_block import GatedBlock
from rnnbench.lit_models.recurrences.linoss import LinOSS
from rnnbench.lit_models.recurrences.long_expressive_memory import LEM
from rnnbench.lit_models.recurrences.minimal import MinGRU, MinLSTM
from rnnbench.lit_models.recurrences.mlstm import MLSTM
from rnnbench.lit_models.recurrences.rg_lru import RGLRU
from rnnbench.lit_models.recurrences.rwkv7 import RWKV7
from rnnbench.lit_models.recurrences.s6 import S6
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
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


def silu(values: Numbers) -> Numbers:
    return [a * sigmoid(a) for a in values]


def unit(values: Numbers) -> Numbers:
    norm = torch.sqrt(sum(a * a for a in values) + 1e-6)
    return [a / norm for a in values]


def matrices(numbers: Numbers, columns: int = SIZE) -> list[list[Numbers]]:
    """The matrix of each head, from a flat state: rows for keys, columns for values."""
    heads = [numbers[head * SIZE * columns : (head + 1) * SIZE * columns] for head in range(HEADS)]
    return [[rows[i * columns : (i + 1) * columns] for i in range(SIZE)] for rows in heads]


def of_head(values: Numbers, head: int) -> Numbers:
    return values[head * SIZE : (head + 1) * SIZE]


def delta_net(net: DeltaNet, x: Numbers, state: Numbers) -> Numbers:
    drive, steps, ends = affine(net.drive, x), net.householder_steps, []
    for size in net.sizes:
        ends.append(size + (ends[-1] if ends else 0))
    q, k, v, beta, *rest = (drive[start:end] for start, end in zip([0, *ends], ends, strict=False))
    outputs, memories = [], []
    for head, memory in enumerate(matrices(state[UNITS:])):
        if net.gated:
            rate = torch.exp(net.log_rate[head]) * torch.log(1 + torch.exp(rest[0][head] + net.decay_bias[head]))
            memory = [[torch.exp(-rate) * value for value in row] for row in memory]
        for j in range(steps):
            at = (head * steps + j) * SIZE
            key, value = unit(silu(k[at : at + SIZE])), silu(v[at : at + SIZE])
            strength = net.largest_strength * sigmoid(beta[head * steps + j])
            # S (I - β k kᵀ) + β v kᵀ, transposed.
            known = [sum(key[i] * memory[i][e] for i in range(SIZE)) for e in range(SIZE)]
            memory = [
                [memory[i][e] + strength * key[i] * (value[e] - known[e]) for e in range(SIZE)] for i in range(SIZE)
            ]
        query = unit(silu(of_head(q, head)))
        outputs += [sum(query[i] * memory[i][e] for i in range(SIZE)) for e in range(SIZE)]
        memories += [value for row in memory for value in row]
    return [*outputs, *memories]


def mlstm(net: MLSTM, x: Numbers, state: Numbers) -> Numbers:
    drive, gates = affine(net.drive, x), affine(net.gates, x)
    q, k, v, leave = (drive[i * UNITS : (i + 1) * UNITS] for i in range(4))
    outputs, memories, stabilisers = [], [], []
    for head, memory in enumerate(matrices(state[UNITS:-HEADS], SIZE + 1)):
        log_forget, enter = torch.log(sigmoid(gates[HEADS + head])), gates[head]
        m = max(log_forget + state[-HEADS + head], enter)
        forget, enter = torch.exp(log_forget + state[-HEADS + head] - m), torch.exp(enter - m)
        key, query = [a / SIZE**0.5 for a in of_head(k, head)], of_head(q, head)
        # C transposed, and n as its last column.
        values = [*of_head(v, head), torch.ones((), dtype=torch.float64)]
        memory = [[forget * memory[i][e] + enter * key[i] * values[e] for e in range(SIZE + 1)] for i in range(SIZE)]
        read = [sum(query[i] * memory[i][e] for i in range(SIZE)) for e in range(SIZE + 1)]
        divisor = max(abs(read[-1]), torch.exp(-m))
        outputs += [sigmoid(o) * a / divisor for o, a in zip(of_head(leave, head), read, strict=False)]
        memories += [value for row in memory for value in row]
        stabilisers.append(m)
    return [*outputs, *memories, *stabilisers]


def s6(net: S6, x: Numbers, state: Numbers) -> Numbers:
    x, size = affine(net.encoder, x), net.state_dim
    selected = affine(net.select, x)
    rank = len(selected) - 2 * size
    enter, leave, outputs, latent = selected[rank : rank + size], selected[rank + size :], [], []
    for n in range(UNITS):
        step = torch.log(1 + torch.exp(dot(net.step_weight[n], selected[:rank]) + net.step_bias[n]))
        h = state[UNITS + n * size : UNITS + (n + 1) * size]
        for k in range(size):
            h[k] = torch.exp(-step * torch.exp(net.log_rate[n, k])) * h[k] + step * enter[k] * x[n]
        outputs.append(sum(c * value for c, value in zip(leave, h, strict=True)) + net.skip[n] * x[n])
        latent += h
    return [*outputs, *latent]


def rwkv7(net: RWKV7, x: Numbers, state: Numbers) -> Numbers:
    drive, gates = affine(net.drive, x), affine(net.gates, x)
    r, k, v = (drive[i * UNITS : (i + 1) * UNITS] for i in range(3))
    decay = [torch.exp(-sigmoid(a) * math.exp(-0.5)) for a in gates[:UNITS]]
    rate = [sigmoid(a) for a in gates[UNITS:]]
    scaled = [a * b for a, b in zip(k, net.key_scale, strict=True)]
    replaced = [k[n] * (1 + (rate[n] - 1) * net.rate_mix[n]) for n in range(UNITS)]
    outputs, memories = [], []
    for head, memory in enumerate(matrices(state[UNITS:])):
        w, a, key, value = (of_head(each, head) for each in (decay, rate, replaced, v))
        removed = unit(of_head(scaled, head))
        # S (diag(w) - κ (a ∘ κ)ᵀ) + v k̃ᵀ, transposed.
        known = [sum(removed[i] * memory[i][e] for i in range(SIZE)) for e in range(SIZE)]
        memory = [
            [w[i] * memory[i][e] - a[i] * removed[i] * known[e] + key[i] * value[e] for e in range(SIZE)]
            for i in range(SIZE)
        ]
        query = of_head(r, head)
        outputs += [sum(query[i] * memory[i][e] for i in range(SIZE)) for e in range(SIZE)]
        memories += [value for row in memory for value in row]
    return [*outputs, *memories]


def rms(values: Numbers, gain: Tensor) -> Numbers:
    size = torch.sqrt(sum(a * a for a in values) / len(values) + 1e-6)
    return [g * a / size for g, a in zip(gain, values, strict=True)]


def gated_block(net: GatedBlock, x: Numbers, state: Numbers) -> Numbers:
    """Around minGRU, with both norms and a convolution over three steps."""
    encoded = affine(net.encoder, x)
    entered = affine(net.enter, rms(encoded, net.norm))
    window = [*state[UNITS:-UNITS], *entered[: net.width]]
    convolved = [
        sum(net.kernel[j, n] * window[j * net.width + n] for j in range(3)) + net.bias[n] for n in range(net.width)
    ]
    hidden = min_gru(net.layer, silu(convolved), state[-UNITS:])
    gates = silu(entered[net.width :])
    gated = [a * g for a, g in zip(rms(hidden, net.output_norm), gates, strict=True)]
    outputs = [a + b for a, b in zip(encoded, affine(net.leave, gated), strict=True)]
    return [*outputs, *window[net.width :], *hidden]


def normed(net: LinOSS, encoded: Numbers) -> Numbers:
    mean = sum(encoded) / UNITS
    scale = torch.sqrt(sum((a - mean) ** 2 for a in encoded) / UNITS + net.norm.eps)
    return [(a - mean) / scale * net.norm.weight[i] + net.norm.bias[i] for i, a in enumerate(encoded)]


def linoss(net: LinOSS, x: Numbers, state: Numbers) -> Numbers:
    encoded, count = affine(net.encoder, x), 2 * len(net.stiffness)
    u = normed(net, encoded)
    z, y = state[:count], state[count : 2 * count]
    for k in range(count):
        stiffness = torch.clamp(net.stiffness[k % (count // 2)], min=0)
        step = sigmoid(net.step_logit[k % (count // 2)])
        force = -stiffness * y[k] + dot(net.enter[k], u)
        # Implicit: solved for z with y + Δ z in the place of y.
        z[k] = (z[k] + step * force) / (1 + (step**2 * stiffness if net.discretisation == "IM" else 0))
        y[k] = y[k] + step * z[k]
    return [*z, *y, *encoded]


def read_linoss(net: LinOSS, state: Numbers) -> Numbers:
    encoded, count = state[-UNITS:], 2 * len(net.stiffness)
    y, u, half = state[count : 2 * count], normed(net, encoded), len(net.stiffness)
    active = []
    for n in range(UNITS):
        value = dot(net.leave[n, :half], y[:half]) - dot(net.leave[n, half:], y[half:]) + net.skip[n] * u[n]
        active.append(value * (1 + torch.erf(value / 2**0.5)) / 2)
    mixed = affine(net.mix, active)
    return [encoded[n] + mixed[n] * sigmoid(mixed[UNITS + n]) for n in range(UNITS)]


def block_diagonal(net: BlockDiagonalRNN, x: Numbers, h: Numbers) -> Numbers:
    driven, following = affine(net.drive, x), []
    one = torch.ones((), dtype=torch.float64)
    for n in range(UNITS):
        block, i = divmod(n, SIZE)
        value = h[n] + driven[n]
        for j in range(SIZE):
            entry = dot(net.transition[:, (block * SIZE + i) * SIZE + j], [one, *x])
            value = value + net.dt * entry * h[block * SIZE + j]
        following.append(value)
    return following


CASES: dict[str, tuple[Callable[..., Recurrence], Callable[..., Numbers]]] = {
    "MinGRU": (MinGRU, min_gru),
    "MinLSTM": (MinLSTM, min_lstm),
    "RGLRU": (functools.partial(RGLRU, heads=HEADS), rg_lru),
    "BlockDiagonalRNN": (functools.partial(BlockDiagonalRNN, block_size=SIZE, dt=0.5), block_diagonal),
    "DeltaNet": (functools.partial(DeltaNet, heads=HEADS), delta_net),
    "DeltaNet gated": (functools.partial(DeltaNet, heads=HEADS, gated=True), delta_net),
    "DeltaProduct": (
        functools.partial(DeltaNet, heads=HEADS, negative_eigenvalues=True, gated=True, householder_steps=3),
        delta_net,
    ),
    "LEM": (functools.partial(LEM, dt=0.7), lem),
    "MLSTM": (functools.partial(MLSTM, heads=HEADS), mlstm),
    "S6": (functools.partial(S6, state_dim=3, dt_min=0.1, dt_max=1.0), s6),
    "RWKV7": (functools.partial(RWKV7, heads=HEADS), rwkv7),
    "GatedBlock": (
        functools.partial(GatedBlock, layer=functools.partial(MinGRU, hidden_size=UNITS), convolution=3, norm="both"),
        gated_block,
    ),
    "LinOSS IM": (functools.partial(LinOSS, state_dim=3), linoss),
    "LinOSS IMEX": (functools.partial(LinOSS, state_dim=3, discretisation="IMEX"), linoss),
    "SLSTM": (functools.partial(SLSTM, heads=HEADS), slstm),
}


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_equations_over_units_and_heads(name: str) -> None:
    build, equations = CASES[name]
    check_equations(build(INPUTS, UNITS), equations, read_linoss if name.startswith("LinOSS") else None)


@pytest.mark.parametrize("lengths", [None, (150, 70, 1)], ids=["whole", "lengths"])
@pytest.mark.parametrize("name", sorted(CASES.keys() - {"LEM", "SLSTM"}))
def test_many_steps_at_once_equal_the_loop(name: str, lengths: tuple[int, ...] | None) -> None:
    network = CASES[name][0](INPUTS, UNITS).double()
    inputs = torch.randn(150, 3, INPUTS, dtype=torch.float64, requires_grad=True)
    state = torch.randn(3, network.state_size, dtype=torch.float64, requires_grad=True)
    given = None if lengths is None else torch.tensor(lengths)
    found = []
    for backend in ("loop", "eager", "auto"):
        with use_backend(backend):
            values = network(inputs, state, given)
            loss = sum((value * torch.linspace(-1, 2, value.shape[-1]).double()).square().mean() for value in values)
            found.append([*values, *torch.autograd.grad(loss, [inputs, state, *network.parameters()])])
            with torch.no_grad():
                found[-1] += [*network.forward_last(inputs, state, given)]
    close(found[1], found[0])
    close(found[2], found[0])


def parity_by_delta_rule() -> DeltaNet:
    """β = 2 flips the state p to 1 - p = -p + 2 v with v = ½; β = 0 keeps it."""
    network = DeltaNet(2, 1, negative_eigenvalues=True)
    # SiLU(0.7402...) = ½, to the last digit of double precision by Newton's method.
    a = torch.tensor(0.74, dtype=torch.float64)
    for _ in range(5):
        a = a - (a * sigmoid(a) - 0.5) / (sigmoid(a) * (1 + a * (1 - sigmoid(a))))
    with torch.no_grad():
        # Rows q, k, v and β of inputs (0, 1) and (1, 0).
        network.double().drive.weight.copy_(torch.tensor([[1e9, 1e9], [1e9, 1e9], [0, a], [-1e9, 1e9]]))
    return network


def parity_by_blocks() -> BlockDiagonalRNN:
    """1 - 2 x in the transition, and x added."""
    network = BlockDiagonalRNN(2, 1, block_size=1, dt=1.0).double()
    with torch.no_grad():
        network.transition.copy_(torch.tensor([[0.0], [0.0], [-2.0]]))
        network.drive.weight.copy_(torch.tensor([[0.0, 1.0]]))
        network.drive.bias.zero_()
    return network


@pytest.mark.parametrize("build", [parity_by_delta_rule, parity_by_blocks])
def test_parity_of_ten_thousand_bits_is_exact(build: Callable[[], Recurrence]) -> None:
    bits = torch.randint(2, (10_000, 1))
    with torch.no_grad():
        outputs, _ = build()(torch.nn.functional.one_hot(bits, 2).double())
    assert torch.equal(outputs[..., 0].round(), (bits.cumsum(0) % 2).double())
    assert (outputs - outputs.round()).abs().max() < 1e-6


def test_a_linear_second_order_network_tracks_a5() -> None:
    """One slice of the tensor for each generator, a permutation of five units; the state is a permuted (1, ..., 5)."""
    generators = torch.tensor([[1, 2, 0, 3, 4], [0, 2, 3, 1, 4], [0, 1, 3, 4, 2]])
    network = SecondOrderRNN(3, 5, time_activation="identity").double()
    with torch.no_grad():
        network.weight.zero_()
        for token, permutation in enumerate(generators):
            network.weight[torch.arange(5), permutation, token] = 1.0
    tokens = torch.randint(3, (2_000, 4))
    start = torch.arange(1.0, 6.0).double().expand(4, 5)
    with torch.no_grad():
        outputs, _ = network(torch.nn.functional.one_hot(tokens, 3).double(), start)
    expected, state = [], start
    for step in tokens:
        state = state.gather(1, generators[step])
        expected.append(state)
    assert torch.equal(outputs, torch.stack(expected))
    # All of A5, and nothing else.
    assert len(outputs.flatten(0, 1).unique(dim=0)) == 60
