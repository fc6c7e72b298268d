"""One cell of the page: its numbers, instances, curve, recipe, hardware, and the command that runs it again."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rnnbench.leaderboard.drawing.learning_curves import curve
from rnnbench.leaderboard.drawing.sweep_figures import Mean, iterations, score
from rnnbench.leaderboard.dynamics import moment_text
from rnnbench.leaderboard.page.numbers import Shared, drawn, short_text
from rnnbench.leaderboard.plan import run_command
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.senders import Senders
from rnnbench.leaderboard.statistics import Cell, statistic
from rnnbench.leaderboard.store import place_of
from rnnbench.leaderboard.tables.markdown import mean_and_sd
from rnnbench.leaderboard.tables.training import count_of_epochs, epochs

_MOST_POINTS, _LEAST_POINTS = 50, 8
_MOST_INSTANCES, _LEAST_INSTANCES = 1_000, 5
#: Evaluations, and instances, that a page holds of all its cells, unless each cell has the least of them.
_ALL_POINTS, _ALL_INSTANCES = 50_000, 20_000
_MOST_SETTINGS = 200
#: Numbers of measures that scores are drawn against: measure, key of its summary, and label of the axis.
DYNAMICS = {
    "exponent": ("lyapunov", "largest", "largest Lyapunov exponent (nats per step)"),
    "slope": ("gradient_flow", "slope", "gradient slope (nats per step)"),
    "horizon": ("truncation", "memory", "truncation horizon (steps to 1 % state error)"),
    "capacity": ("memory_capacity", "total", "memory capacity"),
    "processing": ("processing_capacity", "total", "information processing capacity"),
    "state": ("effective_state", "rank", "effective state size"),
    "iterations": ("parallelisability", "newton", "Newton iterations over the whole sequence"),
    "curvature": ("hessian", "largest_magnitude", "largest |Hessian eigenvalue|"),
}
_MOMENTS = ("start", "best", "end")


@dataclass(frozen=True)
class Limits:
    """How many evaluations of its learning curve, and how many instances, the page holds of a cell at most."""

    points: int
    instances: int

    @classmethod
    def of(cls, cells: int) -> "Limits":
        """Return the limits for so many cells.

        >>> Limits.of(276), Limits.of(20_000)
        (Limits(points=50, instances=72), Limits(points=8, instances=5))
        """
        points, instances = (total // max(1, cells) for total in (_ALL_POINTS, _ALL_INSTANCES))
        return cls(
            min(max(points, _LEAST_POINTS), _MOST_POINTS), min(max(instances, _LEAST_INSTANCES), _MOST_INSTANCES)
        )

    def thinned(self, cells: Iterable[Cell]) -> str:
        """Return a sentence on what the page leaves out of cells; empty if that is nothing out of the ordinary."""
        many = max((len(cell.records) for cell in cells), default=0) > self.instances
        left_out = [
            *([f"learning curves have at most {self.points} evaluations"] if self.points < _MOST_POINTS else []),
            *([f"of a cell the first {self.instances} instances are listed"] if many else []),
        ]
        whole = "; means, ranges and counts are over all of them"
        return f"To keep this page small, {' and '.join(left_out)}{whole}." if left_out else ""


@dataclass
class Pool:
    """What the cells of a page share: who sent records in, settings, machines with versions, and commits."""

    senders: Senders
    limits: Limits
    settings: Shared[tuple[str, str]] = field(default_factory=Shared)
    hardware: Shared[str] = field(default_factory=Shared)
    commits: Shared[str] = field(default_factory=Shared)


def cell_data(cell: Cell, pool: Pool) -> dict[str, Any]:
    """Return what the page holds of a cell; means and the instances' values unrounded, what is only drawn rounded."""
    first, metric = cell.first, cell.metric
    summary = cell.over_finished(lambda record: record.scores.test.get(metric.name))
    seconds = statistic(record.seconds_per_step for record in cell.records)
    length = epochs(cell)
    return {
        "mean": summary.mean if summary else None,
        "sd": summary.sd if summary else None,
        "n": summary.n if summary else 0,
        "records": len(cell.records),
        "diverged": cell.diverged,
        "text": mean_and_sd(summary, metric.display) if summary else "–",
        # Twelve digits say how little is left to the best possible value.
        "share": drawn(share_of_gap(cell, summary.mean), 12) if summary else None,
        "chance": metric.chance,
        "score": _mean(score(cell)),
        "iterations": _mean(iterations(cell)),
        "parameters": first.parameters,
        "state": first.state_size,
        "seconds": drawn(seconds.mean if seconds else None),
        "memory": max(record.peak_memory_bytes for record in cell.records),
        "trained": f"{first.steps:,} steps" + (f" ({count_of_epochs(length)})" if length else ""),
        "grid": _grid(cell),
        "reason": short_text(cell.reason),
        "sent": "; ".join(_sent(cell, pool.senders)),
        "dynamics": _dynamics(cell),
        "recipe": pool.settings.indices(_settings(first.config)),
        "hardware": pool.hardware.indices(dict.fromkeys(line for record in cell.records for line in _machine(record))),
        "finished": " to ".join(sorted({min(_days(cell)), max(_days(cell))})),
        "command": short_text(run_command(first.suite, first.budget, [(first.task, first.network)])),
        "curve": _curve(cell, pool.limits.points),
        "instances": _instances(cell, pool),
    }


