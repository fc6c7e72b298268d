"""What Dubinin & Effenberger 2024 report of sequential MNIST, on the real images: minimal performance in 200 steps."""

from pathlib import Path

import pytest

from rnnbench.benchmark.config.options import RunOptions, TrainOptions
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers.choice import plan_of
from rnnbench.benchmark.run.train import train
from rnnbench.leaderboard.record import read_record

SUITE = """
title: One epoch of sequential MNIST
instances: 5
tasks:
  sMNIST: {class_path: SequentialMNIST}
networks:
  WCRNN_best: {preset: WCRNN_best}
training:
  {optimizer: sgd, momentum: 0.9, learning_rate: 0.03, batch_size: 128, max_epochs: 1, validate_every: 200}
"""


@pytest.mark.slow
@pytest.mark.needs_data
def test_informed_heterogeneous_wcrnn_learns_within_an_epoch(real_data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    suite = load_suite(tmp_path / "suite.yaml")
    (job,) = plan_of(suite, RunOptions(runs_dir=tmp_path / "runs")).jobs
    train(job, TrainOptions(data_dir=real_data_dir, accelerator="cpu"))
    records = [read_record(job.record_path(member)) for member in job.members]
    # Table 1: 200 iterations to 50 % test accuracy.
    early = [record.curve[0].test["accuracy"] for record in records]
    assert [record.curve[0].step for record in records] == [200] * 5
    assert min(early) > 0.5, early
    final = [record.curve[-1].test["accuracy"] for record in records]
    assert sum(final) / 5 >= 0.86, final
    print(f"test accuracy after 200 steps {early}, after one epoch {final}")
