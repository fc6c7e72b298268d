"""What a record holds: the measured result of one instance, as typed and checked data."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from rnnbench.leaderboard.metric import MetricInfo

Status = Literal["finished", "diverged", "interrupted"]
Budget = Literal["smoke", "cpu", "paper"]

_DEEPEST = 64


def plain(value: Any, *, depth: int = 0) -> Any:
    """Return a value as JSON has it: tuples as lists, NaN and infinities as None.

    >>> plain({"betas": (0.9, float("nan"))})
    {'betas': [0.9, None]}

    Raises:
        ValueError: a part of it is neither number, string, boolean, None, list nor mapping with string keys, or is
            nested more deeply than any setting.
    """
    if depth > _DEEPEST:
        raise ValueError(f"settings must be nested at most {_DEEPEST} deep")
    # Most of a record, looked at first.
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is str:
        return value
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        raise ValueError("numbers must be at most 1.8e308 in size")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [plain(item, depth=depth + 1) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: plain(item, depth=depth + 1) for key, item in value.items()}
    what = "a number, string, boolean, null, list or mapping with string keys"
    raise ValueError(f"must be {what}, got {value!r} of type {type(value).__name__}")


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time; one without a zone is taken as UTC.

    Raises:
        ValueError: the text is not such a time.
    """
    # Python 3.10 does not read the zone "Z".
    parsed = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


