"""Suites: YAML files that name experiments, read strictly.

What is laid over what, the later the stronger: the recipe's defaults, the suite's ``training``, a preset's own
training (what a published row needs whatever the suite says, for example gradient clipping), the suite's
``overrides``, the budget's ``training``, the budget's ``overrides``. A ``sweep`` replaces the one before it as a whole
(``sweep: {}`` ends it) and so does a
``pilot``, and ``max_epochs`` replaces ``max_steps`` and the other way round. Every network meets every
task but where ``leave_out`` lists both: the cells of a table that are empty.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.overrides import drafted
from rnnbench.benchmark.config.resolve import resolved, unknown_names
from rnnbench.benchmark.config.suite_file import SUITES, BudgetSettings, SuiteFile, read_suite_file
from rnnbench.benchmark.errors import UnknownNameError, UserError, nearest, shown

#: Experiments of a suite, and points of all their grids together, at most: what can still be listed.
MOST_EXPERIMENTS, MOST_POINTS = 1_000, 10_000


@dataclass(frozen=True)
class Suite:
    """A resolved suite under one budget.

    Attributes:
        name: file name without its ending.
        title: heading of its table.
        description: what it shows.
        source: text whose table or figure it reproduces; empty if none.
        instances: number of instances of each experiment.
        experiments: in the order of the file: tasks outside, networks inside.
    """

    name: str
    title: str
    description: str
    source: str
    budget: str
    instances: int
    experiments: tuple[Experiment, ...]
    path: Path


def suite_files() -> dict[str, Path]:
    """Return the shipped suites' files by name, sorted."""
    return {path.stem: path for path in sorted(SUITES.glob("*.yaml"))}


def find_suite(name_or_path: str) -> Path:
    """Return the file of a shipped suite by its name, or of a user's by its path; a ``UserError`` if there is none."""
    known, path = suite_files(), Path(name_or_path)
    # The current folder has no name.
    named = [path.with_suffix(end) for end in (".yaml", ".yml") if path.name]
    beside = [str(one) for one in named if one.is_file()]
    if name_or_path in known:
        return known[name_or_path]
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            hint = f"did you mean {beside[0]}?" if beside else f"as the name of a suite: {nearest(path.stem, known)}"
            raise UserError(f"suite file {path}: no such file; {hint}")
        return path
    if path.is_dir():
        raise UserError(f"suite {path}: must be the name of a suite (see list suites) or a YAML file, got a folder")
    hint = f"did you mean {beside[0]}?" if beside else nearest(name_or_path, known)
    raise UserError(f"unknown suite '{name_or_path}': {hint}")


def suite_budgets(name_or_path: str | Path) -> list[str]:
    """Return the names of the budgets that a suite distinguishes; all of them where it distinguishes none."""
    return read_suite_file(find_suite(str(name_or_path))).budget_names


def load_suite(name_or_path: str | Path, budget: str = "cpu") -> Suite:
    """Return a shipped suite by its name, or a user's by its YAML file, resolved for ``smoke``, ``cpu`` or ``paper``.

    Raises:
        UserError: anything in the file that is not understood, with file and line; nothing is guessed.

    >>> suite = load_suite("quick", budget="smoke")
    >>> suite.instances, suite.experiments[0].name
    (2, 'ADD30/StackedRNN')
    """
    path = find_suite(str(name_or_path))
    if not path.name.isprintable():
        raise UserError(f"suite file {shown(path.name)}: its name must be of printable characters")
    file = read_suite_file(path)
    if budget not in file.budget_names:
        raise UserError(f"{path}: unknown budget {shown(budget)}: {nearest(budget, file.budget_names)} (--budget)")
    chosen = file.budgets.get(budget, BudgetSettings())
    cells = [
        (task, network)
        for task, network in itertools.product(chosen.tasks or file.tasks, chosen.networks or file.networks)
        if not any(block.hold(task, network) for block in file.leave_out)
    ]
    if len(cells) > MOST_EXPERIMENTS:
        raise UserError(f"{path}: a suite must have at most {MOST_EXPERIMENTS:,} experiments, got {len(cells):,}")
    experiments, points = [], 0
    for task, network in cells:
        try:
            experiment = resolved(drafted(file, chosen, task, network), file, path.stem, budget)
        except UnknownNameError as error:
            messages = dict.fromkeys((str(error), *_unknown_names(file, chosen, cells)))
            raise UserError("; ".join(messages)) from error
        points += len(experiment.listed) or math.prod(map(len, experiment.grid.values()))
        if points > MOST_POINTS:
            most = f"{MOST_POINTS:,} points together"
            raise UserError(f"{path}: the sweeps of a suite must have at most {most}, got more")
        experiments.append(experiment)
    title, instances = file.title or path.stem, chosen.instances or file.instances
    return Suite(path.stem, title, file.description, file.source, budget, instances, tuple(experiments), path)


def _unknown_names(file: SuiteFile, budget: BudgetSettings, cells: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what is unknown of each cell, since one misspelt name would hide the others."""
    for task, network in cells:
        try:
            draft = drafted(file, budget, task, network)
        except UnknownNameError as error:
            yield str(error)
        else:
            yield from unknown_names(draft, file)
