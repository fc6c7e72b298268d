"""What may be written in a suite's file, as typed models: the suite, its budgets, its overrides."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema

from rnnbench.benchmark.config.experiment import MOST_INSTANCES
from rnnbench.benchmark.config.families import with_families_expanded
from rnnbench.benchmark.config.options import BUDGETS
from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.config.validation import Mapped, Model, must, section, validated, wrong
from rnnbench.benchmark.config.yaml_file import read_yaml
from rnnbench.benchmark.errors import nearest, shown
from rnnbench.benchmark.measures import Spec, resolve_measures
from rnnbench.leaderboard.schema import Published


def _named(specs: Section, info: ValidationInfo) -> Section:
    if not specs:
        raise must("a mapping with at least one name")
    spelt: dict[str, str] = {}
    for name, spec in specs.items():
        other = spelt.setdefault(name.casefold(), name)
        if other != name:
            raise wrong(f"{shown(name)} must differ from {shown(other)} in more than capitals", name)
        if not name or not name.isprintable() or set(name) & set("/*?[]\\"):
            raise wrong(f"the name {shown(name)} must be of printable characters, without / * ? [ ] \\", name)
        # A network may be the name of a preset.
        if not isinstance(spec, Section) and not (isinstance(spec, str) and info.field_name == "networks"):
            raise wrong(f"{shown(name)} must be a mapping (key: value), got {shown(spec)}", name)
    return specs


def _check_names(names: Iterable[object], info: ValidationInfo) -> list[str]:
    """Check names of tasks or networks, as the field is called; return all those of the suite."""
    known: list[str] = (info.context or {}).get(info.field_name, [])
    for name in names:
        if name not in known:
            raise wrong(f"unknown name {shown(name)} in '{info.field_name}': {nearest(name, known)}", name)
    return known


def _chosen(names: object, info: ValidationInfo) -> tuple[str, ...]:
    """Return the names in the order of the suite."""
    if not isinstance(names, list) or not names:
        raise must("a list of names")
    return tuple(name for name in _check_names(names, info) if name in names)


def _renamed(names: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    _check_names(names, info)
    return names


def _known_budgets(budgets: dict[str, BudgetSettings]) -> dict[str, BudgetSettings]:
    for name in budgets:
        if name not in BUDGETS:
            raise wrong(f"unknown budget {shown(name)}: {nearest(name, BUDGETS)}", name)
    return budgets


def _sweep(value: object) -> Section | list[Section]:
    """Return the axes of a sweep or a list of its points."""
    if not isinstance(value, list):
        return section(value)
    if not value or not all(isinstance(point, Section) and point for point in value):
        raise must("a mapping of settings to their values, or a list of points, each a mapping of settings")
    return value


#: The shipped suites.
SUITES = Path(__file__).parents[1] / "suites"
_TEXTS = {"type": "array", "items": {"type": "string"}}
_SWEEP = {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}
_MEASURES = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}}


def _null_is(empty: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: empty if value is None else value)


Text = Annotated[str, _null_is(""), AfterValidator(str.strip)]
Names = Annotated[tuple[str, ...] | None, PlainValidator(_chosen), WithJsonSchema(_TEXTS)]
Renamed = Annotated[dict[str, str], BeforeValidator(section), AfterValidator(_renamed)]
Instances = Annotated[int, Field(ge=1, le=MOST_INSTANCES)]


class Cells(Model):
    """Pairs of task and network: all of the tasks with all of the networks; those not given are all there are.

    Attributes:
        tasks: names of tasks; all where none are given.
        networks: names of networks; all where none are given.
    """

    key_name: ClassVar[str] = "key of a block to leave out"

    tasks: Names = None
    networks: Names = None

    def hold(self, task: str, network: str) -> bool:
        """Return whether a pair is one of them."""
        return task in (self.tasks or [task]) and network in (self.networks or [network])


class Settings(Model):
    """Settings laid over those that came before; None where nothing is written.

    Attributes:
        training: some of the settings of the recipe.
        sweep: dotted path to values, of which all combinations are points; or a list of points, each dotted path to
            value. Replaces the one before as a whole.
        pilot: how a sweep's points are tried; replaces the one before as a whole, ``{}`` ends it.
        measures: measures of dynamics, defaults filled in; replace those before as a whole.
    """

    training: Mapped | None = None
    sweep: Annotated[Section | list[Section] | None, PlainValidator(_sweep), WithJsonSchema(_SWEEP)] = None
    pilot: Mapped | None = None
    measures: Annotated[tuple[Spec, ...] | None, PlainValidator(resolve_measures), WithJsonSchema(_MEASURES)] = None


class Override(Settings, Cells):
    """Settings for some cells alone, of the task's and the recurrence's ``init_args`` too.

    Attributes:
        task: arguments laid over the task's ``init_args``.
        recurrence: arguments laid over the recurrence's ``init_args``.
        reason: why these cells differ from the others; tables print it.
    """

    key_name: ClassVar[str] = "key of an override"

    task: Mapped = Field(default_factory=Section)
    recurrence: Mapped = Field(default_factory=Section)
    reason: Text = ""


Overrides = Annotated[list[Override], _null_is([])]


class BudgetSettings(Settings, Cells):
    """What a budget changes and chooses.

    Attributes:
        instances: instances of each experiment; as at the top where none are given.
        overrides: further overrides, laid over those of the suite.
    """

    key_name: ClassVar[str] = "key of a budget"

    instances: Instances | None = None
    overrides: Overrides = Field(default_factory=list)


class PublishedNames(Model):
    """Where the published numbers are, and what tasks and networks are called there if not as here.

    Attributes:
        source: the ``source`` of rows in ``leaderboard/published/results.csv``.
        tasks: name here to name there.
        networks: name here to name there.
    """

    key_name: ClassVar[str] = "key of 'published'"

    source: Annotated[Text, Field(min_length=1)]
    tasks: Renamed = Field(default_factory=dict)
    networks: Renamed = Field(default_factory=dict)

    def of(self, task: str, network: str) -> Published:
        """Return the place of a cell's number."""
        model = self.networks.get(network) or network
        return Published(source=self.source, task=self.tasks.get(task) or task, model=model)


