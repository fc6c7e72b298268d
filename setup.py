"""Where the packages lie, and the compiled walks, one build for each instruction set; all else is in pyproject.toml.

A build that fails is left out: without a C compiler the same walks run in PyTorch.
"""

import platform

from setuptools import Extension, find_packages, setup

_ROOMS = ("benchmark", "datamodules", "leaderboard", "lit_models")
_PACKAGES = find_packages(include=[pattern for room in _ROOMS for pattern in (room, f"{room}.*")])

_FLAGS = {"base": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    _FLAGS["avx2"] = ["-mavx2", "-mfma"]
    _FLAGS["avx512"] = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"]

setup(
    # The four folders stand at the top of the repository and are installed below one name.
    packages=["rnnbench", *(f"rnnbench.{package}" for package in _PACKAGES)],
    package_dir={"rnnbench": "rnnbench", **{f"rnnbench.{room}": room for room in _ROOMS}},
    ext_modules=[
        Extension(
            f"rnnbench.lit_models.scan.native._{name}",
            ["lit_models/scan/native/module.c"],
            depends=[f"lit_models/scan/native/{name}.h" for name in ("tile", "step", "residual", "lstm")],
            define_macros=[("MODULE", f"_{name}"), ("MODULE_NAME", f'"_{name}"')],
            extra_compile_args=["-O3", "-std=gnu11", "-fvisibility=hidden", "-Wno-psabi", "-fno-wrapv", *flags],
            optional=True,
        )
        for name, flags in _FLAGS.items()
    ],
)
