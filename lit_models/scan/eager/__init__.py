"""Kernels in PyTorch with a hand-written backward pass, one file an architecture."""
