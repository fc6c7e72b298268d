"""Stand-ins for SLURM's commands, and what is submitted to them."""

from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.launchers.bundle import jobs_of, load_bundle
from rnnbench.benchmark.launchers.time_left import Speeds

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


def enter_seven_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a folder with a suite of seven runs of 100 s each, and stand-ins on PATH."""
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
