"""The mirror in Weights & Biases, read back from the transaction logs that wandb writes. No network, no key."""

import atexit
import dataclasses
import json
import socket
import struct
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import wandb
from wandb.proto import wandb_internal_pb2

import rnnbench.benchmark.run.train as training
from rnnbench.benchmark.config.options import WandbMode
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.run.callbacks import wandb_session
from rnnbench.benchmark.run.callbacks.wandb_mirror import history_row, run_id, run_summary
from rnnbench.benchmark.run.callbacks.wandb_table import send_table, table_rows
from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.files import side_path
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.store import path_of
from rnnbench.leaderboard.weights_file import weights_path
from tests.benchmark.small_jobs import adding_experiment, interrupt, job_of, train
from tests.faults.injected import kill_service
from tests.leaderboard.factory import make_record

PLACE = ["tiny", "smoke", "ADD", "ElmanRNN"]
STEPS = [3, 6, 9, 11]  # of the evaluations: every third, and the last


@pytest.fixture
def job(tmp_path: Path) -> Job:
    recipe = Recipe(learning_rate=0.01, batch_size=8, max_steps=11, validate_every=3)
    measures = [{"lyapunov": {"at": ["start", "end"], "samples": 2}}]
    return job_of(adding_experiment(recipe, measures=measures, train_size=40), tmp_path / "runs", (0, 4))


@pytest.fixture(autouse=True)
def _fresh_wandb(monkeypatch, tmp_path):
    """Keep wandb's session and home folder, and what it puts into the environment, within one test."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_API_KEY", "WANDB_PROJECT", "WANDB_ENTITY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    wandb_session._reported.clear()
    yield
    if sys.modules["wandb"]:
        wandb.teardown()


@dataclass
class Log:
    """What a transaction log holds of one W&B run."""

    run: wandb_internal_pb2.RunRecord
    config: dict = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)
    summary: dict = field(default_factory=dict)
    exit_code: int | None = None
    metrics: list = field(default_factory=list)
    artifacts: dict[str, set[str]] = field(default_factory=dict)


def read_log(folder: Path) -> Log:
    (path,) = folder.glob("*.wandb")
    records = [wandb_internal_pb2.Record.FromString(part) for part in _parts(path.read_bytes())]
    log = Log(next(record.run for record in records if record.HasField("run")))
    for record in records:
        kind = record.WhichOneof("record_type")
        if kind in ("run", "config"):
            log.config |= _items(record.run.config.update if kind == "run" else record.config.update)
        elif kind == "history":
            row = _items(record.history.item)
            log.history.append({key: value for key, value in row.items() if not key.startswith("_")})
        elif kind == "summary":
            log.summary |= _items(record.summary.update)
        elif kind == "exit":
            log.exit_code = record.exit.exit_code
        elif kind == "metric":
            log.metrics.append(record.metric)
        elif kind == "artifact":
            log.artifacts[record.artifact.type] = {entry.path for entry in record.artifact.manifest.contents}
    return log


def _items(items) -> dict:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def _parts(content: bytes) -> list[bytes]:
    """Split a log: W&B's header, then records in the format of LevelDB's logs, in blocks of 32 KiB."""
    assert content[:4] == b":W&B"
    parts, position, whole = [], 7, b""
    while position + 7 <= len(content):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        whole += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a record in one piece, or its last piece
            parts.append(whole)
            whole = b""
    return parts


def read_logs(job: Job) -> list[Log]:
    """One log per member: there are no more folders than members."""
    # wandb's service writes the last of them in its own time.
    wandb.teardown()
    folders = list((job.runs_dir / "wandb").iterdir())
    assert all(folder.name.startswith("offline-run-") for folder in folders)
    logs = [read_log(folder) for folder in folders]
    assert sorted(log.run.run_id for log in logs) == sorted(run_id(job, member) for member in job.members)
    return sorted(logs, key=lambda log: log.config["instance"])


def assert_mirrors(log: Log, record: Record) -> None:
    assert log.history == [history_row(point) for point in record.curve]
    assert {key: log.summary[key] for key in run_summary(record)} == run_summary(record)


def message_of(job: Job, mode: WandbMode, capfd: pytest.CaptureFixture[str]) -> str:
    """The only line that a training with its mirror offline prints."""
    records = train(job, wandb=mode)
    for log, record in zip(read_logs(job), records, strict=True):
        assert_mirrors(log, record)
    error = capfd.readouterr().err
    assert error.count("Weights & Biases: ") == len(error.splitlines()) == 1
    return error


def test_offline_log_holds_configuration_curve_and_summary(job, monkeypatch, capfd) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "elsewhere")
    records = train(job, wandb="offline")
    logs = read_logs(job)
    for log, record in zip(logs, records, strict=True):
        assert [row["step"] for row in log.history] == STEPS
        assert_mirrors(log, record)
        assert (log.run.run_group, log.run.project) == ("/".join(PLACE), "elsewhere")
        assert list(log.run.tags) == PLACE
        assert log.exit_code == 0
        assert log.config["instance"] == record.instance
        assert [log.config[name] for name in ("task", "network", "recurrence")] == ["ADD", "ElmanRNN", "ElmanRNN"]
        assert (log.config["parameters"], log.config["state_size"]) == (record.parameters, record.state_size)
        for name in ("task", "recurrence"):
            assert log.config[f"{name}_args"] == record.config[name]["init_args"]
        assert {key: log.config[key] for key in record.config["training"]} == record.config["training"]
        assert log.summary["status"] == "finished"
        assert log.summary["scores/test/rmse"] == record.scores.test["rmse"]
        assert log.summary["lyapunov/end/largest"] == record.measures["lyapunov"]["end"].summary["largest"]
        assert log.summary["lyapunov/start/status"] == "finished"
        assert not log.run.host
        assert log.run.job_type == "train"
        path = path_of(job.runs_dir, record)
        assert log.artifacts == {"record": {path.name, side_path(path).name}, "model": {weights_path(path).name}}
        assert {(metric.glob_name, metric.step_metric) for metric in log.metrics if metric.glob_name} == {("*", "step")}
    assert not list(Path.cwd().glob("wandb"))
    assert capfd.readouterr().err == ""


def test_resumed_run_goes_on_under_its_id_with_each_point_once(job) -> None:
    interrupted = interrupt(job, step=8, wandb="offline")
    first = read_logs(job)
    for log, record in zip(first, interrupted, strict=True):
        assert [row["step"] for row in log.history] == STEPS[:2]
        assert_mirrors(log, record)
        assert (log.summary["status"], log.exit_code, log.artifacts) == ("interrupted", 255, {})
    records = train(job, wandb="offline")
    for before, log, record in zip(first, read_logs(job), records, strict=True):
        assert log.run.run_id == before.run.run_id
        assert log.history[:2] == before.history
        assert [row["step"] for row in log.history] == STEPS
        assert_mirrors(log, record)
        assert (log.summary["status"], log.exit_code) == ("finished", 0)


class _ServerRun:
    """Stands for a run that W&B's server knows up to a step."""

    def __init__(self, settings: dict, starting_step: int) -> None:
        self.settings = settings
        self.starting_step = starting_step
        self.id = settings["id"]
        self.dir = str(settings["dir"] / "wandb" / f"run-0-{self.id}" / "files")
        self.summary: dict = {}
        self.steps: list[int] = []
        self.finished = None
        self.artifacts: list[str] = []

    def log_artifact(self, artifact) -> None:
        self.artifacts.append(artifact.type)

    def define_metric(self, name, **settings) -> None:
        pass

    def log(self, row, step, commit) -> None:
        assert commit
        assert row["step"] == step
        self.steps.append(step)

    def finish(self, exit_code) -> None:
        self.finished = exit_code


