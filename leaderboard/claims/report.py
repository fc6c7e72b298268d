"""Verdicts for readers: a table in Markdown, lines for a terminal, and JSON."""

import json
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from rnnbench.leaderboard.claims.decide import Decision
from rnnbench.leaderboard.claims.verdict import Outcome, Verdict

_ORDER: tuple[Verdict, ...] = ("holds", "fails", "undecided", "open")
# Of a note in a terminal, in characters.
_WIDTH = 100
# The comparison that tells most of a claim: the one that fails, then one that decides nothing, then the first.
_FIRST = {"fails": 0, "undecided": 1, "holds": 2, "open": 3}


def summary(decisions: Sequence[Decision]) -> str:
    """Return how many claims have which verdict, for example ``3 hold, 1 fails, 25 open``."""
    counts = Counter(decision.verdict for decision in decisions)
    words: dict[str, tuple[str, str]] = {"holds": ("holds", "hold"), "fails": ("fails", "fail")}
    parts = []
    for verdict in _ORDER:
        if counts[verdict]:
            one, many = words.get(verdict, (verdict, verdict))
            parts.append(f"{counts[verdict]} {one if counts[verdict] == 1 else many}")
    return ", ".join(parts)


def number(value: float) -> str:
    """Return a number with four significant digits.

    >>> number(0.123456), number(12345.6), number(-0.5), number(8)
    ('0.1235', '1.235e+04', '-0.5', '8')
    """
    return f"{value:.4g}"


def outcome_text(outcome: Outcome) -> str:
    """Return one comparison in a line."""
    parts = [outcome.what]
    if outcome.value is not None:
        parts.append(f" = {number(outcome.value)}")
        if outcome.low is not None and outcome.high is not None:
            parts.append(f" [{number(outcome.low)}, {number(outcome.high)}]")
    parts.append(f", n = {outcome.n}")
    if outcome.wanted:
        parts.append(f", must be {outcome.wanted}")
    return "".join(parts) + f": {outcome.verdict}" + (f" ({outcome.remark})" if outcome.remark else "")


def telling(decision: Decision, code: Callable[[str], str] = str) -> str:
    """Return in one line what decides the claim, or what is missing, its commands written by ``code``."""
    if decision.outcomes:
        chosen = min(decision.outcomes, key=lambda outcome: _FIRST[outcome.verdict])
        count = len(decision.outcomes)
        more = f"; {count - 1} more comparison{'s' if count > 2 else ''}" if count > 1 else ""
        return outcome_text(chosen) + more
    if decision.missing:
        cells = len(decision.missing)
        hours = decision.claim.hours
        cost = f"about {hours:g} core-hour{'s' * (hours != 1)}" if hours else "the hours are those of another claim"
        return f"{cells} cell{'s' if cells > 1 else ''} missing: {'; '.join(map(code, decision.commands))} ({cost})"
    return decision.reason


def as_terminal(decisions: Sequence[Decision], every: bool = False) -> str:
    """Return one paragraph a claim, with its note; with ``every``, each comparison on a line of its own."""
    lines = [f"{len(decisions)} claims: {summary(decisions)}", ""]
    for decision in decisions:
        claim = decision.claim
        lines.append(f"{claim.id:<4} {decision.verdict:<10} {claim.statement}")
        details = (
            [outcome_text(each) for each in decision.outcomes] if every and decision.outcomes else [telling(decision)]
        )
        lines += [f"     {'':<10} {detail}" for detail in details]
        lines += [f"     {'':<10} {line}" for line in textwrap.wrap(f"Note: {claim.note}" * bool(claim.note), _WIDTH)]
    return "\n".join(lines) + "\n"


def as_json(decisions: Sequence[Decision]) -> str:
    """Return the decisions as JSON: the same records give the same bytes."""
    return (
        json.dumps([as_plain(decision) for decision in decisions], indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    )


def as_plain(decision: Decision) -> dict[str, Any]:
    """Return a decision as plain values, with None for infinite ends of intervals."""
    claim = decision.claim
    return {
        "id": claim.id,
        "statement": claim.statement,
        "paper": claim.paper,
        "place": claim.place,
        "note": claim.note,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "outcomes": [
            {
                "what": outcome.what,
                "verdict": outcome.verdict,
                # JSON has no infinities: the interval of a single instance has no ends.
                **{name: _finite(getattr(outcome, name)) for name in ("value", "low", "high")},
                "wanted": outcome.wanted,
                "n": outcome.n,
                "remark": outcome.remark,
            }
            for outcome in decision.outcomes
        ],
        "missing": [
            {
                "suite": gap.wanted.suite,
                "budget": gap.wanted.budget,
                "task": gap.task,
                "network": gap.network,
                "there": gap.there,
                "needed": gap.wanted.instances,
            }
            for gap in decision.missing
        ],
        "commands": decision.commands,
        "hours": claim.hours,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < float("inf") else None
