"""A linear stack of L layers x n units copies d features with a delay p if and only if p d <= L (n - d).

The bound counts degrees of the stack's transfer function (its denominators have degree at most n - d in each layer);
shift registers reach it where d divides n.
"""

import functools

import pytest

from rnnbench.datamodules.copying import DelayedCopy
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from tests.lit_models.small_runs import fit

BATCH = 64
INSTANCES = range(25)
# Layers, units, features, and steps that are enough at the threshold.
CASES = [(1, 4, 1, 200), (2, 2, 1, 300), (2, 3, 1, 300)]
NAMES = ("layers", "units", "width", "steps")
MARKED = [CASES[1], *(pytest.param(*case, marks=pytest.mark.slow) for case in CASES[::2])]
LONG = [pytest.param(*sizes, 3000, marks=pytest.mark.slow) for *sizes, _ in CASES]


def best_of_instances(layers: int, units: int, width: int, delay: int, steps: int) -> float:
    """The least mean squared error that an instance reaches, of an ensemble trained on fresh sequences."""
    sizes = {"train_size": BATCH * steps, "val_size": 256, "test_size": 1, "batch_size": BATCH}
    data = DelayedCopy(delay=delay, width=width, length=24, **sizes)
    layer = functools.partial(ElmanRNN, hidden_size=units, time_activation="identity")
    stack = functools.partial(StackedRNN, layer=layer, num_layers=layers, depth_activation="identity")
    model = LitSequenceModel(stack, data.task, INSTANCES, learning_rate=0.03, schedule="cosine", gradient_clip_norm=1.0)
    fit(model, data, steps, steps // 4)
    return model.best_value.min().item()


@pytest.mark.parametrize(NAMES, MARKED)
def test_reached_at_the_threshold(layers: int, units: int, width: int, steps: int) -> None:
    threshold = layers * (units - width) // width
    assert best_of_instances(layers, units, width, threshold, steps) < 1e-3


@pytest.mark.parametrize(NAMES, MARKED + LONG)
def test_out_of_reach_one_step_later(layers: int, units: int, width: int, steps: int) -> None:
    threshold = layers * (units - width) // width
    assert best_of_instances(layers, units, width, threshold + 1, steps) > 0.2
