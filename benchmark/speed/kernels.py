"""Registers and spills of the Triton kernels, compiled for compute capability 9.0: needs no GPU.

``rnnbench speed kernels`` or ``python -m benchmark.speed.kernels [--quick] [--json FILE]``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnnbench.benchmark.errors import UserError
from rnnbench.lit_models.scan.triton_plan import make_plan, widen

#: What the kernels are compiled for: NVIDIA's H100 and H200.
CAPABILITY = 90


@dataclass(frozen=True)
class Variant:
    """A kernel as one size and setting compiles it.

    Attributes:
        title: what tables call it.
        kernel: ``residual`` or ``lstm``, and ``forward``, ``backward`` or ``gradients`` of weights.
        constants: compile-time arguments, with ``num_warps``.
    """

    title: str
    kernel: tuple[str, str]
    constants: dict[str, Any]


@dataclass(frozen=True)
class Usage:
    """What a compiled kernel uses.

    Attributes:
        title: the variant's.
        direction: ``forward``, ``backward`` or ``gradients``.
        rows: sequences of one block.
        warps: of one block.
        registers: of one thread.
        spilled_bytes: of one thread, stored to and loaded from memory for want of registers.
        shared_bytes: of one block.
    """

    title: str
    direction: str
    rows: int
    warps: int
    registers: int
    spilled_bytes: int
    shared_bytes: int


def variants(quick: bool) -> Iterator[Variant]:
    """Yield the main variants: each form and residual, sizes on chip and streamed, few and many sequences."""
    from rnnbench.lit_models.scan.triton_lstm import layout as lstm_layout
    from rnnbench.lit_models.scan.triton_products import layout as products_layout
    from rnnbench.lit_models.scan.triton_residual import Setting
    from rnnbench.lit_models.scan.triton_residual import layout as residual_layout

    def residual(
        setting: Setting, kind: str, units: int, sequences: int, features: int = 1, arrive: bool = False
    ) -> Iterator[Variant]:
        dense, paired, plain = kind == "dense", kind == "rotation", setting.form == "plain"
        there, back = (make_plan(units, sequences, matrices=2 if dense else 1, back=back) for back in (False, True))
        title = (
            f"{setting.form}, {setting.activation}{'' if plain else f', {kind} R'}, {units} units, {features} inputs"
        )
        keeps = {"FEATURES": features, "KEEP_STATES": True, "KEEP_COUPLINGS": not plain}
        constants = residual_layout(setting, there, widen(units), paired, dense) | keeps
        yield Variant(title, ("residual", "forward"), constants)
        wants = {"GAMMA": not plain, "OWN": not plain and not dense, "CROSS": paired, "DENSE": dense}
        constants = residual_layout(setting, back, widen(units), paired, dense)
        constants |= {"ARRIVE": arrive, **{f"WANT_{name}": wanted for name, wanted in wants.items()}}
        yield Variant(title, ("residual", "backward"), constants)

    def lstm(units: int, sequences: int, features: int = 1, arrive: bool = False) -> Iterator[Variant]:
        there, back = (make_plan(units, sequences, gates=4, back=back) for back in (False, True))
        title = f"LSTM, {units} units, {features} inputs"
        keeps = {"FEATURES": features, "KEEP_GATES": True, "KEEP_HIDDENS": True}
        yield Variant(title, ("lstm", "forward"), lstm_layout(there, units, units + features + 1) | keeps)
        yield Variant(title, ("lstm", "backward"), lstm_layout(back, units, units + features + 1) | {"ARRIVE": arrive})

    def gradients(height: int, units: int, features: int | None = 1) -> Variant:
        title = f"weights [{height}, {units}], {'no' if features is None else features} inputs"
        return Variant(title, ("products", "gradients"), products_layout(height, units, features, scaled=True))

    one, two, many = 128, 2 * 128, 16 * 128
    linear, squashed = Setting("linear", "tanh"), Setting("A", "tanh")
    yield from residual(linear, "diagonal", 100, one)
    yield from lstm(47, many)
    yield gradients(100, 100)
    if quick:
        return
    for sequences in (one, 2 * two, many):
        for setting, kind in ((linear, "rotation"), (squashed, "diagonal"), (squashed, "rotation"), (linear, "dense")):
            yield from residual(setting, kind, 100, sequences)
        yield from residual(squashed, "dense", 100, sequences)
        yield from residual(Setting("plain", "tanh"), "", 100, sequences)
        yield from residual(squashed, "rotation", 101, sequences, features=0, arrive=True)
        yield from residual(squashed, "dense", 101, sequences, features=2, arrive=True)
        yield from residual(Setting("plain", "relu"), "", 101, sequences, features=2, arrive=True)
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
    for height, units, features in (
        (20, 20, 2),
        (50, 50, 0),
        (188, 48, 1),
        (256, 64, 2),
        (100, 40, None),
        (800, 200, 2),
    ):
        yield gradients(height, units, features)


def compile_variant(variant: Variant) -> Usage:
    """Compile a variant and assemble it.

    Raises:
        UserError: triton is missing, or interprets its kernels.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from rnnbench.lit_models.scan import triton_lstm_kernels, triton_products, triton_residual_kernels

    kernel = {
        ("residual", "forward"): triton_residual_kernels.residual_forward,
        ("residual", "backward"): triton_residual_kernels.residual_backward,
        ("lstm", "forward"): triton_lstm_kernels.lstm_forward,
        ("lstm", "backward"): triton_lstm_kernels.lstm_backward,
        ("products", "gradients"): triton_products.sum_products,
    }[variant.kernel]
    constants = dict(variant.constants)
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
    told = _assemble(compiled.asm["ptx"])
    (registers,) = re.findall(r"Used (\d+) registers", told)
    ((stored, loaded),) = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", told)
    spilled = max(int(stored), int(loaded))
    shared = int(compiled.metadata.shared)
    rows = constants.get("ROWS", constants.get("BLOCK", 0))
    return Usage(variant.title, variant.kernel[1], rows, warps, int(registers), spilled, shared)


