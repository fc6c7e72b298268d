import pytest

from rnnbench.leaderboard.record import read_record, write_record
from rnnbench.leaderboard.store import Problem, path_of, publish, safe_name, scan
from tests.leaderboard.factory import make_record


def put(root, *records):
    for record in records:
        write_record(path_of(root, record), record)


def test_a_record_has_one_place(tmp_path):
    record = make_record(experiment_id="ab12", network="Elman_res+clip", task="ADD 100/x", instance=3)
    assert path_of(tmp_path, record) == tmp_path / "quick" / "cpu" / "ADD_100_x" / "Elman_res+clip" / "ab12-3.json"


@pytest.mark.parametrize("name", ["..", ".", "", "/etc", "a/../b", ".git", "é"])
def test_safe_names_stay_inside_their_folder(name):
    safe = safe_name(name)
    assert safe
    assert not safe.startswith(".")
    assert "/" not in safe


def test_scan_names_what_is_damaged_and_goes_on(tmp_path):
    record = make_record()
    put(tmp_path, record)
    damaged = tmp_path / "quick" / "cpu" / "a.json"
    damaged.write_bytes(b'{"schema_version": 1')
    stray = tmp_path / "copy.json"
    stray.write_bytes(path_of(tmp_path, record).read_bytes())
    (tmp_path / "notes.txt").write_text("not JSON")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "b.json").write_text("nothing of ours")

    records, problems = scan(tmp_path)

    assert records == [record]
    assert [problem.path.as_posix() for problem in problems] == ["copy.json", "quick/cpu/a.json"]
    assert "does not lie where it belongs" in problems[0].reason
    assert "cut short" in problems[1].reason
    assert damaged.read_bytes() == b'{"schema_version": 1'


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path):
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    assert scan(tmp_path) == (
        [],
        [Problem((tmp_path / "gone.json").relative_to(tmp_path), "cannot be read: No such file or directory")],
    )


def test_a_missing_folder_holds_nothing(tmp_path):
    assert scan(tmp_path / "none") == ([], [])


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
    assert scan(published) == ([done, diverged], [])
    again = publish(runs, published)
    assert (again.published, len(again.identical)) == ([], 2)


def test_publish_replaces_only_when_told(tmp_path):
    runs, published = tmp_path / "runs", tmp_path / "records"
    old, new = make_record(seconds_per_step=1.0), make_record(seconds_per_step=2.0)
    put(published, old)
    put(runs, new)
    target = path_of(published, old)

    kept = publish(runs, published)
    assert [problem.reason for problem in kept.problems] == ["the published record differs and was kept"]
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
