"""The public names of rnnbench."""

__version__ = "0.1.0"
