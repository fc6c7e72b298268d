"""What of the page is in sight, what is folded, and what was not run."""

import re

from rnnbench.benchmark.config.suite import suite_files
from tests.leaderboard.factory import make_record
from tests.leaderboard.test_board_page import many, page_of


def test_claims_scores_and_a_figure_are_in_sight_and_the_rest_is_folded(tmp_path):
    page = page_of(tmp_path, *many(), make_record(suite="q.x"))
    sight = re.sub(r"<details><summary>.*?</details>\n", "", page, flags=re.DOTALL)
    seen = [line for line in sight.splitlines() if line.startswith(("#", "!["))]
    board = ["### Scores", "### Learning curves"]
    assert seen == [
        "# Leaderboard",
        "## Claims of the papers",
        *("## adding, budget `paper`", *board, "![Learning curves of ADD100](figures/adding-paper-ADD100.svg)"),
        *("## q.x, budget `cpu`", *board, "![Learning curves of sMNIST](figures/q.x-cpu-sMNIST.svg)"),
        *("## quick, budget `cpu`", *board, "![Learning curves of sMNIST](figures/quick-cpu-sMNIST.svg)"),
        "## Not placed",
    ]
    contents = sight.split("## ")[0]
    for link in (
        "#claims-of-the-papers",
        "#adding-budget-paper",
        "#qx-budget-cpu",
        "#quick-budget-cpu",
        "#not-placed",
    ):
        assert f"]({link})" in contents
    assert page.count("<details>") == page.count("</details>") == 3 * 2 + 3
    assert "<details><summary>Notes: how rules and records differ from the papers'</summary>" in page


def test_what_the_papers_ran_and_these_records_lack_is_listed_with_its_hours(tmp_path):
    page = page_of(tmp_path, make_record(suite="rotation"), make_record(suite="depth-copy", budget="paper"))
    section = page.split("## Not run\n")[1]
    lines = {
        line.strip("| ").split(" | ")[0]: line.strip("| ").split(" | ") for line in section.splitlines() if "|" in line
    }
    assert lines["rotation"][1:3] == ["Dubinin & Effenberger 2024, Fig. 4 and B.4", "`cpu`"]
    hours = re.fullmatch(r"`rnnbench run rotation --budget paper` \(([0-9,]+) hours\)", lines["rotation"][3])
    assert int(hours[1].replace(",", "")) > 100
    assert lines["table1"][2] == "no records of the suite as it is"
    assert "depth-copy" not in lines
    assert set(lines) - {"suite", "---"} <= set(suite_files())
    assert "## Not run" not in page_of(tmp_path / "own", make_record(suite="mine"))
