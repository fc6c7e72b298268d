import math

import pytest

from rnnbench.leaderboard.board import boards
from rnnbench.leaderboard.comparison.compare import compare_networks
from rnnbench.leaderboard.comparison.folders import compare_folders
from rnnbench.leaderboard.comparison.report import folders_sentence, networks_text, sentence
from tests.leaderboard.comparison.boards import make_boards, make_cell

#: Small errors, far apart from the large ones on the same seeds.
SMALL, LARGE = [0.10, 0.11, 0.12, 0.11, 0.10], [0.30, 0.33, 0.31, 0.32, 0.31]


def compare(*cells):
    return compare_networks(boards(cells), "A", "B")


def only_task(*cells):
    ((task,),) = (board.tasks for board in compare(*cells).boards)
    return task


@pytest.mark.parametrize(("direction", "better"), [("min", 0), ("max", 1)])
def test_the_better_one_follows_from_the_direction_of_the_metric(direction, better):
    (board,) = compare_networks(
        make_boards({"X": {"A": SMALL, "B": LARGE}, "Y": {"A": SMALL, "B": LARGE}}, direction), "A", "B"
    ).boards
    assert [task.better for task in board.tasks] == [better, better]
    assert board.better == better
    assert (board.flips.mean > 0) == (better == 0)


def test_the_sentence_says_who_is_better_and_how_many_seeds_the_others_need():
    values = {
        **{task: {"A": SMALL, "B": LARGE} for task in ("ADD30", "Copy", "Parity")},
        "Digits": {"A": [0.1, 0.2, 0.3], "B": [0.2, 0.35, 0.3]},
    }
    (board,) = compare_networks(make_boards(values), "A", "B").boards
    digits = next(task for task in board.tasks if task.task == "Digits")
    assert sentence(board, ("GRU", "LSTM")) == (
        f"GRU is better than LSTM on 3 of 4 tasks; on Digits 3 seeds cannot tell: {digits.needed} would be needed for "
        f"this difference; over all tasks together GRU is better (p = {board.adjusted:.2g})."
    )
    assert digits.needed > digits.n


def test_a_sentence_of_wins_on_both_sides_and_one_of_none():
    both = {"X": {"A": SMALL, "B": LARGE}, "Y": {"A": LARGE, "B": SMALL}, "Z": {"A": LARGE, "B": SMALL}}
    (board,) = compare_networks(make_boards(both), "A", "B").boards
    assert sentence(board, "AB").startswith("B is better than A on 2 of 3 tasks and worse on 1; over all tasks")
    (board,) = compare_networks(make_boards({"X": {"A": [0.1], "B": [0.2]}}), "A", "B").boards
    assert sentence(board, "AB") == "A and B cannot be distinguished on X; on X 1 seed has no spread to tell by."
    (board,) = compare_networks(make_boards({"X": {"A": SMALL, "B": SMALL}}), "A", "B").boards
    assert sentence(board, "AB") == "A and B cannot be distinguished on X; on X 5 seeds show no difference."


def test_instances_are_paired_by_number_and_others_left_out():
    task = only_task(make_cell("X", "A", [9.0, 0.1, 0.2]), make_cell("X", "B", [0.4, 0.6, 9.0, 9.0], first=1))
    assert task.differences == pytest.approx((-0.3, -0.4))
    assert task.means == pytest.approx((0.15, 0.5))
    assert task.notes == ("3 without a partner left out",)


def test_one_pair_has_a_difference_and_no_verdict():
    task = only_task(make_cell("X", "A", [0.1]), make_cell("X", "B", [0.9]))
    assert task.interval == (-0.8, -math.inf, math.inf)
    assert (task.p, task.adjusted, task.needed, task.better) == (None, None, None, None)


@pytest.mark.parametrize(("others", "worst"), [([0.1, 0.2], 0.408), ([0.1, 0.9], 0.9)])
def test_a_diverged_instance_counts_as_chance_or_as_the_worst_value_there(others, worst):
    task = only_task(make_cell("X", "A", [0.1, None]), make_cell("X", "B", others))
    assert task.differences == pytest.approx((0.1 - others[0], worst - others[1]))
    assert task.notes == ("A diverged 1/2, counted as the worst",)


