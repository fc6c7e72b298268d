"""Suites: YAML files that name experiments, read strictly.

What is laid over what, the later the stronger: the recipe's defaults, the suite's ``training``, a preset's own
training (what a published row needs whatever the suite says, for example gradient clipping), the suite's
``overrides``, the budget's ``training``, the budget's ``overrides``. A ``sweep`` replaces the one before it as a whole
(``sweep: {}`` ends it), and ``max_epochs`` replaces ``max_steps`` and the other way round. Every network meets every
task but where ``leave_out`` lists both: the cells of a table that are empty.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from rnnbench.benchmark.config.experiment import MOST_INSTANCES, Experiment, Published
from rnnbench.benchmark.config.options import BUDGETS
from rnnbench.benchmark.config.resolve import Draft, Layer
from rnnbench.benchmark.config.yaml_file import Section, read_yaml
from rnnbench.benchmark.errors import UserError, nearest

FOLDER = Path(__file__).parents[1] / "suites"

_SUITE_KEYS = (
    *("title", "description", "source", "published", "instances", "seed"),
    *("tasks", "networks", "leave_out", "training", "sweep", "measures", "overrides", "budgets"),
)
_BUDGET_KEYS = ("instances", "tasks", "networks", "training", "sweep", "measures", "overrides")
_OVERRIDE_KEYS = ("tasks", "networks", "training", "task", "recurrence", "sweep", "measures")


@dataclass(frozen=True)
class Suite:
    """A resolved suite under one budget.

    Attributes:
        name: file name without its ending.
        title: heading of its table.
        description: what it shows.
        source: text whose table or figure it reproduces; empty if none.
        budget: name of the budget it was resolved for.
        instances: number of instances of each experiment.
        experiments: in the order of the file: tasks outside, networks inside.
        path: the file.
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
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find_suite(name_or_path: str) -> Path:
    """Return the file of a shipped suite by its name, or of a user's by its path.

    Raises:
        UserError: there is neither; the nearest name is given.
    """
    known, path = suite_files(), Path(name_or_path)
    if name_or_path in known:
        return known[name_or_path]
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise UserError(f"suite file {path}: no such file; as the name of a suite: {nearest(path.stem, known)}")
        return path
    if path.is_dir():
        raise UserError(f"suite {path}: is a folder; the name of a suite or a YAML file is allowed (see list suites)")
    raise UserError(f"unknown suite '{name_or_path}': {nearest(name_or_path, known)}")


def suite_budgets(content: Section) -> list[str]:
    """Return the names of the budgets of a suite's file; all of them where it distinguishes none."""
    budgets = content.section("budgets")
    budgets.check_keys(BUDGETS, "budget")
    return [name for name in BUDGETS if name in budgets or not budgets]


def load_suite(name_or_path: str | Path, budget: str = "cpu") -> Suite:
    """Return a suite, resolved for a budget.

    Args:
        name_or_path: name of a shipped suite, or path of a YAML file.
        budget: ``smoke``, ``cpu`` or ``paper``.

    Raises:
        UserError: anything in the file that is not understood, with file and line; nothing is guessed.

    >>> suite = load_suite("quick", budget="smoke")
    >>> suite.instances, suite.experiments[0].name
    (2, 'ADD30/StackedRNN')
    """
    path = find_suite(str(name_or_path))
    content = read_yaml(path)
    content.check_keys(_SUITE_KEYS, "key of a suite")
    known = suite_budgets(content)
    if budget not in known:
        raise UserError(f"{path}: unknown budget '{budget}': {nearest(budget, known)}")
    chosen = content.section("budgets").section(budget)
    chosen.check_keys(_BUDGET_KEYS, "key of a budget")
    tasks, networks = content.section("tasks"), content.section("networks")
    for key, section in (("tasks", tasks), ("networks", networks)):
        if not section:
            raise UserError(f"{path}: '{key}' is missing or empty: name at least one")
        spelt: dict[str, str] = {}
        for name in section:
            other = spelt.setdefault(name.casefold(), name)
            if other != name:
                raise UserError(f"{section.at(name)}: '{name}' must differ from '{other}' in more than capitals")
            if not name or set(name) & set("/*?[]\\"):
                raise UserError(f"{section.at(name)}: the name '{name}' holds one of / * ? [ ] \\ or is empty")
    base = Layer(content)
    layers = [*_overrides(content, tasks, networks), Layer(chosen), *_overrides(chosen, tasks, networks)]
    published = _published(content, tasks, networks)
    left_out = _left_out(content, tasks, networks)
    seed = _whole_number(content, "seed", 0, (0, 2**32 - 1))
    experiments = []
    for task in _kept(chosen, "tasks", tasks):
        for network in _kept(chosen, "networks", networks):
            if (task, network) in left_out:
                continue
            draft = Draft(tasks, task, networks, network)
            for layer in (base, Layer(draft.preset), *layers):
                draft.lay(layer)
            config, grid = draft.resolve(seed)
            place = published.get((task, network))
            experiments.append(Experiment(path.stem, budget, task, network, config, grid, place, draft.measures))
    allowed = (1, MOST_INSTANCES)
    instances = _whole_number(chosen, "instances", _whole_number(content, "instances", 1, allowed), allowed)
    title, description, source = (_text(content, key) for key in ("title", "description", "source"))
    return Suite(path.stem, title or path.stem, description, source, budget, instances, tuple(experiments), path)


