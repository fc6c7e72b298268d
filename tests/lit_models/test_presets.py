"""Every preset is built, counted, and says so in its note."""

import math

import pytest
import torch

from rnnbench.benchmark.config.construct import recurrence_factory
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.lit_models.presets import PRESETS
from rnnbench.lit_models.recurrence import Recurrence


def build(name: str) -> Recurrence:
    torch.manual_seed(0)
    return recurrence_factory(PRESETS[name].recurrence)(1)


@pytest.mark.parametrize("name", PRESETS)
def test_note_gives_the_parameters_on_smnist(name: str) -> None:
    recurrence = build(name)
    readout = 10 * recurrence.hidden_size + 10
    count = sum(parameter.numel() for parameter in recurrence.parameters()) + readout
    assert PRESETS[name].note.startswith(f"{count:,} parameters on sMNIST")


@pytest.mark.parametrize("name", PRESETS)
def test_training_settings_are_those_of_a_recipe(name: str) -> None:
    training = PRESETS[name].training
    assert Recipe(max_steps=1, **training).model_dump().items() >= training.items()


def test_table_2_rows() -> None:
    best, no_tanh, elman_wc, clipped = (
        build(name) for name in ("WCRNN_best", "WCRNN_no_tanh", "Elman_wc", "Elman_res+clip")
    )
    assert (best.form, best.activation, no_tanh.activation, elman_wc.form) == ("linear", "tanh", "identity", "B")
    for network in (best, no_tanh, elman_wc):
        matrix = network.residual_matrix()
        strength = matrix.norm(dim=0)
        angle = torch.atan2(matrix[1::2, ::2].diagonal(), matrix[::2, ::2].diagonal())
        assert 0.99 - 1e-6 <= strength.min() < strength.max() <= 1 + 1e-6
        assert 0 <= angle.min() < angle.max() <= math.pi / 4
        assert 0.005 <= network.gamma.min() < network.gamma.max() <= 0.05
    x, s = torch.randn(2, 100), torch.randn(2, 1)
    expected = torch.tanh(x + clipped.recurrent_map(x) + clipped.input_map(s))
    torch.testing.assert_close(clipped.step(s, x), expected)
    assert PRESETS["Elman_res+clip"].training == {"gradient_clip_norm": 1.0}