@pytest.mark.parametrize(("known", "sent"), [(7, STEPS[2:]), (4, STEPS[1:])])
def test_going_on_online_sends_what_the_server_does_not_have(job, monkeypatch, known, sent) -> None:
    opened = []

    def init(**settings):
        # The server knows nothing of a run that starts again.
        opened.append(_ServerRun(settings, known if settings["resume"] else 0))
        return opened[-1]

    monkeypatch.setattr(wandb, "setup", lambda settings: None)
    monkeypatch.setattr(wandb, "init", init)
    interrupt(job, step=8, wandb="online")
    train(job, wandb="online")
    assert [run.settings["resume"] for run in opened] == [None, None, "allow", "allow"]
    assert [run.steps for run in opened] == [STEPS[:2], STEPS[:2], sent, sent]
    assert [run.id for run in opened] == [run_id(job, member) for member in job.members] * 2
    assert [run.finished for run in opened] == [255, 255, 0, 0]
    assert [run.artifacts for run in opened] == [[], [], *[["record", "model"]] * 2]
    assert [run.summary["status"] for run in opened] == ["interrupted"] * 2 + ["finished"] * 2


def test_without_a_key_online_becomes_offline_and_asks_nothing(job, monkeypatch, capfd) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    error = message_of(job, "online", capfd)
    assert "No API key" in error
    assert "offline" in error
    assert str(job.runs_dir / "wandb") in error


def test_without_a_network_online_becomes_offline(job, monkeypatch, capfd) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setitem(wandb_session.SETTINGS, "init_timeout", 2.0)
    assert "online is not possible" in message_of(job, "online", capfd)
    # Once for all runs of a process.
    train(dataclasses.replace(job, runs_dir=job.runs_dir / "again"), wandb="online")
    assert capfd.readouterr().err == ""