Number = Annotated[float | None, BeforeValidator(plain)]
Values = dict[str, Number]
Json = Annotated[dict[str, Any], BeforeValidator(plain)]
# Limits far beyond any use, within which names fit into paths and counts into floats.
LengthRange = Annotated[str, Field(pattern=r"^\d{1,18}-\d{1,18}$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
# ISO 8601.
Time = Annotated[str, AfterValidator(lambda text: parse_time(text) and text)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _Later(_Model):
    """What is written without the fields that came later, where these are None: as before there were any."""

    later_fields: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in write(self).items() if key not in self.later_fields or value is not None}


class CurvePoint(_Later):
    """One evaluation during training: the loss and each metric on the validation and the test split.

    Attributes:
        by_length: the ranked metric in test by the shortest and the longest sequences, such as ``40-52``; None where
            all are of one length.
    """

    later_fields = ("by_length",)

    step: Count
    epoch: Annotated[float, Field(ge=0)]
    train_loss: Number
    val: Values
    test: Values
    by_length: dict[LengthRange, Number] | None = None


class Scores(_Model):
    """The value of each metric at ``Record.best_step``."""

    val: Values
    test: Values


class MinimalPerformance(_Model):
    """Iterations until ``metric`` first reached ``threshold``, measured every ``interval`` steps.

    Where it never did, the iterations are the steps of the whole training, and censored.
    """

    metric: Text
    threshold: float
    interval: Annotated[int, Field(ge=1)]
    val_iterations: Count
    val_censored: bool
    test_iterations: Count
    test_censored: bool


class CodeVersion(_Model):
    """The commit that measured, and whether files differed from it; None where there is no repository."""

    commit: str | None
    dirty: bool | None


class OwnCode(_Later):
    """A module of a user's own, outside rnnbench, that a record's classes come from.

    Attributes:
        version: of the distribution that installed it; None if none did.
        source: hash of its file and of those that it imports from its package; in older records of the whole package.
        commit: of the repository that tracks it; None if none does.
        dirty: whether these files differed from that commit.
        package: hash of all Python files of its package, to be compared with older records; None if the same.
    """

    later_fields = ("package",)

    module: Text
    version: str | None
    source: Text
    commit: str | None
    dirty: bool | None
    package: Text | None = None


class Measure(_Later):
    """A measure of an instance's dynamics at one moment.

    Attributes:
        status: ``failed`` if it could not be taken; the run and its scores are not touched by that.
        reason: why it failed; None if it did not.
        step: optimiser steps done by then.
        settings: how it was taken, defaults filled in.
        summary: numbers for tables; None where one is not finite or does not exist.
        arrays: names of what lies in the file beside the record (``leaderboard.files``).
        later: the code that took it from the finished network; None if it was taken in training.
    """

    later_fields = ("later",)
    status: Literal["finished", "failed"]
    reason: str | None
    step: Count
    settings: Json
    summary: Annotated[dict[str, float | int | str | None], BeforeValidator(plain)]
    arrays: list[Text]
    later: CodeVersion | None = None

    @model_validator(mode="after")
    def _reason_agrees(self) -> Measure:
        if (self.status == "failed") != (self.reason is not None):
            raise ValueError(f"reason must be a text if failed, else null, got {self.reason!r}")
        return self


class Published(_Model):
    """Which published number belongs beside a record: a row of ``published/results.csv``."""

    source: Text
    model: Text
    task: Text


class PilotPoint(_Model):
    """One point of a grid, and how its pilots did.

    Attributes:
        values: the value of each swept setting, as in ``Record.point``.
        val: mean over the pilots that did not diverge of the score that chooses: the validation value of the ranked
            metric in ``Record.scores``; None where all of them diverged.
        diverged: how many pilots diverged; a point with fewer of them wins.
    """

    values: Json
    val: Number
    diverged: Count


class Pilot(_Model):
    """How the point of a record was chosen: every point of the grid was trained for a share of the steps.

    The pilots themselves are no records of the suite. The point that won is ``Record.point``.

    Attributes:
        share: of the recipe's steps (or epochs), as stated in the suite.
        instances: pilots of each point.
        steps: optimiser steps of each pilot.
        points: all points of the grid, in its order.
        edges: the swept settings at whose edge the winner lies: of at least three numbers tried together with the
            winner's settings that are no numbers (its optimiser), its own is the smallest or the largest.
    """

    share: Annotated[float, Field(gt=0, le=1)]
    instances: Annotated[int, Field(ge=1)]
    steps: Count
    points: Annotated[list[PilotPoint], Field(min_length=2)]
    edges: list[Text]


class Record(_Later):
    """The measured result of one instance.

    Attributes:
        experiment_id: hash of the resolved configuration (hexadecimal).
        family_id: the same without the swept settings: what the points of a sweep share.
        task: short name, the column in tables.
        network: short name, the row in tables.
        grid: the swept settings by dotted path, with the values that each of them takes; empty if none. Where the
            suite lists its points, not all combinations are points.
        point: this record's value of each swept setting.
        metrics: what was measured; the first one ranks.
        best_step: step of the best validation value of the ranked metric; of the last evaluation where the recipe says
            ``test_at: last``.
        scores: the values at ``best_step``.
        best_test: best test value of each metric over training.
        state_size: S, everything carried in time.
        steps: optimiser steps of the whole training; until it stopped for an instance whose patience ran out.
        seconds_per_step: wall time of one optimiser step, in seconds; its share where several are trained together.
        peak_memory_bytes: largest memory in use, in bytes; measures of dynamics are part of it.
        measures: measures of dynamics, by name and by moment: ``start``, ``end``, ``epoch-3`` after three epochs,
            or ``best`` with the weights of ``best_step``.
        own_code: the modules of a user's own that task and network come from; none of them in older records.
        pilot: the short runs that chose the point of the grid; None where every point was trained in full.
        stopped_at: the step at which patience ran out or, where there is a patience, a divergence was found; None if
            neither happened.
        trained_lengths: the shortest and the longest training sequences, where a task draws them from a range.
    """

    later_fields = ("trained_lengths",)
    schema_version: Literal[1]
    experiment_id: Annotated[str, Field(pattern="^[0-9a-f]+$")]
    family_id: Text
    suite: Text
    budget: Budget
    task: Text
    network: Text
    instance: Count
    config: Json
    grid: Annotated[dict[str, list[Any]], BeforeValidator(plain)]
    point: Json
    status: Status
    diverged_at: Count | None
    metrics: Annotated[list[MetricInfo], Field(min_length=1)]
    curve: list[CurvePoint]
    best_step: Count | None
    scores: Scores
    best_test: Values
    minimal_performance: MinimalPerformance | None
    parameters: Count
    state_size: Count
    steps: Count
    seconds_per_step: Annotated[float, Field(ge=0, le=1e9)]
    peak_memory_bytes: Count
    data_fingerprint: str
    code: CodeVersion
    versions: dict[str, str]
    hardware: Json
    started_at: Time
    finished_at: Time
    published: Published | None
    measures: dict[Text, dict[Text, Measure]] = Field(default_factory=dict)
    own_code: list[OwnCode] = Field(default_factory=list)
    pilot: Pilot | None = None
    stopped_at: Count | None = None
    trained_lengths: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None

    @property
    def out_of_range(self) -> str:
        """What is wrong with the first value that its metric cannot have; empty if all of them can be."""
        measured = [values for point in self.curve for values in (point.val, point.test)]
        measured += [self.scores.val, self.scores.test, self.best_test]
        found = [metric.why_outside(values.get(metric.name) for values in measured) for metric in self.metrics]
        by_length = (value for point in self.curve for value in (point.by_length or {}).values())
        return next(filter(None, found), "") or self.ranked.why_outside(by_length)

    @property
    def cell(self) -> tuple[str, str, str, str]:
        """Suite, budget, task and network."""
        return self.suite, self.budget, self.task, self.network

    @property
    def ranked(self) -> MetricInfo:
        """The metric that tables rank by."""
        return self.metrics[0]

    @model_validator(mode="after")
    def _fields_agree(self) -> Record:
        names = [metric.name for metric in self.metrics]
        steps = [point.step for point in self.curve]
        if len(set(names)) < len(names):
            raise ValueError(f"names of metrics must differ, got {names}")
        if any(later <= earlier for earlier, later in pairwise(steps)):
            raise ValueError("the steps of the curve must increase")
        if self.best_step is not None and self.best_step not in steps:
            raise ValueError(f"best_step must be a step of the curve or null, got {self.best_step}")
        if (self.status == "diverged") != (self.diverged_at is not None):
            raise ValueError(f"diverged_at must be a step if diverged, else null, got {self.diverged_at}")
        if self.point.keys() != self.grid.keys():
            raise ValueError(f"point must have the settings of grid, {sorted(self.grid)}, got {sorted(self.point)}")
        if self.pilot and self.point not in [point.values for point in self.pilot.points]:
            raise ValueError(f"point must be one of the pilot's, got {self.point}")
        if self.minimal_performance and self.minimal_performance.metric not in names:
            raise ValueError(f"minimal_performance must be of one of {names}, got {self.minimal_performance.metric!r}")
        return self
