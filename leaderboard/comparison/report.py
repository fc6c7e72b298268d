"""Comparisons for readers: aligned tables with a sentence in plain words, and JSON."""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.claims.intervals import Interval
from rnnbench.leaderboard.comparison.compare import BoardComparison, Comparison, TaskComparison
from rnnbench.leaderboard.comparison.folders import Reproduction
from rnnbench.leaderboard.comparison.paired import LEVEL
from rnnbench.leaderboard.comparison.ranks import board_ranks
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.text import printable

#: Tasks or cells that a sentence names at most.
_MOST_NAMED = 6
_LONGEST_NAME = 40
_INSIDE = {True: "inside", False: "outside", None: "no interval"}


def networks_text(comparison: Comparison) -> str:
    """Return a table and a sentence for each board."""
    names = [_name(name) for name in comparison.names]
    parts = []
    for board in comparison.boards:
        rows = [["task", "metric", *names, "difference [95 %]", "n", "p", "Holm", "better"]]
        rows += [_task_row(task, names) for task in board.tasks]
        if board.flips:
            cells = ["", "", "", "", str(board.flips.n), _p(board.flips.p), _p(board.adjusted)]
            rows.append(["all tasks", *cells, _better(board.better, names)])
        notes = [f"  {_name(task.task)}: {note}" for task in board.tasks for note in task.notes]
        title = f"{_name(board.suite)}, budget {board.budget}"
        parts.append("\n".join([title, *_aligned(rows), *notes, sentence(board, names)]))
    return "\n\n".join([*parts, *_not_compared(comparison.skipped)]) + "\n"


def sentence(board: BoardComparison, names: Sequence[str]) -> str:
    """Return in plain words which of two networks is better, where the seeds cannot tell, and how many would."""
    won = [[task for task in board.tasks if task.better == side] for side in (0, 1)]
    first = 1 if len(won[1]) > len(won[0]) else 0
    of_all = _name(board.tasks[0].task) if len(board.tasks) == 1 else f"{{}} of {len(board.tasks)} tasks"
    if won[first]:
        start = f"{names[first]} is better than {names[1 - first]} on {of_all.format(len(won[first]))}"
        if won[1 - first]:
            start += f" and worse on {len(won[1 - first])}"
        parts = [start]
    else:
        parts = [f"{names[0]} and {names[1]} cannot be distinguished on {of_all.format('any')}"]
    undecided = [task for task in board.tasks if task.better is None]
    parts += [_undecided(task, first=task is undecided[0]) for task in undecided[:_MOST_NAMED]]
    if len(undecided) > _MOST_NAMED:
        parts.append(f"nor can they on {len(undecided) - _MOST_NAMED} more tasks")
    if board.flips:
        found = f"{names[board.better]} is better" if board.better is not None else "neither is better"
        parts.append(f"over all tasks together {found} (p = {_p(board.adjusted)})")
    return "; ".join(parts) + "."


def folders_text(found: Sequence[Reproduction], names: Sequence[str], skipped: Sequence[str]) -> str:
    """Return a table of all cells of two folders, and a sentence on where the results of the first lie."""
    rows = [["cell", "metric", "mine (n)", "reference (n)", "95 % interval", "mine lies", "Holm", "paired difference"]]
    for one in found:
        show = one.metric.display.text
        paired = f"{_interval(one.paired, one.metric)} ({one.pairs})" if one.paired else "–"
        rows.append(
            [
                f"{_name(one.suite)} {one.budget} {_cell(one)}",
                one.metric.heading,
                *(f"{show(each.mean)} ({each.n})" for each in (one.mine, one.reference)),
                _ends(one.expected, one.metric) if one.expected else "–",
                _INSIDE[one.inside],
                _p(one.adjusted),
                paired,
            ]
        )
    notes = [f"  {_cell(one)}: {note}" for one in found for note in one.notes]
    text = folders_sentence(found, [_name(name) for name in names])
    return "\n".join([*_aligned(rows), *notes, text, *_not_compared(skipped)]) + "\n"


def folders_sentence(found: Sequence[Reproduction], names: Sequence[str]) -> str:
    """Return in plain words how many results lie inside the intervals of the reference, and which do not."""
    judged = [one for one in found if one.inside is not None]
    outside = [one for one in judged if not one.inside]
    what = f"{len(judged) - len(outside)} of {len(judged)} results of {names[0]}"
    text = f"{what} {'lies' if len(judged) == 1 else 'lie'} inside the 95 % interval of {names[1]}"
    if not judged:
        text = f"{names[1]} has no interval that a result of {names[0]} could lie in"
    if outside:
        listed = [
            f"{_cell(one)} ({'better' if one.metric.better(one.mine.mean, one.reference.mean) else 'worse'})"
            for one in outside
        ]
        more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
        text += f"; outside: {', '.join(listed[:_MOST_NAMED])}{more}"
        differing = sum(one.adjusted is not None and one.adjusted < LEVEL for one in outside)
        still = f"{differing} still {'is' if differing == 1 else 'are'}" if differing else "none is"
        text += f"; one in twenty is by chance: after Holm's correction {still}"
    alone = len(found) - len(judged)
    return text + (f"; {alone} with a single instance there, which gives no interval" if alone else "") + "."


