"""A signal in the middle of training: what was trained until then is in the checkpoint, and the rest follows."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from rnnbench.benchmark.run import ending
from rnnbench.leaderboard.store import load_records
from tests.leaderboard.factory import comparable

ROOT = Path(__file__).parents[2]
SUITE = """
title: One long epoch
tasks:
  ADD20: {{class_path: Adding, init_args: {{length: 20, train_size: 64000, val_size: 20, test_size: 20}}}}
networks:
  LSTM: {{class_path: LSTM, init_args: {{hidden_size: 8}}}}
instances: 2
training: {{learning_rate: 0.01, batch_size: 8, max_steps: {steps}, validate_every: {steps}}}
"""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rnnbench", "run", "long.yaml", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def steps_done(folder: Path) -> int:
    texts = [path.read_text().split() for path in folder.rglob("progress")]
    return int(texts[0][0]) if texts and texts[0] else 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_step_is_lost_at_a_signal(number, tmp_path):
    for name in ("stopped", "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "long.yaml").write_text(SUITE.format(steps=1500))
    folder = tmp_path / "stopped"
    process = start(folder)
    while (seen := steps_done(folder)) < 50 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    assert "goes on" in process.communicate()[1]
    assert process.returncode == 130
    (checkpoint,) = folder.rglob("*.ckpt")
    assert torch.load(checkpoint, weights_only=True)["global_step"] >= seen
    for name in ("stopped", "whole"):
        process = start(tmp_path / name)
        process.communicate()
        assert process.returncode == 0
    first, second = (load_records(tmp_path / name / "runs") for name in ("stopped", "whole"))
    assert list(map(comparable, first)) == list(map(comparable, second))


class Training:
    end_is_wanted = False


def test_without_a_training_a_signal_ends_at_once_and_with_one_after_its_step_or_soon(monkeypatch):
    monkeypatch.setattr(ending, "_SECONDS_TO_SAVE", 0.05)
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyboardInterrupt):
        ending.end_training()
    training = Training()
    ending.note_training(training)
    try:
        ending.end_training()
        assert training.end_is_wanted
        with pytest.raises(KeyboardInterrupt):
            ending.end_saved()
        # The clock was stopped; one that is not ends what takes too long.
        time.sleep(0.1)
        ending.end_training()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(10)
    finally:
        ending.note_training(None)
        signal.signal(signal.SIGALRM, before)
