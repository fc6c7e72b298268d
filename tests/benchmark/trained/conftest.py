"""What was trained, and the state of the process that evaluates it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.benchmark.small_jobs import train
from tests.benchmark.trained.lstm_runs import lstm_job


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """Bring back what verbs that compute as training does turn off in their process."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the two records of an LSTM, of which nothing was measured."""
    folder = tmp_path_factory.mktemp("runs")
    train(lstm_job(folder, []))
    return folder


@pytest.fixture
def copy(runs: Path, tmp_path: Path) -> Path:
    """The record of one of them, in a copy of the folder."""
    shutil.copytree(runs, tmp_path / "runs")
    job = lstm_job(tmp_path / "runs", [])
    return job.record_path(job.members[1])


@pytest.fixture(scope="session")
def content(runs: Path) -> bytes:
    """Weights of one of the records."""
    job = lstm_job(runs, [])
    return job.weights_path(job.members[1]).read_bytes()
