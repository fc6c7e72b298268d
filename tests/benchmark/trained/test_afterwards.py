"""What can be done with a trained network: it is measured, evaluated, loaded and published."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run.rescore import rescore
from rnnbench.benchmark.run.trained import find_trained, load_network
from rnnbench.leaderboard import publishing
from rnnbench.leaderboard.files import read_arrays, side_path
from rnnbench.leaderboard.metric import display
from rnnbench.leaderboard.publishing import publish
from rnnbench.leaderboard.record import read_record, summarise, write_record
from rnnbench.leaderboard.schema import OwnCode, Record, Scores
from rnnbench.leaderboard.weights_file import weights_path
from tests.benchmark.small_jobs import train
from tests.benchmark.trained.lstm_runs import lstm_job

MEASURES = [
    {"lyapunov": {"at": ["start", "end"], "samples": 3}},
    {"hessian": {"at": ["start", "end"], "samples": 5, "count": 2}},
    {"gradient_flow": {"at": ["start", "end"], "samples": 4}},
    {"truncation": {"at": ["start", "end"], "samples": 4}},
    {"truncated_training": {"at": ["start", "end"], "ks": [1, 4], "steps": 2}},
    {"stability": {"at": ["start", "end"]}},
    {"memory_capacity": {"at": ["start", "end"], "delays": 4, "steps": 300}},
    {"polynomial_degree": {"at": ["start", "end"], "length": 2}},
]


def test_measures_taken_afterwards_are_those_of_training(copy: Path, tmp_path: Path, capsys) -> None:
    job = lstm_job(tmp_path / "measured", MEASURES)
    expected, path = train(job)[1], job.record_path(job.members[1])
    named = [json.dumps(each) for each in MEASURES]
    for moment in ("start", "end", "best"):
        assert main(["measure", str(copy), "--measure", *named, "--at", moment]) == 0
    record = read_record(copy)
    arrays, beside = read_arrays(side_path(copy)), read_arrays(side_path(path))
    for name, moments in expected.measures.items():
        for moment, one in moments.items():
            assert one.status == "finished"
            for ours in ("best", "end") if moment == "end" else ("start",):
                later = record.measures[name][ours]
                assert (later.summary, later.step, later.status) == (one.summary, one.step, one.status)
                assert later.later.commit == expected.code.commit
                for key in one.arrays:
                    np.testing.assert_array_equal(arrays[key.replace(moment, ours)], beside[key])
    assert "later" not in path.read_text()
    assert main(["check", str(copy), str(path)]) == 0
    # Taking them again does nothing.
    before = copy.read_bytes()
    assert main(["measure", str(copy), "--measure", named[0], "--at", "best"]) == 0
    assert copy.read_bytes() == before
    assert "lyapunov at best: mean " in capsys.readouterr().out


def test_evaluate_prints_scores_beside_those_of_the_record(copy: Path, capsys) -> None:
    record = read_record(copy)
    assert main(["evaluate", str(copy), str(weights_path(copy)), "--json"]) == 0
    for found in json.loads(capsys.readouterr().out):
        assert found["scores"] == found["recorded"] == record.scores.model_dump()
    assert main(["evaluate", str(copy), "--split", "test"]) == 0
    test = ", ".join(display(name).sentence(value) for name, value in reversed(record.scores.test.items()))
    assert capsys.readouterr().out == f"{copy}: test: {test}\n{copy}: as recorded\n"
    assert main(["evaluate", str(copy), "--length", "12", "--json"]) == 0
    (longer,) = json.loads(capsys.readouterr().out)
    assert longer["scores"]["test"]["mse"] != longer["recorded"]["test"]["mse"]
    for changes, remark in (
        ({"data_fingerprint": "other"}, "as recorded"),
        ({"scores": of(record, 1 + 1e-8)}, "as recorded, to 1e-06"),
        ({"scores": of(record, 1.1)}, "not as recorded"),
        (
            {"scores": of(record, 1.1), "data_fingerprint": "other"},
            "not as recorded: the data are not those of its run",
        ),
    ):
        found = dataclasses.replace(find_trained(copy), record=record.model_copy(update=changes))
        assert rescore(found).remark == remark


def test_what_edited_code_of_ones_own_made_is_named(copy: Path, capsys) -> None:
    code = OwnCode(module="mylab_gone", version=None, source="0123456789abcdef", commit=None, dirty=None)
    record = read_record(copy).model_copy(update={"own_code": [code]})
    write_record(copy, record)
    edit = "made by other source of your own code (mylab_gone 01234567 → none)"
    with pytest.warns(UserWarning, match=re.escape(edit)):
        load_network(copy)
    found = dataclasses.replace(find_trained(copy), record=record.model_copy(update={"scores": of(record, 1.1)}))
    assert rescore(found).remark == f"not as recorded: {edit}"
    for said in (edit, "is there already, with the same settings"):
        assert main(["measure", str(copy), "--measure", "stability"]) == 0
        assert said in capsys.readouterr().out
    for words in (("--split", "test"), ("--length", "12")):
        assert main(["evaluate", str(copy), *words]) == 0
        assert capsys.readouterr().out.count(edit) == 1
    assert main(["evaluate", str(copy), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["edited"] == edit


def of(record: Record, factor: float) -> Scores:
    """A record's scores times a factor."""
    scores = record.scores.model_dump()
    return Scores(**{split: {k: value * factor for k, value in each.items()} for split, each in scores.items()})


