"""Sweeps: the rows or columns of a board that differ in one number, found from their records' settings."""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.statistics import Cell

#: Values that an axis has at least.
LEAST_POINTS = 3
#: Rows that are drawn beside an axis at most.
MOST_BESIDE = 2
#: What is behind the name of a setting whose values are drawn for each unit from a range: the width of that range.
WIDTH = "±"
#: What is behind the name of a setting that lists sizes: how many.
NUMBER = "#"
# Of a stack: settings at these values are as if there were no such setting.
_NOTHING = (None, False, "identity")
_LABELS = {
    "r": "residual strength r",
    f"r{WIDTH}": "heterogeneity δr",
    "phi": "angle of rotation φ (rad)",
    "gamma": "coupling γ",
    "learning_rate": "learning rate",
    "rank": "CP rank R",
    "num_layers": "layers L",
    "hidden_size": "units N",
    f"transition_layers{NUMBER}": "hidden layers of the transition",
    "delay": "delay (time steps)",
    "degree": "degree k",
    "length": "length T (time steps)",
    "spectral_radius": "spectral radius ρ",
    "k": "inputs seen, k (time steps)",
}
# Angles, delays and degrees are read in equal steps.
_LINEAR = ("phi", "delay", "degree")

Settings = Mapping[str, Any]
Point = tuple[float, Cell]


@dataclass(frozen=True)
class Line:
    """Cells that differ in the axis alone, by its values in increasing order.

    Attributes:
        name: what sets it apart from other lines of its task; empty if nothing does.
        index: place of its look in figures.
    """

    task: str
    name: str
    index: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Sweep:
    """Lines along one axis that share a metric.

    Attributes:
        setting: name of the swept setting.
        beside: rows of the same tasks that are not on the axis, where there are few: task, network and cell.
    """

    setting: str
    metric: MetricInfo
    lines: tuple[Line, ...]
    beside: tuple[tuple[str, str, Cell], ...] = ()

    @property
    def label(self) -> str:
        """Label of the axis."""
        return _LABELS.get(self.setting, self.setting)

    @property
    def values(self) -> list[float]:
        """All values of the axis, increasing."""
        return sorted({x for line in self.lines for x, _ in line.points})

    @property
    def logarithmic(self) -> bool:
        """Whether the values differ by so large factors that the axis is logarithmic."""
        return self.values[0] > 0 and self.values[-1] >= 8 * self.values[0] and self.setting not in _LINEAR

    @property
    def tasks(self) -> list[str]:
        """The columns that it is about, in their order."""
        return list(dict.fromkeys(cell.first.task for line in self.lines for _, cell in line.points))


def find_sweeps(board: Board) -> list[Sweep]:
    """Return the sweeps of a board: over its columns, then over its rows, those with the most values first.

    A cell is shown along one axis of each kind: others are only added for cells that are on none so far.
    """
    sweeps = _chosen(_over_columns(board)) + _chosen(_over_rows(board))
    covered = {place for sweep in sweeps for line in sweep.lines for place in _places(line)}
    return [_with_rows_beside(board, sweep, covered) for sweep in sweeps]


def _chosen(candidates: Iterable[tuple[str, list[Line]]]) -> list[Sweep]:
    """Return the axes with the most values, by metric, and of others the lines with cells that are on none so far."""
    covered: set[tuple[str, str]] = set()
    sweeps: list[Sweep] = []
    for setting, lines in sorted(candidates, key=lambda found: -max(len(line.points) for line in found[1])):
        new = [line for line in lines if not _places(line) <= covered]
        covered |= {place for line in new for place in _places(line)}
        by_metric: dict[tuple[str, str], list[Line]] = defaultdict(list)
        for line in new:
            metric = line.points[0][1].metric
            by_metric[metric.name, metric.direction].append(line)
        for group in by_metric.values():
            sweeps.append(Sweep(setting, group[0].points[0][1].metric, tuple(group)))
    return sweeps


