"""Two devices (processes on the CPU) train as one does, run as a user would; one tree of processes a run."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers import local
from rnnbench.leaderboard.files import read_arrays, side_path
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.weights_file import weights_path
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from tests.contracts.builders import INPUTS, variants
from tests.leaderboard.factory import comparable

ROOT = Path(__file__).parents[2]
# Adding: the last batch of an epoch and the last evaluation batch hold one sequence, and so does the validation split:
# one device gets none. A rate of the sweep makes its instance diverge.
SUITE = """title: Two devices
tasks:
  ADD: {class_path: Adding, init_args: {length: 10, loss: rmse, train_size: 101, val_size: 1, test_size: 101, \
eval_batch_size: 50}}
  Digits: {class_path: SequentialDigits, init_args: {eval_batch_size: 250}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 6}}
training: {learning_rate: 1e-2, batch_size: 25, max_steps: 20, validate_every: 7, gradient_clip_norm: 1.0}
instances: 2
measures:
- gradient_flow: {at: [start, end], every_epochs: 1, samples: 4}
- hessian: {samples: 3, count: 2}
- lyapunov: {at: [end], samples: 2}
- truncation: {at: [end], samples: 4}
- truncated_training: {ks: [1], steps: 1}
overrides:
- {tasks: [ADD], sweep: {training.learning_rate: [1e-2, 1e30]}}
"""
LONG = SUITE.replace("max_steps: 20", "max_steps: 300").replace("validate_every: 7", "validate_every: 10")
FAILING = """import os
from rnnbench.lit_models.recurrences.gated import LSTM

class Failing(LSTM):
    def forward_last(self, *arguments, **settings):
        if os.environ.get("LOCAL_RANK") in FAILING_DEVICES:
            raise RuntimeError("no luck here")
        return super().forward_last(*arguments, **settings)
"""


def start(suite, runs_dir, *options):
    folders = os.pathsep.join((str(ROOT), str(suite.parent)))
    return subprocess.Popen(
        [sys.executable, "-m", "rnnbench", "run", str(suite), "--runs-dir", str(runs_dir), *options],
        env={**os.environ, "PYTHONPATH": folders, "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As from a terminal: tests that a shell runs in the background would pass on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(suite, runs_dir, *options):
    process = start(suite, runs_dir, *options)
    try:
        output, errors = process.communicate()
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def write(folder, text, name="tiny"):
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def scores(record):
    """Every number of a learning curve, and nan for none."""
    values = [[point.train_loss, *point.val.values(), *point.test.values()] for point in record.curve]
    return torch.tensor([[float("nan") if v is None else v for v in row] for row in values], dtype=torch.float64)


def measured(record, path):
    """What was measured when and how that ended, and the names of the arrays that were kept."""
    outcomes = {(name, when): one.reason for name, moments in record.measures.items() for when, one in moments.items()}
    return outcomes, set(read_arrays(side_path(path)))


def relative(folder, pattern):
    return sorted(path.relative_to(folder) for path in folder.rglob(pattern))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of the same suite on one device and on two."""
    folder = tmp_path_factory.mktemp("devices")
    suite = write(folder, SUITE)
    mirror = ("--wandb", "offline") if importlib.util.find_spec("wandb") else ()
    for name, options in (("one", ("--workers", "1")), ("two", ("--devices", "2", *mirror))):
        done = run(suite, folder / name, *options)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("tiny (cpu): 0 of 6 records are there\n")
        assert "Warning" not in done.stderr
    return folder / "one", folder / "two"