def test_a_loaded_network_is_that_of_its_record(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, data = load_network(weights_path(copy))
    monkeypatch.chdir(copy.parents[5])
    of_object, _ = load_network(read_record(copy))
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), of_object.parameters(), strict=True))
    assert (data.task.name, network.training) == ("ADD6", False)
    with pytest.raises(UserError, match="must not hold the character NUL"):
        load_network("x\0y.json")
    copy.unlink()
    assert load_network(weights_path(copy))[0].recurrence.state_size == 6


def test_weights_of_older_runs_are_read_and_published(copy: Path, capsys) -> None:
    job = lstm_job(copy.parents[4], [])
    network, _ = load_network(copy)
    record, scores = read_record(copy), rescore(find_trained(copy))
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    old = job.folder / f"weights-{record.experiment_id}-{record.instance}.pt"
    torch.save({"state_dict": state, "config": record.config}, old)
    new = weights_path(copy).read_bytes()
    weights_path(copy).unlink()
    assert rescore(find_trained(copy)) == scores
    folders = ["--runs-dir", str(job.runs_dir), "--records-dir", str(copy.parents[5] / "published")]
    assert main(["publish", *folders, "--weights"]) == 0
    assert "weights of 2 networks published" in capsys.readouterr().out
    assert weights_path(copy).read_bytes() == new


def test_publishing_keeps_weights_of_small_networks(copy: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    runs, published = copy.parents[4], tmp_path / "published"
    target = published / copy.relative_to(runs)
    assert publish(runs, published).weights == []
    assert not weights_path(target).exists()
    monkeypatch.setattr(publishing, "LARGEST_PUBLISHED", weights_path(copy).stat().st_size - 1)
    assert len(publish(runs, published, weights=True).large) == 2
    monkeypatch.undo()
    assert len(publish(runs, published, weights=True).weights) == 2
    assert publish(runs, published, weights=True).weights == []
    assert load_network(target)[0].recurrence.state_size == 6
    # Weights of what is replaced by another result go with it.
    record = read_record(copy)
    points = zip(record.curve, reversed(record.curve), strict=True)
    curve = [point.model_copy(update={"step": other.step}) for point, other in points][::-1]
    summary = summarise(curve, record.metrics, record.steps, record.minimal_performance.interval, test_at="last")
    write_record(copy, record.model_copy(update={"curve": curve, **summary._asdict()}))
    assert len(publish(runs, published, replace=True).replaced) == 1
    assert not weights_path(target).exists()
    (problem,) = publish(runs, published, weights=True).damaged
    assert "belongs to another record: its scores differ" in str(problem)