def _overrides(content: Section, tasks: Section, networks: Section) -> list[Layer]:
    overrides = content.get("overrides") or []
    if not isinstance(overrides, list):
        raise UserError(f"{content.at('overrides')}: 'overrides' is {overrides!r}: a list is allowed")
    layers = []
    for override in overrides:
        if not isinstance(override, Section):
            raise UserError(f"{content.at('overrides')}: the override {override!r} is no mapping (key: value)")
        override.check_keys(_OVERRIDE_KEYS, "key of an override")
        layers.append(Layer(override, _kept(override, "tasks", tasks), _kept(override, "networks", networks)))
    return layers


def _left_out(content: Section, tasks: Section, networks: Section) -> set[tuple[str, str]]:
    """Return the pairs of task and network that are no experiments."""
    blocks = content.get("leave_out") or []
    if not isinstance(blocks, list) or not all(isinstance(block, Section) for block in blocks):
        raise UserError(f"{content.at('leave_out')}: 'leave_out' is {blocks!r}: a list of mappings is allowed")
    pairs = set()
    for block in blocks:
        block.check_keys(("tasks", "networks"), "key of a block to leave out")
        pairs |= set(itertools.product(_kept(block, "tasks", tasks), _kept(block, "networks", networks)))
    return pairs


def _kept(section: Section, key: str, known: Section) -> tuple[str, ...]:
    """Return the names listed under ``key``, all known ones without such a list; in the order of the suite."""
    if key not in section:
        return tuple(known)
    names = section[key]
    if not isinstance(names, list) or not names:
        raise UserError(f"{section.at(key)}: '{key}' is {names!r}: a list of names is allowed")
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise UserError(f"{section.at(key)}: unknown name '{name}' in '{key}': {nearest(name, known)}")
    return tuple(name for name in known if name in names)


def _published(content: Section, tasks: Section, networks: Section) -> dict[tuple[str, str], Published]:
    if "published" not in content:
        return {}
    section = content.section("published")
    section.check_keys(("source", "tasks", "networks"), "key of 'published'")
    if not _text(section, "source"):
        raise UserError(f"{content.at('published')}: 'published' needs a source")
    renamed: dict[str, Section] = {}
    for key, known in (("tasks", tasks), ("networks", networks)):
        renamed[key] = section.section(key)
        renamed[key].check_keys(known, f"name in 'published.{key}'")
    source = _text(section, "source")
    task_names = {task: _text(renamed["tasks"], task) or task for task in tasks}
    models = {network: _text(renamed["networks"], network) or network for network in networks}
    return {
        (task, network): Published(source, task_names[task], models[network]) for task in tasks for network in networks
    }


def _text(section: Section, key: str) -> str:
    value = section.get(key)
    if value is not None and not isinstance(value, str):
        raise UserError(f"{section.at(key)}: '{key}' is {value!r}: text is allowed")
    return (value or "").strip()


def _whole_number(section: Section, key: str, default: int, allowed: tuple[int, int]) -> int:
    value, (least, most) = section.get(key, default), allowed
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UserError(
            f"{section.at(key)}: '{key}' is {value!r}: a whole number of at least {least} and at most {most} is allowed"
        )
    return value
