"""Scores over the length of sequences: in the record, in logs, and of a trained network again."""

import csv

import pytest
import torch

from rnnbench.benchmark.config.construct import build_data_module
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.run.rescore import rescore
from rnnbench.benchmark.run.trained import find_trained
from rnnbench.leaderboard.length_curves import by_length
from tests.benchmark.small_jobs import adding_experiment, job_of, train

LENGTHS = {"train_lengths": [4, 6], "val_lengths": [6, 8], "test_lengths": [6, 40]}
TASKS = {"ParityCheck": {}, "GroupWord": {"group": "S3"}, "FlipFlop": {"ignore": 0.5}}


def experiment_of(task, lengths=LENGTHS, steps=4):
    experiment = adding_experiment(Recipe(max_steps=steps, validate_every=2, batch_size=8))
    settings = {"train_size": 16, "val_size": 20, "test_size": 300, **lengths, **TASKS[task]}
    experiment.config["task"] = {"class_path": task, "init_args": settings}
    return experiment


@pytest.mark.parametrize("task", TASKS)
def test_the_score_is_the_mean_over_lengths_weighted_by_what_is_scored(task, tmp_path):
    experiment = experiment_of(task)
    data = build_data_module(experiment.config)
    data.setup()
    _, targets, lengths = data._sources["test"].read(0, torch.arange(300))
    scored = (targets != -100).view(300, -1).sum(1)
    for record in train(job_of(experiment, tmp_path), loggers=("csv",)):
        assert record.trained_lengths == list(data.lengths.train)
        found = by_length(record)
        assert min(found)[0] == 6
        assert max(found)[1] == 40
        weights = {bin: scored[(lengths >= bin[0]) & (lengths <= bin[1])].sum().item() for bin in found}
        mean = sum(found[bin] * weights[bin] for bin in found) / sum(weights.values())
        assert mean == pytest.approx(record.scores.test["accuracy"])
    (path,) = tmp_path.glob("csv/**/*-1/metrics.csv")
    with path.open(encoding="utf-8") as file:
        logged = [*csv.DictReader(file)][-1]
    expected = record.curve[-1].by_length
    assert {name: float(logged[f"test_by_length/{name}"]) for name in expected} == pytest.approx(expected)


def test_a_trained_network_is_scored_at_another_length(tmp_path):
    job = job_of(experiment_of("ParityCheck"), tmp_path, (0,))
    train(job)
    trained = find_trained(job.record_path(job.members[0]))
    assert rescore(trained).remark == "as recorded"
    assert rescore(trained, length=9).scores["test"] != trained.needed_record.scores.test


def test_sequences_of_one_length_have_no_curve_over_it(tmp_path):
    alike = {name: [6, 6] for name in LENGTHS}
    (record,) = train(job_of(experiment_of("ParityCheck", alike, steps=2), tmp_path, (0,)))
    dumped = record.model_dump()
    assert "trained_lengths" not in dumped
    assert not any("by_length" in point for point in dumped["curve"])
