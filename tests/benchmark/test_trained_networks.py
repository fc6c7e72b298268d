"""Trained networks are loaded, scored and measured again, to the numbers of their records."""

import dataclasses
import io
import json
import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from safetensors.torch import load_file

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.experiment import Config, Experiment
from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run import train as training
from rnnbench.benchmark.run.checkpoint import read_checkpoint
from rnnbench.benchmark.run.job import Job, Member
from rnnbench.benchmark.run.rescore import rescore
from rnnbench.benchmark.run.trained import find_trained, load_network
from rnnbench.benchmark.run.weights import write_weights
from rnnbench.leaderboard import publishing
from rnnbench.leaderboard.files import FileError, read_arrays, side_path
from rnnbench.leaderboard.publishing import publish
from rnnbench.leaderboard.record import read_record, write_record
from rnnbench.leaderboard.schema import Measure, Record, Scores
from rnnbench.leaderboard.store import shipped_records
from rnnbench.leaderboard.weights_file import read_weights, weights_path
from rnnbench.lit_models.objective import instance_metrics
from rnnbench.lit_models.recurrence import Recurrence
from tests.benchmark.small_jobs import adding_experiment, job_of, train
from tests.contracts.builders import variants
from tests.contracts.test_instance_alone import COPY, LSTM, TASKS
from tests.datamodules.small_texts import write_texts

SLOW = pytest.mark.slow
RATE = "training.learning_rate"
ADDING_RECIPE = {"optimizer": "sgd", "batch_size": 8, "max_steps": 60, "validate_every": 5}


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """Bring back what verbs that compute as training does turn off in their process."""
    yield
    torch.set_flush_denormal(False)


def trained(task: Config, recurrence: Config, folder: Path) -> Job:
    """Three instances of an experiment, of which the last diverges before its first evaluation."""
    recipe = Recipe(optimizer="adamw", weight_decay=0.1, batch_size=8, max_steps=6, validate_every=2)
    config = {"task": task, "recurrence": recurrence, "training": recipe.model_dump(), "seed": 1}
    experiment = Experiment("tiny", "smoke", "task", "network", config, {RATE: (0.02, 1e200)})
    first, last = (point.id for point in experiment.points())
    job = Job(experiment, (Member(first, 0), Member(first, 1), Member(last, 2)), folder)
    training.train(job, TrainOptions(accelerator="cpu"))
    return job


def alone(path: Path) -> float:
    """The ranked test score of a loaded network, computed without an ensemble or a Trainer."""
    network, data = load_network(path)
    data.setup()
    metric = instance_metrics(data.task, 1)[0]
    state = None
    for batch in data.test_dataloader():
        with torch.inference_mode():
            if data.task.carries_state:
                outputs, state = network(batch.inputs, batch.lengths, state, carry=True)
            else:
                outputs = network(batch.inputs, batch.lengths)
        metric.update(outputs[None], batch.targets, batch.lengths)
    return float(metric.compute())