def test_without_wandb_training_goes_on(job, monkeypatch, capfd) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    records = train(job, wandb="online")
    assert [record.status for record in records] == ["finished", "finished"]
    error = capfd.readouterr().err
    assert error.count("Weights & Biases: ") == 1
    assert "pip install 'rnnbench[wandb]'" in error
    assert not (job.runs_dir / "wandb").exists()


def test_wandb_that_breaks_during_training_is_told_and_left_alone(job, monkeypatch, capfd) -> None:
    log = wandb.Run.log

    def break_at_six(run, row, step, commit) -> None:
        if step == 6 and run.id == run_id(job, job.members[0]):
            raise BrokenPipeError("the service is gone")
        log(run, row, step=step, commit=commit)

    monkeypatch.setattr(wandb.Run, "log", break_at_six)
    records = train(job, wandb="offline")
    assert [record.status for record in records] == ["finished", "finished"]
    assert capfd.readouterr().err.count("the service is gone") == 1
    assert_mirrors(read_logs(job)[1], records[1])


def test_a_service_that_is_killed_is_told_and_the_next_job_has_another(job, monkeypatch, capfd) -> None:
    hooks: list = []
    monkeypatch.setattr(atexit, "register", hooks.append)
    monkeypatch.setattr(atexit, "unregister", lambda hook: hook in hooks and hooks.remove(hook))
    log = wandb.Run.log

    def kill_at_six(run, row, step, commit) -> None:
        if step == 6:
            kill_service()
        log(run, row, step=step, commit=commit)

    with monkeypatch.context() as patch:
        patch.setattr(wandb.Run, "log", kill_at_six)
        records = train(job, wandb="offline")
    assert [record.status for record in records] == ["finished", "finished"]
    assert capfd.readouterr().err.count(" is given up (") == 2
    again = dataclasses.replace(job, runs_dir=job.runs_dir / "again")
    train(again, wandb="offline")
    assert capfd.readouterr().err == ""
    # What is to be done when the process ends, the last of it first.
    kill_service()
    while hooks:
        hooks.pop()()
    assert capfd.readouterr().err.startswith("Weights & Biases: its service does not end")


def test_a_failure_of_training_ends_the_runs_as_failed(job, monkeypatch) -> None:
    def fail(*_, interrupted) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(training, "write_records", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(job, wandb="offline")
    assert [log.exit_code for log in read_logs(job)] == [1, 1]


def test_another_run_s_variables_and_empty_ones_do_not_reach_the_mirror(job, monkeypatch, capfd) -> None:
    others = {"SWEEP_ID": "abcd1234", "RUN_ID": "fixed001", "RUN_GROUP": "theirs", "NAME": "one"}
    for name, value in {**others, "MODE": "", "DIR": " "}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    assert "each has a run outside the sweep" in message_of(job, "offline", capfd)
    assert [log.run.run_group for log in read_logs(job)] == ["/".join(PLACE)] * 2


def test_ids_are_those_of_the_records(job, tmp_path) -> None:
    elsewhere = replace(job, runs_dir=tmp_path / "elsewhere")
    paper = replace(job, experiment=replace(job.experiment, budget="paper"))
    ids = [run_id(job, member) for member in job.members]
    assert ids == [run_id(elsewhere, member) for member in job.members]
    assert len({*ids, *(run_id(paper, member) for member in job.members)}) == 4
    assert [name.rpartition("-")[0] for name in ids] == [f"{job.experiment.family_id}-{i}" for i in (0, 4)]


def test_a_suites_table_is_an_artifact_of_a_run_of_its_own(tmp_path, monkeypatch, capfd) -> None:
    records = [make_record(instance=i, test=(0.2, 0.5, 0.8 + i / 10)) for i in range(2)]
    (row,) = table_rows(records)
    assert row[:3] + row[5:] == ["LSTM", "sMNIST", "accuracy", 2, 0, 9880, 94]
    assert row[3:5] == pytest.approx([0.85, 0.1 / 2**0.5])
    for _ in range(2):
        send_table(records, tmp_path, "offline")
    wandb.teardown()
    (folder,) = (tmp_path / "wandb").iterdir()
    log = read_log(folder)
    assert (log.run.job_type, log.run.run_group, log.exit_code) == ("table", "quick/cpu", 0)
    assert log.artifacts == {"table": {"scores.table.json"}}
    monkeypatch.setitem(sys.modules, "wandb", None)
    send_table(records, tmp_path, "offline")
    assert capfd.readouterr().err.startswith("Weights & Biases: the table of quick/cpu is not sent")
