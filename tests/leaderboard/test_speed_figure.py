"""The figure of ratios: what is drawn, in which order, with the same bytes; what is no report is named."""

import json
from pathlib import Path

import pytest

from rnnbench.leaderboard.drawing.speed_figure import Bar, bars, read_comparisons, speed_figure

COMMITTED = Path(__file__).parents[2] / "leaderboard" / "speed"


def comparison(report: str, title: str, **ratios: float) -> dict[str, object]:
    """A comparison whose contenders have a target of 0.5 where their names begin with ``t``."""
    timings = [
        {"name": name, "ratio": ratio, "largest_ratio": 0.5 if name.startswith("t") else None}
        for name, ratio in ratios.items()
    ]
    return {"report": report, "title": title, "timings": timings, "outcomes": []}


def outcome(value: float, factor: float | None) -> dict[str, object]:
    target = {"contenders": ["a", "b"], "references": ["c"], "largest": 0.7, "smallest": 0.0, "factor": factor}
    return {"target": target, "value": value}


def test_ratios_with_targets_are_drawn_and_nothing_else() -> None:
    one = comparison("overhead", "steps", plain=1.0, trained=0.4, twice=0.6)
    two = {**comparison("scan", "forward and backward of GRU, float32", plain=1.0), "outcomes": [outcome(0.65, None)]}
    growth = {**comparison("scaling", "growth"), "outcomes": [outcome(1.0, 10.0)]}
    found = bars([one, growth, two])
    assert list(found) == ["scan", "overhead"]
    assert found["scan"] == [Bar("GRU: a or b to c", 0.65, 0.7)]
    assert [(bar.label, bar.met) for bar in found["overhead"]] == [("steps: trained", True), ("steps: twice", False)]


def test_the_same_reports_give_the_same_bytes_with_all_labels() -> None:
    reports = [comparison("gpu", "$cost", tiny=0.25), comparison("scan", "GRU", two=0.75)]
    drawn = speed_figure(reports)
    assert drawn == speed_figure(reports)
    text = drawn.decode()
    assert all(words in text for words in ("$cost: tiny", "GRU: two", "0.25 (≤ 0.50)", "0.75 (≤ 0.50, missed)"))
    assert text.index("GRU: two") < text.index("$cost: tiny")


def test_without_targets_there_is_a_figure_all_the_same() -> None:
    assert b"No ratio with a target" in speed_figure([])


def test_committed_reports_are_all_read() -> None:
    read = read_comparisons(COMMITTED)
    assert {found["report"] for found in read} == {path.stem for path in COMMITTED.glob("*.json")}
    # Of an H200, from before reports had names.
    assert [len(found) for found in bars(read_comparisons(COMMITTED / "gpu")).values()] == [5]


@pytest.mark.parametrize("content", ["{", "{}", "[1]", "[" * 9999, json.dumps([{"title": "x"}])])
def test_a_file_that_is_no_report_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"other\.json: not written by rnnbench speed"):
        read_comparisons(tmp_path)
