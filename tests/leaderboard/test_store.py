import os
import socket
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rnnbench.benchmark.command.cli import main
from rnnbench.leaderboard.publishing import publish
from rnnbench.leaderboard.record import LARGEST_RECORD, read_record
from rnnbench.leaderboard.store import Problem, find_records, load_records, path_of, place_of, safe_name
from tests.leaderboard.factory import RMSE, make_record, put

names = st.text() | st.text("aA.:_@ ", max_size=4) | st.integers(60, 70).map(lambda n: "n" * n)


@pytest.mark.parametrize(("task", "folder"), [("ADD 100/x", "ADD_100_x@e0740345d834"), ("ADD100", "ADD100")])
def test_a_record_has_one_place(tmp_path, task, folder):
    record = make_record(experiment_id="ab12", network="Elman_res+clip", task=task, instance=3)
    assert path_of(tmp_path, record) == tmp_path / "quick" / "cpu" / folder / "Elman_res+clip" / "ab12-3.json"


@given(names, names)
@example("DT(S)-RNN", "DT[S]-RNN")
@example("DT(S)-RNN", safe_name("DT(S)-RNN"))
@example("é", "É")
@example("n" * 64, "n" * 65)
def test_names_that_differ_share_no_place(one, other):
    """Not even where capitals are ignored, unless the names differ in nothing else."""
    if one.casefold() != other.casefold() or not (one + other).isascii():
        assert (safe_name(one).casefold() == safe_name(other).casefold()) == (one == other)


@given(names)
@example("..")
@example("a/../b")
def test_safe_names_stay_inside_their_folder(name):
    safe = safe_name(name)
    assert 0 < len(safe) <= 77
    assert not set(safe) & set("/\\:\0 \n")
    assert not safe.startswith(".")
    assert not safe.endswith(".")


def test_records_whose_places_differ_in_capitals_alone_are_named(tmp_path):
    put(tmp_path, *(make_record(network=name) for name in ("LSTM", "lstm")))
    (record,), (problem,) = find_records(tmp_path)
    assert record.network == "LSTM"
    assert f"differs from {place_of(record)} in capitals alone" in problem.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test": (0.5, 0.6, 7.5)}, "accuracy must lie between 0 and 1, got 7.5"),
        ({"val": (0.5, 0.6, 1e308)}, "accuracy must lie between 0 and 1, got 1e+308"),
        ({"test": (-0.5,), "val": (0.5,), "metrics": (RMSE,)}, "rmse must lie between 0 and inf, got -0.5"),
    ],
)
def test_a_record_of_values_that_cannot_be_is_named_wherever_records_are_read(tmp_path, capsys, changes, reason):
    put(tmp_path, make_record(**changes), make_record(network="GRU"))
    (record,), (problem,) = find_records(tmp_path)
    assert (record.network, problem.reason) == ("GRU", reason)
    path = tmp_path / problem.path
    assert main(["check", str(path)]) == 2
    assert f"{path}: {reason}" in capsys.readouterr().err


def test_no_folder_named_is_not_the_current_one():
    with pytest.raises(NotADirectoryError, match="no folder is named, got ''"):
        load_records("")


def test_what_is_damaged_or_misplaced_is_named_and_the_rest_read(tmp_path):
    record = make_record()
    put(tmp_path, record)
    damaged = tmp_path / "quick" / "cpu" / "a.json"
    damaged.write_bytes(b'{"schema_version": 1')
    stray = tmp_path / "copy.json"
    stray.write_bytes(path_of(tmp_path, record).read_bytes())
    (tmp_path / "notes.txt").write_text("not JSON")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "b.json").write_text("nothing of ours")

    records, problems = find_records(tmp_path)

    assert records == [record]
    assert [problem.path.as_posix() for problem in problems] == ["copy.json", "quick/cpu/a.json"]
    assert "does not lie where it belongs" in problems[0].reason
    assert "cut short" in problems[1].reason
    assert damaged.read_bytes() == b'{"schema_version": 1'
    with pytest.warns(UserWarning, match=r"(copy|a)\.json: ") as warned:
        assert load_records(tmp_path) == [record]
    assert len(warned) == 2


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as bound:
        # Relative, since such an address has at most 107 bytes.
        bound.bind(os.path.relpath(path))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "is a FIFO"),
        (make_socket, "is a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device"),
        (lambda path: path.symlink_to("nowhere"), "cannot be read: No such file or directory"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
        (lambda path: path.symlink_to("/proc/self/mem"), "cannot be read: Input/output error"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), LARGEST_RECORD + 1), "at most 16 MiB, got"),
        (lambda path: path.write_bytes(b'{"a":' * 3000), "is not JSON that can be read"),
    ],
)
def test_what_cannot_be_read_whole_is_named_and_the_rest_read(tmp_path, monkeypatch, make, reason):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, make_record())
    make(tmp_path / "odd.json")
    (record,), (problem,) = find_records(tmp_path)
    assert record == make_record()
    assert problem.path.name == "odd.json"
    assert reason in problem.reason


