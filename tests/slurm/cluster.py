"""A real SLURM on this machine: one node and two partitions, with a munge of its own, all below one folder."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

CONFIGURATION = """
ClusterName=rnnbench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=30
CryptoType=crypto/munge
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
ReturnToService=2
SlurmdTimeout=10
KillWait=60
SchedulerParameters=sched_interval=2,bf_interval=2
MinJobAge=3600
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=ALL MaxTime=10 State=UP
"""
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")


def why_none() -> str:
    """Why there can be no SLURM here; empty if there can."""
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        return f"{', '.join(missing)} not installed: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "SLURM's daemons need root here"


class Cluster:
    """The daemons, and the environment in which SLURM's commands reach them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "Cluster":
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        text = CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], folder=self.folder, cpus=os.cpu_count(),
            controller_port=free_port(), node_port=free_port(),
        )  # fmt: skip
        (self.folder / "slurm.conf").write_text(text, encoding="utf-8")
        files = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self._start("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *files)
        wait_for(lambda: (self.folder / "munge.socket").exists())
        self._start("slurmctld", "-D")
        self.start_node()
        wait_for(lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%T"))
        return self

    def __exit__(self, *_: object) -> None:
        self.ask("scancel", "--user=root", check=False)
        for name in ("slurmd", "slurmctld", "munged"):
            self._daemons[name].terminate()
            self._daemons[name].wait()

    def start_node(self) -> None:
        """Start the daemon of the node."""
        self._start("slurmd", "-D")

    def kill_node(self) -> None:
        """Kill all that runs on the node, as when it loses its power: its daemon, tasks, and what supervises them."""
        self._daemons["slurmd"].kill()
        self._daemons["slurmd"].wait()
        while on_node := self._on_node():
            for process in on_node:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def cut_off_node(self) -> None:
        """Let the node's daemons answer nobody until the controller takes it for lost; tasks run on meanwhile."""
        daemons = [self._daemons["slurmd"].pid, *self._on_node(of_tasks=False)]
        for process in daemons:
            os.kill(process, signal.SIGSTOP)
        wait_for(lambda: "down" in self.ask("sinfo", "--noheader", "--format=%T"))
        for process in daemons:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
        wait_for(lambda: "down" not in self.ask("sinfo", "--noheader", "--format=%T"))

    def _on_node(self, of_tasks: bool = True) -> list[int]:
        """Return the processes of tasks, and those that supervise them, of this cluster alone."""
        ours, found = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                variables = (process / "environ").read_bytes().split(b"\0")
                of_task = of_tasks and any(variable.startswith(b"SLURM_JOB_ID=") for variable in variables)
                if ours in variables and (of_task or "slurmstepd" in (process / "comm").read_text(encoding="utf-8")):
                    found.append(int(process.name))
        return found

    def ask(self, *words: str, check: bool = True) -> str:
        """What a command of SLURM's prints."""
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, check=check).stdout

    def queue(self) -> list[tuple[str, str]]:
        """Tasks that wait or run: their ids and states."""
        lines = self.ask("squeue", "--array", "--noheader", "--format=%i|%T").splitlines()
        return [tuple(line.strip().split("|")) for line in lines]

    def _start(self, *words: str) -> None:
        log = (self.folder / f"{words[0]}.log").open("ab")
        with log:
            self._daemons[words[0]] = subprocess.Popen(words, env=self.environment, stdout=log, stderr=log)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(condition: Callable[[], object], seconds: float = 600.0) -> None:
    """Wait until something holds; that it never does is no matter of a busy machine."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing within {seconds:.0f} s"
        time.sleep(0.2)
