"""The cross-entropy of a large vocabulary in parts, against torch's on all scores at once."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from rnnbench.lit_models import token_loss
from rnnbench.lit_models.token_loss import summed_cross_entropy

INSTANCES, POSITIONS, UNITS, CLASSES = 2, 7, 3, 11


@pytest.fixture(params=[1, 2 * CLASSES, 10**6], ids=["position by position", "in parts", "at once"])
def _parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_loss, "PART", request.param)


def draw() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    shapes = (INSTANCES, POSITIONS, UNITS), (INSTANCES, CLASSES, UNITS), (INSTANCES, CLASSES)
    hidden, weight, bias = (torch.randn(*shape, dtype=torch.float64).mul_(3).requires_grad_() for shape in shapes)
    return hidden, weight, bias, torch.randint(CLASSES, (POSITIONS,))


@pytest.mark.usefixtures("_parts")
@pytest.mark.parametrize("valid", [None, torch.tensor([True, False, True, True, False, True, True])])
def test_values_and_gradients(valid: torch.Tensor | None) -> None:
    *tensors, targets = draw()
    hidden, weight, bias = tensors
    scores = hidden @ weight.transpose(1, 2) + bias.unsqueeze(1)
    expected = torch.stack([F.cross_entropy(each, targets, reduction="none") for each in scores])
    expected = expected.sum(1) if valid is None else expected[:, valid].sum(1)
    found = summed_cross_entropy(*tensors, targets, valid)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    upstream = torch.tensor([2.0, -0.5], dtype=torch.float64)
    gradients = torch.autograd.grad(found, tensors, upstream)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, tensors, upstream), rtol=1e-11, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(summed_cross_entropy(*tensors, targets, valid), expected, rtol=1e-12, atol=0)


def test_recomputed_by_torch() -> None:
    *tensors, targets = draw()
    expected = torch.autograd.grad(summed_cross_entropy(*tensors, targets).sum(), tensors)
    again = checkpoint(summed_cross_entropy, *tensors, targets, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(again.sum(), tensors), expected)


def test_large_scores_do_not_overflow() -> None:
    hidden, weight, bias, targets = (each.detach() for each in draw())
    assert summed_cross_entropy(1e4 * hidden, weight, bias, targets).isfinite().all()


def test_no_second_derivative() -> None:
    *tensors, targets = draw()
    (gradient,) = torch.autograd.grad(summed_cross_entropy(*tensors, targets).sum(), tensors[0], create_graph=True)
    with pytest.raises(RuntimeError, match=r"does not require grad|differentiate twice"):
        gradient.sum().backward()
