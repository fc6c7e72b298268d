"""Scores on sequences of other lengths: those of the same task, built with that length."""

import pytest
import torch

from rnnbench.benchmark.measures.length_generalisation import LengthGeneralisation
from rnnbench.datamodules.adding import Adding
from rnnbench.datamodules.copying import CopyMemory, DelayedCopy, TokenCopy
from rnnbench.datamodules.images import SequentialDigits
from rnnbench.datamodules.linear_system import LinearSystem
from rnnbench.datamodules.polynomial import Polynomial
from rnnbench.datamodules.state_tracking import StateTracking
from tests.lit_models.small_runs import adding, subject_of


@pytest.mark.parametrize("task", [Adding, DelayedCopy, TokenCopy, LinearSystem, Polynomial, StateTracking])
def test_sequences_are_those_of_the_task_built_with_the_length(task):
    settings = {"train_size": 8, "val_size": 8, "test_size": 8, "batch_size": 8, "fresh": False}
    other, expected = task(length=40, **settings), task(length=60, **settings)
    changed, batch = other.at_length(60, 8)
    assert changed == expected.task
    assert all(torch.equal(*pair) for pair in zip(batch[:2], expected.draw_split("test"), strict=True))
    assert other.task.steps == 40


def test_scores_are_those_of_the_network_on_these_sequences():
    subject = subject_of()
    measured = LengthGeneralisation(lengths=(6, 30), samples=24).take(subject)
    assert measured.arrays["lengths"].tolist() == [6, 30]
    for length, score in zip((6, 30), measured.arrays["metric"], strict=True):
        inputs, targets = adding(length=length).draw_split("test")
        with torch.no_grad():
            error = subject.network(inputs) - targets
        assert score == pytest.approx(error.square().mean().sqrt().item(), rel=1e-5)
    assert LengthGeneralisation().take(subject).arrays["lengths"].tolist() == [6, 12, 24, 48]


@pytest.mark.parametrize("task", [SequentialDigits, CopyMemory])
def test_a_task_without_a_length_is_refused(task):
    with pytest.raises(ValueError, match=f"must draw its sequences and have a length, got {task.__name__}"):
        task().at_length(10, 8)
