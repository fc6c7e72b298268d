"""What the page shows, gathered from cells and claims into one structure of plain values."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rnnbench import __version__
from rnnbench.leaderboard.board import Board, Column, boards
from rnnbench.leaderboard.captions import protocol
from rnnbench.leaderboard.claims.decide import Decision
from rnnbench.leaderboard.claims.report import as_plain
from rnnbench.leaderboard.comparison.ranks import board_ranks
from rnnbench.leaderboard.drawing.figure_style import COLOURS, DASHES, MARKERS
from rnnbench.leaderboard.drawing.sweep_figures import marks, numbers_published
from rnnbench.leaderboard.dynamics import SideFiles, trained, trained_cells
from rnnbench.leaderboard.page.cells import Limits, Pool, cell_data, dynamics_labels
from rnnbench.leaderboard.page.numbers import drawn, short_text
from rnnbench.leaderboard.page.published import published_data
from rnnbench.leaderboard.page.series import series_data
from rnnbench.leaderboard.papers import PAPERS
from rnnbench.leaderboard.plan import Plans
from rnnbench.leaderboard.senders import Senders
from rnnbench.leaderboard.statistics import Cell
from rnnbench.leaderboard.sweeps import Sweep, find_sweeps
from rnnbench.leaderboard.tables.best import best_networks

_HOW_DRAWN = (
    "Lines are means over instances, bands their range; hollow markers: some instances diverged, or did not reach the "
    "threshold (counted with all steps)."
)


def page_data(
    cells: Sequence[Cell],
    decisions: Sequence[Decision],
    side_files: SideFiles,
    senders: Senders,
    plans: Plans,
    records: int,
) -> dict[str, Any]:
    """Return all that the page's script draws from."""
    limits = Limits.of(len(cells))
    laid_out, pool = boards(cells, plans), Pool(senders, limits)
    columns = [(board, column) for board in laid_out for column in board.columns]
    networks = list(dict.fromkeys(network for board in laid_out for network in board.networks))
    rows = {network: index for index, network in enumerate(networks)}
    found: list[dict[str, Any]] = []
    placed: list[Cell] = []
    numbers: dict[int, int] = {}
    for index, (board, column) in enumerate(columns):
        learned = trained_cells(column)
        best = best_networks(learned) if learned.cells else set()
        for look, network in enumerate(board.networks):
            if cell := column.cells.get(network):
                numbers[id(cell)] = len(found)
                place = {"column": index, "network": rows[network], "look": look, "best": network in best}
                found.append({**place, **cell_data(cell, pool)})
                placed.append(cell)
    published = published_data(placed)
    for index, number in enumerate(published):
        for ours in number["ours"]:
            found[ours["cell"]].setdefault("published", []).append(index)
    return {
        "version": __version__,
        "records": records,
        "looks": {"colours": len(COLOURS), "dashes": len(DASHES), "markers": MARKERS},
        "most_points": limits.points,
        "thinned": limits.thinned(cells),
        "dynamics": dynamics_labels(),
        "boards": [_board(board, plans, rows) for board in laid_out],
        "columns": [{"board": laid_out.index(board), **_column(column)} for board, column in columns],
        "networks": [short_text(network) for network in networks],
        "cells": found,
        "settings": pool.settings.items,
        "hardware": pool.hardware.items,
        "commits": pool.commits.items,
        "sweeps": [
            _sweep(board, sweep, numbers) for board in map(trained, laid_out) if board for sweep in find_sweeps(board)
        ],
        "series": [
            one
            for board, column in columns
            for one in series_data(board, column, side_files, {n: numbers[id(c)] for n, c in column.cells.items()})
        ],
        "claims": [_claim(decision) for decision in decisions],
        "published": published,
    }


def _board(board: Board, plans: Plans, rows: Mapping[str, int]) -> dict[str, Any]:
    plan = plans.get((board.suite, board.budget))
    # A source names the paper with its year, then the figure or table.
    paper = re.match(r"[^,;(]*?\d{4}", plan.source) if plan else None
    titles = {"paper": paper[0] if paper else "", "title": plan.title if plan else ""}
    learned = trained(board)
    ranks = board_ranks(learned) if learned else {}
    return {
        "suite": short_text(board.suite),
        "budget": board.budget,
        **titles,
        "ranks": {rows[network]: [drawn(number) for number in interval] for network, interval in ranks.items()},
    }


def _column(column: Column) -> dict[str, Any]:
    metric = column.metric
    return {
        "task": short_text(column.task),
        "metric": short_text(metric.name),
        "heading": short_text(metric.heading),
        "axis": short_text(metric.display.axis),
        "scale": metric.display.scale,
        "direction": metric.direction,
        "chance": metric.chance,
        "best_possible": metric.best,
    }


def _sweep(board: Board, sweep: Sweep, numbers: dict[int, int]) -> dict[str, Any]:
    cells = [cell for line in sweep.lines for _, cell in line.points]
    several = len({line.task for line in sweep.lines}) > 1
    return {
        "suite": short_text(board.suite),
        "budget": board.budget,
        "setting": sweep.setting,
        "metric": sweep.metric.name,
        "label": short_text(sweep.label),
        "log": sweep.logarithmic,
        "values": sweep.values,
        "timed": all(record.minimal_performance for cell in cells for record in cell.records),
        "caption": f"{_HOW_DRAWN} {protocol(cells).capitalize()}.",
        "marks": list(marks(sweep).items()),
        "published": [
            (x, value, short_text(f"{number.model} on {number.task}, {number.source}"))
            for line in sweep.lines
            for x, cell in line.points
            for number, value in numbers_published(cell)
        ],
        "lines": [
            {
                "name": short_text(" ".join(filter(None, [line.name, line.task if several or not line.name else ""]))),
                "look": line.index,
                "points": [(x, numbers[id(cell)]) for x, cell in line.points],
            }
            for line in sweep.lines
        ]
        + [
            {
                "name": short_text(f"{network} ({task})"),
                "look": 6 - index,
                "points": [(x, numbers[id(cell)]) for x in sweep.values[:: len(sweep.values) - 1]],
            }
            for index, (task, network, cell) in enumerate(sweep.beside)
        ],
    }


def _claim(decision: Decision) -> dict[str, Any]:
    found = as_plain(decision)
    return {
        **found,
        "missing": len(decision.missing),
        "paper_name": PAPERS[decision.claim.paper],
        "suites": list(dict.fromkeys(cells.suite for cells in decision.claim.records)),
    }
