"""Rows and columns that differ in one number: which are found, and what their figures show."""

import math
import re

import pytest

from rnnbench.benchmark.config.suite import load_suite
from rnnbench.leaderboard.board import boards
from rnnbench.leaderboard.board_page import write_leaderboard
from rnnbench.leaderboard.drawing.figure_style import look
from rnnbench.leaderboard.drawing.sweep_figures import (
    Mean,
    draw_line,
    facets,
    iterations,
    marks,
    score,
    sweep_figures,
)
from rnnbench.leaderboard.experiments import experiments
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.sweeps import find_sweeps
from tests.leaderboard.factory import ACCURACY, MSE, RMSE, make_record, put

DIGITS, ADDING = {"class_path": "SequentialDigits"}, {"class_path": "Adding", "init_args": {"length": 50}}
COPY = {"class_path": "DelayedCopy", "init_args": {"width": 5, "length": 16}}


def wcrnn(**given):
    given = {"hidden_size": 100, "residual": "scalar", "r": 1.0, "phi": 0.0, "gamma": 0.01, **given}
    return {"class_path": "rnnbench.lit_models.WCRNN", "init_args": given}


def linear(units):
    return {"class_path": "ElmanRNN", "init_args": {"hidden_size": units}}


def stack(layers, units, **more):
    return {"class_path": "StackedRNN", "init_args": {"layer": linear(units), "num_layers": layers, **more}}


def cprnn(rank):
    return {"class_path": "SecondOrderRNN", "init_args": {"hidden_size": 16, "rank": rank}}


def row(network, recurrence, task="Digits", spec=DIGITS, metric=ACCURACY, scores=(0.5, 0.7), **changes):
    """The records of one cell."""
    config = {"task": spec, "recurrence": recurrence, "training": {"learning_rate": changes.pop("rate", 0.1)}}
    changes |= {"network": network, "task": task, "config": config, "metrics": (metric,)}
    return [make_record(val=(value,), test=(value,), instance=i, **changes) for i, value in enumerate(scores)]


def sweeps_of(*rows):
    (board,) = boards(select_cells([record for records in rows for record in records])[0])
    found = find_sweeps(board)
    return {
        (sweep.setting, line.task, line.name): [x for x, _ in line.points] for sweep in found for line in sweep.lines
    }, found


