"""Several suites in one command, and a time limit: what was not finished goes on to the same records."""

import itertools
import math
import time
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.command.parsing import duration
from rnnbench.benchmark.launchers import checks, pool
from rnnbench.benchmark.run.callbacks import resume_checkpoint
from rnnbench.benchmark.run.callbacks.resume_checkpoint import ResumeCheckpoint
from rnnbench.leaderboard.record import read_record
from tests.benchmark.small_jobs import rnnbench
from tests.leaderboard.factory import comparable

SUITE = """
instances: 1
tasks:
  ADD8: {class_path: Adding, init_args: {length: 60, train_size: 64, val_size: 20, test_size: 20}}
networks:
  Elman: {class_path: ElmanRNN, init_args: {hidden_size: 4}}
training: {batch_size: 16, max_steps: STEPS, validate_every: 10}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, steps in (("long", "60"), ("short", "10")):
        (tmp_path / f"{name}.yaml").write_text(SUITE.replace("STEPS", steps), encoding="utf-8")
    return tmp_path


def records(folder: Path) -> dict[Path, object]:
    return {path.relative_to(folder): comparable(read_record(path)) for path in folder.rglob("*.json")}


def end_while_planning() -> None:
    """The limit comes before anything is built."""
    clock = itertools.count(0, 10**6)
    checks.time = SimpleNamespace(monotonic=lambda: next(clock))


def end_while_training() -> None:
    """The limit comes once a first checkpoint is there; until then the clock stands, and then the worker does."""
    saved, save, begin = Path("saved").resolve(), L.Trainer.save_checkpoint, time.monotonic()
    clock = SimpleNamespace(monotonic=lambda: begin + 10**6 * saved.exists(), sleep=time.sleep)
    pool.time = checks.time = clock

    def save_and_wait(trainer: L.Trainer, path: Path) -> None:
        save(trainer, path)
        if not saved.exists():
            saved.touch()
            time.sleep(600)

    L.Trainer.save_checkpoint = save_and_wait


def test_what_a_time_limit_ended_goes_on_to_the_same_records(folder):
    words = ("run", "long.yaml", "short.yaml", "--workers", "1", "--time-limit", "1h")
    whole = rnnbench(folder, *words, "--runs-dir", "whole")
    assert whole.returncode == 0, whole.stderr
    assert len(records(folder / "whole")) == 2
    for end, checkpoints in ((end_while_planning, 0), (end_while_training, 1)):
        result = rnnbench(folder, *words, before=end)
        assert result.returncode == 3, result.stderr
        assert "the time limit came first: " in result.stderr
        assert "run the same command again" in result.stderr
        assert len(list((folder / "runs").rglob("last.ckpt"))) == checkpoints
        assert not list((folder / "runs").rglob("error.log"))
    assert rnnbench(folder, *words).returncode == 0
    assert records(folder / "runs") == records(folder / "whole")


@pytest.mark.slow
def test_a_time_limit_is_kept_to_twenty_seconds(folder):
    (folder / "long.yaml").write_text(SUITE.replace("STEPS", "100000"), encoding="utf-8")
    for limit in (1, 12):
        before = time.monotonic()
        assert rnnbench(folder, "run", "long.yaml", "--time-limit", f"{limit}s").returncode == 3
        assert time.monotonic() - before < limit + 20


@pytest.mark.parametrize(
    ("deadline", "saved"), [(math.inf, [30, 60]), (50, [30, 47]), (33, [30, 60]), (2, [1, 31, 61])]
)
def test_shortly_before_the_limit_one_checkpoint_more_is_saved(deadline, saved, monkeypatch):
    now, found = [0.0], []
    monkeypatch.setattr(resume_checkpoint, "time", SimpleNamespace(monotonic=lambda: now[0]))
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    trainer = SimpleNamespace(world_size=1, num_training_batches=1000, strategy=strategy, global_step=0)
    trainer.save_checkpoint = lambda path: found.append(trainer.global_step)
    callback = ResumeCheckpoint(Path("last.ckpt"), every_seconds=30, validate_every=None, deadline=deadline)
    # A step takes a second.
    for trainer.global_step in range(1, 62):
        now[0] += 1
        callback.on_train_batch_end(trainer, None, None, None, trainer.global_step)
    assert found == saved


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("digts", "unknown suite 'digts': did you mean digits?"),
        ("broken.yaml", "unknown"),
        ("quick.yaml", "suite quick: must be given once, got 2 suites of this name"),
    ],
)
def test_a_mistake_in_any_suite_is_found_before_anything_trains(second, message, folder, monkeypatch, capsys):
    (folder / "broken.yaml").write_text(SUITE.replace("ElmanRNN", "ElmanRNM").replace("STEPS", "10"), encoding="utf-8")
    (folder / "quick.yaml").write_text(SUITE.replace("STEPS", "10"), encoding="utf-8")
    monkeypatch.chdir(folder)
    assert main(["run", "quick", second, "--budget", "smoke"]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400)])
def test_durations(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "0s", "-1h", "30m1h", "1.5h", "h"])
def test_other_durations_are_refused(text, capsys):
    assert main(["run", "quick", f"--time-limit={text}"]) == 2
    assert f"must be a time such as 90s, 30m, 2h or 1h30m, got '{text}'" in capsys.readouterr().err