@pytest.mark.slow
def test_the_same_records_and_weights_to_rounding(runs):
    one, two = runs
    names = relative(one, "*.json")
    assert len(names) == 6
    assert relative(two, "*.json") == names
    statuses = []
    for name in names:
        alone, shared = read_record(one / name), read_record(two / name)
        assert (shared.hardware["devices"], alone.hardware["devices"]) == (2, 1)
        assert (shared.status, shared.diverged_at) == (alone.status, alone.diverged_at)
        statuses.append(shared.status)
        assert [p.step for p in shared.curve] == [7, 14, 20]
        assert shared.data_fingerprint == alone.data_fingerprint
        torch.testing.assert_close(scores(shared), scores(alone), rtol=0, atol=1e-6, equal_nan=True)
        assert measured(shared, two / name) == measured(alone, one / name)
        if alone.status == "finished":
            weights = [load_file(weights_path(folder / name)) for folder in (two, one)]
            torch.testing.assert_close(*weights, rtol=0, atol=1e-6)
    assert sorted(statuses) == 2 * ["diverged"] + 4 * ["finished"]


def torchrun(suite, runs_dir):
    """The command as torchrun starts it, twice."""
    run = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "rnnbench", "run", str(suite)]
    return [[sys.executable, "-m", *run, "--devices", "2", "--runs-dir", str(runs_dir)]], [{}]


def srun(suite, runs_dir):
    """The command as ``srun --ntasks 2`` starts it."""
    command = [sys.executable, "-m", "rnnbench", "run", str(suite), "--devices", "2", "--runs-dir", str(runs_dir)]
    step = {"JOB_ID": "17", "JOB_NAME": "train", "NTASKS": "2", "STEP_NUM_TASKS": "2", "STEP_NUM_NODES": "1"}
    places = [{"PROCID": rank, "LOCALID": rank, "NODEID": "0", "NODELIST": "127.0.0.1"} for rank in "01"]
    return [command] * 2, [{f"SLURM_{name}": value for name, value in {**step, **place}.items()} for place in places]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [torchrun, srun])