def test_links_are_followed_but_not_in_circles(tmp_path):
    put(tmp_path / "elsewhere", make_record())
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "quick").symlink_to(tmp_path / "elsewhere" / "quick")
    (tmp_path / "elsewhere" / "quick" / "up").symlink_to(tmp_path / "elsewhere" / "quick")
    records, problems = find_records(runs)
    assert records == [make_record()]
    assert [str(problem) for problem in problems] == ["quick/up: is a link to a folder that holds it"]


def test_folders_that_cannot_be_read_or_lie_too_deep_are_named(tmp_path, monkeypatch):
    put(tmp_path, make_record())
    (tmp_path / "secret").mkdir()
    (tmp_path / "deep").joinpath(*"d" * 30).mkdir(parents=True)
    scandir = os.scandir

    def refusing(path):
        if os.path.basename(path) == "secret":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    records, problems = find_records(tmp_path)
    assert records == [make_record()]
    reasons = [problem.reason for problem in problems]
    assert reasons == ["lies too deep for records", "cannot be read: Permission denied"]


def test_what_is_printed_of_a_problem_is_harmless():
    problem = Problem(Path("a\x1b[2J"), "b\x00\n\u202ec\ud800")
    assert str(problem) == r"a\x1b[2J: b\x00 \u202ec\ud800"


def test_reading_records_of_no_folder_is_refused(tmp_path):
    with pytest.raises(NotADirectoryError, match="no such folder"):
        load_records(tmp_path / "none")
    assert find_records(tmp_path / "none") == ([], [])


def test_publish_copies_what_is_done_and_only_once(tmp_path):
    runs, published = tmp_path / "runs", tmp_path / "records"
    done, diverged = make_record(), make_record(instance=1, diverged_at=250)
    stopped = make_record(instance=2, status="interrupted")
    put(runs, done, diverged, stopped)
    (runs / "bad.json").write_text("{")

    report = publish(runs, published)

    assert [path.name[-6:] for path in report.published] == ["0.json", "1.json"]
    assert [problem.reason.split(":")[0].split(" (")[0] for problem in report.problems] == [
        "is cut short",
        "interrupted",
    ]
    assert find_records(published) == ([done, diverged], [])
    again = publish(runs, published)
    assert (again.published, len(again.identical)) == ([], 2)


def test_publish_replaces_only_on_request(tmp_path):
    runs, published = tmp_path / "runs", tmp_path / "records"
    old, new = make_record(seconds_per_step=1.0), make_record(seconds_per_step=2.0)
    put(published, old)
    put(runs, new)
    target = path_of(published, old)

    kept = publish(runs, published)
    (problem,) = kept.damaged
    assert problem.reason == "the published record differs and was kept: --replace overwrites it"
    assert read_record(target) == old

    assert publish(runs, published, replace=True).replaced == [target.relative_to(published)]
    assert read_record(target) == new


def test_publish_keeps_a_damaged_published_file(tmp_path):
    runs, published = tmp_path / "runs", tmp_path / "records"
    put(runs, make_record())
    target = path_of(published, make_record())
    target.parent.mkdir(parents=True)
    target.write_text("damaged")
    assert len(publish(runs, published).problems) == 1
    assert target.read_text() == "damaged"
