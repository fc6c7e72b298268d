"""Runs that are killed at any moment and started again give the records of an undisturbed run."""

import os
import random
import signal
from pathlib import Path

import lightning as L
import pytest
import torch

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.measures import resolve_measures
from rnnbench.benchmark.run.job import Job, Member
from rnnbench.leaderboard.files import side_path
from rnnbench.leaderboard.record import read_record
from tests.benchmark.forked import SERVER
from tests.datamodules.small_texts import write_texts
from tests.leaderboard.factory import comparable

#: Where a process kills itself: a place and n, for the n-th time that it comes by there.
Kill = tuple[str, int]
BATCHES = 9  # of an epoch: 140 sequences in batches of 16, or 479 characters in 4 streams, 14 at a time
SCENARIOS = {
    "by step": Recipe(optimizer="adam", learning_rate=0.01, batch_size=16, max_steps=31, validate_every=7),
    "by epoch": Recipe(
        optimizer="sgd", learning_rate=0.05, batch_size=16, max_epochs=3, schedule="cosine", gradient_clip_norm=1.0
    ),
    "streams": Recipe(optimizer="adam", learning_rate=0.01, batch_size=4, max_steps=31, validate_every=7),
}
ADDING = {
    "class_path": "Adding",
    "init_args": {"length": 8, "train_size": 140, "val_size": 30, "test_size": 30, "fresh": False}
    | {"eval_batch_size": 10},
}
# State is carried from batch to batch: a resumed run goes on with the same.
TEXT = {
    "class_path": "Shakespeare",
    "init_args": {"bptt": 14, "vocabulary_size": 20, "eval_streams": 2, "eval_batch_size": 30},
}


def make_job(recipe: Recipe, runs_dir: Path) -> Job:
    config = {
        "task": TEXT if recipe is SCENARIOS["streams"] else ADDING,
        "recurrence": {"class_path": "LSTM", "init_args": {"hidden_size": 5}},
        "training": recipe.model_dump(),
        "seed": 3,
    }
    # The last rate overflows: a frozen instance must survive kills too.
    overflowing = 1e200 if recipe is SCENARIOS["streams"] else 1e30
    grid = {"training.learning_rate": (recipe.learning_rate, overflowing)}
    measures = resolve_measures([{"gradient_flow": {"at": ["start", "end"], "every_epochs": 1, "samples": 3}}])
    experiment = Experiment("kills", "smoke", "ADD8", "LSTM", config, grid, measures=measures)
    members = tuple(Member(point.id, instance) for instance in range(2) for point in experiment.points())
    return Job(experiment, members, runs_dir)


class _Killer(L.Callback):
    """Kills this process at a place of the training loop."""

    def __init__(self, kill: Kill) -> None:
        self.place, self.left = kill

    def _pass(self, place: str) -> None:
        if place == self.place:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self._pass("batch start")

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if batch_idx + 1 == trainer.num_training_batches:
            self._pass("last batch of an epoch")
        if trainer.val_check_interval and trainer.global_step % 7 == 0:
            self._pass("before a validation that is due")
        self._pass("batch end")

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self._pass("validation")

    def on_validation_end(self, trainer, pl_module) -> None:
        self._pass("validation end")

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        self._pass("epoch end")


def _train(scenario: str, runs_dir: Path, kill: Kill | None) -> None:
    import rnnbench.benchmark.run.train as training
    from rnnbench.leaderboard import files

    torch.set_num_threads(1)
    job = make_job(SCENARIOS[scenario], runs_dir)
    if kill is not None:
        killer = _Killer(kill)
        make_trainer = training.make_trainer

        def with_killer(*arguments):
            trainer = make_trainer(*arguments)
            trainer.callbacks.append(killer)
            return trainer

        def tear_and_kill(descriptor):
            name = os.readlink(f"/proc/self/fd/{descriptor}")
            place = "checkpoint write" if "last.ckpt" in name else "record write" if ".json" in name else "other write"
            if killer.left == 1 and killer.place == place:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            killer._pass(place)
            fsync(descriptor)

        fsync = os.fsync
        training.make_trainer = with_killer
        files.os.fsync = tear_and_kill
    options = training.TrainOptions(write_texts(runs_dir / "texts"), accelerator="cpu", checkpoint_seconds=0.0)
    training.train(job, options)


