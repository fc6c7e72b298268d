"""What of the page is in sight, and what is folded."""

import re

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
