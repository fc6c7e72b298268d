"""A Ray cluster of two nodes on this machine, each of one core: a script, since tests themselves reach no network.

It prints the cluster's address, kills or adds the second node at each line ``kill`` or ``add``, prints when that is
done, and ends with its input.
"""

import os
import sys

# Ray's workers are nice otherwise, and starve beside whatever else runs here.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}

if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    node = cluster.add_node(**NODE)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(node, allow_graceful=False)
        else:
            node = cluster.add_node(**NODE)
        print("done", flush=True)
    cluster.shutdown()
