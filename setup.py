"""The compiled walks of ``lit_models/scan/native``, one build for each instruction set; all else is in pyproject.toml.

A build that fails is left out: without a C compiler the same walks run in PyTorch.
"""

import platform

from setuptools import Extension, setup

_FLAGS = {"base": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    _FLAGS["avx2"] = ["-mavx2", "-mfma"]
    _FLAGS["avx512"] = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"]

setup(
    ext_modules=[
        Extension(
            f"lit_models.scan.native._{name}",
            ["lit_models/scan/native/module.c"],
            depends=[f"lit_models/scan/native/{name}.h" for name in ("tile", "walk", "residual", "lstm")],
            define_macros=[("MODULE", f"_{name}"), ("MODULE_NAME", f'"_{name}"')],
            extra_compile_args=["-O3", "-std=gnu11", "-fvisibility=hidden", "-Wno-psabi", "-fno-wrapv", *flags],
            optional=True,
        )
        for name, flags in _FLAGS.items()
    ],
)
