"""The section of a board on the page: scores and main figures in sight, what explains them folded."""

from collections.abc import Sequence

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.drawing.dynamics_figures import DynamicsFigure
from rnnbench.leaderboard.drawing.kept import DYNAMICS, FIGURES
from rnnbench.leaderboard.drawing.sweep_figures import HOW_DRAWN, SweepFigure
from rnnbench.leaderboard.dynamics import failures, has_measures
from rnnbench.leaderboard.experiments import experiments
from rnnbench.leaderboard.tables.dynamics_table import dynamics
from rnnbench.leaderboard.tables.markdown import board_heading, escape, folded, render_table
from rnnbench.leaderboard.tables.notes import Notes, remarks
from rnnbench.leaderboard.tables.scores import tables
from rnnbench.leaderboard.tables.training import differences, protocol_line

#: Learning curves in sight at most, where a board has no other figure.
_MOST_CURVES = 2
_HOW_DRAWN = (
    "Lines are means over instances (of exponents also over sequences), bands their range; finite-time exponents are "
    "those of one sequence of the first instance."
)
_HOW_LEARNED = "Validation value of the ranked metric: mean and range over finished instances."


def board_section(
    board: Board,
    learned: Board | None,
    curve_files: Sequence[str],
    sweeps: Sequence[SweepFigure],
    dynamics_files: Sequence[DynamicsFigure],
    remarks_first: Sequence[str],
) -> tuple[str, int]:
    """Return the text of a board's section, and how many tables it has.

    Args:
        board: the board.
        learned: the part of it that was trained, if any.
        curve_files: the files of the learning curves of ``learned``, by its columns.
        sweeps: figures along one setting.
        dynamics_files: figures of dynamics.
        remarks_first: lines that stand below the heading.
    """
    notes = Notes()
    made = tables(learned, notes) if learned else []
    if has_measures(board):
        made.append(dynamics(board))
    parts = [f"## {board_heading(board.suite, board.budget)}", ""]
    if learned and (line := protocol_line(learned)):
        parts += [line, ""]
    parts += [*(f"- {line}" for line in remarks_first), ""]
    parts += map(render_table, made[:1])
    if sweeps:
        repeated = experiments().get(board.suite) if board.budget != "paper" else None
        smaller = repeated.stands_for if repeated else ""
        parts += ["### Along one setting", "", f"{HOW_DRAWN} {smaller}".strip(), ""]
        for figure in sweeps:
            parts += [f"![{escape(figure.title)}]({FIGURES}/{figure.name})", "", escape(figure.caption), ""]
    parts += _figures_of_dynamics(dynamics_files)
    if learned:
        swept = {task for figure in sweeps for task in figure.tasks}
        parts += _learning_curves(learned, curve_files, swept, alone=not sweeps and not dynamics_files)
    if made[1:]:
        parts += folded(", ".join(table.title for table in made[1:]), map(render_table, made[1:]))
    differ = differences(learned) if learned else ()
    said = [f"- {line}" for line in (*differ, *remarks(board), *map(escape, failures(board)))]
    # A blank line between footnotes keeps them apart in Markdown.
    parts += folded("Notes", [*(f"{line}\n" for line in notes.lines()), *said, ""])
    return "\n".join(parts), len(made)


def _learning_curves(learned: Board, files: Sequence[str], swept: set[str], *, alone: bool) -> list[str]:
    """Show the first learning curves where a board has no other figure; fold the rest, linked where swept."""
    columns = list(zip([escape(column.task) for column in learned.columns], files, strict=True))
    images = [f"![Learning curves of {task}]({name})\n" for task, name in columns if task not in swept]
    links = [f"[{task}]({name})" for task, name in columns if task in swept]
    shown = images[: _MOST_CURVES if alone else 0]
    rest = [*images[len(shown) :], *([f"Of what is drawn along a setting: {', '.join(links)}.\n"] if links else [])]
    if shown:
        return ["### Learning curves", "", _HOW_LEARNED, "", *shown, *folded("More learning curves", rest)]
    return folded("Learning curves", [f"{_HOW_LEARNED}\n", *rest])


def _figures_of_dynamics(figures: Sequence[DynamicsFigure]) -> list[str]:
    """Show the figure beside the scores of each task and link the others; show all where a task has no such figure."""
    parts = ["### Figures of dynamics", "", _HOW_DRAWN, ""] if figures else []
    for task in dict.fromkeys(figure.task for figure in figures):
        of_task = [figure for figure in figures if figure.task == task]
        shown = [figure for figure in of_task if figure.combined] or of_task
        for figure in shown:
            parts += [f"![{escape(figure.caption)}, {escape(task)}]({DYNAMICS}/{figure.name})", ""]
        links = [f"[{escape(figure.caption)}]({DYNAMICS}/{figure.name})" for figure in of_task if figure not in shown]
        if links:
            parts += [f"{escape(task)} in single figures: {', '.join(links)}.", ""]
    return parts