R = (0.95, 1.0, 1.01)
FOUND = {
    "rows along r, each task a line": (
        [row(f"r{r}", wcrnn(r=r), *where) for r in R for where in (("Digits",), ("ADD50", ADDING, RMSE))],
        {("r", "Digits", ""): [*R], ("r", "ADD50", ""): [*R]},
    ),
    "two values are no sweep": ([row(f"r{r}", wcrnn(r=r)) for r in R[:2]], {}),
    "each form a line": (
        [row(f"{form}_r{r}", wcrnn(r=r, form=form)) for form in ("A", "B") for r in R],
        {("r", "Digits", "A"): [*R], ("r", "Digits", "B"): [*R]},
    ),
    "rows that differ in more are apart": ([row(f"r{r}", wcrnn(r=r, gamma=r / 100)) for r in R], {}),
    "a range's width, from none on": (
        [row("delta0", wcrnn(r=0.96))]
        + [row(f"delta{d}", wcrnn(r=[0.96 - d / 2, 0.96 + d / 2], residual="diagonal")) for d in (0.02, 0.08)],
        {("r±", "Digits", ""): [0, 0.02, 0.08]},
    ),
    "a plain recurrence is a stack of one layer": (
        [
            row("L-1x25", linear(25)),
            row("L-2x25", stack(2, 25, norm=None, depth_form="between")),
            row("L-4x25", stack(4, 25)),
        ],
        {("num_layers", "Digits", "L"): [1, 2, 4]},
    ),
    "an activation between layers changes a network": (
        [row("L-1x25", linear(25)), row("L-2x25", stack(2, 25, depth_activation="tanh")), row("L-4x25", stack(4, 25))],
        {},
    ),
    "lists by their lengths": (
        [row(f"DT-{n}", {"class_path": "DT", "init_args": {"transition_layers": n * [8]}}) for n in (0, 1, 2)],
        {("transition_layers#", "Digits", "DT"): [0, 1, 2]},
    ),
    "columns along the delay, each network a line": (
        [
            row(name, linear(units), f"Copy{p}", {**COPY, "init_args": {**COPY["init_args"], "delay": p}}, MSE)
            for name, units in (("narrow", 25), ("wide", 50))
            for p in (3, 8, 12)
        ],
        {("delay", "Copy", "narrow"): [3, 8, 12], ("delay", "Copy", "wide"): [3, 8, 12]},
    ),
    "rate by coupling is drawn along one of the two": (
        [row(f"rate{e}_gamma{g}", wcrnn(gamma=g), rate=e) for e in (0.3, 0.1, 0.01) for g in (0.1, 0.01, 0.001)],
        {("gamma", "Digits", f"rate{e}"): [0.001, 0.01, 0.1] for e in (0.01, 0.1, 0.3)},
    ),
    "a rate that validation chose is no axis": (
        [row(f"row{e}", wcrnn(), rate=e, lr=e, grid=(0.3, 0.1, 0.01)) for e in (0.3, 0.1, 0.01)],
        {},
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_sweeps_are_found_from_settings(name):
    rows, wanted = FOUND[name]
    assert sweeps_of(*rows)[0] == wanted


def test_few_rows_off_the_axis_stand_beside_it_and_so_does_the_full_tensor():
    ranks = [row(f"CPRNN-rank{rank}", cprnn(rank)) for rank in (1, 4, 32)]
    (sweep,) = sweeps_of(*ranks, row("2RNN", cprnn(None)), row("Elman", linear(4)))[1]
    assert [network for _, network, _ in sweep.beside] == ["2RNN", "Elman"]
    assert sweep.logarithmic
    others = [row(f"other{i}", linear(i)) for i in (5, 6)]
    assert sweeps_of(*ranks, row("2RNN", cprnn(None)), *others)[1][0].beside == ()


def test_means_ranges_and_what_falls_short():
    cells = select_cells([*row("a", linear(1), scores=(0.4, 0.7)), *row("b", linear(2), scores=(0.3,), diverged_at=1)])[
        0
    ]
    mean, lost = score(cells[0]), score(cells[1])
    assert (mean.mean, mean.low, mean.high, mean.whole) == (pytest.approx(55), 40, 70, True)
    assert lost is None
    # One instance never reaches 50 %: it counts with all its 100 steps.
    assert (iterations(cells[0]).mean, iterations(cells[0]).whole, iterations(cells[0]).bound) == (100, False, False)
    assert iterations(cells[1]).bound


def test_no_line_joins_bounds_to_iterations_that_were_reached():
    """A row that falls short in few steps must not look faster than one that gets there in many."""
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    reached, fell_short = Mean(900.0, 800.0, 1000.0, whole=True), Mean(300.0, 300.0, 300.0, whole=False, bound=True)
    draw_line(axes, look(0), "a", [(25.0, reached), (50.0, fell_short), (100.0, fell_short)])
    joined, _, bounds = axes.lines
    assert [y for y in joined.get_ydata() if not math.isnan(y)] == [900.0]
    assert list(bounds.get_xdata()) == [50.0, 100.0]
    assert (joined.get_linestyle(), bounds.get_linestyle()) == ("-", "None")
    assert "uparrow" in bounds.get_marker()


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ([{"r": r} for r in R], 1.0),
        ([{"residual": "rotation", "phi": phi} for phi in (0, 0.5, 1)], 2 * math.pi / 8),
        ([{"r": [0.96 - d, 0.96 + d], "residual": "diagonal"} for d in (0, 0.01, 0.02)], 0.08),
        ([{"gamma": g} for g in (0.1, 0.01, 0.001)], None),
    ],
)
def test_theory_marks_the_axis(settings, place):
    (sweep,) = sweeps_of(*(row(f"row{i}", wcrnn(**given)) for i, given in enumerate(settings)))[1]
    assert [pytest.approx(x) for x in marks(sweep)] == ([] if place is None else [place])


