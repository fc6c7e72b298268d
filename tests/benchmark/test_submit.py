"""``rnnbench submit`` and ``status`` with a stand-in for SLURM's commands; ``tests/slurm`` has the real ones."""

import json
import os
from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.launchers.slurm import commands
from tests.benchmark.slurm_stand_ins import calls, enter_seven_runs, names, networks, put_in_queue, submit, submitted


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return enter_seven_runs(tmp_path, monkeypatch)


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