def _assemble(ptx: str) -> str:
    """Return what the assembler that comes with triton tells of a kernel."""
    from triton import knobs

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.ptx"
        path.write_text(ptx, encoding="utf-8")
        words = [knobs.nvidia.ptxas.path, "-v", f"-arch=sm_{CAPABILITY}a", str(path), "-o", f"{path}.cubin"]
        told = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
    return told.stderr


def report_kernels(quick: bool, json_file: Path | None) -> int:
    """Compile the variants one after the other and print what each uses.

    Args:
        quick: two of them only.
        json_file: where to write them as JSON; None for nowhere.

    Returns:
        0, or 1 if a kernel spills.

    Raises:
        UserError: triton is missing, or interprets its kernels.
    """
    from rnnbench.lit_models.scan.triton_choice import why_no_triton

    reason = why_no_triton(on_gpu=True)
    if reason is not None:
        raise UserError(reason)
    from triton import knobs

    if knobs.runtime.interpret:
        raise UserError("TRITON_INTERPRET is set: kernels are then interpreted and cannot be compiled; unset it")
    usages = []
    print(f"Kernels compiled for compute capability {CAPABILITY / 10}\n")
    print("| kernel | direction | rows | warps | registers | spilled, bytes | shared, bytes |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for variant in variants(quick):
        usage = compile_variant(variant)
        usages.append(usage)
        print("| " + " | ".join(str(value) for value in asdict(usage).values()) + " |", flush=True)
    spilling = sum(usage.spilled_bytes > 0 for usage in usages)
    most = max(usage.registers for usage in usages)
    print(f"\n{len(usages)} kernels, at most {most} registers a thread, {spilling} of them spill")
    if json_file is not None:
        from rnnbench.leaderboard.files import write_atomically

        write_atomically(json_file, f"{json.dumps([asdict(usage) for usage in usages], indent=1)}\n".encode())
    return 1 if spilling else 0


if __name__ == "__main__":
    from rnnbench.benchmark.speed.apart import run_apart

    sys.exit(run_apart(report_kernels))
