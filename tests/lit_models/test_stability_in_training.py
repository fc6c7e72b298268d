"""Training with projections: every step ends stable, alone and in an ensemble, frozen or resumed."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from rnnbench.benchmark.run.callbacks.resume_checkpoint import ResumeCheckpoint
from rnnbench.benchmark.run.train import quiet_lightning
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.network import make_network
from tests.lit_models.small_runs import adding, fit, trainer
from tests.lit_models.stable_checks import BOUND, FACTORIES, LONG, assert_contractive, inequalities, same, weights


class Watch(L.Callback):
    """Checks the inequalities of every instance before the first and after every optimiser step."""

    def __init__(self, wanted: float = 1.0, forget_bound: float = 0.64) -> None:
        self.limits = (BOUND, wanted, forget_bound)
        self.held: list[bool] = []
        self.weights: list[dict[str, Tensor]] = []

    def look(self, model: LitSequenceModel) -> None:
        instances = [model.ensemble.instance(index).recurrence for index in range(model.ensemble.size)]
        self.held.append(all(all(inequalities(recurrence, *self.limits)) for recurrence in instances))
        self.weights.append(weights(model.ensemble))

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.look(pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        self.look(pl_module)


def model_of(name: str, instances: Any = range(3), **settings: Any) -> LitSequenceModel:
    return LitSequenceModel(FACTORIES[name], adding().task, instances, learning_rate=0.1, **settings)


@pytest.mark.parametrize("wanted", [1.0, 0.6])
@pytest.mark.parametrize("name", FACTORIES)
def test_every_step_of_a_training_ends_stable(name: str, wanted: float) -> None:
    free, bound = (Watch(wanted, 0.3 * wanted) for _ in range(2))
    model = model_of(name)
    fit(model, adding(), 50, 50, callbacks=[free])
    assert sum(free.held) < 5
    model = model_of(
        name, stability_input_bound=BOUND, stability_contraction=wanted, stability_forget_bound=0.3 * wanted
    )
    fit(model, adding(), 50, 50, callbacks=[bound])
    assert len(bound.held) == 51
    assert all(bound.held)
    assert model.alive.all()
    assert not same(bound.weights[0], bound.weights[50])
    for index in range(3):
        assert_contractive(model.ensemble.instance(index).recurrence, BOUND, wanted)


@pytest.mark.parametrize("name", FACTORIES)
def test_an_instance_trains_as_if_alone(name: str) -> None:
    together = model_of(name, stability_input_bound=BOUND)
    fit(together, adding(), 24, 24)
    for index in range(3):
        alone = model_of(name, (index,), stability_input_bound=BOUND)
        fit(alone, adding(), 24, 24)
        for key, value in weights(alone.ensemble.instance(0)).items():
            torch.testing.assert_close(weights(together.ensemble.instance(index))[key], value, atol=1e-4, rtol=1e-3)


def test_without_a_bound_weights_are_what_they_were() -> None:
    watches = [Watch(), Watch(), Watch()]
    choices = ({}, {"stability_input_bound": None}, {"stability_input_bound": 1.0})
    for watch, settings in zip(watches, choices, strict=True):
        model = model_of("LSTM", **settings)
        before = weights(model.ensemble)
        assert same(before, weights(Ensemble([make_network(LONG, model.task, instance) for instance in range(3)])))
        fit(model, adding(), 5, 5, callbacks=[watch])
        assert same(watch.weights[0], before) is (watch is not watches[2])
    assert all(map(same, watches[0].weights, watches[1].weights))
    assert not same(watches[1].weights[-1], watches[2].weights[-1])


@pytest.mark.parametrize("name", FACTORIES)
def test_a_frozen_instance_is_not_moved(name: str) -> None:
    watch = Watch()
    model = LitSequenceModel(
        FACTORIES[name], adding().task, range(2), learning_rate=[0.01, 1e300], stability_input_bound=BOUND
    )
    fit(model, adding(), 6, 6, callbacks=[watch])
    assert model.diverged_at.tolist() == [-1, 1]
    assert all(watch.held)
    for key, value in watch.weights[0].items():
        assert all(torch.equal(later[key][1], value[1]) for later in watch.weights[1:])
        assert not torch.equal(watch.weights[-1][key][0], value[0])


@pytest.mark.parametrize("name", FACTORIES)
def test_a_resumed_training_ends_as_an_undisturbed_one(name: str, tmp_path: Path) -> None:
    first, halves, whole = (model_of(name, stability_input_bound=BOUND) for _ in range(3))
    fit(first, adding(), 12, 4, callbacks=[ResumeCheckpoint(tmp_path / "c", 1e9, 4)])
    with quiet_lightning():
        trainer(20, 4).fit(halves, datamodule=adding(), ckpt_path=tmp_path / "c", weights_only=True)
    fit(whole, adding(), 20, 4)
    assert same(weights(halves.ensemble), weights(whole.ensemble))
    assert repr(halves.curve) == repr(whole.curve)
