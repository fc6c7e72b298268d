"""What of this machine a command may use: cores and memory, as the system and a container's limits grant them."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def default_workers() -> int:
    """Return how many runs are trained at a time unless the user says: one per GPU, or one per core."""
    import torch

    return torch.cuda.device_count() or granted_cores()


def granted_cores() -> int:
    """Return the cores that this process may use: of its affinity, and of the share of time that its group has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for text in _limits("cpu.max", "cpu/cpu.cfs_quota_us"):
        quota, _, period = text.partition(" ")
        if quota.isdecimal():
            # A share of a core more than whole ones is used best by one more process.
            cores = min(cores, math.ceil(int(quota) / int(period or 100_000)))
    return max(1, cores)


def machine_memory() -> int:
    """Return the bytes of this machine's memory, or of what this process's group may use of it."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [int(text) for text in _limits("memory.max", "memory/memory.limit_in_bytes") if text.isdecimal()]
    return min([whole, *limits])


def _limits(*names: str) -> Iterator[str]:
    """Yield what control files hold, of this process's group and those that it lies in (Linux; cgroup 2 and 1)."""
    own = [Path()]
    try:
        for line in _OWN_GROUPS.read_text(encoding="utf-8").splitlines():
            place = Path(line.split(":", 2)[2].lstrip("/"))
            own += [place, *place.parents]
    except (OSError, IndexError):
        pass
    for name in names:
        controller, _, file = name.rpartition("/")
        for place in dict.fromkeys(own):
            try:
                yield (_GROUPS / controller / place / file).read_text(encoding="ascii").strip()
            except OSError:
                continue
