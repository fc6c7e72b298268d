"""Records as an index holds them: what instances share once, the rest of each alone, and its curve apart."""

import array
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, overload

from pydantic import TypeAdapter

from rnnbench.leaderboard.schema import CurvePoint, Measure, MinimalPerformance, Record, Scores

#: What each instance has of its own, but for its curve.
_OWN = (
    "instance", "status", "diverged_at", "best_step", "scores", "best_test", "minimal_performance", "steps",
    "seconds_per_step", "peak_memory_bytes", "started_at", "finished_at", "stopped_at", "measures",
)  # fmt: skip
_SHARED = {
    name: (TypeAdapter[Any](field.rebuild_annotation()), field)
    for name, field in Record.model_fields.items()
    if name not in (*_OWN, "curve")
}
_FIELDS = set(Record.model_fields)


class Packed(NamedTuple):
    """A record in three parts: what others have too, what is its own, both JSON; and its curve."""

    shared: bytes
    own: bytes
    curve: bytes


def pack(record: Record) -> Packed:
    """Return a record in parts."""
    shared, own = (record.model_dump(include=set(names)) for names in (_SHARED, _OWN))
    return Packed(_json(shared), _json([*(own[name] for name in _OWN), len(record.curve)]), _pack_curve(record.curve))


def unpack_shared(shared: bytes) -> dict[str, Any]:
    """Return the fields that records share, as a record has them."""
    found = json.loads(shared)
    return {
        name: adapter.validate_python(found[name]) if name in found else field.get_default(call_default_factory=True)
        for name, (adapter, field) in _SHARED.items()
    }


def unpack(shared: Mapping[str, Any], own: bytes, curve: Callable[[], bytes]) -> Record:
    """Return a record of its parts, whose curve is asked for when it is looked at."""
    *values, points = json.loads(own)
    found = dict(zip(_OWN, values, strict=True))
    found["scores"] = Scores.model_construct(**found["scores"])
    if found["minimal_performance"] is not None:
        found["minimal_performance"] = MinimalPerformance.model_construct(**found["minimal_performance"])
    found["measures"] = {
        name: {moment: Measure.model_validate(one) for moment, one in moments.items()}
        for name, moments in found["measures"].items()
    }
    return Record.model_construct(_FIELDS, **shared, **found, curve=PackedCurve(points, curve))


class PackedCurve(Sequence[CurvePoint]):
    """A learning curve whose points are made each time that it is looked at, since most never are."""

    def __init__(self, count: int, packed: Callable[[], bytes]) -> None:
        self._count, self._packed = count, packed

    def __len__(self) -> int:
        """Return the number of points."""
        return self._count

    def __iter__(self) -> Iterator[CurvePoint]:
        """Yield the points."""
        return iter(self[:])

    @overload
    def __getitem__(self, index: int) -> CurvePoint: ...
    @overload
    def __getitem__(self, index: slice) -> list[CurvePoint]: ...
    def __getitem__(self, index: int | slice) -> CurvePoint | list[CurvePoint]:
        """Return a point, or some."""
        names, rows = _columns(self._packed())
        places = range(self._count)[index]
        if isinstance(places, int):
            return _point(names, rows, places)
        return [_point(names, rows, place) for place in places]

    def __eq__(self, other: object) -> bool:
        """Compare as lists."""
        return list(self) == (list(other) if isinstance(other, PackedCurve) else other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def is_of_one_length(self) -> bool:
        """Whether no point has values by length."""
        return _columns(self._packed())[0] is not None

    def values(self, split: Literal["val", "test"], metric: str) -> list[tuple[int, float | None]]:
        """Return step and value of a metric at each point."""
        names, rows = _columns(self._packed())
        if names is None:
            return [(point.step, getattr(point, split).get(metric)) for point in self]
        if [split, metric] not in names:
            return [(int(step), None) for step in rows[:: len(names)]]
        values = rows[names.index([split, metric]) :: len(names)]
        return [
            (int(step), None if math.isnan(value) else value)
            for step, value in zip(rows[:: len(names)], values, strict=True)
        ]


def points_by_length(curve: Sequence[CurvePoint]) -> Sequence[CurvePoint]:
    """Return the points of a curve if any of them has values by length, else none."""
    return () if isinstance(curve, PackedCurve) and curve.is_of_one_length else curve


def curve_values(
    curve: Sequence[CurvePoint], split: Literal["val", "test"], metric: str
) -> list[tuple[int, float | None]]:
    """Return step and value of a metric at each point of a curve."""
    if isinstance(curve, PackedCurve):
        return curve.values(split, metric)
    return [(point.step, getattr(point, split).get(metric)) for point in curve]


def _pack_curve(curve: Sequence[CurvePoint]) -> bytes:
    """Return a line of JSON, the names of the columns, and the points as rows of floats, NaN for none.

    Where the points are not alike, that line holds them.
    """
    metrics = [["val", name] for name in curve[0].val] + [["test", name] for name in curve[0].test] if curve else []
    alike = all(
        point.by_length is None and point.step < 2**53 and [*point.val, *point.test] == [name for _, name in metrics]
        for point in curve
    )
    if not alike:
        return _json([None, [point.model_dump() for point in curve]])
    rows = array.array("d")
    for point in curve:
        row = (point.step, point.epoch, point.train_loss, *point.val.values(), *point.test.values())
        rows.extend(math.nan if value is None else value for value in row)
    return _json([[["step"], ["epoch"], ["train_loss"], *metrics], []]) + b"\n" + rows.tobytes()


def _columns(packed: bytes) -> tuple[list[list[str]] | None, Any]:
    """Return the names of the columns, and all rows, one after the other; None, and the points, if they differ."""
    header, _, content = packed.partition(b"\n")
    names, points = json.loads(header)
    if names is None:
        return None, points
    rows = array.array("d")
    rows.frombytes(content)
    return names, rows


def _point(names: list[list[str]] | None, rows: Any, place: int) -> CurvePoint:
    if names is None:
        return CurvePoint.model_validate(rows[place])
    width = len(names)
    values = [None if math.isnan(value) else value for value in rows[place * width : (place + 1) * width]]
    splits: dict[str, Any] = {"val": {}, "test": {}}
    for (split, metric), value in zip(names[3:], values[3:], strict=True):
        splits[split][metric] = value
    step, epoch, train_loss = values[:3]
    return CurvePoint.model_construct(step=int(step or 0), epoch=epoch, train_loss=train_loss, by_length=None, **splits)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
