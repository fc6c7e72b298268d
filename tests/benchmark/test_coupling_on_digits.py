"""Exponents and gradients of weakly coupled networks, driven by real digits as the suite ``coupling`` has it."""

import math

import pytest

from rnnbench.benchmark.config.construct import build_data_module, recurrence_factory
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.measures import build_measure
from rnnbench.benchmark.measures.base import Subject
from rnnbench.lit_models.network import make_network

EXPERIMENTS = {
    (settings["r"], settings["gamma"]): experiment
    for experiment in load_suite("coupling", "cpu").experiments
    for settings in [experiment.config["recurrence"]["init_args"]]
}


@pytest.fixture(scope="module")
def data(real_data_dir):
    module = build_data_module(next(iter(EXPERIMENTS.values())).config, real_data_dir)
    module.setup()
    return module


@pytest.mark.needs_data
@pytest.mark.parametrize("r", [0.95, 0.995, 1.0025, 1.01])
@pytest.mark.parametrize(("gamma", "every", "mean"), [(0.001, 0.0005, 0.0005), (0.01, 0.006, 0.0005)])
def test_exponents_and_gradients_follow_the_residual(data, r, gamma, every, mean):
    experiment = EXPERIMENTS[r, gamma]
    network = make_network(recurrence_factory(experiment.config["recurrence"]), data.task, instance=7)
    for spec in experiment.measures:
        options = build_measure(spec)
        batch = data.samples("val", 8)
        measured = options.take(Subject(network, data.task, batch, data.training_batches, data.at_length))
        if spec["measure"] == "gradient_flow":
            assert measured.summary["slope"] == pytest.approx(math.log(r), abs=every)
        else:
            assert abs(measured.arrays["exponents"] - math.log(r)).max() < every
            assert measured.summary["mean"] == pytest.approx(math.log(r), abs=mean)
