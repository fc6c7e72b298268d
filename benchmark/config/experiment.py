"""An experiment: task x network x training recipe, with an id that is a hash of everything that can change a result."""

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from rnnbench.benchmark.config.pilot import PilotSettings
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.leaderboard.schema import Pilot, Published
from rnnbench.leaderboard.settings import Config, config_id, get_setting

#: Instances of one experiment at most: far beyond any use, but a number that plans can still list.
MOST_INSTANCES = 10_000


@dataclass(frozen=True)
class Point:
    """One point of an experiment's grid (the only one, without a sweep).

    Attributes:
        config: the whole resolved configuration, the swept settings at this point's values.
        id: the experiment id of this point, 12 hexadecimal digits.
        values: swept setting (dotted path) to its value here; empty without a sweep.
    """

    config: Config
    id: str
    values: dict[str, Any]

    @property
    def recipe(self) -> Recipe:
        """The training settings of this point; a ``ValueError`` if one is outside of what is allowed."""
        return Recipe(**self.config["training"])


@dataclass(frozen=True)
class Experiment:
    """A cell of a suite's table under one budget.

    Attributes:
        task: the suite's short name of the task (a column).
        network: the suite's short name of the network (a row).
        config: ``task``, ``recurrence`` (each ``class_path`` and ``init_args`` with all defaults filled in),
            ``training`` (all fields of ``Recipe``) and ``seed`` (of data, order and splits).
        grid: swept setting (dotted path into ``config``) to its values; the choice is made on validation.
        published: where the published numbers are, if the suite reproduces any.
        measures: measures of dynamics to be taken (``benchmark.measures``). They cannot change what is trained,
            and so are part of neither configuration nor id.
        listed: the points of the grid where the suite lists them; where it does not, all combinations are points.
        pilot: how the point is chosen, if not by training all of them in full.
        chosen: the only point, by the value of each swept setting, once pilots have chosen; None before, and without.
        tried: what these pilots gave.
        is_pilot: whether this is the short run of another experiment's points, by which one of them is chosen.
        reason: why it is trained otherwise than the other cells, in the suite's words; empty if it gives no reason.
        unswept: settings of a sweep of the suite's in whose place another one stands that does not name them.
        lines: where the suite writes what: ``task.``, ``recurrence.`` or ``training.`` and the setting's name to file
            and line. For messages alone: not kept with a run.
    """

    suite: str
    budget: str
    task: str
    network: str
    config: Config
    grid: Mapping[str, tuple[Any, ...]]
    published: Published | None = None
    measures: tuple[Config, ...] = ()
    listed: tuple[Config, ...] = ()
    pilot: PilotSettings | None = None
    chosen: Config | None = None
    tried: Pilot | None = None
    is_pilot: bool = False
    reason: str = ""
    unswept: tuple[str, ...] = ()
    lines: Annotated[Mapping[str, str], Field(exclude=True)] = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The name that ``--only`` matches: ``task/network``."""
        return f"{self.task}/{self.network}"

    @property
    def cell(self) -> dict[str, Any]:
        """Suite, budget, task and network, of which together there is one."""
        return {"suite": self.suite, "budget": self.budget, "task": self.task, "network": self.network}

    @property
    def family_id(self) -> str:
        """The hash that all points of the grid share: that of the configuration without the swept settings."""
        return config_id(self.config, without=tuple(self.grid))

    def points(self) -> list[Point]:
        """Return the points of the grid, the last named setting varying fastest; only the chosen one if there is one.

        >>> base = {"task": {}, "recurrence": {}, "training": {"learning_rate": 0.1}, "seed": 0}
        >>> experiment = Experiment("s", "cpu", "t", "n", base, {"training.learning_rate": (0.1, 0.03)})
        >>> [point.values for point in experiment.points()]
        [{'training.learning_rate': 0.1}, {'training.learning_rate': 0.03}]
        >>> len({point.id for point in experiment.points()})
        2
        """
        return list(self._points)

    def point(self, point_id: str) -> Point:
        """Return the point of an id; a ``KeyError`` if there is none."""
        return self._by_id[point_id]

    @functools.cached_property
    def _by_id(self) -> dict[str, Point]:
        # Of points that differ in nothing the first.
        return {point.id: point for point in reversed(self._points)}

    @functools.cached_property
    def _points(self) -> tuple[Point, ...]:
        combinations = (dict(zip(self.grid, each, strict=True)) for each in itertools.product(*self.grid.values()))
        points = []
        for values in [self.chosen] if self.chosen is not None else self.listed or combinations:
            config = _copied(self.config)
            for path, value in values.items():
                set_setting(config, path, value)
            points.append(Point(config, config_id(config), dict(values)))
        return tuple(points)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields alone: points are made again."""
        return {key: value for key, value in vars(self).items() if key not in ("_points", "_by_id")}


def _copied(value: Any) -> Any:
    """Return a copy of a part of a configuration, which is plain: ``copy.deepcopy`` takes twice as long."""
    if isinstance(value, dict):
        return {key: _copied(inner) if isinstance(inner, dict | list) else inner for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def set_setting(config: Config, path: str, value: Any) -> None:
    """Set the value at a dotted path of a configuration, in place."""
    parent, _, last = path.rpartition(".")
    get_setting(config, parent)[last] = value
