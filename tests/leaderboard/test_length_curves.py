"""Scores over length in figures, on the page, and in records that others send in."""

import pytest

from rnnbench.leaderboard.board import boards
from rnnbench.leaderboard.board_page import write_leaderboard
from rnnbench.leaderboard.dynamics import SideFiles
from rnnbench.leaderboard.length_curves import longest_trained, over_length
from rnnbench.leaderboard.page.series import series_data
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.tables.lengths import lengths_solved
from tests.leaderboard.factory import make_record, put


def lengths_record(instance=0, high=0.6, **changes):
    record = make_record(instance=instance, val=(0.9, 0.5), test=(0.7, 0.4), trained_lengths=[3, 40], **changes)
    values = {"100-255": high, "40-99": 0.8, "256-256": None}
    curve = [record.curve[0].model_copy(update={"by_length": values}), record.curve[1]]
    return record.model_copy(update={"curve": curve})


def column_of(*records):
    ((board,), _) = boards(select_cells(records)[0]), None
    return board, board.columns[0]


def test_instances_are_summarised_at_their_best_step_in_the_order_of_length():
    board, column = column_of(lengths_record(), lengths_record(1, 0.4))
    curve = over_length(column.cells["LSTM"])
    assert curve.lengths == [69.5, 177.5]
    assert curve.mean == pytest.approx([80, 50])
    assert (curve.low[1], curve.high[1]) == pytest.approx((40, 60))
    assert longest_trained(column) == 40
    (line,) = series_data(board, column, SideFiles("."), {"LSTM": 3})
    assert (line["title"], line["marks"]) == ("Score over length", [[40, "longest in training"]])
    assert line["lines"][0]["x"] == [69.5, 177.5]
    assert over_length(column_of(make_record())[1].cells["LSTM"]) is None


def test_the_figure_marks_where_training_ended(tmp_path):
    put(tmp_path / "records", lengths_record(), make_record(network="GRU", trained_lengths=[3, 40]))
    page = write_leaderboard(tmp_path / "records", tmp_path / "out").page.read_text(encoding="utf-8")
    (figure,) = (tmp_path / "out" / "figures").glob("*over-length*.svg")
    assert f"figures/{figure.name})" in page
    assert "longest in training, 40" in figure.read_text(encoding="utf-8")


def test_values_over_length_lie_within_the_metric():
    assert "1.5" in lengths_record(high=1.5).out_of_range
    assert lengths_record().out_of_range == ""


def test_a_length_is_solved_where_all_shorter_ones_are_too():
    def record(instance, middle, **changes):
        made = lengths_record(instance, **changes)
        values = {"100-255": 0.95, "40-99": middle, "3-39": 0.9, "256-256": None}
        curve = [made.curve[0].model_copy(update={"by_length": values}), made.curve[1]]
        return made.model_copy(update={"curve": curve})

    records = [record(0, 0.89), record(1, 0.5), record(2, 0.9), lengths_record(0, network="GRU")]
    table = lengths_solved(column_of(*records)[0])
    assert table.header[1].endswith("<br>length ↑")
    assert {name: text for name, text in table.rows} == {"LSTM": "39 (3)<br>best 255", "GRU": "< 40 (1)"}
    assert lengths_solved(column_of(make_record())[0]) is None