class SuiteFile(Settings):
    """A suite's file.

    Attributes:
        title: heading of its boards; the file's name where none is given.
        description: what it shows.
        source: the figure or table that it reproduces.
        published: where the published numbers are that stand beside its own.
        instances: repetitions of each experiment, with weights of their own.
        seed: of data, order and splits.
        tasks: the columns: name to class and arguments.
        networks: the rows: name to class and arguments, or to a preset.
        leave_out: blocks of cells that are not run.
        overrides: settings for some cells alone; later ones are laid over earlier ones.
        budgets: settings for ``smoke``, ``cpu`` and ``paper``; where none is given, all three are as the suite.
    """

    key_name: ClassVar[str] = "key of a suite"

    title: Text = ""
    description: Text = ""
    source: Text = ""
    published: PublishedNames | None = None
    instances: Instances = 1
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    tasks: Annotated[Mapped, AfterValidator(_named)]
    networks: Annotated[Mapped, AfterValidator(_named)]
    leave_out: Annotated[list[Cells], _null_is([])] = Field(default_factory=list)
    overrides: Overrides = Field(default_factory=list)
    budgets: Annotated[
        dict[str, Annotated[BudgetSettings, _null_is({})]], BeforeValidator(section), AfterValidator(_known_budgets)
    ] = Field(default_factory=dict)

    @property
    def budget_names(self) -> list[str]:
        """The budgets that the suite distinguishes; all there are where it distinguishes none."""
        return [name for name in BUDGETS if name in self.budgets or not self.budgets]


def read_suite_file(path: Path) -> SuiteFile:
    """Return a suite's file; a ``UserError`` with the line if anything in it is not understood."""
    content = with_families_expanded(read_yaml(path, ours=path.parent == SUITES))
    known = {key: list(content[key]) for key in ("tasks", "networks") if isinstance(content.get(key), dict)}
    return validated(SuiteFile, content, context=known)
