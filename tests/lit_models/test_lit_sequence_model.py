"""The LightningModule: weights from named seeds, curves, the best weights, sweeps, divergence and checkpoints."""

import functools
import math
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch import Tensor

from rnnbench.benchmark.run.callbacks.resume_checkpoint import ResumeCheckpoint
from rnnbench.benchmark.run.train import quiet_lightning
from rnnbench.datamodules.copying import CopyMemory, DelayedCopy
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.objective import instance_metrics
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from tests.lit_models.small_runs import ELMAN, adding, fit, trainer
from tests.lit_models.stable_checks import same

SMALL = {"train_size": 64, "val_size": 20, "test_size": 24, "batch_size": 8, "eval_batch_size": 9}
LINEAR = functools.partial(ElmanRNN, hidden_size=3, time_activation="identity")


def make(data: SequenceDataModule, instances: Any = range(3), recurrence: Any = ELMAN, **settings: Any):
    return LitSequenceModel(recurrence, data.task, instances, **settings)


def test_weights_come_from_the_instance_alone() -> None:
    data = adding()
    torch.manual_seed(1)
    together = make(data, (0, 3, 7)).ensemble.instance(1).state_dict()
    torch.manual_seed(2)
    assert same(make(data, (3,)).ensemble.instance(0).state_dict(), together)
    assert not same(make(data, (0,)).ensemble.instance(0).state_dict(), together)


