"""A lease has one holder at a time, whoever is killed, stopped or slow, and whatever clocks say."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.launchers.plan import make_plan
from rnnbench.benchmark.run import lease as leases
from rnnbench.benchmark.run import train as training
from rnnbench.benchmark.run.lease import BusyError, Lease, is_leased
from tests.benchmark.small_jobs import ROOT, adding_experiment, interrupt, job_of, train

RECIPE = Recipe(optimizer="adam", learning_rate=0.01, batch_size=16, max_steps=4, validate_every=2)
#: Takes the lease, says so, and on a line of input confirms it and gives it back.
HOLDER = """
import sys
from pathlib import Path
from rnnbench.benchmark.run import lease
lease.HEARTBEAT = 0.02
with lease.Lease(Path(sys.argv[1])) as held:
    print("held", flush=True)
    sys.stdin.readline()
    try:
        held.confirm()
    except lease.BusyError as error:
        print(error, flush=True)
"""

ENTERS_OFTEN = """
import os, sys
from pathlib import Path
from rnnbench.benchmark.run.lease import BusyError, Lease
folder = Path(sys.argv[1])
for _ in range(60):
    try:
        with Lease(folder):
            os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))
            (folder / "inside").unlink()
            (folder / f"been {os.getpid()}").touch()
    except BusyError:
        continue
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lease of the folder."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def elsewhere(monkeypatch):
    """The holder is on another machine, of which nothing is known but what it writes."""
    monkeypatch.setattr(leases, "_machine", lambda: "another")
    monkeypatch.setattr(leases, "HEARTBEAT", 0.02)


def names(folder):
    return sorted(path.name for path in folder.glob("lease.*"))


def test_one_that_is_killed_leaves_the_lease_to_the_next_at_once(holder, tmp_path):
    with pytest.raises(BusyError, match=rf"another process works on it, {holder.pid} on "), Lease(tmp_path):
        pass
    holder.send_signal(signal.SIGSTOP)
    with pytest.raises(BusyError), Lease(tmp_path):
        pass
    holder.kill()
    holder.wait()
    assert is_leased(tmp_path)
    with Lease(tmp_path) as lease:
        lease.confirm()
        assert names(tmp_path) == ["lease.2"]
    assert not is_leased(tmp_path)
    with Lease(tmp_path):
        assert names(tmp_path) == ["lease.3"]


def test_signs_of_life_are_seen_from_another_machine(holder, elsewhere, tmp_path):
    with pytest.raises(BusyError), Lease(tmp_path):
        pass
    assert holder.communicate("\n", timeout=60)[0] == ""
    with Lease(tmp_path):
        assert names(tmp_path) == ["lease.2"]


def test_one_that_stood_still_learns_that_another_machine_took_over(holder, elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "EXPIRY", 0.2)
    holder.send_signal(signal.SIGSTOP)
    with Lease(tmp_path) as lease:
        holder.send_signal(signal.SIGCONT)
        assert "did not run for 60 s, and another took over" in holder.communicate("\n", timeout=60)[0]
        lease.confirm()
        assert names(tmp_path) == ["lease.2"]


@pytest.mark.parametrize(
    ("does", "is_taken", "seconds"),
    [
        (lambda path: None, True, 60),
        (lambda path: os.utime(path, (0, 0)), False, 1),  # the server's clock jumped back
        (lambda path: os.utime(path, (1e10, 1e10)), False, 1),  # and ahead
        (lambda path: path.write_bytes(b"released"), True, 1),
        (lambda path: path.unlink(), True, 1),
    ],
)
@pytest.mark.parametrize("content", [b'{"machine": "A", "host": "a", "pid": 1, "start": "9"}', b'{"mach', b""])
def test_only_one_whose_file_stays_as_it_is_loses_it(
    content, does, is_taken, seconds, elsewhere, tmp_path, monkeypatch
):
    path, now = tmp_path / "lease.7", [0.0]
    path.write_bytes(content)

    def sleep(seconds):
        now[0] += seconds
        if now[0] > 1:
            does(path)

    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    assert leases._is_free(path) == is_taken
    assert now[0] == pytest.approx(seconds, abs=2)


def test_of_processes_at_once_one_is_inside(tmp_path):
    processes = [subprocess.Popen([sys.executable, "-c", ENTERS_OFTEN, tmp_path], env=ENVIRONMENT) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert len(names(tmp_path)) == 1
    assert list(tmp_path.glob("been *"))


def test_one_who_comes_with_a_number_that_has_been_used_goes_back(tmp_path, monkeypatch):
    seen = iter([3])
    newest = leases._newest
    (tmp_path / "lease.6").write_bytes(b"released")
    monkeypatch.setattr(leases, "_newest", lambda folder: next(seen, None) or newest(folder))
    with Lease(tmp_path):
        assert names(tmp_path) == ["lease.7"]


def test_what_another_launcher_has_trained_is_not_trained_again(tmp_path, monkeypatch):
    job = job_of(adding_experiment(RECIPE), tmp_path)
    records = train(job)
    monkeypatch.setattr(training, "make_trainer", None)
    assert train(job) == records
    with pytest.raises(BusyError, match="another process has trained it"):
        train(job, devices=2)


def test_a_run_that_another_took_over_writes_nothing_more(tmp_path, monkeypatch):
    job = job_of(adding_experiment(RECIPE), tmp_path)
    interrupt(job, 3)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.suffix in (".json", ".ckpt")}
    assert len(before) == 3
    confirm = Lease.confirm

    def taken_over(lease):
        (job.folder / "lease.9").touch()
        confirm(lease)

    monkeypatch.setattr(Lease, "confirm", taken_over)
    with pytest.raises(BusyError, match="another took over"):
        train(job)
    assert {path: path.read_bytes() for path in before} == before


def test_what_is_being_trained_keeps_its_members_in_the_plan_of_another(tmp_path):
    experiment = adding_experiment(RECIPE)
    job = job_of(experiment, tmp_path)
    job.save()
    with Lease(job.folder):
        (planned,) = make_plan((experiment,), (0, 1, 2), tmp_path, lambda _: 16).jobs[:1]
        assert planned.folder == job.folder
    assert [len(job.members) for job in make_plan((experiment,), (0, 1, 2), tmp_path).jobs] == [3]
