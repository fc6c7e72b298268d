import functools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rnnbench.leaderboard.files import FileError
from rnnbench.leaderboard.record import read_record, summarise, write_record
from rnnbench.leaderboard.schema import Measure, Record
from tests.leaderboard.factory import ACCURACY, MSE, RMSE, curve_of, full_disk, make_record, metrics_of

keys = st.text(min_size=1, max_size=200)
numbers = st.none() | st.floats()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
measures_of_dynamics = st.builds(
    lambda reason, **given: Measure(status="finished" if reason is None else "failed", reason=reason, step=0, **given),
    st.none() | st.text(),
    settings=st.dictionaries(st.text(), json_values, max_size=2),
    summary=st.dictionaries(st.text(), numbers | st.integers(-5, 5) | st.text(), max_size=2),
    arrays=st.just(["lyapunov/start/exponents"]),
)


@given(
    val=st.lists(numbers, max_size=5),
    config=st.dictionaries(st.text(), json_values, max_size=4),
    measures=st.dictionaries(keys, st.dictionaries(keys, measures_of_dynamics, max_size=2), max_size=2),
    network=keys,
    instance=st.integers(0, 10**6),
)
def test_written_is_read_back_the_same(tmp_path_factory, val, config, measures, network, instance):
    record = make_record(val=val, test=val, config=config, measures=measures, network=network, instance=instance)
    path = tmp_path_factory.mktemp("records") / "a" / "record.json"
    write_record(path, record)
    assert read_record(path) == record
    first = path.read_bytes()
    write_record(path, read_record(path))
    assert path.read_bytes() == first


def test_not_a_number_becomes_null():
    record = make_record(
        val=(float("nan"), float("inf")), test=(0.1, -float("inf")), hardware={"speed": [float("nan"), 1.5]}
    )
    assert record.curve[0].val == {"accuracy": None}
    assert record.curve[1].test == {"accuracy": None}
    assert record.hardware == {"speed": [None, 1.5]}
    assert record.best_step is None
    assert record.scores.test == {"accuracy": None}
    assert record.best_test == {"accuracy": 0.1}


@pytest.mark.parametrize(
    ("metric", "val", "test", "diverged_at", "best_step", "scores", "best_test"),
    [
        (RMSE, [0.3, 0.1, 0.1, None, 0.2], [0.3, 0.15, 0.12, 0.01, 0.25], None, 200, (0.1, 0.15), 0.01),
        (ACCURACY, [0.3, 0.8, 0.7], [0.9, 0.5, 0.6], None, 200, (0.8, 0.5), 0.9),
        (ACCURACY, [0.3, 0.4, 0.9], [0.2, 0.5, 0.9], 300, 200, (0.4, 0.5), 0.5),
    ],
    ids=["earliest of the smallest", "largest", "before divergence"],
)
def test_scores_are_test_values_at_the_best_validation_value(
    metric, val, test, diverged_at, best_step, scores, best_test
):
    summary = summarise(curve_of(metric["name"], val, test), metrics_of(metric), 100 * len(val), 100, diverged_at)
    assert summary.best_step == best_step
    assert (summary.scores.val, summary.scores.test) == tuple({metric["name"]: value} for value in scores)
    assert summary.best_test == {metric["name"]: best_test}


