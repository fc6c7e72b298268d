"""Jobs as plain tasks of a Ray cluster; nothing but the cluster is shared with its nodes. Imports ray, an extra."""
