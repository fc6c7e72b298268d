import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.leaderboard.board import boards
from rnnbench.leaderboard.comparison.compare import why_not
from rnnbench.leaderboard.plan import PlannedCell, SuitePlan
from rnnbench.leaderboard.statistics import Cell, Statistic, select_cells, statistic
from tests.leaderboard.factory import RMSE, make_record

GRID = (0.1, 0.01)


def test_mean_and_sample_standard_deviation():
    summary = statistic([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert summary is not None
    assert summary.mean == pytest.approx(5.0)
    assert summary.sd == pytest.approx(math.sqrt(32 / 7))
    assert summary.n == 8


def test_one_value_has_no_deviation_and_none_has_no_statistic():
    assert statistic([0.25, None]) == Statistic(0.25, None, 1)
    assert statistic([None]) is None


@given(st.lists(st.floats(-1e308, 1e308), min_size=2, max_size=6))
def test_statistics_do_not_overflow_and_do_not_leave_the_range(values):
    summary = statistic(values)
    assert summary is not None
    slack = 1e-9 * max(abs(value) for value in values) + 1e-300
    assert min(values) - slack <= summary.mean <= max(values) + slack
    assert summary.sd is not None
    assert summary.sd >= 0


def sweep(lr, val, test, **changes):
    return make_record(val=(val,), test=(test,), lr=lr, grid=GRID, **changes)


def test_the_grid_is_chosen_on_validation_not_on_test():
    good_val = [sweep(0.01, 0.8, 0.5, instance=i) for i in range(2)]
    good_test = [sweep(0.1, 0.7, 0.9, instance=i) for i in range(2)]
    (cell,), problems = select_cells(good_test + good_val)
    assert cell.records == tuple(good_val)
    assert cell.points == 2
    assert problems == []


def test_the_grid_is_chosen_by_the_mean_and_in_the_direction_of_the_metric():
    low_mean = [sweep(0.1, v, v, instance=i, metrics=(RMSE,)) for i, v in enumerate((0.2, 0.3))]
    one_best = [sweep(0.01, v, v, instance=i, metrics=(RMSE,)) for i, v in enumerate((0.1, 0.9))]
    (cell,), _ = select_cells(one_best + low_mean)
    assert cell.records == tuple(low_mean)


def test_a_point_with_a_diverged_instance_loses_against_one_without():
    unstable = [sweep(0.1, 0.99, 0.99), sweep(0.1, 0.99, 0.99, instance=1, diverged_at=500)]
    stable = [sweep(0.01, 0.3, 0.3), sweep(0.01, 0.3, 0.3, instance=1)]
    (cell,), _ = select_cells(unstable + stable)
    assert cell.records == tuple(stable)
    # One without a value counts as diverged.
    (cell,), _ = select_cells([sweep(0.1, None, None), sweep(0.01, 0.3, 0.3)])
    assert cell.first.point == {"training.learning_rate": 0.01}


def test_the_family_that_finished_last_is_shown():
    # 02:00 at +02:00 is earlier than 01:30 in UTC.
    old = make_record(seed=2, finished_at="2025-01-01T02:00:00+02:00")
    new = make_record(seed=1, finished_at="2025-01-01T01:30:00Z")
    (cell,), (problem,) = select_cells([old, new])
    assert cell.records == (new,)
    assert problem.path.as_posix() == "quick/cpu/sMNIST/LSTM"
    assert (
        problem.reason
        == f"1 record of family {old.family_id}: superseded by family {new.family_id}, which finished later"
    )


def code_of(source, **package):
    return [{"module": "mylab", "version": None, "source": source, "commit": None, "dirty": None, **package}]


PILOT = {
    **{"share": 0.2, "instances": 1, "steps": 10, "edges": []},
    "points": [{"values": {"training.learning_rate": lr}, "val": 0.5, "diverged": 0} for lr in GRID],
}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ({"own_code": code_of("a" * 16)}, {"own_code": code_of("b" * 16)}, "other source (mylab aaaaaaaa → bbbbbbbb)"),
        ({}, {"own_code": code_of("b" * 16)}, "made by other source (mylab none → bbbbbbbb)"),
        ({}, {"pilot": PILOT}, "chosen from another grid or by other pilots"),
    ],
)
def test_records_of_two_sources_or_two_choices_are_never_averaged(old, new, reason):
    before = [sweep(lr, 0.99, 0.99, **old) for lr in GRID]
    after = sweep(0.1, 0.8, 0.8, instance=1, finished_at="2026-01-01T00:00:00Z", **new)
    (cell,), (problem,) = select_cells([*before, after])
    assert (cell.records, cell.points) == ((after,), 1)
    assert reason in problem.reason
    assert problem.reason.startswith("2 records ")


def test_rows_that_other_source_scored_do_not_stand_beside_each_other():
    task = {"class_path": "mylab.Gap"}
    old, new = (
        make_record(network=name, own_code=code_of(source * 16), finished_at=time, config={"task": task})
        for name, source, time in (("LSTM", "a", "2025-01-01T00:00:00Z"), ("Ours", "b", "2026-01-01T00:00:00Z"))
    )
    (cell,), (problem,) = select_cells([new, old])
    assert cell.records == (new,)
    assert problem.reason.startswith(
        "1 record made by other source (mylab aaaaaaaa → bbbbbbbb) than others on this task"
    )
    # A module of a recurrence alone may differ.
    config = {"task": {"class_path": "Adding"}, "recurrence": {"class_path": "mylab.Cell"}}
    cells, problems = select_cells([each.model_copy(update={"config": config}) for each in (new, old)])
    assert (len(cells), problems) == (2, [])
    reason = why_not(*(Cell((each,), 1) for each in (old, new)))
    assert reason == "made by different source of your own code (mylab aaaaaaaa → bbbbbbbb)"


def test_an_older_record_that_names_the_whole_package_is_averaged_with_newer_ones_of_it():
    older, newer = code_of("a" * 16), code_of("b" * 16, package="a" * 16)
    records = [make_record(instance=i, own_code=code) for i, code in enumerate((older, newer))]
    assert "package" not in records[0].model_dump()["own_code"][0]
    (cell,), problems = select_cells(records)
    assert (cell.records, problems) == (tuple(records), [])


def test_interrupted_records_are_not_placed():
    cells, (problem,) = select_cells([make_record(status="interrupted")])
    assert cells == []
    assert problem.reason == "interrupted"


def test_rows_and_columns_stand_in_the_order_of_the_suite():
    cells, _ = select_cells([make_record(network=n, task=t) for n in ("A", "B", "C", "X") for t in ("S", "T")])
    planned = {(task, network): PlannedCell(frozenset()) for task in ("T", "S") for network in ("C", "D", "A", "B")}
    (board,) = boards(cells, {("quick", "cpu"): SuitePlan("quick", "cpu", 1, planned)})
    assert (board.networks, [column.task for column in board.columns]) == (("C", "A", "B", "X"), ["T", "S"])
    (by_name,) = boards(cells)
    assert (by_name.networks, [column.task for column in by_name.columns]) == (("A", "B", "C", "X"), ["S", "T"])


def test_instances_come_by_number():
    records = [make_record(instance=i) for i in (10, 2, 0)]
    (cell,), _ = select_cells(records)
    assert [record.instance for record in cell.records] == [0, 2, 10]