def share_of_gap(cell: Cell, value: float) -> float | None:
    """Return which share of the gap from chance to the best possible value a value has closed; negative below chance.

    None where chance is the best possible value already.
    """
    gap = cell.metric.best - cell.metric.chance
    return (value - cell.metric.chance) / gap if gap else None


def _mean(mean: Mean | None) -> list[Any] | None:
    return [drawn(mean.mean), drawn(mean.low), drawn(mean.high), mean.whole] if mean else None


def _instances(cell: Cell, pool: Pool) -> dict[str, list[Any]]:
    name, records = cell.metric.name, cell.records[: pool.limits.instances]

    def reached(record: Record) -> str | None:
        performance = record.minimal_performance
        return f"{'> ' * performance.val_censored}{performance.val_iterations}" if performance else None

    return {
        "instance": [record.instance for record in records],
        "status": [
            f"diverged at {record.diverged_at}" if record.status == "diverged" else record.status for record in records
        ],
        "test": [record.scores.test.get(name) for record in records],
        "val": [record.scores.val.get(name) for record in records],
        "best_test": [record.best_test.get(name) for record in records],
        "steps": [record.steps for record in records],
        "reached": [reached(record) for record in records],
        "seconds": [drawn(record.seconds_per_step) for record in records],
        "memory": [record.peak_memory_bytes for record in records],
        "commit": [
            pool.commits.index(short_text(record.code.commit or "unknown") + " (changed)" * bool(record.code.dirty))
            for record in records
        ],
    }


def _curve(cell: Cell, most: int) -> dict[str, list[Any]] | None:
    val, test = curve(cell), curve(cell, "test")
    if not val.steps:
        return None
    last, tests = len(val.steps) - 1, dict(zip(test.steps, test.mean, strict=True))
    # Evenly spread, the first and the last among them.
    kept = sorted({round(i * last / max(1, most - 1)) for i in range(most)}) if last >= most else range(last + 1)
    found: dict[str, list[Any]] = {
        "step": [val.steps[i] for i in kept],
        "val": [drawn(val.mean[i], 4) for i in kept],
        "test": [drawn(tests.get(val.steps[i]), 4) for i in kept],
    }
    ranged = len(cell.finished) > 1
    for name, values in (("low", val.low), ("high", val.high)):
        found[name] = [drawn(values[i], 4) for i in kept] if ranged else []
    return found


def _dynamics(cell: Cell) -> dict[str, float]:
    found = {}
    for key, (measure, number, _) in DYNAMICS.items():
        for moment in _MOMENTS:
            measured = [record.measures.get(measure, {}).get(moment) for record in cell.records]
            values = [one.summary.get(number) for one in measured if one]
            mean = statistic(float(value) for value in values if isinstance(value, int | float))
            if mean and (value := drawn(mean.mean)) is not None:
                found[f"{key}/{moment}"] = value
    return found


def dynamics_labels() -> dict[str, str]:
    """Return the label of every number of dynamics that a cell may hold."""
    return {
        f"{key}/{moment}": f"{label}, {moment_text(moment)}"
        for key, (*_, label) in DYNAMICS.items()
        for moment in _MOMENTS
    }


def _sent(cell: Cell, senders: Senders) -> list[str]:
    """Return who sent the records of a cell in, and whether they were reproduced here; empty if they are ours."""
    found = [senders[place] for record in cell.records if (place := place_of(record)) in senders]
    return [
        short_text(f"{found.count(one)} of {len(cell.records)} by {one.sender}, {one.tier}")
        for one in dict.fromkeys(found)
    ]


def _settings(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def flatten(value: Any, path: str) -> None:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                if len(found) < _MOST_SETTINGS:
                    flatten(inner, f"{path}.{key}" if path else key)
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found.append((short_text(path.replace("init_args.", "")), short_text(text)))

    flatten(config, "")
    return found


def _machine(record: Record) -> Iterator[str]:
    for what in (record.hardware, record.versions):
        yield short_text(", ".join(f"{name} {value}" for name, value in sorted(what.items())))
    for own in record.own_code:
        yield short_text(f"{own.module} {own.version or ''} ({own.commit or own.source})")


def _days(cell: Cell) -> list[str]:
    return [record.finished_at[:10] for record in cell.records]


def _grid(cell: Cell) -> str:
    first, size = cell.first, cell.grid_size
    if not first.grid:
        return ""
    how = f"by pilots of {100 * first.pilot.share:g} % of the steps" if first.pilot else "on validation"
    return short_text(f"{size or cell.points} points of {', '.join(sorted(first.grid))}, {how}")
