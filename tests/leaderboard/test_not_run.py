"""What the page lists as not run, with hours and claims; and the file of the papers' experiments."""

import pytest

from rnnbench.benchmark.config.suite import load_suite, suite_files
from rnnbench.leaderboard.board_page import write_leaderboard
from rnnbench.leaderboard.experiments import experiments
from rnnbench.leaderboard.plan import PlannedCell, SuitePlan
from tests.leaderboard.factory import make_record, put
from tests.leaderboard.test_board_page import page_of


def _lines(page):
    rows = (line.strip("| ").split(" | ") for line in page.split("## Not run\n")[1].splitlines() if "|" in line)
    return {row[0]: row for row in rows}


def test_what_the_papers_ran_and_these_records_lack_is_listed_with_its_hours(tmp_path):
    page = page_of(tmp_path, make_record(suite="rotation"), make_record(suite="depth-copy", budget="paper"))
    lines = _lines(page)
    assert lines["rotation"][1:3] == ["Dubinin & Effenberger 2024, Fig. 4 and B.4", "`cpu`"]
    hours = experiments()["rotation"].paper
    assert lines["rotation"][3] == f"`rnnbench run rotation --budget paper` ({hours} hours)"
    assert lines["table1"][2] == "no records of the suite as it is"
    assert "depth-copy" not in lines
    assert set(lines) - {"suite", "---"} <= set(suite_files())
    assert "## Not run" not in page_of(tmp_path / "own", make_record(suite="mine"))


def test_a_command_that_several_claims_need_has_the_hours_of_its_records_once(tmp_path):
    put(tmp_path / "records", make_record(suite="rotation"))
    cells = {("sMNIST", "LSTM"): PlannedCell(frozenset(["0" * 12]))}
    plans = {("table2", "cpu"): SuitePlan("table2", "cpu", 3, cells)}
    page = write_leaderboard(tmp_path / "records", tmp_path / "out", plans).page.read_text(encoding="utf-8")
    first, paper = _lines(page)["table2"][3].split("<br>")
    assert first == f"`rnnbench run table2` ({experiments()['table2'].cpu} hours; W10, W11, W12)"
    assert paper == f"`rnnbench run table2 --budget paper` ({experiments()['table2'].paper} hours)"


def test_the_page_of_a_suite_that_repeats_no_experiment_lists_no_papers(tmp_path):
    assert "## Not run" not in page_of(tmp_path, make_record(suite="quick"))


def test_every_suite_has_its_hours_and_those_of_a_paper_say_what_they_repeat():
    assert set(experiments()) == set(suite_files())
    for name, one in experiments().items():
        assert float(one.cpu.replace(",", "")) > 0
        assert bool(one.place) == bool(one.paper), name
        if one.place:
            assert load_suite(name).source.partition(",")[0].partition(" (")[0] in one.place
            assert float(one.paper.replace(",", "")) > 0


@pytest.mark.parametrize("name", [name for name, one in experiments().items() if "stand for sMNIST" in one.stands_for])
def test_tasks_stand_for_others_where_the_paper_has_those_and_the_short_budget_does_not(name):
    short, paper = ({each.task for each in load_suite(name, budget).experiments} for budget in ("cpu", "paper"))
    assert "Digits" in short
    assert "sMNIST" in paper - short
