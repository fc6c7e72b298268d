"""Kernels in C, compiled for the instruction sets of a processor when rnnbench is installed.

``module.c`` is what is compiled. The headers are included once for each number type: ``tile.h`` with arithmetic,
``step.h`` with what the steps of these kernels share, ``lstm.h`` and ``residual.h`` with a step forward and backward,
``scan.h`` with the passes over time, and ``linear.h`` with all of recurrences that are linear in their state.
``library`` loads a build, ``call`` hands it tensors, and ``lstm``, ``residual`` and ``linear`` are the kernels that
dispatch takes.
"""
