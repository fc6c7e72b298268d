"""Figures of a leaderboard are drawn again where something changed, and only there; the folder is then as if new."""

import pytest

from rnnbench.leaderboard import board_page
from rnnbench.leaderboard.drawing.figure_style import CREATOR
from rnnbench.leaderboard.drawing.kept import LIST
from rnnbench.leaderboard.files import side_path, write_arrays
from rnnbench.leaderboard.record import write_record
from rnnbench.leaderboard.store import path_of
from tests.leaderboard.factory import make_measure, make_record, put

MEASURED = make_record(suite="adding", measures={"hessian": {"end": make_measure("hessian", "end", ["eigenvalues"])}})
QUICK = make_record()
CURVE = "figures/quick-cpu-sMNIST.svg"


@pytest.fixture
def drawn(monkeypatch):
    """The suites whose curves were drawn, in a moment."""
    suites = []

    def draw(board, column):
        suites.append(board.suite)
        scores = [record.scores.test for cell in column.cells.values() for record in cell.records]
        return f"<svg>{CREATOR} {board.suite} {scores}</svg>\n".encode()

    monkeypatch.setattr(board_page, "learning_curves", draw)
    return suites


def put_arrays(root, value):
    write_arrays(side_path(path_of(root, MEASURED)), {"hessian/end/eigenvalues": [value]})


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda records, out: None, []),
        (lambda records, out: put(records, make_record(test=(0.1, 0.2, 0.3))), ["quick"]),
        (lambda records, out: put(records, make_record(instance=1)), ["quick"]),
        (lambda records, out: path_of(records, QUICK).unlink(), []),
        (lambda records, out: put_arrays(records, 2.0), ["adding"]),
        (lambda records, out: (out / CURVE).write_text("<svg>another</svg>"), ["quick"]),
        (lambda records, out: (out / CURVE).unlink(), ["quick"]),
        (lambda records, out: (out / LIST).write_text("[1"), ["adding", "quick"]),
        (lambda records, out: (out / LIST).write_text("[[1, 2]]"), ["adding", "quick"]),
        (
            lambda records, out: (out / LIST).write_text((out / LIST).read_text().replace('"curves"', '"c"')),
            ["adding", "quick"],
        ),
    ],
)
def test_a_board_is_drawn_again_where_it_changed(tmp_path, monkeypatch, drawn, change, again):
    monkeypatch.setattr(board_page, "dynamics_figures", lambda *_: [])
    records, out, new = (tmp_path / name for name in ("records", "out", "new"))
    put(records, QUICK, MEASURED)
    put_arrays(records, 1.0)
    board_page.write_leaderboard(records, out)
    change(records, out)
    drawn.clear()
    report = board_page.write_leaderboard(records, out)
    assert drawn == again
    assert report.figures == len(files(out)) - 2
    board_page.write_leaderboard(records, new)
    assert files(out) == files(new)


def test_what_could_not_be_drawn_is_said_each_time(tmp_path, drawn):
    write_record(path_of(tmp_path / "records", MEASURED), MEASURED)
    first, again = (board_page.write_leaderboard(tmp_path / "records", tmp_path / "out").problems for _ in range(2))
    assert [problem.reason for problem in again] == [problem.reason for problem in first]
    assert "is missing" in again[0].reason


def test_figures_of_all_kinds_are_kept(tmp_path, drawn):
    rates = [
        make_record(
            network=f"r{r}", config={"recurrence": {"class_path": "WCRNN", "init_args": {"r": r}}, "training": {}}
        )
        for r in (0.9, 0.95, 1.0)
    ]
    put(tmp_path / "records", *rates, MEASURED)
    put_arrays(tmp_path / "records", 1.0)
    board_page.write_leaderboard(tmp_path / "records", tmp_path / "out")
    before = files(tmp_path / "out")
    assert len([name for name in before if name.endswith(".svg")]) > 2
    drawn.clear()
    board_page.write_leaderboard(tmp_path / "records", tmp_path / "out")
    assert drawn == []
    assert files(tmp_path / "out") == before