def test_processes_of_another_launcher_give_the_same_records(runs, tmp_path, launcher):
    suite = write(tmp_path, SUITE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    # A second time there is nothing to train, and no process waits for ever.
    for _ in range(2):
        pairs = zip(*launcher(suite, tmp_path / "runs"), strict=True)
        processes = [subprocess.Popen(command, env={**environment, **given}) for command, given in pairs]
        assert [process.wait() for process in processes] == [0] * len(processes)
    names = relative(runs[1], "*.json")
    assert relative(tmp_path / "runs", "*.json") == names
    for name in names:
        assert comparable(read_record(tmp_path / "runs" / name)) == comparable(read_record(runs[1] / name))


@pytest.mark.parametrize(
    ("variables", "words", "message"),
    [
        ({"TORCHELASTIC_RUN_ID": "17", "WORLD_SIZE": "4"}, "", "--devices must be 4, the processes that torchrun"),
        ({"TORCHELASTIC_RUN_ID": "17", "WORLD_SIZE": "4"}, "--devices 1", "started, got 1"),
        ({"SLURM_STEP_NUM_TASKS": "4"}, "", "--devices must be 4, the processes that srun started, got 2"),
        ({"TORCHELASTIC_RUN_ID": "17", "WORLD_SIZE": "2"}, "--time-limit 1h", "use the launcher's own"),
    ],
)
def test_processes_of_another_launcher_are_as_many_as_devices(variables, words, message, monkeypatch, capsys):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(f"run quick --devices 2 {words}".split()) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_first_process_alone_writes_one_wandb_run_an_instance(runs):
    _, two = runs
    files = [path.relative_to(two / "tiny") for path in (two / "tiny").rglob("*") if path.is_file()]
    others = {path.name for path in files if path.suffix not in (".json", ".npz", ".safetensors")}
    assert others == {"lease.1", "job.yaml"}
    records = [two / "tiny" / path for path in files if path.suffix == ".json"]
    finished = [path for path in records if read_record(path).status == "finished"]
    assert sorted(map(weights_path, finished)) == sorted((two / "tiny").rglob("*.safetensors"))
    pytest.importorskip("wandb")
    # Six instances, and the table of the suite.
    assert len({path.name for path in (two / "wandb").rglob("*.wandb")}) == 7
    assert len(list((two / "wandb").glob("offline-run-*"))) == 7


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize(("cls", "arguments"), variants())
def test_a_device_without_a_share_learns_nothing_from_it(cls, arguments, readout):
    networks = [Network(cls(**{"input_size": INPUTS, **arguments}), 1, readout) for _ in range(2)]
    ensemble = Ensemble(networks)
    outputs = ensemble(torch.zeros(0, 6, INPUTS))
    assert outputs.shape == ((2, 0, 1) if readout == "last" else (2, 0, 6, 1))
    outputs.sum().backward()
    # None would not do: devices wait for a gradient of every parameter.
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in ensemble.parameters())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A suite, and the record of its one instance on two devices."""
    folder = tmp_path_factory.mktemp("long")
    suite = write(folder, LONG)
    done = run(suite, folder / "runs", "--devices", "2", "--only", "Digits", "--instances", "0")
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "runs").rglob("*.json")
    return suite, read_record(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signal_number", "before", "after"),
    [
        (signal.SIGKILL, "2", "2"),
        (signal.SIGTERM, "2", "2"),
        (signal.SIGINT, "2", "2"),
        (signal.SIGKILL, "1", "2"),
        (signal.SIGKILL, "2", "1"),
    ],
)
def test_a_run_that_is_ended_leaves_no_process_and_goes_on(tmp_path, undisturbed, signal_number, before, after):
    suite, expected = undisturbed
    chosen = ("--only", "Digits", "--instances", "0", "--devices")
    process = start(suite, tmp_path, *chosen, before)
    while not any(tmp_path.rglob("last.ckpt")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal_number)
    # All processes of the run hold the same pipe: it ends when the last of them does.
    process.communicate()
    (checkpoint,) = tmp_path.rglob("last.ckpt")
    seen = torch.load(checkpoint, weights_only=True)["global_step"]
    assert 0 < seen < 300
    records = list(tmp_path.rglob("*.json"))
    if signal_number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        assert not records
    else:
        assert process.returncode == 130
        assert read_record(records[0]).status == "interrupted"

    done = run(suite, tmp_path, *chosen, after)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.rglob("*.json")
    record = read_record(path)
    if before == after:
        assert comparable(record) == comparable(expected)
    assert record.status == "finished"
    torch.testing.assert_close(scores(record), scores(expected), rtol=0, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("devices", ['("1",)', '("0", "1")'])
def test_a_device_that_fails_ends_the_run_with_its_message(tmp_path, devices):
    (tmp_path / "failing.py").write_text(FAILING.replace("FAILING_DEVICES", devices), encoding="utf-8")
    suite = write(tmp_path, SUITE.replace("class_path: LSTM", "class_path: failing.Failing"))
    done = run(suite, tmp_path / "runs", "--devices", "2", "--only", "Digits")
    assert done.returncode == 2
    line = FAILING[: FAILING.index("raise")].count("\n") + 1
    assert done.stderr.count("RuntimeError: no luck here (") == done.stderr.count(f"failing.py, line {line})") == 1
    assert "Traceback" not in done.stderr
    (log,) = (tmp_path / "runs").rglob("error*.log")
    assert "no luck here" in log.read_text(encoding="utf-8")
    assert not list((tmp_path / "runs").rglob("*.json"))


@pytest.mark.parametrize(("gpus", "what"), [(1, "GPUs"), (0, "cores")])
def test_more_devices_than_there_are_are_refused(gpus, what, monkeypatch, tmp_path):
    monkeypatch.setattr(local, "_gpu_count", lambda: gpus)
    monkeypatch.setattr(local.os, "cpu_count", lambda: 1)
    with pytest.raises(UserError, match=f"--devices must be from 1 to 1, the {what} here, got 2"):
        local.run_jobs([], TrainOptions(devices=2), None, lambda: None)
