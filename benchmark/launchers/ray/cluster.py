"""Connecting to a Ray cluster: what its nodes can do, and the code that travels there."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import ray
from ray.exceptions import RayError

import rnnbench
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.local import WORKER_ENVIRONMENT

_ROOMS = ("benchmark", "datamodules", "leaderboard", "lit_models")
#: Of the leaderboard's folder, what is data and large.
_DATA = ("records", "figures", "speed", "*.html")
#: Parts of the paths of what is installed, which nodes are to have too.
_INSTALLED = ("site-packages", "dist-packages")
_SECONDS_TO_CONNECT = 10.0


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Within this block the cluster at an address does tasks, with rnnbench and what the user wrote as they are here.

    Args:
        address: ``HOST:PORT`` of the head; None for what ``RAY_ADDRESS`` names, a cluster of this machine that runs,
            or else one that is started and ends with the block.

    Raises:
        UserError: there is no such cluster, or it cannot be used from here.
    """
    if ray.is_initialized():
        raise UserError("Ray is in use already: call ray.shutdown() first, so that rnnbench can send its code")
    _check_reachable(address or os.environ.get("RAY_ADDRESS"))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    handler = signal.getsignal(signal.SIGTERM)
    with tempfile.TemporaryDirectory(prefix="rnnbench-") as folder:
        _copy_code(Path(folder))
        environment = {"working_dir": folder, "env_vars": _variables()}
        try:
            ray.init(address=address, runtime_env=environment, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            hint = _about_tokens() if isinstance(error, ConnectionError) else ""
            raise UserError(f"Ray's cluster cannot be used: {_one_line(error)}{hint}") from error
        finally:
            # Ray's own ends a process at once.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)
        try:
            yield
        finally:
            ray.shutdown()


def slots(gpus: float) -> int:
    """Return how many jobs the nodes can do at a time, each with one core and some of a GPU."""
    wanted = {"CPU": 1.0, **({"GPU": gpus} if gpus else {})}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    # A little more, since ten tenths of a GPU may be less than one.
    return sum(min(int(node.get(name, 0.0) / amount + 1e-6) for name, amount in wanted.items()) for node in nodes)


def default_gpus() -> float:
    """Return 1, a GPU for each job, where the cluster has any, and else 0."""
    return float(ray.cluster_resources().get("GPU", 0.0) >= 1)


def _check_reachable(address: str | None) -> None:
    """See that something listens at an address: Ray itself would try for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if not colon or "://" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT).close()
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(f"no Ray cluster is reached at {address}: {error}") from error


def _variables() -> dict[str, str]:
    """Return the environment of tasks beside that of their nodes."""
    given = {name: os.environ.get(name, value) for name, value in WORKER_ENVIRONMENT.items()}
    if data := os.environ.get("RNNBENCH_DATA"):
        given["RNNBENCH_DATA"] = str(Path(data).absolute())
    # Without the second, Ray warns of what it does to GPUs where a task asks for none.
    return {**given, "MPLBACKEND": "agg", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def _copy_code(folder: Path) -> None:
    """Copy rnnbench and what the user wrote, as far as it is imported, so that it can be imported from a folder."""
    package = folder / "rnnbench"
    _copy_folder(Path(str(rnnbench.__file__)).parent, package)
    for room in _ROOMS:
        source = Path(str(importlib.import_module(f"rnnbench.{room}").__file__)).parent
        _copy_folder(source, package / room, *(_DATA if room == "leaderboard" else ()))
    for place in _own_places():
        if place.is_dir():
            _copy_folder(place, folder / place.name)
        else:
            shutil.copy(place, folder)


def _copy_folder(source: Path, target: Path, *left_out: str) -> None:
    ignored = shutil.ignore_patterns("__pycache__", ".*", *left_out)
    try:
        # A link that leads nowhere cannot be imported here either.
        shutil.copytree(source, target, ignore=ignored, ignore_dangling_symlinks=True, dirs_exist_ok=True)
    except shutil.Error as error:
        file, _, reason = error.args[0][0]
        raise UserError(f"{file} cannot be sent to Ray's nodes with the package that it lies in: {reason}") from error


def _own_places() -> Iterator[Path]:
    """Yield folders of packages and files of modules that are imported and neither rnnbench nor installed beside it."""
    standard = Path(sysconfig.get_path("stdlib"))
    # The command itself is a script named rnnbench, and a module of the second name where processes are spawned.
    for name in {name.partition(".")[0] for name in sys.modules} - {"rnnbench", "__main__", "__mp_main__"}:
        module = sys.modules.get(name)
        places = [
            Path(place) for place in getattr(module, "__path__", None) or [getattr(module, "__file__", None) or ""]
        ]
        for place in places:
            is_installed = standard in place.parents or set(_INSTALLED) & set(place.parts)
            if place.is_absolute() and place.exists() and not is_installed:
                yield place


def _about_tokens() -> str:
    """Return what to try where a cluster may want a token, which Ray then says in warnings only."""
    if os.environ.get("RAY_AUTH_MODE"):
        return "; its token may be another than that of RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH here"
    return "; if it was started with token authentication, set RAY_AUTH_MODE=token and its token here too"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
