"""Pilots: a grid is tried by short runs, the best point is trained in full, and the choice survives interruptions."""

import dataclasses
from pathlib import Path

import pytest

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.pilot import PilotSettings
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers.pilots import pilots_of, with_choice
from rnnbench.benchmark.launchers.plan import make_plan
from rnnbench.benchmark.run.callbacks.resume_checkpoint import ResumeCheckpoint
from rnnbench.leaderboard.record import read_record, write_record
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.store import load_records
from tests.benchmark.small_jobs import adding_experiment, rnnbench, train
from tests.leaderboard.factory import comparable

SUITE = """
instances: 3
tasks:
  ADD6: &add {class_path: Adding, init_args: {length: 6, train_size: 64, val_size: 20, test_size: 20}}
  ADD8: {class_path: Adding, init_args: {length: 8, train_size: 64, val_size: 20, test_size: 20}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 3}}
training: {batch_size: 16, max_steps: 40, validate_every: 10, warmup_steps: 10}
sweep:
  - {training.optimizer: sgd, training.learning_rate: 0.5, training.momentum: 0.5}
  - {training.optimizer: adam, training.learning_rate: 1e-2}
  - {training.optimizer: adam, training.learning_rate: 1e-9}
pilot: {share: 0.25, instances: 2}
budgets:
  smoke: {sweep: {training.learning_rate: [0.1, 0.01]}, pilot: {}}
  cpu: {}
"""
RATE = "training.learning_rate"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "tried.yaml").write_text(SUITE, encoding="utf-8")
    return tmp_path / "tried.yaml"


def tried(*rates: float, share: float = 0.5, instances: int = 2) -> Experiment:
    recipe = Recipe(batch_size=16, max_steps=8, validate_every=4)
    one = adding_experiment(recipe, "GRU", {RATE: rates}, hidden_size=3, train_size=64)
    one.config["training"]["learning_rate"] = rates[0]
    return dataclasses.replace(one, pilot=PilotSettings(share=share, instances=instances))


def train_all(experiment: Experiment, runs_dir: Path) -> list[Record]:
    """Train all that is left, and return the records in the order of points and instances."""
    while (plan := make_plan((experiment,), (0, 1, 2), runs_dir)).jobs:
        for job in plan.jobs:
            train(job)
    for path, record in plan.restated.items():
        write_record(path, record)
    return sorted(load_records(runs_dir), key=lambda record: (record.point[RATE], record.instance))


def test_joint_points_are_one_grid_and_its_pilots_are_short_runs(suite: Path) -> None:
    experiment = load_suite(suite, "cpu").experiments[0]
    sgd, adam, _ = (point.values for point in experiment.points())
    assert sgd == {"training.optimizer": "sgd", RATE: 0.5, "training.momentum": 0.5}
    assert adam == {"training.optimizer": "adam", RATE: 0.01, "training.momentum": 0.9}
    assert experiment.grid == {path: tuple(dict.fromkeys(p.values[path] for p in experiment.points())) for path in sgd}
    assert len({point.id for point in experiment.points()}) == 3
    recipes = [point.recipe for point in pilots_of(experiment).points()]
    assert [recipe.optimizer for recipe in recipes] == ["sgd", "adam", "adam"]
    assert {(r.max_steps, r.validate_every, r.warmup_steps) for r in recipes} == {(10, 10, 2)}
    assert load_suite(suite, "smoke").experiments[0].pilot is None


def test_the_best_point_alone_is_trained_by_all_instances_and_the_record_says_how_it_was_chosen(tmp_path: Path) -> None:
    plan = make_plan((tried(1e-9, 1e-2, 1e-7),), (0, 1, 2), tmp_path)
    assert (plan.wanted, plan.pilots, len(plan.jobs), len(plan.later)) == (3, {"ADD/GRU": (0, 6)}, 1, 1)
    records = train_all(tried(1e-9, 1e-2, 1e-7), tmp_path)
    assert [(r.instance, r.steps, r.point[RATE], r.grid[RATE]) for r in records] == [
        (instance, 8, 1e-2, [1e-9, 1e-2, 1e-7]) for instance in range(3)
    ]
    pilot = records[0].pilot
    assert pilot is not None
    assert (pilot.share, pilot.instances, pilot.steps, pilot.edges) == (0.5, 2, 4, [RATE])
    assert [point.values for point in pilot.points] == [{RATE: rate} for rate in (1e-9, 1e-2, 1e-7)]
    short = [read_record(path) for path in sorted((tmp_path / ".pilots").rglob("*.json"))]
    for point in pilot.points:
        scores = [one.scores.val[one.ranked.name] for one in short if one.point == point.values]
        assert len(scores) == 2
        assert point.val == pytest.approx(sum(scores) / 2)
    # The same settings without a pilot: the id, and so what is trained, is the same.
    alone = dataclasses.replace(tried(1e-9, 1e-2, 1e-7), pilot=None)
    assert records[0].experiment_id == alone.points()[1].id
    assert make_plan((alone,), (0, 1, 2), tmp_path).finished == 3


def by_two_optimizers() -> Experiment:
    """Two recipes are two runs."""
    grid = {"training.optimizer": ("sgd", "adam"), RATE: (1e-2, 1e-9)}
    points = tuple({"training.optimizer": name, RATE: rate} for name in ("sgd", "adam") for rate in (1e-2, 1e-9))
    return dataclasses.replace(tried(1e-2, 1e-9), grid=grid, listed=points)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    return train_all(by_two_optimizers(), tmp_path_factory.mktemp("undisturbed"))