def test_building_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    make(adding())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": [0.1, 0.2]}, "one for each of 3 instances, got 3 and 2"),
        ({"recurrence": [ELMAN]}, "one for each of 3 instances, got 1 and 3"),
        ({"instances": ()}, "at least 1 network"),
        ({"optimizer": "adamq"}, "unknown optimizer 'adamq': did you mean 'adam'"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin': did you mean 'cosine'"),
        ({"learning_rate": [0.1, 0.0, 0.1]}, "learning_rate must be above 0, got 0.0"),
        ({"learning_rate": math.inf}, "learning_rate must be a finite number, got inf"),
        ({"learning_rate": True}, "learning_rate must be a finite number, got True"),
        ({"instances": (0, -1, 2)}, r"instances\[1\] must be at least 0, got -1"),
        ({"betas": (0.9,)}, "betas must be two numbers, got 1"),
        ({"momentum": 1.0, "optimizer": "sgd"}, "momentum must be at least 0 and below 1, got 1.0"),
        ({"momentum": math.nan, "optimizer": "sgd"}, "momentum must be at least 0 and below 1, got nan"),
        ({"betas": (0.9, -0.1)}, r"betas\[1\] must be at least 0 and below 1, got -0.1"),
        ({"weight_decay": -1e-3}, "weight_decay must be at least 0, got -0.001"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0, got -1"),
        ({"gradient_clip_norm": 0.0}, "gradient_clip_norm must be above 0, got 0.0"),
        ({"recurrence": [ELMAN, ELMAN, functools.partial(ElmanRNN, hidden_size=5)]}, "tensors differ"),
        ({"recurrence": [ELMAN, ELMAN, functools.partial(ELMAN, time_activation="relu")]}, "settings differ"),
        ({"stability_input_bound": 0.0}, "stability_input_bound must be above 0, got 0.0"),
        ({"stability_input_bound": math.inf}, "stability_input_bound must be a finite number, got inf"),
        ({"stability_input_bound": 1.0, "recurrence": functools.partial(GRU, hidden_size=3)}, "got GRU"),
        ({"stability_input_bound": 1.0, "stability_contraction": 1.5}, "stability_contraction must be .* at most 1"),
        ({"stability_contraction": 0.9}, "no effect without stability_input_bound"),
        ({"stability_forget_bound": 0.5}, "no effect without stability_input_bound"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(adding(), **settings)


def test_clipping_by_the_trainer_is_refused_before_training() -> None:
    data = adding()
    model = make(data)
    with pytest.raises(ValueError, match="gradient_clip_val must be None: use gradient_clip_norm"):
        fit(model, data, 2, 1, gradient_clip_val=1.0)
    assert not model.curve


@pytest.mark.parametrize(
    ("length", "steps"),
    [
        ({"max_steps": 11}, 11),
        ({"max_steps": -1, "max_epochs": 2}, 16),
        ({"max_steps": 11, "max_epochs": 2}, 11),
        ({"max_steps": -1, "max_epochs": 2, "limit_train_batches": 3}, 6),
        ({"max_steps": -1, "max_epochs": 2, "limit_train_batches": 0.5}, 8),
    ],
)
def test_cosine_ends_with_the_last_step(length: dict[str, Any], steps: int) -> None:
    data, rates = adding(), []
    collect = LambdaCallback(on_train_batch_start=lambda t, *_: rates.append(t.optimizers[0].param_groups[0]["lr"]))
    fit(make(data, schedule="cosine"), data, 1, 2, **length, callbacks=[collect])
    assert len(rates) == steps
    assert rates[0] == 1.0
    assert rates[-1] == pytest.approx(torch.sin(torch.tensor(torch.pi / 2 / steps)).square().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "steps", "message"),
    [
        ({}, -1, "max_steps or max_epochs of the Trainer must be given for schedule 'cosine'"),
        ({"warmup_steps": 5}, 4, "warmup_steps must be at most 4, all steps, got 5"),
    ],
)
def test_cosine_needs_an_end_beyond_the_warmup(settings: dict[str, Any], steps: int, message: str) -> None:
    data = adding()
    with pytest.raises(ValueError, match=message):
        fit(make(data, schedule="cosine", **settings), data, steps, 2)


def test_a_warmup_may_take_all_steps() -> None:
    data = adding()
    fit(make(data, schedule="cosine", warmup_steps=4), data, 4, 2)


def test_logging_is_not_work_of_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    log = LitSequenceModel.log

    def counting(self: LitSequenceModel, name: str, *arguments: Any, **options: Any) -> None:
        names.append(name)
        log(self, name, *arguments, **options)

    monkeypatch.setattr(LitSequenceModel, "log", counting)
    data = adding()
    fit(make(data), data, 60, 60, log_every_n_steps=50)
    assert names.count("train_loss") == 2
    once = [name for name in names if name != "train_loss"]
    assert sorted(set(once)) == sorted(once)
    assert {"val/rmse", "val/rmse/2", "test/mse", "test/mse/0"} <= set(once)


def collect_losses(seen: list[float]) -> LambdaCallback:
    return LambdaCallback(on_train_batch_end=lambda trainer, model, outputs, *_: seen.append(outputs["loss"].item()))


def test_curve_has_every_evaluation_with_the_mean_loss_since_the_last() -> None:
    data, losses = DelayedCopy(delay=1, width=2, length=4, **SMALL), []
    model = make(data, (4,))
    fit(model, data, 10, 4, callbacks=[collect_losses(losses)], num_sanity_val_steps=2)
    assert [(point["step"], point["epoch"]) for point in model.curve] == [(4, 0.5), (8, 1.0)]
    expected = [sum(losses[:4]) / 4, sum(losses[4:8]) / 4]
    assert [point["train_loss"][0] for point in model.curve] == pytest.approx(expected, rel=1e-6)


def scores(model: LitSequenceModel, data: SequenceDataModule, split: str) -> dict[str, list[float]]:
    """The metrics of the weights as they are, over the whole split at once."""
    inputs, targets = data.draw_split(split)
    metrics = instance_metrics(data.task, len(model.instances))
    with torch.no_grad():
        for metric in metrics:
            metric.update(model(inputs), targets)
    return {metric.metric.name: metric.compute().reshape(-1).tolist() for metric in metrics}


@pytest.mark.parametrize("instances", [(2,), (0, 1, 2)])
def test_curve_holds_every_metric_of_both_splits_per_instance(instances: tuple[int, ...]) -> None:
    data = adding()
    model = make(data, instances)
    fit(model, data, 12, 6)
    for split in ("val", "test"):
        assert model.curve[-1][split].keys() == {"rmse", "mse"}
        for name, expected in scores(model, data, split).items():
            assert model.curve[-1][split][name] == pytest.approx(expected, rel=1e-6)
            assert len(set(expected)) == len(instances)


def test_sanity_checking_changes_nothing() -> None:
    data = adding()
    curves = []
    for checks in (0, 2):
        model = make(data)
        fit(model, data, 8, 4, num_sanity_val_steps=checks)
        curves.append(model.curve)
    assert curves[0] == curves[1]
    assert len(curves[0]) == 2


def test_testing_logs_the_scores_of_the_weights_as_they_are() -> None:
    data = adding()
    model = make(data)
    with quiet_lightning():
        (logged,) = trainer(1, 1).test(model, datamodule=data, verbose=False)
    expected = scores(model, data, "test")["rmse"]
    assert [logged[f"test/rmse/{index}"] for index in range(3)] == pytest.approx(expected, rel=1e-6)
    assert logged["test/rmse"] == pytest.approx(sum(expected) / 3, rel=1e-6)


@pytest.mark.parametrize("kind", ["min", "max"])
def test_the_best_weights_of_each_instance_score_its_best_value(kind: str) -> None:
    data = adding() if kind == "min" else CopyMemory(delay=1, **SMALL)
    rates = [0.5, 0.1, 0.01, 1.0]
    model = make(data, range(4), learning_rate=rates)
    fit(model, data, 40, 2)
    ranked = data.task.ranked
    assert ranked.direction == kind
    values = torch.tensor([point["val"][ranked.name] for point in model.curve], dtype=torch.float64)
    best = values.min(0).values if kind == "min" else values.max(0).values
    first = [(values[:, index] == best[index]).nonzero()[0].item() for index in range(4)]
    assert len(set(first)) > 1
    assert any(values[-1, index] != best[index] for index in range(4))
    assert torch.equal(model.best_value, best)
    model.ensemble.load_state_dict(model.best_weights)
    assert scores(model, data, "val")[ranked.name] == pytest.approx(best.tolist(), rel=1e-6)
    on_test = [model.curve[point]["test"][ranked.name][index] for index, point in enumerate(first)]
    assert scores(model, data, "test")[ranked.name] == pytest.approx(on_test, rel=1e-6)


RATES = [{"recurrence": ELMAN, "learning_rate": rate} for rate in (0.001, 0.01, 0.1)]
BUFFERS = [{"recurrence": functools.partial(WCRNN, hidden_size=4, gamma=g), "learning_rate": 0.01} for g in (0.01, 0.3)]


@pytest.mark.parametrize("points", [RATES, BUFFERS], ids=["learning rates", "a setting held in a buffer"])
def test_members_of_a_sweep_are_as_alone(points: list[dict[str, Any]]) -> None:
    data = adding()
    together = make(data, [1] * len(points), **{key: [point[key] for point in points] for key in points[0]})
    fit(together, data, 16, 8)
    last = together.curve[-1]["val"]["rmse"]
    assert len(set(last)) == len(points)
    for index, point in enumerate(points):
        alone = make(data, (1,), **point)
        fit(alone, data, 16, 8)
        assert last[index] == pytest.approx(alone.curve[-1]["val"]["rmse"][0], rel=1e-4)


class History(L.Callback):
    """Keeps weights and optimiser state after each step."""

    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []
        self.moments: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        state, named = trainer.optimizers[0].state, dict(pl_module.ensemble.named_parameters())
        self.weights.append({name: parameter.detach().clone() for name, parameter in named.items()})
        self.moments.append(
            {
                f"{name}.{key}": value.clone()
                for name, parameter in named.items()
                for key, value in state[parameter].items()
                if isinstance(value, Tensor) and value.shape == parameter.shape
            }
        )


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.1), ("adam", 10.0), ("adamw", 15.0)])
def test_an_instance_that_diverges_late_is_frozen_as_it_last_was(optimizer: str, rate: float) -> None:
    data, history = adding(loss="mse"), History()
    model = make(data, (0, 1), LINEAR, learning_rate=[0.01, rate], optimizer=optimizer, weight_decay=0.01)
    fit(model, data, 24, 24, callbacks=[history])
    assert model.alive.tolist() == [True, False]
    assert model.diverged_at[0] == -1
    step = int(model.diverged_at[1])
    assert 3 <= step < 20
    for kept in (history.weights, history.moments):
        for name, final in kept[-1].items():
            assert final.isfinite().all()
            # Step number `step` is undone: the state is that after the steps before it.
            assert torch.equal(final[1], kept[step - 2][name][1]), name
            assert not torch.equal(final[0], kept[step - 2][name][0]), name
    assert any(not torch.equal(w[1], history.weights[step - 3][name][1]) for name, w in history.weights[-1].items())


