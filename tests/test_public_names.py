"""What ``import rnnbench`` gives: every name lazily, documented with an example, and known to type checkers."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rnnbench
from rnnbench.datamodules import registered_tasks
from rnnbench.lit_models.recurrences import registered_recurrences

HEAVY = {"torch", "lightning", "matplotlib", "numpy", "pandas", "pydantic", "scipy", "sklearn", "triton"}
OTHERS = {
    "Network",
    "Ensemble",
    "LitSequenceModel",
    "load_suite",
    "run_suite",
    "load_records",
    "read_records",
    "Objective",
}
OTHERS |= {"use_backend", "current_backend", "lyapunov_spectrum", "hessian_spectrum", "memory_capacity"}


def loaded(code: str) -> set[str]:
    """The heavy packages that a new process imports as it runs some code."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    return HEAVY & set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import rnnbench; rnnbench.__all__; dir(rnnbench)", set()),
        ("import rnnbench; rnnbench.load_suite('quick')", {"pydantic"}),
        ("import rnnbench.lit_models.presets", set()),
        ("import rnnbench.leaderboard.board_page", {"pydantic", "numpy", "scipy"}),
        ("import rnnbench; rnnbench.load_records('RECORDS')", HEAVY - {"torch", "lightning", "pandas"}),
        ("import rnnbench; rnnbench.read_records('RECORDS')", HEAVY - {"torch", "lightning"}),
        ("import rnnbench.benchmark.config.plausibility, rnnbench.leaderboard.merging", {"pydantic", "numpy"}),
        ("import torch, rnnbench; rnnbench.LSTM(1, 2)(torch.ones(4, 3, 1))", {"torch", "numpy"}),
    ],
)
def test_only_what_a_name_needs_is_imported(code: str, allowed: set[str], tmp_path: Path) -> None:
    (tmp_path / "adding").symlink_to(Path("leaderboard/records/adding").resolve())
    assert loaded(code.replace("RECORDS", str(tmp_path))) <= allowed


def test_what_a_name_needs_is_imported() -> None:
    assert "torch" in loaded("import rnnbench; rnnbench.Network")


def test_all_registered_classes_and_the_named_others_are_public() -> None:
    assert {*OTHERS, *registered_tasks(), *registered_recurrences()} <= set(rnnbench.__all__) <= set(dir(rnnbench))
    namespace: dict[str, object] = {}
    exec("from rnnbench import *", namespace)  # noqa: S102
    assert set(rnnbench.__all__) <= set(namespace)


@pytest.mark.parametrize("name", rnnbench.__all__)
def test_public_name_has_an_example_that_is_run(name: str) -> None:
    """Where it is defined: ``test_doctests`` runs the examples of whole modules."""
    public = getattr(rnnbench, name)
    assert public.__module__.startswith("rnnbench.")
    assert public is getattr(sys.modules[public.__module__], name)
    assert ">>>" in public.__doc__


def test_names_that_type_checkers_know_are_public() -> None:
    tree = ast.parse(Path(rnnbench.__file__).read_text(encoding="utf-8"))
    imports = [node for part in tree.body if isinstance(part, ast.If) for node in part.body]
    # "as" makes a name one that is handed on (PEP 484).
    typed = {alias.asname for node in imports for alias in node.names}
    assert typed <= set(rnnbench.__all__)
    # A class that was added without an entry is found all the same; those that come with rnnbench have one.
    assert set(rnnbench.__all__) - typed <= {*registered_tasks(), *registered_recurrences()}
    assert {"Adding", "LSTM", "WCRNN", *OTHERS} <= typed


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'rnnbench' has no attribute 'LTSM'"):
        _ = rnnbench.LTSM
