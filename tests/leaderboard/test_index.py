"""What is read through the index of a folder is what is read without one, whatever happens to either."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.leaderboard.index import entries
from rnnbench.leaderboard.index.database import NAME, Writer
from rnnbench.leaderboard.index.entries import indexed_records
from rnnbench.leaderboard.index.packed import curve_values
from rnnbench.leaderboard.record import read_record, write_record
from rnnbench.leaderboard.schema import CurvePoint
from rnnbench.leaderboard.store import find_records, folder_of, path_of
from tests.leaderboard.factory import CROSS_ENTROPY, RMSE, make_measure, make_record, put


@pytest.fixture(autouse=True)
def _small_folders_have_an_index(monkeypatch):
    monkeypatch.setattr(entries, "LEAST", 0)
    monkeypatch.setattr(entries, "MOST_OUTSIDE", 0)


@pytest.fixture
def settled(monkeypatch):
    """Whatever was written a moment ago counts as written long ago."""
    monkeypatch.setattr(entries, "_SETTLED_NS", -(10**18))


def some_records():
    """Records that differ in every way in which they are packed."""
    curve = [
        CurvePoint(step=10, epoch=0.5, train_loss=None, val={"rmse": 0.3}, test={"rmse": None}),
        CurvePoint(step=20, epoch=1, train_loss=1, val={"rmse": -0.0}, test={}, by_length={"1-2": 0.5}),
    ]
    measured = {"lyapunov": {"end": make_measure("lyapunov", "end", ["exponents"], {"largest": 0.1, "norm": "no"})}}
    return [
        make_record(),
        make_record(instance=1, seconds_per_step=0.5),
        make_record(instance=2, diverged_at=250, lr=0.1, grid=(0.1, 0.3)),
        make_record(network="DT(S)-RNN", task="é ", metrics=(RMSE, CROSS_ENTROPY)),
        make_record(network="GRU", metrics=(RMSE,), curve=curve, measures=measured, trained_lengths=[1, 2]),
        make_record(network="none", metrics=(CROSS_ENTROPY,), curve=[]),
        make_record(network="late", curve=[CurvePoint(step=2**60, epoch=1, train_loss=1, val={}, test={})]),
    ]


def same(root):
    """Compare both ways to read, and return what the index gave."""
    expected, found = find_records(root), indexed_records(root)
    assert found == expected
    plain = [record.model_copy(update={"curve": list(record.curve)}).model_dump_json() for record in found[0]]
    assert plain == [record.model_dump_json() for record in expected[0]]
    return found[0]


def test_records_come_out_of_the_index_as_they_went_in(tmp_path, monkeypatch, settled):
    put(tmp_path, *some_records())
    same(tmp_path)
    plain = find_records(tmp_path)[0]
    monkeypatch.setattr(entries, "read_at", None)
    found, _ = indexed_records(tmp_path)
    assert found == plain
    for ours, theirs in zip(found, plain, strict=True):
        assert len(ours.curve) == len(theirs.curve)
        assert ours.curve[-1:] == theirs.curve[-1:]
        for split, metric in (("val", theirs.ranked.name), ("test", theirs.ranked.name), ("val", "none")):
            expected = [(point.step, getattr(point, split).get(metric)) for point in theirs.curve]
            assert curve_values(ours.curve, split, metric) == curve_values(theirs.curve, split, metric) == expected
    assert [r.network for r in indexed_records(tmp_path, Path("quick/cpu/sMNIST/GRU"))[0]] == ["GRU"]


CHANGES = st.tuples(
    st.sampled_from(["put", "edit", "delete", "truncate", "misplace", "index", "cut index", "part", "stray"]),
    st.integers(0, 6),
    st.integers(0, 10**6),
)


@given(st.lists(CHANGES, max_size=6))
def test_the_index_changes_nothing_whatever_is_done_to_records_and_index(changes):
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(entries, "_SETTLED_NS", -(10**18))
    with tempfile.TemporaryDirectory() as name, monkeypatch.context():
        root, records = Path(name), some_records()
        put(root, *records[:4])
        same(root)
        for number, (change, which, where) in enumerate(changes):
            path, index = path_of(root, records[which]), root / NAME
            if change == "put":
                write_record(path, records[which])
            elif change == "edit" and path.exists():
                records[which] = records[which].model_copy(update={"seconds_per_step": where / 8})
                path.write_text(records[which].model_dump_json())
            elif change == "delete":
                path.unlink(missing_ok=True)
            elif change == "truncate" and path.exists():
                os.truncate(path, where % (path.stat().st_size + 1))
            elif change == "misplace" and path.exists():
                path.rename(path.with_name(f"x{where % 3}.json"))
            elif change == "index" and index.exists():
                content = bytearray(index.read_bytes())
                content[where % len(content)] ^= 1 + where % 255
                index.write_bytes(content)
            elif change == "cut index" and index.exists():
                os.truncate(index, where % (index.stat().st_size + 1))
            elif change == "stray":
                (root / f"stray{which}.json").write_text("{}")
            elif change == "part":
                assert indexed_records(root, Path("quick/cpu")) == find_records(root, Path("quick/cpu"))
            if path.exists():
                # Coarse clocks give two changes the same time: that is tested below.
                os.utime(path, ns=(number, number))
            same(root)


@pytest.mark.parametrize("outside", [0, 100])
def test_of_some_folders_come_their_records_and_what_is_wrong_there(tmp_path, monkeypatch, settled, outside):
    monkeypatch.setattr(entries, "MOST_OUTSIDE", outside)
    records = some_records()
    put(tmp_path, *records)
    asked = {folder_of(records[0].cell), folder_of(records[-1].cell)}
    for folder in (*asked, folder_of(records[4].cell)):
        (tmp_path / folder / "torn.json").write_text("{")
    for _ in range(2):
        found, problems = indexed_records(tmp_path, folders=asked)
        assert [one.network for one in found] == [r.network for r in same(tmp_path) if folder_of(r.cell) in asked]
        assert {one.path.as_posix() for one in problems} == {f"{folder}/torn.json" for folder in asked}


def test_a_change_that_leaves_size_and_time_of_a_record_is_noticed(tmp_path):
    record = make_record(seconds_per_step=0.5)
    path = path_of(tmp_path, record)
    put(tmp_path, record)
    same(tmp_path)
    before = path.stat()
    path.write_text(path.read_text().replace('"seconds_per_step": 0.5', '"seconds_per_step": 0.7'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert same(tmp_path)[0].seconds_per_step == 0.7


def test_where_no_index_can_be_written_records_are_read_without(tmp_path, settled):
    put(tmp_path, *some_records())
    (tmp_path / NAME).mkdir()
    same(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, "quick"]


def test_two_that_write_the_index_at_the_same_time_leave_a_whole_one(tmp_path, settled):
    put(tmp_path, *some_records())
    writers = [Writer(tmp_path, old=False) for _ in range(2)]
    same(tmp_path)
    for writer in writers:
        writer.replace()
        same(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [NAME]


def test_what_others_left_of_an_index_is_removed_after_a_day(tmp_path):
    put(tmp_path, *some_records())
    old, new = (tmp_path / f"{NAME}.{pid}.tmp" for pid in (1, 2))
    for path in (old, new):
        path.write_text("torn")
    os.utime(old, (0, 0))
    same(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_curve_that_the_index_lost_is_read_from_the_record(tmp_path, settled):
    put(tmp_path, make_record())
    same(tmp_path)
    (record,), _ = indexed_records(tmp_path)
    content = (tmp_path / NAME).read_bytes()
    assert content.count(b'"train_loss"') == 1
    (tmp_path / NAME).write_bytes(content.replace(b'"train_loss"', b'"train_lass"'))
    assert same(tmp_path)[0].curve == read_record(path_of(tmp_path, record)).curve


def test_a_small_folder_has_no_index(tmp_path, monkeypatch):
    put(tmp_path, make_record())
    monkeypatch.undo()
    same(tmp_path)
    assert not (tmp_path / NAME).exists()
