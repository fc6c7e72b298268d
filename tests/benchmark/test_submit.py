"""``rnnbench submit`` and ``status`` with a stand-in for SLURM's commands; ``tests/slurm`` has the real ones."""

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from rnnbench.benchmark import interruption
from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers import bundle_run, one_at_a_time
from rnnbench.benchmark.launchers.bundle import Bundle, jobs_of, load_bundle, units_of
from rnnbench.benchmark.launchers.choice import plan_of
from rnnbench.benchmark.launchers.slurm import commands, task
from rnnbench.benchmark.launchers.time_left import Speeds
from rnnbench.benchmark.launchers.worker import Outcome
from rnnbench.benchmark.run import lease
from tests.benchmark.small_jobs import rnnbench, write_own_project

SUITE = """
instances: 1
tasks:
  ADD8: {class_path: Adding, init_args: {length: 8, train_size: 64, val_size: 20, test_size: 20}}
networks:
NETWORKS
training: {batch_size: 32, max_steps: 4, validate_every: 2}
"""
ROW = "  N{}: {{class_path: ElmanRNN, init_args: {{hidden_size: {}}}}}"
#: Stand-ins that note how they are called. ``sbatch`` refuses the calls from that of REFUSED on.
COMMANDS = {
    "sbatch": """
        n=$(( $(cat calls 2>/dev/null | wc -l) + 1 ))
        [ -n "$SLOW" ] && { printf '%s\\n' "$*" >> calls; exec sleep 60; }
        [ "$n" -ge "${REFUSED:-99}" ] && { echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2; exit 1; }
        printf '%s\\n' "$*" >> calls; echo "$((4710 + n));cluster" """,
    "squeue": "cat queue 2>/dev/null; true",
    "sacct": "cat accounts",
    # As a requeue does, it signals the task.
    "scontrol": 'kill -TERM $PPID; kill -TERM $$; printf "%s\\n" "$*" >> requeued; exit "${SCONTROL:-0}"',
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a suite of seven runs of 100 s each, and stand-ins on PATH."""
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(ROW.format(units, units) for units in range(1, 8))
    Path("seven.yaml").write_text(SUITE.replace("NETWORKS", rows), encoding="utf-8")
    Path("bin").mkdir()
    for name, text in COMMANDS.items():
        command = Path("bin", name)
        command.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\ncd {tmp_path}\n{text}\n", encoding="utf-8")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.setattr(Speeds, "seconds", lambda self, job, plan: 100.0)
    return tmp_path


def submit(*words: str) -> int:
    return main(["submit", "seven.yaml", "--slurm", "--bundle", "100s", "--array-limit", "3", *words])


def calls() -> list[str]:
    return Path("calls").read_text(encoding="utf-8").splitlines() if Path("calls").exists() else []


def names() -> list[str]:
    return [call.split()[1].removeprefix("--job-name=") for call in calls()]


def put_in_queue(*rows: tuple[str, str, str, str]) -> None:
    Path("queue").write_text("".join(f"{'|'.join(row)}\n" for row in rows), encoding="utf-8")


def submitted() -> Path:
    """The folder of the newest submission."""
    scripts = Path("runs/.slurm").glob("*/script.sh")
    # Names are of seconds, in which several may be.
    return max(scripts, key=lambda path: path.stat().st_mtime_ns).parent


def networks(*numbers: int) -> list[str]:
    bundles = [load_bundle(submitted() / f"{number}.json", Path("runs")) for number in numbers]
    return sorted(job.experiment.network for bundle in bundles for job in jobs_of(bundle.units))


def test_arrays_are_split_at_the_limit_and_hold_every_run_once(capsys):
    assert submit("--gres", "gpu:2", "--partition", "a100", "--time", "90m", "--workers", "1") == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("submitted")] == [
        "submitted 4711: 3 tasks", "submitted 4712: 3 tasks", "submitted 4713: 1 task",
    ]  # fmt: skip
    assert "7 runs in 7 bundles of 1m40s at most (estimated)" in out
    folder = submitted().absolute()
    assert [call.split()[2:] for call in calls()] == [
        [f"--array=0-{last}", f"--chdir={Path.cwd()}", f"--output={folder}/%A_%a.log", f"{folder}/script.sh", first]
        for last, first in ((2, "0"), (2, "3"), (0, "6"))
    ]
    assert names() == [f"rnnbench-{folder.name}-{first}" for first in (0, 3, 6)]
    assert networks(*range(7)) == [f"N{units}" for units in range(1, 8)]
    script = (folder / "script.sh").read_text(encoding="utf-8")
    for line in ("--partition=a100", "--gres=gpu:2", "--time=1:30:00", "--signal=B:USR1@60", "--requeue"):
        assert f"#SBATCH {line}\n" in script
    assert f' work {folder}/"$(($1 + SLURM_ARRAY_TASK_ID))".json\n' in script


def test_the_next_submit_sends_what_is_missing_and_not_queued(capsys):
    Path("setup.sh").write_text("#SBATCH --qos=long\nmodule load python\n", encoding="utf-8")
    assert submit("--setup", "setup.sh") == 0
    assert "--requeue\n#SBATCH --qos=long\nmodule load python\n" in (submitted() / "script.sh").read_text()
    first, second, third = names()
    states = [("4711_0", first, "RUNNING", "node7"), ("4711_1", first, "PENDING", "(Priority)")]
    states += [("4711_2", first, "FAILED", "(NonZeroExitCode)"), ("4712_0", second, "COMPLETING", "node7")]
    states += [(f"4712_{index}", second, "SUSPENDED", "node7") for index in (1, 2)]
    put_in_queue(*states, ("4713_0", third, "PENDING", "(Priority)"), ("9_0", "rnnbench-another-0", "RUNNING", "node1"))
    lost = networks(2)
    assert submit() == 0
    assert networks(0) == lost
    assert len(calls()) == 4
    put_in_queue(
        *states[:2], ("4714_0", names()[-1], "PENDING", "(Priority)"), *states[3:], ("4713_0", third, "PENDING", "")
    )
    capsys.readouterr()
    assert submit() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing to submit: 7 runs are queued or running"
    assert len(calls()) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seven.yaml"], "submit needs --slurm"),
        (["sevn.yaml", "--slurm"], "suite file sevn.yaml: no such file"),
        (["seven.yaml", "--slurm", "--time", "30s"], "--time must be at least 1m, got 30s"),
        (["seven.yaml", "--slurm", "--partition", "a b"], "must be a word as SLURM takes it, such as gpu:1, got 'a b'"),
        (["seven.yaml", "--slurm", "--gres", "gpu\n#SBATCH"], "must be a word as SLURM takes it"),
        (["seven.yaml", "--slurm", "--array-limit", "0"], "must be a whole number from 1"),
        (["seven.yaml", "--slurm", "--setup", "nowhere.sh"], "--setup nowhere.sh: No such file or directory"),
        (["seven.yaml", "--slurm", "--setup", "bin"], "--setup bin: Is a directory"),
        (["seven.yaml", "--slurm", "--setup", "late.sh"], "--setup late.sh: line 3: #SBATCH --mem=1G: SLURM reads no"),
        (["seven.yaml", "--slurm", "--setup", "time.sh"], "line 1: #SBATCH -t 5: submit decides --time itself"),
        (["seven.yaml", "--slurm", "--setup", "shell.sh"], "--setup shell.sh: bash cannot read it: line 2: syntax err"),
        (["seven.yaml", "--slurm", "--setup", "here.sh"], "here.sh: bash cannot read it: line 2: warning: here"),
        (["seven.yaml", "--slurm", "--setup", "wait.sh"], "#SBATCH --wait: submit decides --wait itself: leave"),
        (["seven.yaml", "--slurm", "--only", "N9"], "--only N9 matches nothing in suite seven"),
        (["seven.yaml", "--slurm", "--partiton", "x"], "unknown option '--partiton': did you mean --partition?"),
        (["seven.yaml", "--slurm"], "nothing was submitted: sbatch failed: QOSMaxSubmitJobPerUserLimit"),
    ],
)
def test_mistakes_are_found_before_anything_is_submitted(words, message, monkeypatch, capsys):
    monkeypatch.setenv("REFUSED", "1")
    Path("late.sh").write_text("# ours\nmodule load python\n#SBATCH --mem=1G\n", encoding="utf-8")
    Path("time.sh").write_text("#SBATCH -t 5\n", encoding="utf-8")
    Path("shell.sh").write_text("if true; then\n", encoding="utf-8")
    Path("here.sh").write_text("cat <<EOF\nfoo\n", encoding="utf-8")
    Path("wait.sh").write_text("#SBATCH --wait\n", encoding="utf-8")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/bin:/bin")
    assert main(["submit", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not calls()
    assert not list(Path("runs/.slurm").glob("*/script.sh"))


def test_what_bash_says_of_a_users_own_settings_is_not_about_the_lines_of_setup(monkeypatch):
    Path("setup.sh").write_text("module load python\n", encoding="utf-8")
    Path("user.sh").write_text("if true\n", encoding="utf-8")
    monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")
    monkeypatch.setenv("BASH_ENV", str(Path("user.sh").absolute()))
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/bin:/bin")
    assert submit("--setup", "setup.sh") == 0


@pytest.mark.parametrize("missing", ["sbatch", "squeue"])
def test_without_slurm_there_is_only_what_would_be_submitted(missing, capsys):
    Path("bin", missing).unlink()
    assert submit() == 2
    assert f"{missing} is not on PATH: submit where SLURM's commands are; --print only shows" in capsys.readouterr().err
    assert submit("--print") == 0
    assert "# 7 runs in 7 bundles" in capsys.readouterr().out
    assert not Path("runs").exists()


def test_what_slurm_refuses_is_left_to_the_next_submit(monkeypatch, capsys):
    monkeypatch.setenv("REFUSED", "2")
    assert submit() == 3
    assert (
        "sbatch failed: QOSMaxSubmitJobPerUserLimit; 4 bundles are left: submit again later" in capsys.readouterr().err
    )
    put_in_queue(*[(f"4711_{index}", names()[0], "PENDING", "(Priority)") for index in range(3)])
    monkeypatch.delenv("REFUSED")
    sent = networks(0, 1, 2)
    assert submit() == 0
    assert sorted(sent + networks(0, 1, 2, 3)) == [f"N{units}" for units in range(1, 8)]


def test_what_sbatch_does_not_answer_may_be_queued_all_the_same(monkeypatch, capsys):
    monkeypatch.setattr(commands, "_SECONDS", 1)
    monkeypatch.setenv("SLOW", "1")
    assert submit() == 3
    assert "error: sbatch did not answer within 1 s; look into squeue, then submit" in capsys.readouterr().err
    monkeypatch.delenv("SLOW")
    put_in_queue(*[(f"4711_{index}", names()[0], "RUNNING", "node7") for index in range(3)])
    sent = networks(0, 1, 2)
    assert submit() == 0
    assert sorted(sent + networks(0, 1, 2, 3)) == [f"N{units}" for units in range(1, 8)]


def test_status_shows_the_queue_and_why_the_rest_is_not_finished(capsys):
    Path("accounts").write_text("4712_1|CANCELLED by 0\n", encoding="utf-8")
    assert submit() == 0
    first, second, _ = names()
    put_in_queue(
        ("4711_0", first, "RUNNING", "node7"), ("4711_1", first, "PENDING", "(Priority)"),
        ("4711_2", first, "PENDING", "(Priority)"), ("4712_0", second, "TIMEOUT", "(TimeLimit)"),
        ("4713_0", names()[2], "FAILED", "(NonZeroExitCode)"),
    )  # fmt: skip
    end = {"code": 1, "messages": ["ADD8/N6 (1 instance): out of memory"]}
    (submitted() / "5.end.json").write_text(json.dumps(end), encoding="utf-8")
    for one in ("4711_0", "4712_0", "4712_2", "4713_0"):
        (submitted() / f"{one}.log").touch()
    capsys.readouterr()
    assert main(["status", "seven.yaml"]) == 0
    out, where = capsys.readouterr().out, submitted()
    assert out[out.index("SLURM") :].splitlines()[:8] == [
        "SLURM tasks: 1 running, 2 waiting, 4 ended with something left",
        f"  4711_0 running on node7: 1 run, log {where}/4711_0.log",
        "  2 waiting (Priority): 4711_1, 4711_2",
        f"  4712_0 timeout: 1 run, log {where}/4712_0.log",
        "  4712_1 cancelled by 0: 1 run, which wrote no log",
        f"  4712_2 ended (ADD8/N6 (1 instance): out of memory): 1 run, log {where}/4712_2.log",
        f"  4713_0 failed (killed, or its script failed before rnnbench began): 1 run, log {where}/4713_0.log",
        "  the next submit sends again what is left",
    ]
    put_in_queue(("4713_0", names()[2], "COMPLETED", "(None)"))
    assert main(["status", "seven.yaml"]) == 0
    assert "  4713_0 completed, but its script ended before rnnbench did: see the log" in capsys.readouterr().out
    # Cancelled while it waited: SLURM lists no task of it.
    put_in_queue(("4713", names()[2], "CANCELLED", "(None)"))
    assert main(["status", "seven.yaml"]) == 0
    assert "  4713_0 cancelled: 1 run" in capsys.readouterr().out
    Path("queue").unlink()
    Path("accounts").unlink()
    assert main(["status", "seven.yaml"]) == 0
    assert "  4713_0 was killed, or its node is gone, or its script ended before rnnbench" in capsys.readouterr().out
    Path("bin/squeue").unlink()
    assert main(["status", "seven.yaml"]) == 0
    assert "note: what is submitted is not known here: squeue is not on PATH" in capsys.readouterr().err


def test_where_no_submission_can_be_is_named(capsys):
    assert main(["work", "/nothing.json"]) == 2
    assert capsys.readouterr().err == "error: /nothing.json: no such bundle\n"
    Path("runs").mkdir()
    Path("runs/.slurm").write_text("", encoding="utf-8")
    assert submit() == 2
    assert capsys.readouterr().err == "error: runs/.slurm is a file, where submissions are to lie: move it away\n"


def test_a_bundle_outside_of_a_submission_is_not_trained(capsys, tmp_path):
    assert submit() == 0
    copied = tmp_path / "copied.json"
    copied.write_bytes((submitted() / "0.json").read_bytes())
    capsys.readouterr()
    assert main(["work", str(copied)]) == 2
    assert "copied.json: lies in no submission, as RUNS/.slurm/NAME/N.json does" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.end.json"))


@pytest.mark.parametrize("problem", ["damaged or not a bundle", "no such bundle", "cannot be read (Is a directory)"])
def test_a_bundle_that_cannot_be_read_is_named_and_its_run_is_sent_again(problem, capsys):
    assert submit() == 0
    lost, (first, *_) = networks(1), names()
    bundle = submitted() / "1.json"
    content = bundle.read_bytes()
    bundle.unlink()
    if problem.startswith("damaged"):
        bundle.write_bytes(content[:-9])
    elif problem.startswith("cannot"):
        bundle.mkdir()
    put_in_queue(*[(f"4711_{index}", first, "RUNNING", "node7") for index in range(3)])
    for words in (["status", "seven.yaml"], ["submit", "seven.yaml", "--slurm", "--only", "N1", "N2", "N3"]):
        capsys.readouterr()
        assert main(words) == 0
        assert f"note: task 4711_1: {bundle}: {problem}" in capsys.readouterr().err
    assert networks(0) == lost
    put_in_queue()
    assert main(["status", "seven.yaml"]) == 0
    assert "note" not in capsys.readouterr().err


def test_bundles_that_take_longer_than_a_task_go_on_in_another(capsys):
    assert submit("--time", "1m") == 0
    said = capsys.readouterr()
    assert "note: --time 1m: SLURM's warning comes up to two minutes before" in said.err
    assert "of 1m40s at most (estimated), more than the 1m of a task: the rest goes on in further" in said.out


def test_a_look_for_signs_of_another_submit_says_so(monkeypatch, capsys):
    monkeypatch.setattr(one_at_a_time, "_SILENCE", 0.01)
    monkeypatch.setattr(lease, "EXPIRY", 0.5)
    Path("runs/.slurm").mkdir(parents=True)
    Path("runs/.slurm/lease.9").write_text("junk", encoding="utf-8")
    assert submit() == 0
    assert "note: another submit may hold runs/.slurm: waiting a minute for" in capsys.readouterr().err
    monkeypatch.setattr(one_at_a_time, "_SILENCE", 600)
    assert submit("--only", "N1") == 0
    assert "note: another" not in capsys.readouterr().err


def test_a_task_trains_in_any_folder_as_one_of_several(tmp_path, monkeypatch):
    monkeypatch.chdir(write_own_project(tmp_path))
    assert main(["submit", "own.yaml", "--slurm"]) == 0
    # What SLURM tells a task of an allocation with --ntasks=4, whose processes are not those of rnnbench.
    for name, value in {"JOB_ID": "17", "NTASKS": "4", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.delenv("HOME", raising=False)
    done = rnnbench(Path.cwd(), "work", str(submitted() / "0.json"))
    assert done.returncode == 0, done.stderr
    assert len(list(Path("runs/own").rglob("*.json"))) == 2


def test_a_record_that_is_damaged_is_named_by_its_task(monkeypatch, capsys):
    assert submit() == 0
    bundle = submitted() / "0.json"
    (job,) = jobs_of(load_bundle(bundle, Path("runs")).units)
    path = job.record_path(job.members[0])
    path.parent.mkdir(parents=True)
    path.write_text('{"instance": ', encoding="utf-8")
    monkeypatch.setattr(bundle_run, "run_jobs", lambda jobs, *_: ((job, Outcome("trained")) for job in jobs))
    assert task.do_bundle(bundle) == 2
    assert re.search(
        f"^error: .*{path.name}: .*move it away to train this instance again$", capsys.readouterr().err, re.MULTILINE
    )


@pytest.mark.parametrize("suite", ["quick", "digits"])
def test_a_bundle_keeps_what_is_to_be_trained(suite, folder):
    chosen, options = load_suite(suite), RunOptions(runs_dir=folder / "runs", workers=3, only=("LSTM*",))
    plan = plan_of(chosen, options)
    units = tuple(units_of(plan, {suite: (0, 1)}))
    Bundle(units, options).save(folder / "0.json")
    kept = load_bundle(folder / "0.json", folder / "elsewhere")
    assert [replace(job, runs_dir=folder / "runs").folder for job in jobs_of(kept.units)] == [
        job.folder for job in plan.jobs
    ]
    assert kept.options == replace(options, runs_dir=folder / "elsewhere", only=())
    assert any(unit.follows for unit in units) == (suite == "digits")
    for unit, before in zip(kept.units, units, strict=True):
        assert (unit.follows is None) == (before.follows is None) == (not before.jobs[0].experiment.is_pilot)
        for job, of_before in zip(unit.jobs, before.jobs, strict=True):
            assert [point.id for point in job.experiment.points()] == [p.id for p in of_before.experiment.points()]
    content = (folder / "0.json").read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 3):
        (folder / "0.json").write_bytes(content[:length])
        with pytest.raises(UserError, match="damaged or not a bundle"):
            load_bundle(folder / "0.json", folder)


@pytest.mark.parametrize(
    ("trained", "scontrol", "code", "message"),
    [
        (True, "0", 3, None),
        (True, "1", 3, "the wall clock came first; submit again"),
        (False, "0", 3, "nothing was done within the wall clock: give more --time; submit again"),
    ],
)
def test_a_task_that_got_on_goes_back_to_the_queue_before_its_wall_clock(trained, scontrol, code, message, monkeypatch):
    assert submit() == 0

    def run(bundle, ended):
        if trained:
            ended(jobs_of(bundle.units)[0], Outcome("trained"))
        os.kill(os.getpid(), signal.SIGUSR1)
        pytest.fail("SIGUSR1 is to end what is done")

    monkeypatch.setattr(interruption, "_first", interruption.Noted())
    monkeypatch.setattr(task, "run_bundle", run)
    # The last task of an array has the number of the whole.
    for name, value in {"JOB_ID": "17", "ARRAY_JOB_ID": "17", "ARRAY_TASK_ID": "2"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SCONTROL", scontrol)
    before = {number: signal.getsignal(number) for number in interruption.SIGNALS}
    interruption.end_on_signals()
    try:
        assert task.do_bundle(submitted() / "0.json") == code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert Path("requeued").exists() == trained
    if trained:
        assert Path("requeued").read_text(encoding="utf-8") == "requeue 17_2\n"
    end = submitted() / "0.end.json"
    assert end.exists() == (message is not None)
    if message:
        assert json.loads(end.read_text(encoding="utf-8"))["messages"][-1] == message
