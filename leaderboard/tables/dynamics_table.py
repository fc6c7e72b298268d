"""The table of a board's dynamics: one number from each measure."""

from typing import NamedTuple

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.dynamics import measurements, moment_text, moments
from rnnbench.leaderboard.schema import Measure
from rnnbench.leaderboard.statistics import statistic
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, Table, escape, measured


class _Number(NamedTuple):
    heading: str
    measure: str
    key: str


_NUMBERS = (
    _Number("largest exponent (nats per step)", "lyapunov", "largest"),
    _Number("mean exponent (nats per step)", "lyapunov", "mean"),
    _Number("Kaplan–Yorke dimension", "lyapunov", "kaplan_yorke"),
    _Number("largest |Hessian eigenvalue|", "hessian", "largest_magnitude"),
    _Number("gradient slope (nats per step)", "gradient_flow", "slope"),
    _Number("contraction", "stability", "contraction"),
    _Number("contraction (truncation)", "truncation", "contraction"),
    _Number("memory (steps to 1 % state error)", "truncation", "memory"),
    _Number("memory capacity", "memory_capacity", "total"),
    _Number("memory capacity of all layers", "memory_capacity", "state_total"),
    _Number("polynomial degree", "polynomial_degree", "degree"),
    _Number("information processing capacity", "processing_capacity", "total"),
    _Number("effective state size", "effective_state", "rank"),
    _Number("distance from full training", "truncated_training", "distance"),
    _Number("Newton iterations", "parallelisability", "newton"),
    _Number("Newton iterations, diagonal", "parallelisability", "diagonal"),
)


def number_heading(measure: str, key: str) -> str:
    """Return the name, with its unit, of a number of a measure's summary; its keys where no table shows it."""
    return next((n.heading for n in _NUMBERS if (n.measure, n.key) == (measure, key)), f"{measure} {key}")


def dynamics(board: Board) -> Table:
    """Return the numbers that any instance of a board has: a column for each task, moment and number."""
    # The measure of stability gives the same contraction as that of truncation.
    repeated = any("stability" in record.measures for cell in board.cells for record in cell.records)
    numbers = [n for n in _NUMBERS if not (repeated and (n.measure, n.key) == ("truncation", "contraction"))]
    shown = [
        (column, moment, number)
        for column in board.columns
        # Epochs between are for figures: a column for each would make the table unreadable.
        for moment in moments(column)
        if moment in ("start", "best", "end")
        for number in numbers
        if any(_has(one, number) for _, _, one in measurements(column, number.measure, moment))
    ]
    rows = [[escape(network), *(_cell(*place, network) for place in shown)] for network in board.networks]
    headings = [
        f"{escape(column.task)} {moment_text(moment)}{LINE}{escape(number.heading)}" for column, moment, number in shown
    ]
    return Table(
        "Dynamics",
        "Mean ± standard deviation (instances). `undefined`: there is no such number, or it is not finite.",
        ["network", *headings],
        rows,
    )


def _has(one: Measure, number: _Number) -> bool:
    """Return whether a measure has a number; the mean of one exponent is not that of a spectrum."""
    alone = (number.measure, number.key) == ("lyapunov", "mean") and one.settings.get("count") == 1
    return number.key in one.summary and not alone


def _cell(column: Column, moment: str, number: _Number, network: str) -> str:
    found = measurements(column, number.measure, moment)
    measures = [one for name, _, one in found if name == network and (one.status == "failed" or _has(one, number))]
    finished = [one for one in measures if one.status == "finished"]
    values = [one.summary.get(number.key) for one in finished]
    summary = statistic(value for value in values if isinstance(value, (int, float)))
    infinite = sum(_minus_infinite(one, number) for one in finished)
    undefined, failed = values.count(None) - infinite, len(measures) - len(finished)
    lines = [measured(summary)] if summary else []
    # Without these the mean would read as if it were over all.
    lines += [f"−∞ ({infinite})"] if infinite else []
    lines += [f"undefined ({undefined})"] if undefined else []
    lines += [f"failed {failed}/{len(measures)}"] if failed else []
    return LINE.join(lines) or NOTHING


def _minus_infinite(one: Measure, number: _Number) -> bool:
    """Return whether a number that JSON cannot hold is −∞: an exponent where some are, and all sequences finite."""
    summary = one.summary
    exponent = number.measure == "lyapunov" and number.key in ("largest", "mean")
    return exponent and summary.get(number.key) is None and bool(summary.get("minus_infinite"))
