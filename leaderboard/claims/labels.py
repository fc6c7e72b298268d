"""Names for readers of what rules compare."""

from rnnbench.leaderboard.claims.evidence import Sample
from rnnbench.leaderboard.dynamics import moment_text
from rnnbench.leaderboard.metric import display
from rnnbench.leaderboard.tables.dynamics_table import number_heading

# What claims look at and no column of boards shows.
_NO_COLUMN = {
    ("hessian", "largest"): "largest Hessian eigenvalue",
    ("lyapunov", "smallest"): "smallest exponent (nats per step)",
}


def label(value: str, sample: Sample) -> str:
    """Return the name of a value of a sample (``Sample.values``), with its unit where it has one.

    Scores that tables show as percentages are fractions here, as thresholds are.
    """
    kind, _, rest = value.partition(":")
    if kind == "explained_variance":
        return "explained variance"
    if kind == "iterations":
        return "iterations to minimal performance"
    if kind in ("score", "last"):
        shown = display(rest or sample.records[0].ranked.name)
        return f"{shown.label} (as a fraction)" if shown.unit == "%" else shown.label
    measure, moment, key = rest.partition(":")[0].split("/")
    name = _NO_COLUMN.get((measure, key)) or number_heading(measure, key)
    return f"{name}, {moment_text(moment)}"


def quantity(value: str, sample: Sample) -> str:
    """Return the name of a value without its unit, nor the moment of a measure."""
    return label(value, sample).partition(", ")[0].partition(" (")[0]