def test_an_instance_that_diverged_has_no_loss_and_no_better_value_any_more() -> None:
    data, losses = adding(loss="mse"), []
    model = make(data, (0, 1), LINEAR, learning_rate=[0.01, 10.0])
    fit(model, data, 24, 1, callbacks=[collect_losses(losses)])
    step = int(model.diverged_at[1])
    assert 3 <= step < 20
    lost = [point["step"] for point in model.curve if not math.isfinite(point["train_loss"][1])]
    assert lost == list(range(step, 25))
    assert model.best_value[1] == min(point["val"]["rmse"][1] for point in model.curve[: step - 1])
    assert all(math.isfinite(point["train_loss"][0]) for point in model.curve)
    assert losses[step:] == pytest.approx([point["train_loss"][0] for point in model.curve[step:]], rel=1e-6)


def test_an_instance_that_is_frozen_as_it_began_has_no_result() -> None:
    data = adding()
    # Single precision cannot hold the second rate.
    model = make(data, (0, 1), learning_rate=[0.01, 1e300])
    start = model.ensemble.instance(1).state_dict()
    fit(model, data, 4, 4)
    assert model.diverged_at.tolist() == [-1, 1]
    assert same(model.ensemble.instance(1).state_dict(), start)
    assert math.isfinite(model.curve[0]["val"]["rmse"][1])
    assert model.best_value.isfinite().tolist() == [True, False]


