"""What holds for every test: one thread, no network, seeded generators, and real data only where they are."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

# Before torch or a library of the Hub is imported, here and in the commands that tests start.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("MPLBACKEND", "agg")
# Kernels run without a GPU; with 0, on a GPU, the tests of kernels run on that. Before anything imports triton.
os.environ.setdefault("TRITON_INTERPRET", "1")
if os.environ.get("RNNBENCH_DATA"):
    # Tests work in folders of their own: a relative path would lose its meaning there.
    os.environ["RNNBENCH_DATA"] = str(Path(os.environ["RNNBENCH_DATA"]).resolve())

import hypothesis
import pytest
import torch

NO_DATA = "RNNBENCH_DATA is not set: give it the folder of the real data sets (see docs/data.md)"
LOOPBACK = ("127.", "::1", "localhost")

hypothesis.settings.register_profile(
    "rnnbench", deadline=None, derandomize=True, database=None, max_examples=30, print_blob=True
)
hypothesis.settings.load_profile("rnnbench")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: about every sixth second is spent waiting for a process that a test started."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) + 1


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs real data where there are none."""
    if item.get_closest_marker("needs_data") and not os.environ.get("RNNBENCH_DATA"):
        pytest.skip(NO_DATA)


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder of the real data sets; a test that asks for it and is not marked ``needs_data`` fails without one."""
    return Path(os.environ["RNNBENCH_DATA"])


@pytest.fixture(autouse=True)
def _seeded_generators() -> None:
    # Not torch.manual_seed: for the devices that are not there it formats a stack each time, a millisecond a test.
    torch.default_generator.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Let sockets connect to this machine only, as if there were no network."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _loopback_only(getattr(socket.socket, name)))
        yield


def _loopback_only(connect: Callable) -> Callable:
    def guarded(self: socket.socket, address: object) -> object:
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(LOOPBACK):
            raise OSError(f"a test tried to reach {address[0]}: tests use no network")
        return connect(self, address)

    return guarded
