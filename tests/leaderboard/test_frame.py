"""Records as tables: every documented column holds what the records say."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.leaderboard.frame import COLUMNS, CURVE_COLUMNS, KEY, curve_table, instance_table, read_records
from rnnbench.leaderboard.store import load_records, shipped_records
from tests.leaderboard.factory import CROSS_ENTROPY, make_measure, make_record, put

DOCS = (Path(__file__).parents[2] / "docs" / "records.md").read_text(encoding="utf-8")


def test_table_of_published_records_is_what_they_say(tmp_path: Path) -> None:
    for suite in ("quick", "dynamics"):
        (tmp_path / suite).symlink_to(shipped_records() / suite)
    records, table = load_records(tmp_path), read_records(tmp_path)
    assert len(table) == len(records) == len(table.drop_duplicates([*KEY]))
    assert {name: str(kind) for name, kind in table.dtypes.items() if name in COLUMNS} == {
        name: kind for name, (kind, _) in COLUMNS.items()
    }
    for record, (_, row) in zip(records, table.iterrows(), strict=True):
        ranked = record.ranked.name
        assert [row[name] for name in KEY] == [getattr(record, name) for name in KEY]
        score = record.scores.test.get(ranked)
        assert row["test"] == row[f"test/{ranked}"] == score or (score is None and math.isnan(row["test"]))
        assert json.loads(row["config"])["training"].get("learning_rate") == row["learning_rate"]
        assert row["finished_at"] == pd.Timestamp(record.finished_at)
    scores = table[(table.task == "ADD30") & (table.network == "GRU") & table.chosen].test
    assert (scores.count(), f"{scores.mean():.2e} {scores.std():.1e}") == (3, "9.07e-03 1.6e-03")  # the README's table


def test_missing_values_measures_and_names_of_others(tmp_path: Path) -> None:
    measures = {"lyapunov": {"end": make_measure("lyapunov", "end", summary={"largest": -0.5, "norm": "x"})}}
    hostile = make_record(network="../<b>\u202e", val=(float("nan"),), test=(0.1,))
    put(tmp_path, make_record(measures=measures), hostile, make_record(instance=1, metrics=(CROSS_ENTROPY,)))
    table = read_records(tmp_path).set_index(["network", "instance"])
    first, other, strange = table.loc[("LSTM", 0)], table.loc[("LSTM", 1)], table.loc[("../<b>\u202e", 0)]
    assert (first["lyapunov/end/largest"], first["lyapunov/end/norm"]) == (-0.5, "x")
    assert (first["test/accuracy"], other["metric"]) == (0.88, "cross_entropy")
    assert first["chance"] == 0.1135  # of MNIST, as boards show it, where older records hold 0.1
    assert other[["test/accuracy", "lyapunov/end/largest", "lyapunov/end/norm"]].isna().all()
    assert strange[["test", "best_step", "diverged_at"]].isna().all()


def test_curves_have_one_row_a_value(tmp_path: Path) -> None:
    put(tmp_path, make_record(val=(0.2, float("nan"))[:1], test=(0.3,)))
    table = read_records(tmp_path, curves=True)
    assert list(table.columns) == list(CURVE_COLUMNS)
    assert table[["step", "split", "metric", "value"]].values.tolist() == [
        [100, "train", "loss", 1.0],
        [100, "val", "accuracy", 0.2],
        [100, "test", "accuracy", 0.3],
    ]


def test_without_a_folder_the_published_records_are_read(monkeypatch, tmp_path: Path) -> None:
    put(tmp_path, make_record())
    monkeypatch.setattr("rnnbench.leaderboard.frame.shipped_records", lambda: tmp_path)
    assert read_records()["network"].tolist() == ["LSTM"]


@pytest.mark.parametrize("read", [load_records, read_records])
@pytest.mark.parametrize(("name", "message"), [("none", "none: no such folder"), ("", " holds no records: a run wri")])
def test_a_folder_without_records_is_refused(tmp_path: Path, read, name: str, message: str) -> None:
    with pytest.raises(OSError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize(
    "verb", ["leaderboard --output o", "page --output o.html", "export --csv o", "figures", "claims"]
)
def test_a_command_that_reads_no_records_writes_nothing(verb: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main([*verb.split(), "--records-dir", "empty"]) == 2
    assert capsys.readouterr().err.startswith("error: --records-dir empty holds no records: ")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize(("table", "columns"), [(instance_table, COLUMNS), (curve_table, CURVE_COLUMNS)])
def test_no_records_give_the_columns(table, columns: dict[str, tuple[str, str]]) -> None:
    assert (list(table([]).columns), len(table([]))) == (list(columns), 0)


@pytest.mark.parametrize("columns", [COLUMNS, CURVE_COLUMNS], ids=["instances", "curves"])
def test_columns_are_documented(columns: dict[str, tuple[str, str]]) -> None:
    rows = [f"| `{name}` | {what} |" for name, (_, what) in columns.items() if columns is COLUMNS or name not in KEY]
    assert [row for row in rows if row not in DOCS] == []
