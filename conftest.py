"""Where triton is not installed (it has wheels for Linux alone), its kernels are not looked at for doctests."""

import importlib.util

_KERNELS = ("triton_parts", "triton_residual_kernels", "triton_residual", "triton_lstm_kernels", "triton_lstm")
collect_ignore = [] if importlib.util.find_spec("triton") else [f"lit_models/scan/{name}.py" for name in _KERNELS]
