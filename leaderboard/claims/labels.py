"""Names for readers of what rules compare."""

from rnnbench.leaderboard.claims.evidence import Sample
from rnnbench.leaderboard.dynamics import moment_text
from rnnbench.leaderboard.metric import display

_MEASURED = {
    "gradient_flow/slope": "slope of the gradient's log norm (nats per step)",
    "hessian/largest": "largest eigenvalue of the Hessian",
    "lyapunov/largest": "largest Lyapunov exponent (nats per step)",
    "truncated_training/distance": "distance of the weights from full training, with the most inputs",
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
    return f"{_MEASURED.get(f'{measure}/{key}', f'{measure} {key}')}, {moment_text(moment)}"
