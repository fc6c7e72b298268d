"""Kernels in Triton, for NVIDIA's GPUs. Only those files import triton that hold kernels or launch them.

Traps, each of which cost somebody a day:

* Triton reads ``TRITON_INTERPRET`` when a kernel is decorated: set later, half of the kernels are compiled. Set it
  before anything imports triton (``tests/conftest.py``), or in a process of its own.
* In Triton's interpreter ``range`` with a count known at run time fails, and so do masks built from ``t + 1 < T``: use
  ``while``, and pointers clamped to the last step.
* Pointers that a ``while`` carries lose their alignment: narrow stores, and twice the barriers a step. Write
  ``base + step * size``.
* A kernel's rows, warps or layouts changed: registers spill without a word. ``make kernels`` prints them and fails.
* A conversion to bfloat16 takes a GPU eight times as long as other operations: cut the bits off (``primitives.dot``).
* One sum of products after the other on tensor cores: with few rows each waits for the one before, and the compiler
  writes the waits into the program (``NOP`` after ``HMMA``). Make two sums beside each other (``primitives.dot``).
* A loaded tile whose layout is changed: what is loaded after it waits until it is there. Load it last.
* An LSTM's gates as one tile on tensor cores: splitting and joining it moved everything through shared memory. Take a
  product for each gate.
* Rows of 47 units are read number by number: ``plan.widen`` fills rows up to 16 bytes.
"""
