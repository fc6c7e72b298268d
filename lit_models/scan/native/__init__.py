"""Walks through time in C, compiled for the instruction sets of a processor when rnnbench is installed.

``module.c`` is what is compiled. The other files are included once for each number type: ``tile.h`` with arithmetic,
``walk.h`` with what walks share, ``residual.h`` and ``lstm.h`` with the walks.
"""
