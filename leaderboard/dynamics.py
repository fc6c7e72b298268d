"""What was measured of dynamics, gathered from records and the files beside them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.files import Arrays
from rnnbench.leaderboard.schema import Measure, Record
from rnnbench.leaderboard.store import Problem, path_of, read_side_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: By network: the arrays of one measure at one moment, by their short names, of each instance that has them.
Series = dict[str, list[Arrays]]

# The axes of each array that figures are drawn from; within a measure, axes of one letter are equally long.
_AXES: dict[str, dict[str, str]] = {
    "lyapunov": {"exponents": "bs", "curve_steps": "p", "curve": "pq"},
    "hessian": {"eigenvalues": "k", "ggn_eigenvalues": "g"},
    "gradient_flow": {"norm_inf": "t", "norm_2": "t"},
    "truncation": dict.fromkeys(("ks", "state_error", "state_error_max", "output_error", "bound", "metric"), "k"),
    "memory_capacity": {"delays": "p", "capacity": "p"},
    "polynomial_degree": {"steps": "t", "degree": "t"},
    "parallelisability": {"steps": "t", "newton": "t", "diagonal": "t"},
    "effective_state": {"singular_values": "s"},
    "processing_capacity": {"degrees": "g", "by_degree": "g", "delays": "p", "capacity": "gp"},
    "truncated_training": {"ks": "k", "distance": "kn"},
    "length_generalisation": {"lengths": "l", "metric": "l"},
}
# Those of them that lie along a horizontal axis: delays and steps from 0 on, numbers of inputs from 1 on.
_PLACES = {"curve_steps": 0, "delays": 0, "steps": 0, "ks": 1, "lengths": 1, "degrees": 1}


class SideFiles:
    """Reads the files of arrays beside a folder's records, each once.

    Attributes:
        problems: what is missing, damaged or of a wrong shape among what was asked for.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[Path, Arrays] = {}
        self.problems: list[Problem] = []

    def arrays(self, record: Record, measure: str, moment: str) -> Arrays:
        """Return the arrays of one measure of a record by their short names; none if they cannot be drawn."""
        path = path_of(self._root, record)
        if path not in self._read:
            arrays, reason = read_side_arrays(path, record)
            reason = reason or _misshapen(arrays, record)
            if reason:
                self.problems.append(Problem(path.relative_to(self._root), reason))
            self._read[path] = {} if reason else arrays
        prefix, found = f"{measure}/{moment}/", self._read[path]
        return {name: found[prefix + name] for name in _AXES.get(measure, {}) if prefix + name in found}


def _misshapen(arrays: Arrays, record: Record) -> str:
    """Return what is wrong with the arrays that figures are drawn from; empty if nothing is."""
    for measure, by_moment in record.measures.items():
        for moment in by_moment:
            lengths: dict[str, int] = {}
            for name, axes in _AXES.get(measure, {}).items():
                array = arrays.get(f"{measure}/{moment}/{name}")
                if array is None:
                    continue
                what = ""
                fits = array.ndim == len(axes) and array.size > 0 and array.dtype.kind in "fiu"
                if not fits or any(lengths.setdefault(a, n) != n for a, n in zip(axes, array.shape, strict=True)):
                    what = f"it has shape {array.shape} and type {array.dtype}"
                elif name in _PLACES and not _increases(array, _PLACES[name]):
                    what = f"its values must increase from at least {_PLACES[name]}"
                if what:
                    return f"{measure}/{moment}/{name} beside it cannot be drawn: {what}"
    return ""


def _increases(array: NDArray[Any], least: int) -> bool:
    values = array.tolist()
    return bool(least <= values[0] and values[-1] < 2**53 and all(a < b for a, b in pairwise(values)))


def moments(column: Column) -> list[str]:
    """Return the moments at which anything was measured or failed: start, after epochs, best, end."""

    def order(moment: str) -> tuple[int, int, str]:
        name, _, number = moment.partition("-")
        place = {"start": 0, "epoch": 1, "best": 2, "end": 3}.get(name, 4)
        return place, int(number) if number.isdecimal() else 0, moment

    taken = [by_moment for cell in column.cells.values() for r in cell.records for by_moment in r.measures.values()]
    return sorted({moment for by_moment in taken for moment in by_moment}, key=order)


def moment_text(moment: str) -> str:
    """Return a moment for readers.

    >>> moment_text("start"), moment_text("epoch-1"), moment_text("epoch-3"), moment_text("end")
    ('before training', 'after 1 epoch', 'after 3 epochs', 'after training')
    """
    name, _, number = moment.partition("-")
    if name == "epoch":
        return f"after {number} epoch{'' if number == '1' else 's'}"
    named = {"start": "before training", "best": "at the best step", "end": "after training"}
    return named.get(moment, moment)


def measurements(column: Column, measure: str, moment: str) -> list[tuple[str, Record, Measure]]:
    """Return a measure of every network and instance that has it, failed or not; also of those that diverged later."""
    return [
        (network, record, record.measures[measure][moment])
        for network, cell in column.cells.items()
        for record in cell.records
        if moment in record.measures.get(measure, {})
    ]


def series(column: Column, side_files: SideFiles, moment: str, measure: str, needed: Sequence[str]) -> Series:
    """Return the arrays of a measure by network, of the instances that have all the needed ones."""
    found: Series = {}
    for network, record, one in measurements(column, measure, moment):
        if one.status == "finished":
            arrays = side_files.arrays(record, measure, moment)
            if all(name in arrays for name in needed):
                found.setdefault(network, []).append(arrays)
    return found


def has_measures(board: Board) -> bool:
    """Return whether anything of dynamics was measured, or tried, on a board."""
    return any(record.measures for cell in board.cells for record in cell.records)


def failures(board: Board) -> list[str]:
    """Return a line for each measure that failed, instances with the same reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for column in board.columns:
        names = {name for cell in column.cells.values() for record in cell.records for name in record.measures}
        for moment in moments(column):
            for measure in sorted(names):
                for network, record, one in measurements(column, measure, moment):
                    if one.reason is not None:
                        what = f"{network} on {column.task}: {measure} {moment_text(moment)} failed in instance"
                        found.setdefault((what, one.reason), []).append(str(record.instance))
    return [
        f"{what}{'s' if len(instances) > 1 else ''} {', '.join(instances)}: {reason}"
        for (what, reason), instances in found.items()
    ]


def scalar_residual(record: Record) -> float | None:
    """Return r of a WCRNN whose residual is r times the identity; None for everything else."""
    match record.config.get("recurrence"):
        case {"class_path": str(path), "init_args": {"r": int() | float() as r}} if not isinstance(r, bool):
            return abs(float(r)) if path.rpartition(".")[2] == "WCRNN" and 0 < abs(r) < 1e100 else None
    return None


def trained(board: Board) -> Board | None:
    """Return the part of a board that was trained at all; None if all of it was only measured."""
    columns = tuple(column for column in (trained_cells(column) for column in board.columns) if column.cells)
    networks = tuple(network for network in board.networks if any(network in column.cells for column in columns))
    return Board(board.suite, board.budget, networks, columns) if columns else None


def trained_cells(column: Column) -> Column:
    """Return a column without the cells of networks that were not trained."""
    return Column(column.task, column.metric, {name: cell for name, cell in column.cells.items() if cell.first.steps})