def test_an_evaluation_finds_a_divergence_that_no_training_step_follows() -> None:
    data = adding()
    model = make(data, (0, 1), learning_rate=[0.01, 1e25])
    fit(model, data, 1, 1)
    assert model.alive.tolist() == [True, False]
    assert model.diverged_at.tolist() == [-1, 1]
    assert model.best_value.isfinite().tolist() == [True, False]
    assert all(weights.isfinite().all() for weights in model.ensemble.parameters())


def test_training_goes_on_when_all_have_diverged() -> None:
    data = adding()
    model = make(data, (0, 1), learning_rate=1e30)
    used = fit(model, data, 6, 3)
    assert not model.alive.any()
    assert used.global_step == 6
    assert [point["step"] for point in model.curve] == [3, 6]


def test_a_checkpoint_holds_plain_data_and_brings_everything_back(tmp_path: Path) -> None:
    data = adding()
    settings = {"learning_rate": [0.1, 1e30, 0.02], "momentum": 0.8, "optimizer": "sgd"}
    model = make(data, **settings)
    fit(model, data, 12, 4, callbacks=[ResumeCheckpoint(tmp_path / "last.ckpt", 1e9, 4)])
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert repr(content["curve"]) == repr(model.curve)
    assert same(content["best_weights"], model.best_weights)
    fresh = make(data, **settings)
    with quiet_lightning():
        trainer(20, 4).fit(fresh, datamodule=adding(), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
        undisturbed = make(data, **settings)
        trainer(20, 4).fit(undisturbed, datamodule=adding())
    assert repr(fresh.curve) == repr(undisturbed.curve)
    assert len(fresh.curve) == 5
    assert same(fresh.best_weights, undisturbed.best_weights)
    assert repr(fresh.state_dict()) == repr(undisturbed.state_dict())
    assert fresh.diverged_at.tolist() == model.diverged_at.tolist() == [-1, 2, -1]