def assert_scores_again(path: Path) -> Record:
    record = read_record(path)
    if record.best_step is None:
        with pytest.raises(UserError, match="diverged at step"):
            load_network(path)
        return record
    again = rescore(find_trained(path))
    assert again.scores == again.recorded == record.scores.model_dump()
    assert alone(path) == pytest.approx(record.scores.test[record.ranked.name], rel=1e-6, abs=1e-6)
    return record


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_tasks(task: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_DATA", str(write_texts(tmp_path / "data")))
    job = trained(task, LSTM, tmp_path)
    records = [assert_scores_again(job.record_path(member)) for member in job.members[1:]]
    assert [record.status for record in records] == ["finished", "diverged"]


RECURRENCES = [
    pytest.param(*each.values, id=each.id, marks=() if each.id in ("FeedForwardTruncation", "OrthogonalRNN") else SLOW)
    for each in variants()
]


@pytest.mark.parametrize(("cls", "arguments"), RECURRENCES)
def test_every_recurrence(cls: type[Recurrence], arguments: dict[str, object], tmp_path: Path) -> None:
    given = {
        name: {"class_path": value.func.__name__, "init_args": value.keywords} if hasattr(value, "func") else value
        for name, value in arguments.items()
        if name != "input_size"
    }
    job = trained(COPY, {"class_path": cls.__name__, "init_args": given}, tmp_path)
    assert_scores_again(job.record_path(job.members[1]))


def one_diverges_midway(patch: pytest.MonkeyPatch) -> None:
    def spoil(trainer: L.Trainer, model: L.LightningModule, *_: object) -> None:
        if trainer.global_step == 12:
            model.ensemble.network.readout.weight.data[0] = torch.inf

    make_trainer, spoiler = training.make_trainer, LambdaCallback(on_train_batch_end=spoil)
    patch.setattr(training, "make_trainer", lambda *given: make_trainer(*given, spoiler))


@pytest.mark.parametrize(
    ("settings", "pilot", "status"),
    [
        ({}, False, "diverged"),
        ({"test_at": "last"}, False, "diverged"),
        ({"patience": 20}, False, "finished"),
        ({"patience": 20, "test_at": "last"}, True, "finished"),
    ],
    ids=["diverged midway", "the last before it diverged", "stopped early", "a pilot that stopped early"],
)
def test_sweeps(settings: dict, pilot: bool, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = adding_experiment(Recipe(**ADDING_RECIPE, **settings), grid={RATE: (0.3, 0.1)}, train_size=64)
    job = job_of(dataclasses.replace(experiment, is_pilot=pilot), tmp_path)
    if status == "diverged":
        one_diverges_midway(monkeypatch)
    train(job)
    records = [assert_scores_again(job.record_path(member)) for member in job.members]
    assert records[0].status == status
    assert records[0].best_step
    assert len({record.best_step for record in records}) > 1
    assert pilot == (".pilots" in str(job.record_path(job.members[0])))
    if settings.get("patience"):
        assert len({record.stopped_at for record in records}) > 1


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


def lstm_job(runs_dir: Path, measures: list) -> Job:
    recipe = Recipe(batch_size=8, max_steps=6, validate_every=2, test_at="last", stability_input_bound=1.0)
    return job_of(adding_experiment(recipe, "LSTM", measures=measures, train_size=64, hidden_size=3), runs_dir)


@pytest.fixture(scope="module")
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
    test = ", ".join(f"{name} {value}" for name, value in reversed(record.scores.test.items()))
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


@pytest.fixture(scope="module")
def content(runs: Path) -> bytes:
    """Weights of one of the records."""
    job = lstm_job(runs, [])
    return job.weights_path(job.members[1]).read_bytes()


def test_weights_that_are_cut_at_any_byte_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    assert len(content) < 4000
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FileError, match="is damaged or no safetensors file") as error:
            read_weights(path)
        assert "\n" not in str(error.value)


def test_numbers_of_every_type_are_read_back(copy: Path, tmp_path: Path) -> None:
    types = [
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
        "bool",
        "complex64",
    ]
    tensors = {name: torch.arange(6).view(2, 3).to(getattr(torch, name)) for name in types}
    tensors |= {"scalar": torch.tensor(3.0), "empty": torch.zeros(0, 4), "strided": torch.rand(4, 6).T[::2]}
    record, path = read_record(copy), tmp_path / "all.safetensors"
    write_weights(path, tensors, record, 0)
    torch.testing.assert_close(load_file(path), tensors, rtol=0, atol=0)
    assert not read_weights(path)[0].difference(record)
    with pytest.raises(ValueError, match=r"wide must be of a type that .* got torch\.complex128"):
        write_weights(path, {"wide": torch.zeros(2, dtype=torch.complex128)}, record, 0)


class Program:
    """What a pickle may do when it is opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path("executed").touch, ()


def described(content: bytes, old: str, new: str) -> bytes:
    """Weights with something else in their header."""
    size = 8 + int.from_bytes(content[:8], "little")
    header = content[8:size].decode()
    assert old in header
    changed = header.replace(old, new, 1).encode()
    return len(changed).to_bytes(8, "little") + changed + content[size:]


def zipped() -> bytes:
    torch.save(Program(), buffer := io.BytesIO())
    return buffer.getvalue()


BAD = {
    "a pickle": (lambda _: pickle.dumps(Program()), "is a pickle, which may hold a program"),
    "a pickle of PyTorch": (lambda _: zipped(), "is a pickle, which may hold a program"),
    "nothing": (lambda _: b"", "is damaged or no safetensors file"),
    "a header of 2 EiB": (lambda _: b"\xff" * 200, "is damaged or no safetensors file"),
    "a newer version": (lambda c: described(c, 'format\\": 1', 'format\\": 2'), "is of format 2: update to read"),
    "an older version": (lambda c: described(c, 'format\\": 1', 'format\\": 0'), "format: Input should be 1"),
    "another instance": (lambda c: described(c, 'instance\\": 1', 'instance\\": 0'), "another record: its instance"),
    "other scores": (lambda c: described(c, 'test\\": {', 'test\\": {\\"f1\\": 1, '), "another record: its scores"),
    "another architecture": (lambda c: described(c, "[12, 3]", "[3, 12]"), "of another architecture: recurrence."),
    "other names": (lambda c: described(c, "readout.bias", "readout.bios"), "another architecture: readout.bi"),
    "no description": (lambda c: described(c, '"rnnbench"', '"someone"'), "holds no description of rnnbench's"),
    "a description of no JSON": (lambda c: described(c, '"rnnbench": "{', '"rnnbench": "'), "cannot be read"),
    "a list for one": (lambda c: described(c, '"rnnbench": "{', '"rnnbench": "[1, 2, {'), "cannot be read"),
}


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD)
def test_bad_weights_end_in_one_message(make, reason: str, content: bytes, copy: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(copy.parent)
    weights_path(copy).write_bytes(make(content))
    before = copy.read_bytes()
    for words in (["evaluate", copy.name], ["measure", copy.name, "--measure", "lyapunov"]):
        assert main(words) == 2
        printed = capsys.readouterr()
        (line,) = printed.err.splitlines()
        assert line.startswith(f"error: {weights_path(copy).name}: ")
        assert reason in line
        assert not printed.out
    with pytest.raises(UserError, match=r"\.safetensors: "):
        load_network(copy.name)
    # The header does not say of what shapes the numbers must be.
    assert main(["check", copy.name]) == (0 if "architecture" in reason else 2)
    assert copy.read_bytes() == before
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("evaluate none.json", "none.json: no such file"),
        ("evaluate none.safetensors", "none.safetensors: no such file"),
        ("evaluate last.ckpt", "last.ckpt: must be a record (.json) or the weights beside one (.safetensors)"),
        ("evaluate lost.json", "lost.json: its weights, lost.safetensors, do not lie beside it: a run writes them"),
        ("evaluate alone.safetensors", "alone.safetensors: its record, alone.json, must lie beside it"),
        ("evaluate untrained.json --length 0", "must be a whole number from 1"),
        ("evaluate digits.json --length 9", "length must be a setting of the task, but SequentialDigits has none"),
        (
            "evaluate crowd.json",
            "together must be above its place, 1, and at most 10000, got 1000000000",
        ),
        ("evaluate open.json", "open.json: its run is interrupted; run it again to finish it"),
        ("measure lost.json", "--measure must name at least 1 measure of lyapunov, "),
        ("measure lost.json --measure lyapnov", "unknown measure 'lyapnov': did you mean lyapunov?"),
        ("measure lost.json --measure {lyapunov:", "not valid YAML"),
        ("measure untrained.json --measure lyapunov", "was trained for no steps: measure it with --at start"),
        ("measure early.json --measure lyapunov --at end", "are those of step 2, the best, and not of the last, 6"),
        (
            "measure lost.json --measure {lyapunov: {count: 7}} --at start",
            "count must be at most the size of the state",
        ),
        ("measure measured.json --measure lyapunov --at start", "what was taken in training stays"),
        ("measure later.json --measure lyapunov --at start", "--replace takes it again"),
    ],
)
def test_what_cannot_be_done_is_refused(words: str, reason: str, copy: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(copy.parent)
    record, first = read_record(copy), min(point.step for point in read_record(copy).curve)
    digits = {**record.config, "task": {"class_path": "SequentialDigits", "init_args": {}}}
    code = record.code
    one = Measure(status="failed", reason="so", step=0, settings={}, summary={}, arrays=[])
    for name, changes in {
        "lost": {},
        "digits": {"config": digits, "steps": 0},
        "crowd": {"hardware": {"instances_trained_together": 10**9}},
        "open": {"status": "interrupted"},
        "untrained": {"steps": 0, "best_step": None},
        "early": {"best_step": first},
        "measured": {"measures": {"lyapunov": {"start": one}}},
        "later": {"measures": {"lyapunov": {"start": one.model_copy(update={"later": code})}}},
    }.items():
        write_record(Path(f"{name}.json"), record.model_copy(update=changes))
    shutil.copy(weights_path(copy), "alone.safetensors")
    weights = weights_path(copy).read_bytes()
    Path("crowd.safetensors").write_bytes(weights)
    Path("early.safetensors").write_bytes(described(weights, 'best_step\\": 6', f'best_step\\": {first}'))
    verb, *rest = words.split(maxsplit=2)
    given = re.findall(r"\{.*\}|\S+", " ".join(rest))
    assert main([verb, *given]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('hidden_size\\": 3', 'hidden_size\\": 300000', "must have at most 268,435,456 parameters"),
        ('class_path\\": \\"LSTM', 'class_path\\": \\"LTSM', "unknown recurrence 'LTSM'"),
        ('training\\": {', 'trained\\": {', "cannot be built: 'training'"),
        ('optimizer\\": \\"adam', 'optimizer\\": \\"ada', "Input should be"),
        ('length\\": 6', 'length\\": -6', "length must be at least"),
        ('class_path\\": \\"Adding', 'class_path\\": \\"os.path', "'os.path' is not a SequenceDataModule subclass"),
    ],
)
def test_configurations_that_cannot_be_built(old: str, new: str, reason: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "alone.safetensors"
    path.write_bytes(described(content, old, new))
    with pytest.raises(UserError) as error:
        load_network(path)
    assert reason in str(error.value)


def test_lightnings_verbs_say_what_reads_weights(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"no training state: 'rnnbench evaluate {copy}' scores it"):
        read_checkpoint(weights_path(copy))
    torch.save({"state_dict": {}, "config": {}}, old := tmp_path / "weights-0.pt")
    with pytest.raises(UserError, match=r"'rnnbench evaluate RECORD\.json' scores it"):
        read_checkpoint(old)


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
    write_record(copy, read_record(copy).model_copy(update={"best_step": 2}))
    assert len(publish(runs, published, replace=True).replaced) == 1
    assert not weights_path(target).exists()
    (problem,) = publish(runs, published, weights=True).damaged
    assert "belongs to another record: its best_step differs, 6 and not 2" in str(problem)


PUBLISHED = sorted(shipped_records().rglob("*.safetensors"))


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=SLOW if place % 50 else ()) for place, path in enumerate(PUBLISHED)],
    ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}-{path.stem}",
)
def test_published_weights_score_what_their_record_says(path: Path) -> None:
    assert rescore(find_trained(path)).remark.startswith("as recorded")


def test_some_weights_are_published() -> None:
    assert PUBLISHED
