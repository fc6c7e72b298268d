"""Convolution chunk by chunk against the state space stepped through."""

import functools

import pytest
import torch

from rnnbench.lit_models.contracts import normal as draw
from rnnbench.lit_models.scan.linear.convolution import CHUNK, DiagonalTransition, Transition, kernel, scan_chunks

close = functools.partial(torch.testing.assert_close, atol=1e-11, rtol=1e-11)
FEATURES, PAIRS, BATCH = 3, 2, 2


def make_decay() -> torch.Tensor:
    return torch.polar(0.9 + 0.1 * draw(FEATURES, PAIRS, seed=1).sigmoid(), draw(FEATURES, PAIRS, seed=2))


def as_matrix(decay: torch.Tensor) -> torch.Tensor:
    """Multiplication by λ as a map of (Re x, Im x)."""
    real, imaginary = torch.diag_embed(decay.real), torch.diag_embed(decay.imag)
    return torch.cat([torch.cat([real, -imaginary], -1), torch.cat([imaginary, real], -1)], -2)


def step_through(matrix, enter, leave, inputs, state):
    outputs = []
    for step in inputs.unbind(0):
        state = torch.einsum("hij,bhj->bhi", matrix, state) + enter * step.unsqueeze(-1)
        outputs.append((leave * state).sum(-1))
    return torch.stack(outputs), state


@pytest.mark.parametrize("kind", ["diagonal", "dense"])
@pytest.mark.parametrize("steps", [1, 2, 3, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 37])
def test_equals_the_steps(kind: str, steps: int) -> None:
    decay = make_decay().requires_grad_()
    enter, leave = (draw(FEATURES, 2 * PAIRS, seed=seed).requires_grad_() for seed in (3, 4))
    inputs, state = draw(steps, BATCH, FEATURES, seed=5), draw(BATCH, FEATURES, 2 * PAIRS, seed=6)
    wanted = [decay, enter, leave, inputs.requires_grad_(), state.requires_grad_()]
    transition = DiagonalTransition(decay) if kind == "diagonal" else Transition(as_matrix(decay))
    found = scan_chunks(transition, enter, leave, inputs, state, keep_outputs=True)
    expected = step_through(as_matrix(decay), enter, leave, inputs, state)
    close(found, expected)
    gradients = [
        torch.autograd.grad(
            (outputs * draw(*outputs.shape, seed=7)).sum() + (final * draw(*final.shape, seed=8)).sum(), wanted
        )
        for outputs, final in (found, expected)
    ]
    close(*gradients)
    none, final = scan_chunks(transition, enter, leave, inputs, state, keep_outputs=False)
    assert none is None
    close(final, expected[1])


def test_kernel_is_the_response_to_an_impulse() -> None:
    decay, enter, leave = make_decay(), draw(FEATURES, 2 * PAIRS, seed=3), draw(FEATURES, 2 * PAIRS, seed=4)
    impulse = torch.zeros(200, 1, FEATURES, dtype=torch.float64)
    impulse[0] = 1
    state = torch.zeros(1, FEATURES, 2 * PAIRS, dtype=torch.float64)
    expected = step_through(as_matrix(decay), enter, leave, impulse, state)
    for transition in (DiagonalTransition(decay), Transition(as_matrix(decay))):
        close(kernel(transition, enter, leave, 200), expected[0][:, 0].t())