def settings(record: Record, part: str) -> dict[str, Any]:
    """Return the settings of the ``task``, ``recurrence`` or ``training`` of a record by dotted path, flat.

    What was swept in the record's own grid is left out. A recurrence is a stack of one layer; a range [low, high] of
    WCRNN gives its middle and its width; a list of sizes gives their number.
    """
    found: dict[str, Any] = {}
    value = record.config.get(part)
    if isinstance(value, Mapping):
        _flatten(_as_stack(value) if part == "recurrence" else value, part, found)
    return {path: one for path, one in found.items() if path not in record.grid}


def _as_stack(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    given = spec.get("init_args")
    if str(spec.get("class_path")).rpartition(".")[2] != "StackedRNN" or not isinstance(given, Mapping):
        return {**spec, "num_layers": 1}
    layer = given.get("layer")
    rest = {key: value for key, value in given.items() if key != "layer" and value not in _NOTHING}
    if "depth_activation" not in rest:
        # Which outputs are activated is then the same.
        rest.pop("depth_form", None)
    return {**rest, **layer} if isinstance(layer, Mapping) else {**rest, "layer": layer}


def _flatten(value: Any, path: str, found: dict[str, Any]) -> None:
    if isinstance(value, Mapping):
        ranges = str(value.get("class_path")).rpartition(".")[2] == "WCRNN"
        for key, inner in value.items():
            _flatten(inner, f"{path}.{key}", found)
            place = f"{path}.{key}"
            if ranges and key == "init_args" and isinstance(inner, Mapping):
                for name in ("r", "phi", "gamma"):
                    low, high = _as_range(inner.get(name))
                    found.pop(f"{place}.{name}{NUMBER}", None)
                    found[f"{place}.{name}"] = round((low + high) / 2, 9)
                    found[f"{place}.{name}{WIDTH}"] = round(high - low, 9)
                # A diagonal of equal entries is a scalar, by whatever name.
                kind = {"scalar": "diagonal", "rotation": "rotation_diagonal"}
                found[f"{place}.residual"] = kind.get(str(inner.get("residual")), inner.get("residual"))
    elif isinstance(value, list):
        found[f"{path}{NUMBER}"] = len(value)
        found[path] = str(value)
    else:
        found[path] = value


def _as_range(value: Any) -> tuple[float, float]:
    if isinstance(value, list) and len(value) == 2:
        return float(value[0]), float(value[1])
    return (float(value), float(value)) if _is_number(value) else (0.0, 0.0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e100


def _places(line: Line) -> set[tuple[str, str]]:
    return {(cell.first.task, cell.first.network) for _, cell in line.points}


def _over_rows(board: Board) -> Iterator[tuple[str, list[Line]]]:
    flat = {
        (column, network): _of_rows(cell.first)
        for column, each in enumerate(board.columns)
        for network, cell in each.cells.items()
    }
    for path in _numbers(flat.values()):
        lines: list[Line] = []
        for number, column in enumerate(board.columns):
            cells = {network: flat[number, network] for network in board.networks if network in column.cells}
            groups = _groups(cells, path)
            names = _names(list(groups))
            for name, group in zip(names, groups, strict=True):
                points = tuple((x, column.cells[network]) for x, network in group)
                lines.append(Line(column.task, name, len(lines), points))
        if lines:
            yield path.rpartition(".")[2], lines


def _over_columns(board: Board) -> Iterator[tuple[str, list[Line]]]:
    by_metric: dict[tuple[str, str], list[Column]] = defaultdict(list)
    for column in board.columns:
        by_metric[column.metric.name, column.metric.direction].append(column)
    for columns in by_metric.values():
        flat = [settings(next(iter(column.cells.values())).first, "task") for column in columns]
        for path in _numbers(flat):
            lines = []
            tasks = {str(number): each for number, each in enumerate(flat)}
            groups = _groups(tasks, path)
            named = _names([[(x, columns[int(number)].task) for x, number in group] for group in groups])
            for name, group in zip(named, groups, strict=True):
                for index, network in enumerate(board.networks):
                    there = [(x, columns[int(n)].cells[network]) for x, n in group if network in columns[int(n)].cells]
                    if len(there) >= LEAST_POINTS:
                        lines.append(Line(name, network, index, tuple(there)))
            if lines:
                yield path.rpartition(".")[2], lines


def _numbers(flat: Any) -> list[str]:
    """Return the paths that lead to enough different numbers, sorted."""
    values: dict[str, set[float]] = defaultdict(set)
    for one in flat:
        for path, value in one.items():
            if _is_number(value):
                values[path].add(value)
    return sorted(path for path, different in values.items() if len(different) >= LEAST_POINTS)


def _groups(cells: Mapping[str, Settings], path: str) -> list[list[tuple[float, str]]]:
    """Return those that differ in nothing but a number, with the number, increasing; of equal ones the first."""
    groups: dict[str, dict[float, str]] = defaultdict(dict)
    for name, flat in cells.items():
        if _is_number(flat.get(path)):
            groups[_without(flat, path)].setdefault(float(flat[path]), name)
    return [sorted(group.items()) for group in groups.values() if len(group) >= LEAST_POINTS]


def _without(flat: Settings, path: str) -> str:
    own = (path, path.removesuffix(NUMBER))
    return repr(sorted((key, str(value)) for key, value in flat.items() if key not in own))


def _names(groups: Sequence[Sequence[tuple[float, str]]]) -> list[str]:
    """Return what the members of each group share in their names.

    >>> _names([[(0.9, "A_r0.9"), (1.0, "A_r1.0")], [(0.9, "B_r0.9"), (1.0, "B_r1.0")]])
    ['A', 'B']
    >>> _names([[(2, "Power2"), (3, "Power3")], [(2, "Product2"), (3, "Product3")]])
    ['Power', 'Product']
    >>> _names([[(25, "L-1x25"), (33, "L-1x33")], [(20, "L-2x20"), (35, "L-2x35")]])
    ['L-1x …', 'L-2x …']
    """
    names = [_shared([name for _, name in group]) for group in groups]
    if len(names) == 1:
        # In small letters it is that of the axis.
        return ["" if names[0].islower() else names[0]]
    for fallback in (_prefix, lambda members: members[0]):
        alike = Counter(names)
        names = [
            name if name and alike[name] == 1 else f"{fallback([member for _, member in group])} …"
            for name, group in zip(names, groups, strict=True)
        ]
    return names


def _prefix(names: Sequence[str]) -> str:
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)


def _shared(names: Sequence[str]) -> str:
    prefix = _prefix(names)
    # Up to the last separator: the name of the axis, and first digits of its numbers, say nothing here.
    head = re.match(r"(.*[^-_ ])[-_ ]+[^-_ ]*$", prefix)
    return head[1] if head else re.sub(r"[-_ .0-9]+$", "", prefix)


def _with_rows_beside(board: Board, sweep: Sweep, covered: set[tuple[str, str]]) -> Sweep:
    on_axis = {cell.first.experiment_id for line in sweep.lines for _, cell in line.points}
    beside = tuple(
        (column.task, network, cell)
        for column in board.columns
        if column.task in {line.task for line in sweep.lines}
        for network, cell in column.cells.items()
        if cell.first.experiment_id not in on_axis
        and ((column.task, network) not in covered or _is_limit(cell.first, sweep))
    )
    return Sweep(sweep.setting, sweep.metric, sweep.lines, beside if len(beside) <= MOST_BESIDE else ())


def _is_limit(record: Record, sweep: Sweep) -> bool:
    """Return whether a record is as those of a line, but for the swept setting, which it has none of (no rank: all)."""
    flat, other = (_of_rows(one) for one in (record, sweep.lines[0].points[0][1].first))
    path = next((path for path in other if path.rpartition(".")[2] == sweep.setting), "")
    return path in flat and flat[path] is None and _without(flat, path) == _without(other, path)


def _of_rows(record: Record) -> dict[str, Any]:
    return {**settings(record, "recurrence"), **settings(record, "training")}
