"""What all our runs in Weights & Biases share: settings, environment, messages. Imports no torch."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.benchmark.config.options import WandbMode
from rnnbench.leaderboard.text import printable

if TYPE_CHECKING:
    import wandb

#: Variables of a sweep's agent, or of whoever started this process within a run of theirs: they would give every
#: instance the same id, name or group.
_OF_ANOTHER_RUN = (
    *("WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_NAME", "WANDB_RUN_GROUP"),
    *("WANDB_JOB_TYPE", "WANDB_TAGS", "WANDB_NOTES"),
)

#: What has been reported of this process, see ``report_once``.
_reported: set[str] = set()

#: Nothing about this machine, its console or its code leaves it, and nothing waits long for a network.
SETTINGS: dict[str, Any] = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "finish_timeout": 20.0,
    "finish_timeout_raises": True,
    "host": "",
    "init_timeout": 15.0,
    "label_disable": True,
    "save_code": False,
    # Without messages wandb does not ask for a key either. What matters of them is printed in one line.
    "silent": True,
    # Workers share the folder: a link to the latest run would be fought over.
    "symlink": False,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


def open_run(runs_dir: Path, mode: WandbMode, **settings: Any) -> wandb.Run:
    """Open a run, beside others of this process; offline, in ``wandb/`` of the folder of runs.

    Raises:
        Exception: wandb's errors share no base class (Error, OSError, its mailbox's, pydantic's for a wrong setting).
    """
    _clean_environment()
    import wandb

    wandb.setup(wandb.Settings(**SETTINGS))
    # Before wandb does so, in a traceback if its service is gone: what is registered last is done first.
    atexit.unregister(close_service)
    atexit.register(close_service)
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT") or "rnnbench",
        dir=runs_dir.resolve(),
        mode="online" if mode == "online" else "offline",
        reinit="create_new",
        **settings,
    )


def close_service(exit_code: int = 0) -> None:
    """End wandb's service, which keeps the ids of runs that it could not open; the next run starts another."""
    try:
        import wandb

        wandb.teardown(exit_code=exit_code)
    except (Exception, SystemExit) as error:
        # It exits with the code of a service that failed.
        report(f"its service does not end ({reason_of(error)})")


def remove_superseded(run: wandb.Run) -> None:
    """Remove the folders of earlier attempts at this run: uploaded after this one, they would undo it."""
    current = Path(run.dir).parent
    for folder in current.parent.glob(f"*run-*-{run.id}*"):
        if folder != current:
            try:
                shutil.rmtree(folder)
            except OSError as error:
                report(f"cannot remove {folder} ({error}); remove it before `wandb sync`")


def _clean_environment() -> None:
    """Leave in the environment what wandb may take from it: where and for whom, not which run."""
    # Errors of wandb itself are reported here, not to its makers.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    if "WANDB_SWEEP_ID" in os.environ:
        report_once(
            "started by a sweep's agent, whose one run cannot hold several instances: each has a run outside the sweep"
        )
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        # An empty value is one that wandb refuses, where whoever set it wanted none.
        if name in _OF_ANOTHER_RUN or not os.environ[name].strip():
            del os.environ[name]


def reason_of(error: BaseException) -> str:
    """Return what an error says, in one line: pydantic names the wrong setting in its second."""
    return printable(str(error), most=300) or type(error).__name__


def report_once(what: str, why: str = "") -> None:
    """Print what holds for every run of this process when it is first met, with the reason of that time."""
    if what not in _reported:
        _reported.add(what)
        report(what + why)


def report(message: str) -> None:
    """Print a message of the mirror's on stderr."""
    print(f"Weights & Biases: {message}", file=sys.stderr, flush=True)
