"""Kernels in C, compiled for the instruction sets of a processor when rnnbench is installed.

``module.c`` is what is compiled. The headers are included once for each number type: ``tile.h`` with arithmetic,
``step.h`` with what the steps of all kernels share, ``lstm.h`` and ``residual.h`` with a step forward and backward, and
``scan.h`` with the passes over time.
``library`` loads a build, ``call`` hands it tensors, and ``lstm`` and ``residual`` are the kernels that dispatch takes.
"""
