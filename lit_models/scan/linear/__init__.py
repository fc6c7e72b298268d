"""Scans of linear recurrences in closed form: diagonal ones, and convolutions with the kernel of a state space."""
