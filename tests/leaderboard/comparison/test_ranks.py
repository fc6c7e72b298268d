from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnbench.leaderboard.board import boards
from rnnbench.leaderboard.comparison.ranks import board_ranks, rank_intervals
from rnnbench.leaderboard.statistics import select_cells
from tests.leaderboard.factory import RMSE, make_record

LOW = {"A": [0.1, 0.2], "B": [0.5, 0.6]}
values = st.lists(st.integers(0, 8).map(lambda i: i / 8), min_size=1, max_size=4)
suites = st.dictionaries(st.sampled_from("XYZ"), st.dictionaries(st.sampled_from("ABCD"), values), min_size=1)


def null_suite(random, rows, tasks, seeds):
    """Rows that differ on no task, each task on a scale of its own."""
    scales = 10.0 ** random.integers(-3, 3, tasks)
    return {f"T{t}": {f"N{k}": s * random.normal(size=seeds) for k in range(rows)} for t, s in enumerate(scales)}


def set_apart_by_chance(suites, rows, tasks, seeds):
    """In how many of some suites without differences not all rows share the first rank."""
    random = np.random.default_rng([rows, tasks, seeds])
    drawn = (null_suite(random, rows, tasks, seeds) for _ in range(suites))
    ranks = (rank_intervals(suite, dict.fromkeys(suite, "min")) for suite in drawn)
    return sum(any(row.rank > 1 for row in found.values()) for found in ranks)


@settings(max_examples=60)
@given(suites)
def test_a_row_stands_behind_those_that_its_interval_lies_wholly_behind(scores):
    found = rank_intervals(scores, dict.fromkeys(scores, "max"))
    assert set(found) == {
        row for row in "ABCD" if all(len(by_row.get(row, ())) > 1 for by_row in scores.values())
    }  # fmt: skip
    rows = list(found.values())
    assert rows == sorted(rows, key=lambda row: row.mean)
    for row in rows:
        assert row.rank == 1 + sum(other.high < row.low for other in rows)
        assert row.last == len(rows) - sum(other.low > row.high for other in rows)
        assert row.text == (str(row.rank) if row.rank == row.last else f"{row.rank}–{row.last}")


def test_the_ends_of_a_chain_of_overlapping_intervals_are_told_apart():
    # Each lies within the noise of the next.
    seeds = np.random.default_rng(3).normal(scale=2, size=(5, 10))
    found = rank_intervals({"X": {f"N{i}": i + row for i, row in enumerate(seeds)}}, {"X": "min"})
    rows = list(found.values())
    assert all(one.high >= other.low for one, other in pairwise(rows))
    assert (rows[0].rank, rows[0].last < 5) == (1, True)
    assert (rows[-1].rank > 1, rows[-1].last) == (True, 5)


def test_smaller_is_better_where_the_metric_says_so():
    assert list(rank_intervals({"X": LOW}, {"X": "min"})) == ["A", "B"]
    assert list(rank_intervals({"X": LOW}, {"X": "max"})) == ["B", "A"]


def test_tasks_weigh_equally_whatever_their_number_of_seeds():
    few = {"A": [1.0, 1.1], "B": [2.0, 2.1], "C": [3.0, 3.1]}
    many = {"A": [30.0, 31.0] * 5, "B": [20.0, 21.0] * 5, "C": [10.0, 11.0] * 5}
    found = rank_intervals({"X": few, "Y": many}, {"X": "min", "Y": "min"})
    assert [row.mean for row in found.values()] == [2.0, 2.0, 2.0]


def test_the_order_of_tasks_and_rows_changes_nothing_and_sizes_do_not_overflow():
    scores = null_suite(np.random.default_rng(0), 4, 3, 3)
    backwards = {task: dict(reversed(rows.items())) for task, rows in reversed(scores.items())}
    huge = {task: {row: v / np.abs(v).max() * 1.7e308 for row, v in rows.items()} for task, rows in scores.items()}
    directions = dict.fromkeys(scores, "min")
    assert rank_intervals(backwards, directions) == rank_intervals(scores, directions)
    assert all(1 <= row.low <= row.high <= 4 for row in rank_intervals(huge, directions).values())


def test_equal_rows_of_unequal_numbers_of_seeds_tie():
    (one, other) = rank_intervals({"X": {"A": [0.5] * 2, "B": [0.5] * 5}}, {"X": "min"}).values()
    assert one == other == (1, 2, 1.5, 1.5, 1.5)


def test_diverged_instances_count_as_the_worst_and_cells_of_other_steps_do_not_count():
    def row(network, *test, task="ADD30", **changes):
        return [
            make_record(test=(v,), val=(v,), metrics=(RMSE,), network=network, task=task, instance=i, **changes)
            for i, v in enumerate(test)
        ]

    good, bad = row("LSTM", 0.30, 0.31, 0.29, 0.30), row("GRU", 0.10, 0.11, 0.09)
    bad.append(row("GRU", 0.1, diverged_at=1)[0].model_copy(update={"instance": 3}))
    long = row("RNN", 0.01, 0.02, steps=900)
    untrained = row("LSTM", None, None, task="Untrained")
    (board,) = boards(select_cells([*good, *bad, *long, *untrained])[0])
    found = board_ranks(board)
    assert set(found) == {"LSTM", "GRU"}
    # One instance at chance, 0.408, leaves a mean below the other row's, and an interval that says how little that is.
    assert found["GRU"] == (1, 2, 1.0, 1.0, 2.0)


def test_rows_that_do_not_differ_are_rarely_set_apart():
    # 150 draws at 5 % exceed 16 in one of a thousand cases; unscaled deviations set 30 to 50 of them apart.
    assert set_apart_by_chance(150, rows=2, tasks=1, seeds=3) <= 16


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "tasks"), [(2, 1), (2, 4), (5, 2)])
def test_rows_that_do_not_differ_are_set_apart_in_at_most_6_percent(rows, tasks):
    assert sum(set_apart_by_chance(125, rows, tasks, seeds) for seeds in range(3, 11)) <= 60
