"""Launching many runs: what is missing is planned, checked, trained by worker processes, and reported."""