def run(scenario: str, runs_dir: Path, kill: Kill | None = None) -> int:
    process = SERVER.Process(target=_train, args=(scenario, runs_dir, kill))
    process.start()
    process.join(timeout=1800)
    return process.exitcode


def is_inside_epoch(job: Job) -> bool:
    """Whether the next start goes on from a checkpoint inside an epoch."""
    if not job.checkpoint.exists():
        return False
    checkpoint = torch.load(job.checkpoint, weights_only=True)
    done = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["completed"]
    return 0 < done < BATCHES


def seeded_kills(scenario: str) -> list[Kill]:
    """Ten kills: each kind of place once, and some at any batch. They hit one run one after the other."""
    draw = random.Random(scenario)  # noqa: S311
    due = "last batch of an epoch" if scenario == "by epoch" else "before a validation that is due"
    return [
        ("batch start", draw.randint(2, 5)),
        ("checkpoint write", draw.randint(2, 4)),
        ("batch end", draw.randint(2, 4)),
        (due, 1),
        ("validation", draw.randint(1, 5)),
        ("batch start", draw.randint(2, 4)),
        ("validation end", 1),
        ("last batch of an epoch", 1),
        ("batch end", draw.randint(1, 3)),
        ("record write", draw.randint(1, 4)),
    ]


@pytest.fixture(scope="module", params=["by step", "by epoch", pytest.param("streams", marks=pytest.mark.slow)])
def killed_and_undisturbed(request, tmp_path_factory):
    scenario = request.param
    undisturbed = make_job(SCENARIOS[scenario], tmp_path_factory.mktemp("undisturbed"))
    assert run(scenario, undisturbed.runs_dir) == 0
    killed = make_job(SCENARIOS[scenario], tmp_path_factory.mktemp("killed"))
    inside = 0
    for kill in seeded_kills(scenario):
        assert run(scenario, killed.runs_dir, kill) == -signal.SIGKILL, kill
        inside += is_inside_epoch(killed)
    assert run(scenario, killed.runs_dir) == 0
    return killed, undisturbed, inside


def test_results_are_those_of_an_undisturbed_run(killed_and_undisturbed):
    killed, undisturbed, _ = killed_and_undisturbed
    for member in killed.members:
        record = read_record(killed.record_path(member))
        assert comparable(record) == comparable(read_record(undisturbed.record_path(member)))
        assert len(record.curve) == (5 if record.config["training"]["max_steps"] else 3)
        if record.best_step is not None:
            weights, expected = (job.weights_path(member).read_bytes() for job in (killed, undisturbed))
            assert weights == expected
        moments = record.measures["gradient_flow"]
        assert {"start", "epoch-1", "epoch-2", "epoch-3", "end"} >= moments.keys() >= {"start", "epoch-1", "end"}
        arrays, expected = (side_path(job.record_path(member)).read_bytes() for job in (killed, undisturbed))
        assert arrays == expected
    assert [read_record(killed.record_path(member)).status for member in killed.members] == ["finished", "diverged"] * 2


def test_half_of_the_kills_resume_inside_an_epoch(killed_and_undisturbed):
    # Scenarios of ten kills each: at least half of them all.
    assert killed_and_undisturbed[2] >= 5


def test_nothing_but_results_is_left(killed_and_undisturbed):
    killed, _, _ = killed_and_undisturbed
    left = {path.name for path in killed.folder.iterdir()}
    records = {killed.record_path(member).name for member in killed.members}
    records |= {side_path(killed.record_path(member)).name for member in killed.members}
    finished = [member for member in killed.members if read_record(killed.record_path(member)).best_step is not None]
    records |= {killed.weights_path(member).name for member in finished}
    assert finished
    assert {path.name for path in killed.folder.parent.iterdir()} == {killed.folder.name, *records}
    # It was killed ten times.
    assert left == {"lease.11", "job.yaml"}
