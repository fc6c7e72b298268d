"""Kernels as functions that torch differentiates, for one network or, under ``torch.vmap``, for many."""
