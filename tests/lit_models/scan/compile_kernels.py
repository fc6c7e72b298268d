"""Registers and spills of the Triton kernels, compiled for compute capability 9.0: needs no GPU.

``make kernels``, or ``python tests/lit_models/scan/compile_kernels.py [--quick]``; exit code 1 if a kernel spills.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import triton
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from rnnbench.lit_models.scan.triton import lstm_kernels, products, residual_kernels
from rnnbench.lit_models.scan.triton.lstm import layout as lstm_layout
from rnnbench.lit_models.scan.triton.plan import Plan, make_plan, widen
from rnnbench.lit_models.scan.triton.products import layout as products_layout
from rnnbench.lit_models.scan.triton.residual import TritonResidualKernel

#: What the kernels are compiled for: NVIDIA's H100 and H200.
CAPABILITY = 90
COLUMNS = ("kernel", "direction", "rows", "warps", "registers", "spilled, bytes", "shared, bytes")


class Variant(NamedTuple):
    """A kernel as one size and setting compiles it: compile-time arguments, with ``num_warps``."""

    title: str
    direction: str
    kernel: Any
    constants: dict[str, Any]


def variants(quick: bool) -> Iterator[Variant]:
    """Yield the main variants: each form and residual, sizes on chip and streamed, few and many sequences."""

    def plans(units: int, sequences: int, **products: int) -> tuple[Plan, Plan]:
        return make_plan(units, sequences, **products), make_plan(units, sequences, **products, back=True)

    def residual(
        setting: TritonResidualKernel, kind: str, units: int, sequences: int, features: int = 1, arrive: bool = False
    ) -> Iterator[Variant]:
        dense, paired, plain = kind == "dense", kind == "rotation", setting.form == "plain"
        forward, backward = plans(units, sequences, matrices=2 if dense else 1)
        title = (
            f"{setting.form}, {setting.activation}{'' if plain else f', {kind} R'}, {units} units, {features} inputs"
        )
        keeps = {"FEATURES": features, "KEEP_STATES": True, "KEEP_COUPLINGS": not plain}
        constants = setting.layout(forward, widen(units), paired, dense) | keeps
        yield Variant(title, "forward", residual_kernels.residual_forward, constants)
        wants = {"GAMMA": not plain, "OWN": not plain and not dense, "CROSS": paired, "DENSE": dense}
        constants = setting.layout(backward, widen(units), paired, dense)
        constants |= {"ARRIVE": arrive, **{f"WANT_{name}": wanted for name, wanted in wants.items()}}
        yield Variant(title, "backward", residual_kernels.residual_backward, constants)

    def lstm(units: int, sequences: int, features: int = 1, arrive: bool = False) -> Iterator[Variant]:
        forward, backward = plans(units, sequences, gates=4)
        title = f"LSTM, {units} units, {features} inputs"
        keeps = {"FEATURES": features, "KEEP_GATES": True, "KEEP_HIDDENS": True}
        constants = lstm_layout(forward, units, units + features + 1) | keeps
        yield Variant(title, "forward", lstm_kernels.lstm_forward, constants)
        constants = lstm_layout(backward, units, units + features + 1) | {"ARRIVE": arrive}
        yield Variant(title, "backward", lstm_kernels.lstm_backward, constants)

    def gradients(height: int, units: int, features: int | None = 1) -> Variant:
        title = f"weights [{height}, {units}], {'no' if features is None else features} inputs"
        constants = products_layout(height, units, features, scaled=True)
        return Variant(title, "gradients", products.sum_products, constants)

    one, two, many = 128, 2 * 128, 16 * 128
    linear, squashed = TritonResidualKernel("linear", "tanh"), TritonResidualKernel("A", "tanh")
    yield from residual(linear, "diagonal", 100, one)
    yield from lstm(47, many)
    yield gradients(100, 100)
    if quick:
        return
    for sequences in (one, 2 * two, many):
        for setting, kind in ((linear, "rotation"), (squashed, "diagonal"), (squashed, "rotation"), (linear, "dense")):
            yield from residual(setting, kind, 100, sequences)
        yield from residual(squashed, "dense", 100, sequences)
        yield from residual(TritonResidualKernel("plain", "tanh"), "", 100, sequences)
        yield from residual(squashed, "rotation", 101, sequences, features=0, arrive=True)
        yield from residual(squashed, "dense", 101, sequences, features=2, arrive=True)
        yield from residual(TritonResidualKernel("plain", "relu"), "", 101, sequences, features=2, arrive=True)
        yield from lstm(47, sequences, features=0, arrive=True)
        yield from lstm(64, sequences, features=2)
    yield from residual(linear, "diagonal", 100, many)
    yield from lstm(47, one)
    for units in (10, 30, 50, 200, 256, 500):
        for kind in ("rotation", "dense"):
            yield from residual(squashed, kind, units, many)
    for units in (10, 30, 100, 200, 256):
        yield from lstm(units, many)
    yield from residual(squashed, "dense", 201, many, features=2, arrive=True)
    yield from lstm(201, many, features=0, arrive=True)
    sizes = (20, 20, 2), (50, 50, 0), (188, 48, 1), (256, 64, 2), (100, 40, None), (800, 200, 2)
    yield from (gradients(*size) for size in sizes)


def compile_variant(variant: Variant) -> list[int]:
    """Compile a variant, assemble it, and return its numbers in the order of ``COLUMNS``."""
    kernel, constants = variant.kernel, dict(variant.constants)
    warps = constants.pop("num_warps")
    # A stride of one is compiled in.
    constants |= {name: 1 for name in kernel.arg_names if name.endswith("_by_unit")}
    signature, attributes = {}, {}
    for index, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
            continue
        counts = name in ("steps", "rows", "batch") or "_by_" in name
        signature[name] = "i32" if counts else "*fp32"
        if name not in ("steps", "rows") and not name.endswith("by_row"):
            attributes[index,] = [["tt.divisibility", 16]]
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(kernel, signature, constexprs=places, attrs=attributes)
    compiled = triton.compile(source, target=GPUTarget("cuda", CAPABILITY, 32), options={"num_warps": warps})
    report = assemble(compiled.asm["ptx"])
    (registers,) = re.findall(r"Used (\d+) registers", report)
    ((stored, loaded),) = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", report)
    rows = constants.get("ROWS", constants.get("BLOCK", 0))
    return [rows, warps, int(registers), max(int(stored), int(loaded)), int(compiled.metadata.shared)]


def assemble(ptx: str) -> str:
    """Return what the assembler that comes with triton reports about a kernel."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.ptx"
        path.write_text(ptx, encoding="utf-8")
        command = [knobs.nvidia.ptxas.path, "-v", f"-arch=sm_{CAPABILITY}a", str(path), "-o", f"{path}.cubin"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def main(quick: bool) -> int:
    """Compile the variants and print what each uses; return 1 if a kernel spills."""
    if knobs.runtime.interpret:
        print("TRITON_INTERPRET is set: kernels are interpreted and cannot be compiled; unset it", file=sys.stderr)
        return 2
    print(f"Kernels compiled for compute capability {CAPABILITY / 10}\n")
    print(f"| {' | '.join(COLUMNS)} |\n| --- | --- |{' ---: |' * (len(COLUMNS) - 2)}")
    used = []
    for variant in variants(quick):
        used.append(compile_variant(variant))
        print(f"| {' | '.join(map(str, (variant.title, variant.direction, *used[-1])))} |", flush=True)
    _, _, registers, spilled, _ = zip(*used, strict=True)
    spilling = sum(spills > 0 for spills in spilled)
    print(f"\n{len(used)} kernels, at most {max(registers)} registers a thread, {spilling} of them spill")
    return 1 if spilling else 0


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv[1:]))
