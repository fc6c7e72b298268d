"""Where the packages lie, and the compiled kernels, one build for each instruction set; all else is in pyproject.toml.

A build that fails is left out: without a C compiler the same scans run in PyTorch.
"""

import hashlib
import platform
from pathlib import Path

from setuptools import Extension, find_packages, setup

_ROOMS = ("benchmark", "datamodules", "leaderboard", "lit_models")
_PACKAGES = find_packages(include=[pattern for room in _ROOMS for pattern in (room, f"{room}.*")])

_NATIVE = Path("lit_models/scan/native")
_SOURCES = sorted(_NATIVE.glob("*.[ch]"))
# As ``lit_models/scan/native/library.py`` computes it, which refuses a build of other sources.
_HASH = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()

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
            [str(_NATIVE / "module.c")],
            depends=[str(path) for path in _SOURCES],
            define_macros=[("MODULE", f"_{name}"), ("MODULE_NAME", f'"_{name}"'), ("SOURCES", f'"{_HASH}"')],
            extra_compile_args=[
                "-O3",
                "-std=gnu11",
                "-fvisibility=hidden",
                "-Wno-psabi",
                "-fno-wrapv",
                "-fno-math-errno",
                *flags,
            ],
            optional=True,
        )
        for name, flags in _FLAGS.items()
    ],
)