@pytest.mark.parametrize(
    ("metric", "val", "test", "steps", "diverged_at", "reached_on_val", "reached_on_test"),
    [
        (RMSE, [0.3, 0.05, 0.2], [0.3, 0.06, 0.2], 320, None, (200, False), (320, True)),
        (RMSE, [0.3, 0.05], [0.3, 0.2], 200, None, (200, False), (200, True)),
        (RMSE, [0.3, None, 0.0501], [0.3, None, 0.0501], 300, None, (300, True), (300, True)),
        (RMSE, [0.3, None, 0.0501], [0.3, None, 0.0501], 399, None, (399, True), (399, True)),
        (ACCURACY, [0.1, None, 0.4999], [0.1, None, 0.4999], 300, None, (300, True), (300, True)),
        (ACCURACY, [0.3, 0.4, 0.9], [0.2, 0.5, 0.9], 300, 300, (300, True), (200, False)),
    ],
    ids=["first that meets it", "at the last step", "never", "between evaluations", "larger", "diverged before"],
)
def test_minimal_performance(metric, val, test, steps, diverged_at, reached_on_val, reached_on_test):
    curve = curve_of(metric["name"], val, test)
    reached = summarise(curve, metrics_of(MSE, metric), steps, 100, diverged_at).minimal_performance
    assert (reached.metric, reached.threshold) == (metric["name"], metric["minimal_performance"])
    assert reached.interval == 100
    assert (reached.val_iterations, reached.val_censored) == reached_on_val
    assert (reached.test_iterations, reached.test_censored) == reached_on_test
    assert summarise(curve, metrics_of(MSE), steps, interval=100).minimal_performance is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "diverged"}, "diverged_at must be a step if diverged, else null, got None"),
        ({"diverged_at": 3, "status": "finished"}, "diverged_at must be a step if diverged, else null, got 3"),
        ({"best_step": 7}, "best_step must be a step of the curve or null, got 7"),
        ({"point": {"training.learning_rate": 0.1}}, "point must have"),
        ({"metrics": metrics_of(ACCURACY, ACCURACY)}, "names of metrics must differ"),
        ({"metrics": metrics_of(MSE)}, "minimal_performance must be of one of"),
        ({"curve": curve_of("accuracy", [0.1, 0.2], [0.1, 0.2], interval=0)}, "must increase"),
        ({"instance": -1}, "greater than or equal to 0"),
        ({"steps": 2**63}, "less than"),
        ({"network": "n" * 201}, "at most 200 characters"),
        ({"config": {"a": functools.reduce(lambda inner, _: [inner], range(500), 0)}}, "nested at most 64 deep"),
        ({"experiment_id": "../x"}, "pattern"),
        ({"finished_at": "yesterday"}, "isoformat"),
        ({"seconds_per_step": float("nan")}, "finite"),
        ({"config": {"a": {1, 2}}}, "of type set"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes, message):
    fields = {name: getattr(make_record(), name) for name in Record.model_fields} | changes
    with pytest.raises(ValidationError, match=message):
        Record(**fields)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cut short"),
        (b'{"schema_version": 1, "suite": "qui', "cut short"),
        (b"hello", "not JSON"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b'{"schema_version": NaN}', "NaN"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "no schema_version"),
        (b'{"accuracy": 1}', "no schema_version"),
        (b'{"schema_version": true}', "no schema_version"),
        (b'{"schema_version": 2}', "newer rnnbench"),
        (b'{"schema_version": 0}', "must be from 1 to 1, got 0"),
        (b'{"schema_version": 1}', "experiment_id: Field required"),
    ],
)
def test_what_is_no_record_is_named_with_its_file(tmp_path, content, reason):
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(FileError, match=reason) as caught:
        read_record(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_bad_field_is_named(tmp_path):
    path = tmp_path / "record.json"
    write_record(path, make_record())
    data = json.loads(path.read_text())
    # Not even a text that reads as a number.
    data["curve"][1]["val"]["accuracy"] = "0.5"
    path.write_text(json.dumps(data))
    with pytest.raises(FileError, match=r"curve\.1\.val\.accuracy"):
        read_record(path)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "none.json")


def test_records_of_every_version_stay_readable():
    record = read_record(Path(__file__).parent / "historic" / "v1.json")
    assert record.network == "LSTM"
    assert record.scores.test["accuracy"] == 0.88


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "record.json"
    write_record(path, make_record())
    before = path.read_bytes()

    monkeypatch.setattr(os, call, full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_record(path, make_record(instance=1))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file"):
        write_record(tmp_path / "file" / "record.json", make_record())
    assert (tmp_path / "file").read_text() == "mine"
