"""Launching by SLURM: bundles as tasks of arrays, submitted, requeued and reported."""