# Of the first pilot, of the second one, and of the full training.
@pytest.mark.parametrize("batches", [pytest.param(1, marks=pytest.mark.slow), 5, 9])
def test_choice_and_records_are_the_same_after_a_kill(batches: int, undisturbed, tmp_path: Path, monkeypatch) -> None:
    def kill(self, trainer, *_) -> None:
        nonlocal batches
        batches -= 1
        if not batches:
            raise SystemExit
        self._save(trainer)

    experiment = by_two_optimizers()
    with monkeypatch.context() as patch:
        patch.setattr(ResumeCheckpoint, "on_train_batch_end", kill)
        with pytest.raises(SystemExit):
            train_all(experiment, tmp_path)
    assert list(map(comparable, train_all(experiment, tmp_path))) == list(map(comparable, undisturbed))


def test_the_choice_is_made_again_where_the_grid_or_the_share_changes(tmp_path: Path) -> None:
    first = train_all(tried(1e-9, 1e-7), tmp_path)
    assert {record.point[RATE] for record in first} == {1e-7}
    # Another point wins: what was trained stays, as records of another version.
    wider = tried(1e-9, 1e-7, 1e-2)
    plan = make_plan((wider,), (0, 1, 2), tmp_path)
    assert plan.pilots == {"ADD/GRU": (4, 6)}
    both = train_all(wider, tmp_path)
    assert [(r.point[RATE], len(r.pilot.points)) for r in both] == [(1e-7, 2)] * 3 + [(1e-2, 3)] * 3
    (note,) = make_plan((wider,), (0, 1, 2), tmp_path).notes
    assert "3 of another version of the suite: " in note
    assert note.endswith("learning_rate 1e-07 → 0.01")
    # The same point wins: nothing is trained in full again, and the records state today's choice.
    again = train_all(tried(1e-9, 1e-7, 1e-2, share=0.25, instances=1), tmp_path)[3:]
    assert [(r.pilot.steps, r.pilot.instances, r.finished_at) for r in again] == [
        (2, 1, r.finished_at) for r in both[3:]
    ]


def test_a_point_whose_pilots_diverge_loses_and_the_first_of_equal_ones_wins(tmp_path: Path) -> None:
    assert {record.point[RATE] for record in train_all(tried(1e200, 1e-9), tmp_path / "one")} == {1e-9}
    lost = train_all(tried(1e200, 1e-9), tmp_path / "one")[0].pilot.points[0]
    assert (lost.val, lost.diverged) == (None, 2)
    assert {record.point[RATE] for record in train_all(tried(1e200, 1e201), tmp_path / "all")} == {1e200}


def test_of_points_that_are_level_the_best_in_the_other_metrics_wins(tmp_path: Path) -> None:
    experiment = tried(1e-9, 1e-2, 1e-7, instances=1)
    for job in make_plan((experiment,), (0, 1, 2), tmp_path).jobs:
        train(job)
    pilots = [read_record(path) for path in sorted((tmp_path / ".pilots").rglob("*.json"))]
    metrics = [
        pilots[0].ranked.model_copy(update={"name": name, "direction": direction, "chance": 0.5, "best": 1.0})
        for name, direction in (("accuracy", "max"), ("cross_entropy", "min"), ("f1", "max"))
    ]

    def winner(scores: dict[float, tuple[float, float, float]]) -> float:
        level = []
        for pilot in pilots:
            val = dict(zip(("accuracy", "cross_entropy", "f1"), scores[pilot.point[RATE]], strict=True))
            changed = pilot.scores.model_copy(update={"val": val})
            level.append(pilot.model_copy(update={"metrics": metrics, "scores": changed}))
        return with_choice(experiment, level).chosen[RATE]

    assert winner({1e-9: (0.5, 0.7, 0), 1e-2: (0.5, 0.6, 0), 1e-7: (0.5, 0.8, 1)}) == 1e-2
    assert winner({1e-9: (0.5, 0.7, 0), 1e-2: (0.5, 0.7, 0), 1e-7: (0.5, 0.7, 1)}) == 1e-7
    assert winner({1e-9: (0.5, 0.7, 1), 1e-2: (0.5, 0.7, 1), 1e-7: (0.5, 0.7, 1)}) == 1e-9
    assert winner({1e-9: (0.6, 0.9, 0), 1e-2: (0.5, 0.1, 1), 1e-7: (0.5, 0.2, 1)}) == 1e-9


def test_the_command_tries_trains_and_counts_pilots_apart_from_records(suite: Path, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = rnnbench(tmp_path, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    planned = run("run", str(suite), "--dry-run", "--workers", "1")
    assert "0 of 6 records are there, 0 of 12 pilots" in planned
    assert planned.count("pilot: 2 instances") == 4  # of two columns, by two optimisers
    assert planned.count("chosen by its pilots") == 2
    run("run", str(suite), "--workers", "2", "--only", "ADD6")
    state = run("status", str(suite))
    assert "3 of 6 records are there, 6 of 12 pilots" in state
    assert "ADD8/LSTM: 0 of 6 pilots, 0 of 3 finished; 2 not begun; 4 not begun" in state
    run("run", str(suite), "--workers", "2")
    assert "6 of 6 records are there, 12 of 12 pilots" in run("status", str(suite))
    run("publish")
    published = load_records(tmp_path / "leaderboard" / "records")
    assert sorted((record.task, record.instance) for record in published) == [
        (task, instance) for task in ("ADD6", "ADD8") for instance in range(3)
    ]
    assert {len(record.pilot.points) for record in published} == {3}
