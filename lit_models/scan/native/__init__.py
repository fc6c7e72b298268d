"""Walks through time in C, compiled for the instruction sets of a processor when rnnbench is installed.

``module.c`` is what is compiled; ``tile.h`` and ``residual.h`` are included once for each number type.
"""
