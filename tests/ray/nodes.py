"""A Ray cluster of two nodes on this machine, each of one core: a script, since tests themselves reach no network.

It prints the cluster's address; at a line ``kill`` or ``add`` it kills or adds the second node, at ``cut off`` it stops
all processes of that until the other takes it for lost, and lets them go on beside a new one; prints when that is done,
and ends with its input.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

# Ray's workers are nice otherwise, and starve beside whatever else runs here. W&B's server is not there.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
os.environ |= {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0123456789" * 4}

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def family(process: int) -> list[int]:
    """A process and those that it and they started."""
    children = (path.read_text(encoding="ascii").split() for path in Path(f"/proc/{process}/task").glob("*/children"))
    return [process, *(one for some in children for child in some for one in family(int(child)))]


def cut_off(cluster: Cluster, node: Any) -> None:
    """Stop all processes of a node until it is taken for lost."""
    processes = family(node.all_processes["raylet"][0].process.pid)
    before = len(cluster.global_state._live_node_ids())
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    while len(cluster.global_state._live_node_ids()) == before:
        time.sleep(0.1)
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def add(cluster: Cluster) -> Any:
    """Add a node, however long that takes on a busy machine: Ray itself would give up after half a minute."""
    before = cluster.global_state._live_node_ids()
    node = cluster.add_node(wait=False, **NODE)
    while cluster.global_state._live_node_ids() <= before:
        time.sleep(0.1)
    return node


if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    node = add(cluster)
    print(cluster.address, flush=True)
    for line in map(str.strip, sys.stdin):
        if line == "kill":
            cluster.remove_node(node, allow_graceful=False)
        if line == "cut off":
            cut_off(cluster, node)
        if line in ("add", "cut off"):
            node = add(cluster)
        print("done", flush=True)
    cluster.shutdown()
