"""What is still to be trained: records and unfinished runs as they lie in the runs folder."""

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rnnbench.benchmark.config import construct
from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.plan import LARGEST_ENSEMBLE, make_plan
from rnnbench.benchmark.launchers.stale import move_records
from rnnbench.benchmark.run.checkpoint import read_checkpoint
from rnnbench.benchmark.run.job import Job, load_job
from rnnbench.benchmark.run.lease import Lease
from rnnbench.leaderboard.record import read_record, write_record
from rnnbench.leaderboard.schema import OwnCode
from rnnbench.leaderboard.weights_file import weights_path
from tests.benchmark.small_jobs import adding_experiment, job_of, train


def experiment(measures: tuple = (), **grid: tuple) -> Experiment:
    return adding_experiment(Recipe(batch_size=16, max_steps=2), "GRU", grid, measures, train_size=32)


@pytest.fixture
def finished(tmp_path: Path) -> Job:
    job = job_of(experiment(), tmp_path)
    train(job)
    return job


def test_finished_records_are_skipped_and_missing_ones_planned(finished: Job) -> None:
    plan = make_plan((finished.experiment,), (0, 1, 2), finished.runs_dir)
    assert (plan.finished, plan.wanted, plan.problems) == (2, 3, ())
    assert [[member.instance for member in job.members] for job in plan.jobs] == [[2]]


def test_records_that_are_passed_over_are_listed_with_what_is_different(finished: Job, tmp_path: Path) -> None:
    edited = experiment()
    edited.config["training"]["max_steps"] = 3
    stray = finished.record_path(finished.members[0]).with_name("notes.json")
    stray.write_text("{}", encoding="utf-8")
    (tmp_path / "other-suite.json").write_text("{}", encoding="utf-8")
    plan = make_plan((edited,), (0,), finished.runs_dir)
    assert (plan.finished, plan.cells, plan.problems) == (0, {"ADD/GRU": (0, 1)}, ())
    version, no_record = plan.notes
    assert version.startswith("passed over: ADD/GRU: 2 of another version of the suite: ")
    assert version.endswith("max_steps 2 → 3")
    assert no_record == f"passed over: {stray}: is not a record: it has no schema_version"
    # The suite holds more than what is chosen of it.
    part = replace(edited, network="LSTM")
    assert make_plan((part,), (0,), finished.runs_dir, suite=(part, finished.experiment)).notes == (no_record,)