def test_budgets_and_suites_are_compared_apart_and_corrected_together():
    cells = [
        make_cell("X", name, values, suite=suite, budget=budget)
        for suite, budget in (("quick", "cpu"), ("quick", "paper"), ("other", "cpu"))
        for name, values in (("A", SMALL), ("B", LARGE))
    ]
    found = compare(*cells).boards
    assert [(b.suite, b.budget, b.flips) for b in found] == [
        ("other", "cpu", None), ("quick", "paper", None), ("quick", "cpu", None)
    ]  # fmt: skip
    assert {b.tasks[0].adjusted / b.tasks[0].p for b in found} == {3.0}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"config": {"task": {"class_path": "Adding"}}}, "measured on different versions of the task"),
        ({"data_fingerprint": "d1"}, "measured on different data, d0 and d1"),
        ({"direction": "max"}, "ranked by RMSE ↓ and by accuracy % ↑"),
        ({"first": 7}, "no instance of one network has the number of one of the other"),
        ({"values": []}, "nothing trained, or no value measured"),
    ],
)
def test_what_cannot_be_compared_is_left_out_with_the_reason(other, reason):
    values = other.pop("values", LARGE)
    cell = make_cell("X", "B", values or LARGE, **other)
    if not values:
        records = [r.model_copy(update={"scores": r.scores.model_construct(val={}, test={})}) for r in cell.records]
        cell = type(cell)(tuple(records), 1)
    both = make_cell("Y", "A", SMALL), make_cell("Y", "B", LARGE)
    found = compare(make_cell("X", "A", SMALL), cell, make_cell("Z", "A", SMALL), *both)
    assert [task.task for task in found.boards[0].tasks] == ["Y"]
    assert found.skipped == (f"quick, cpu, X: {reason}", "quick, cpu, Z: no record of B")


def test_other_steps_are_compared_with_a_note_and_hostile_names_stay_in_their_line():
    name = "B\x1b[31m\n" + 60 * "x"
    found = compare_networks(boards([make_cell("X", "A", SMALL), make_cell("X", name, LARGE, steps=900)]), "A", name)
    assert found.boards[0].tasks[0].notes == ("trained for 300 and 900 steps",)
    text = networks_text(found)
    assert len(text.splitlines()) == 5
    assert "\x1b" not in text


def test_the_largest_floats_overflow_nowhere():
    task = only_task(make_cell("X", "A", [1.7e308, -1.7e308, 1e308]), make_cell("X", "B", [-1.7e308, 5e-324, 0.0]))
    assert all(math.isfinite(x) for x in (*task.interval, task.p))


def reproduce(mine, reference, direction="min", **changes):
    return compare_folders(
        [make_cell("X", "A", mine, direction, **changes)], [make_cell("X", "A", reference, direction)]
    )


def test_intervals_end_where_the_metric_does_and_say_so():
    task = only_task(make_cell("X", "A", [0.9, 0.1], "max"), make_cell("X", "B", [0.1, 0.9], "max"))
    assert (task.interval, task.notes) == ((0.0, -1.0, 1.0), ("interval cut at the range of the metric",))
    (found,), _ = reproduce([0.9, 0.1], [0.1, 0.9], "max")
    assert (found.expected, found.paired) == ((0.5, 0.0, 1.0), (0.0, -1.0, 1.0))
    assert found.notes == task.notes
    # Differences of errors have no ends; an error itself is never below zero.
    (found,), _ = reproduce([0.9, 0.1], [0.1, 0.9])
    assert found.expected[1:] == pytest.approx((0.0, 7.687), abs=1e-3)
    assert found.paired[1:] == pytest.approx((-10.165, 10.165), abs=1e-3)


@pytest.mark.parametrize(("mine", "inside"), [([0.31, 0.3], True), ([0.1, 0.1], False), ([0.9], False)])
def test_a_result_lies_inside_the_interval_of_a_reference_or_not(mine, inside):
    (found,), _ = reproduce(mine, LARGE)
    assert found.inside is inside
    # The test and the interval say the same.
    assert (found.p > 0.05) is inside
    assert (found.paired.value, found.pairs) == (
        pytest.approx(sum(mine) / len(mine) - sum(LARGE[: len(mine)]) / len(mine)),
        len(mine),
    )


def test_folders_that_share_no_instance_are_compared_and_a_single_reference_has_no_interval():
    (found,), _ = reproduce(LARGE, LARGE, first=10)
    assert (found.inside, found.pairs, found.paired) == (True, 0, None)
    (found,), _ = reproduce(LARGE, [0.1])
    assert (found.inside, found.expected, found.p) == (None, None, None)
    assert folders_sentence([found], ["runs", "there"]) == (
        "there has no interval that a result of runs could lie in; "
        "1 with a single instance there, which gives no interval."
    )
    (found,), _ = reproduce([0.5, 0.5], [0.5, 0.5])
    assert (found.inside, found.p) == (True, None)


def test_the_sentence_on_folders_names_what_lies_outside():
    pairs = [(name, mine) for name, mine in (("A", LARGE), ("B", SMALL), ("C", [0.40, 0.41]))]
    mine = [make_cell("X", name, values) for name, values in pairs]
    found, _ = compare_folders(mine, [make_cell("X", name, LARGE) for name, _ in pairs])
    assert folders_sentence(found, ["runs", "there"]) == (
        "1 of 3 results of runs lie inside the 95 % interval of there; outside: X/B (better), X/C (worse); "
        "one in twenty is by chance: after Holm's correction 2 still are."
    )


def test_cells_of_another_version_of_the_task_are_not_compared_between_folders():
    found, skipped = reproduce(LARGE, LARGE, data_fingerprint="d1")
    assert (found, skipped) == ([], ["quick, cpu, X, A: measured on different data, d1 and d0"])
    (found,), _ = reproduce(LARGE, LARGE, experiment_id="ab")
    assert found.notes[0].startswith("settings differ (experiments ab and ")