def ranks_text(boards: Iterable[Board]) -> str:
    """Return a table of the rank intervals of each board; rows without one come last."""
    parts = []
    for board in boards:
        ranks = board_ranks(board)
        rows = [["network", "", "rank", "mean rank", "95 %"]]
        rows += [[_name(n), "", r.text, f"{r.mean:.2f}", f"[{r.low:.2f}, {r.high:.2f}]"] for n, r in ranks.items()]
        rows += [[_name(n), "", "–", "–", "–"] for n in board.networks if n not in ranks]
        parts.append("\n".join([f"{_name(board.suite)}, budget {board.budget}", *_aligned(rows)]))
    return "\n\n".join(parts) + "\n"


def ranks_json(boards: Iterable[Board]) -> str:
    """Return the rank intervals of each board as JSON."""
    return _json(
        [
            {"suite": b.suite, "budget": b.budget, "ranks": {n: r._asdict() for n, r in board_ranks(b).items()}}
            for b in boards
        ]
    )


def networks_json(comparison: Comparison) -> str:
    """Return a comparison of networks as JSON: the same records give the same bytes."""
    boards = [
        {
            "suite": board.suite,
            "budget": board.budget,
            "tasks": [
                {
                    "task": task.task,
                    "metric": task.metric.name,
                    "direction": task.metric.direction,
                    "means": task.means,
                    "differences": task.differences,
                    "difference": _ends_json(task.interval),
                    "n": task.n,
                    "p": task.p,
                    "p_holm": task.adjusted,
                    "better": None if task.better is None else comparison.names[task.better],
                    "seeds_needed": _finite(task.needed),
                    "notes": task.notes,
                }
                for task in board.tasks
            ],
            "all_tasks": board.flips
            and {
                "p": board.flips.p,
                "p_holm": board.adjusted,
                "n": board.flips.n,
                "exact": board.flips.exact,
                "better": None if board.better is None else comparison.names[board.better],
            },
            "sentence": sentence(board, comparison.names),
        }
        for board in comparison.boards
    ]
    return _json({"networks": comparison.names, "boards": boards, "not_compared": comparison.skipped})


def folders_json(found: Sequence[Reproduction], names: Sequence[str], skipped: Sequence[str]) -> str:
    """Return a comparison of folders as JSON."""
    cells = [
        {
            **{name: getattr(one, name) for name in ("suite", "budget", "task", "network", "inside", "p", "notes")},
            "metric": one.metric.name,
            "direction": one.metric.direction,
            "mine": {"mean": one.mine.mean, "n": one.mine.n},
            "reference": {"mean": one.reference.mean, "n": one.reference.n},
            "interval": one.expected and _ends_json(one.expected),
            "p_holm": one.adjusted,
            "paired": one.paired and {**_ends_json(one.paired), "n": one.pairs},
        }
        for one in found
    ]
    text = folders_sentence(found, names)
    return _json({"folders": names, "cells": cells, "sentence": text, "not_compared": skipped})


def _not_compared(reasons: Sequence[str]) -> list[str]:
    return [f"not compared: {printable('; '.join(reasons))}"] * bool(reasons)


def _task_row(task: TaskComparison, names: Sequence[str]) -> list[str]:
    means = [task.metric.display.text(mean) for mean in task.means]
    tests = [str(task.n), _p(task.p), _p(task.adjusted), _better(task.better, names)]
    return [_name(task.task), task.metric.heading, *means, _interval(task.interval, task.metric), *tests]


def _undecided(task: TaskComparison, first: bool) -> str:
    start = f"on {_name(task.task)} {task.n} seed{'s' * (task.n > 1)}"
    if task.p is None:
        return f"{start} has no spread to tell by"
    if task.needed is None:
        return f"{start} show no difference"
    needed = "more than 1000" if math.isinf(task.needed) else f"{task.needed:.0f}"
    return f"{start} cannot tell: {needed}{' would be needed for this difference' if first else ''}"


def _better(side: int | None, names: Sequence[str]) -> str:
    return "undecided" if side is None else names[side]


def _interval(interval: Interval, metric: MetricInfo) -> str:
    return f"{metric.display.text(interval.value)} {_ends(interval, metric)}"


def _ends(interval: Interval, metric: MetricInfo) -> str:
    return f"[{metric.display.text(interval.low)}, {metric.display.text(interval.high)}]"


def _ends_json(interval: Interval) -> dict[str, float | None]:
    return {"mean": interval.value, "low": _finite(interval.low), "high": _finite(interval.high)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"


def _name(text: str) -> str:
    return printable(text, _LONGEST_NAME)


def _cell(one: Reproduction) -> str:
    return f"{_name(one.task)}/{_name(one.network)}"


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows as lines in columns, the first two flush left."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        [text.rjust(width) if place > 1 else text.ljust(width) for place, (text, width) in enumerate(cells)]
        for cells in (zip(row, widths, strict=True) for row in table)
    ]
    return [f"  {'  '.join(line)}".rstrip() for line in lines]


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"