@pytest.fixture
def old(finished: Job, monkeypatch: pytest.MonkeyPatch) -> OwnCode:
    """The source that made both records, of which the second one was interrupted, and would go on."""
    first, second = map(finished.record_path, finished.members)
    folder = finished.runs_dir.parent / "lab"
    folder.mkdir(exist_ok=True)
    (folder / "mylab_edited.py").write_text("RATE = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    old = OwnCode(module="mylab_edited", version=None, source="0123456789abcdef", commit=None, dirty=None)
    write_record(first, read_record(first).model_copy(update={"own_code": [old]}))
    write_record(second, read_record(second).model_copy(update={"own_code": [old], "status": "interrupted"}))
    finished.save()
    finished.checkpoint.touch()
    return old


def test_records_of_edited_code_of_ones_own_are_missing_and_kept(finished: Job, old: OwnCode) -> None:
    first = finished.record_path(finished.members[0])
    plan = make_plan((finished.experiment,), (0, 1), finished.runs_dir)
    assert (plan.finished, [job.members for job in plan.jobs]) == (0, [finished.members])
    assert plan.notes[0].startswith(
        "ADD/GRU: 2 records made by other source of your own code (mylab_edited 01234567 → "
    )
    as_they_are = make_plan((finished.experiment,), (0, 1), finished.runs_dir, any_source=True)
    assert (as_they_are.finished, as_they_are.moves) == (1, {})
    move_records(finished.runs_dir, plan.moves)
    kept = finished.runs_dir / ".other-source" / "01234567" / first.relative_to(finished.runs_dir)
    assert read_record(kept).own_code == [old]
    assert not first.exists()
    assert not finished.checkpoint.exists()
    assert weights_path(kept).exists()
    assert not make_plan((finished.experiment,), (0, 1), finished.runs_dir).notes


def test_of_two_launchers_at_once_the_second_leaves_what_the_first_trained_again(finished: Job, old: OwnCode) -> None:
    first = finished.record_path(finished.members[0])
    plan = make_plan((finished.experiment,), (0, 1), finished.runs_dir)
    kept = plan.moves[first].place
    with Lease(finished.folder):
        # Another launcher trains there.
        move_records(finished.runs_dir, plan.moves)
        assert finished.checkpoint.exists()
    move_records(finished.runs_dir, plan.moves)
    assert not finished.checkpoint.exists()
    train(finished)
    finished.checkpoint.write_text("new")
    new, before = first.read_bytes(), kept.read_bytes()
    move_records(finished.runs_dir, plan.moves)
    assert (first.read_bytes(), kept.read_bytes()) == (new, before)
    assert finished.checkpoint.read_text() == "new"


def test_what_is_set_aside_halfway_is_still_known_to_be_of_other_source(
    finished: Job, old: OwnCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace
    for moves in range(9):
        left = iter(range(moves))
        with monkeypatch.context() as patch, contextlib.suppress(StopIteration):
            patch.setattr(Path, "replace", lambda path, target, left=left: (next(left), replace(path, target)))
            move_records(finished.runs_dir, make_plan((finished.experiment,), (0, 1), finished.runs_dir).moves)
        plan = make_plan((finished.experiment,), (0, 1), finished.runs_dir)
        assert plan.moves or not finished.checkpoint.exists()
    assert not plan.moves


def test_a_record_in_the_place_of_another_instance_is_a_problem(finished: Job) -> None:
    first, second = map(finished.record_path, finished.members)
    shutil.copy(first, second)
    plan = make_plan((finished.experiment,), (0, 1), finished.runs_dir)
    assert plan.finished == 1
    assert not plan.jobs
    assert f"does not lie where it belongs, at {first.relative_to(finished.runs_dir)}" in plan.problems[0]


def test_a_folder_in_the_place_of_a_record_is_a_problem_and_the_rest_goes_on(tmp_path: Path) -> None:
    job = job_of(experiment(), tmp_path)
    job.record_path(job.members[0]).mkdir(parents=True)
    plan = make_plan((job.experiment,), (0, 1), tmp_path)
    assert "is a folder; it is left untouched" in plan.problems[0]
    assert [[member.instance for member in job.members] for job in plan.jobs] == [[1]]


def test_an_unfinished_run_is_taken_up_with_all_its_members(tmp_path: Path) -> None:
    job = job_of(experiment(measures=({"lyapunov": {"count": 2}},)), tmp_path, (0, 1, 2))
    job.save()
    job.checkpoint.write_bytes(b"")
    (planned,) = make_plan((job.experiment,), (1,), tmp_path).jobs
    assert planned.members == job.members
    assert load_job(job.file, tmp_path).members == job.members
    assert load_job(job.file, tmp_path).experiment.measures == job.experiment.measures


@pytest.mark.parametrize("text", ["", "- a list", "members: 3", "experiment: {}\nmembers: []", "\t"])
def test_a_damaged_description_is_left_and_not_trained_over(text: str, tmp_path: Path) -> None:
    job = job_of(experiment(), tmp_path, (0,))
    job.save()
    job.file.write_text(text, encoding="utf-8")
    plan = make_plan((job.experiment,), (0,), tmp_path)
    assert not plan.jobs
    assert str(job.file) in plan.problems[0]
    assert job.file.read_text(encoding="utf-8") == text


def test_a_grid_and_many_instances_are_cut_into_ensembles(tmp_path: Path) -> None:
    swept = experiment(**{"training.learning_rate": (0.1, 0.01)})
    jobs = make_plan((swept,), tuple(range(10)), tmp_path).jobs
    assert [len(job.members) for job in jobs] == [LARGEST_ENSEMBLE, 20 - LARGEST_ENSEMBLE]
    assert len({member for job in jobs for member in job.members}) == 20
    assert len({job.folder for job in jobs}) == 2


def test_networks_that_differ_in_their_training_alone_are_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    sized = construct.sized
    monkeypatch.setattr(construct, "sized", lambda *given: built.append(given) or sized(*given))
    rates = tuple(1e-3 * number for number in range(1, 31))
    grid = {"training.learning_rate": rates, "recurrence.init_args.hidden_size": (2, 3)}
    construct.check_experiment(experiment(**grid))
    assert len(built) == 2


def test_a_finished_record_is_never_overwritten(finished: Job) -> None:
    before = finished.record_path(finished.members[0]).read_bytes()
    records = train(job_of(experiment(), finished.runs_dir, (0, 5)))
    assert finished.record_path(finished.members[0]).read_bytes() == before
    assert records[1].status == "finished"


def test_a_flipped_bit_a_cut_and_a_foreign_file_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    state = {"weight": torch.arange(1000.0)}
    whole = {"state_dict": state, "best_weights": state, "loops": {}, "curve": [], "optimizer_states": [{}]}
    torch.save(whole, path)
    content = path.read_bytes()
    assert torch.equal(read_checkpoint(path)["state_dict"]["weight"], state["weight"])

    place = content.index(torch.tensor([500.0]).numpy().tobytes())
    flipped = bytearray(content)
    flipped[place + 3] ^= 1
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": [], "loops": []}, foreign)
    for damaged in (bytes(flipped), content[: len(content) // 2], b"", b"text", foreign.read_bytes()):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="left untouched"):
            read_checkpoint(path)
        assert path.read_bytes() == damaged