AXES = {
    "depth-copy:paper": ["delay", "hidden_size", "num_layers"],
    "depth-degree:paper": ["degree", "rank", "num_layers"],
    "depth-limit:paper": ["delay"],
    "depth-targets:paper": ["degree", "num_layers"],
    "depth-shakespeare:cpu": ["num_layers"],
    "stable-system:cpu": ["k"],
    "transitions:cpu": ["transition_layers#"],
    "residual-strength:cpu": ["length", "r"],
    "rotation:cpu": ["phi"],
    "heterogeneity:cpu": ["r±"],
    "residual-types:cpu": ["r", "phi"],
    "learning-rates:cpu": ["gamma"],
    "exponents:paper": ["length", "r"],
    "curvature:cpu": ["r"],
    "table2:cpu": ["length"],
}


@pytest.mark.parametrize("name", AXES)
def test_the_figures_of_a_shipped_suite_have_the_axes_that_its_rows_and_columns_differ_in(name):
    records = [
        make_record(task=e.task, network=e.network, config=e.config).model_copy(update={"grid": e.grid})
        for e in load_suite(*name.split(":")).experiments
    ]
    (board,) = boards(select_cells(records)[0])
    assert [sweep.setting for sweep in find_sweeps(board)] == AXES[name]


def test_more_than_eight_lines_are_split():
    rows = [row(f"form{f}_r{r}", wcrnn(r=r, form=f)) for f in "ABCDEFGHI" for r in R]
    (sweep,) = sweeps_of(*rows)[1]
    assert [len(lines) for _, lines in facets(sweep)] == [5, 4]
    tasks = [(f"Copy{p}", {**COPY, "init_args": {**COPY["init_args"], "delay": p}}) for p in range(5)]
    widths = [row(f"L{f}x{n}", {**linear(n), "form": f}, *task) for f in "AB" for n in (2, 3, 4) for task in tasks]
    _, sweep = sweeps_of(*widths)[1]
    assert [(heading, len(lines)) for heading, lines in facets(sweep)] == [("LAx", 5), ("LBx", 5)]


def test_the_page_shows_the_sweep_and_links_its_learning_curves(tmp_path):
    rows = [row(f"r{r}", wcrnn(r=r), *where) for r in R for where in (("Digits",), ("ADD50", ADDING, RMSE))]
    put(tmp_path / "records", *(record for records in rows for record in records))
    page = write_leaderboard(tmp_path / "records", tmp_path / "out").page.read_text()
    assert "![Digits over residual strength r](figures/quick-cpu-over-r-accuracy.svg)" in page
    assert "Digits over residual strength r: budget cpu, n = 2, 100 steps (1 epoch)." in page
    assert "![Learning curves" not in page
    for link in re.findall(r"\]\((figures/[^)]*)\)", page):
        assert (tmp_path / "out" / link).is_file()


@pytest.mark.parametrize(("suite", "budget", "said"), [("rotation", "cpu", True), ("rotation", "paper", False)])
def test_figures_of_short_budgets_say_what_they_stand_for(tmp_path, suite, budget, said):
    rows = [row(f"r{r}", wcrnn(r=r), suite=suite, budget=budget) for r in R]
    put(tmp_path / "records", *(record for records in rows for record in records))
    page = write_leaderboard(tmp_path / "records", tmp_path / "out").page.read_text()
    assert (experiments()[suite].stands_for in page) == said


def test_a_figure_names_axis_metric_marks_and_lines():
    rows = [row(f"{f}_r{r}", wcrnn(r=r, form=f)) for f in "AB" for r in R]
    (board,) = boards(select_cells([record for records in rows for record in records])[0])
    (figure,) = sweep_figures(board, set())
    svg = figure.image.decode()
    for text in (
        "residual strength r",
        "test accuracy (%)",
        "iterations to accuracy 50 %",
        "r = 1, log r = 0",
        "chance",
    ):
        assert f">{text}<" in svg
    assert ">A<" in svg
    assert ">B<" in svg
    assert sweep_figures(board, set())[0].image == figure.image


def test_where_none_reached_the_threshold_the_caption_says_so_in_place_of_a_panel():
    rows = [row(f"r{r}", wcrnn(r=r), scores=(0.3, 0.4)) for r in R]
    (board,) = boards(select_cells([record for records in rows for record in records])[0])
    (figure,) = sweep_figures(board, set())
    assert figure.caption.endswith("; no instance reached accuracy 50 %.")
    assert ">iterations to accuracy 50 %<" not in figure.image.decode()
