"""The longest delay that a row solves beside another's, also where both solve all or none."""

import pytest

from tests.leaderboard.claims.test_claims import put, verdict
from tests.leaderboard.factory import MSE


@pytest.mark.parametrize(("wide", "expected"), [(0.5, "holds"), (0.01, "fails")])
def test_reach(root, tmp_path, wide, expected):
    for delay, deep in ((4, 0.01), (6, 0.02), (8, 0.3)):
        config = {"task": {"init_args": {"delay": delay}}}
        put(root, "Deep", (deep,) * 3, MSE, f"Copy{delay}", config)
        put(root, "Wide", (0.01 if delay == 4 else wide if delay == 6 else 0.4,) * 3, MSE, f"Copy{delay}", config)
    rule = {"kind": "reach", "pairs": [["Deep", "Wide"]], "solved_below": 0.05}
    tasks = ("Copy4", "Copy6", "Copy8")
    assert verdict(root, tmp_path, rule, ["Deep", "Wide"], tasks=tasks).verdict == expected


def test_what_reaches_the_end_of_the_sweep_beside_another_that_does_decides_nothing(root, tmp_path):
    for delay, deep in ((4, 0.3), (6, 0.01)):
        config = {"task": {"init_args": {"delay": delay}}}
        put(root, "Deep", (deep,) * 3, MSE, f"Copy{delay}", config)
        put(root, "Wide", (0.01,) * 3, MSE, f"Copy{delay}", config)
    rule = {"kind": "reach", "pairs": [["Deep", "Wide"]], "solved_below": 0.05}
    decision = verdict(root, tmp_path, rule, ["Deep", "Wide"], tasks=("Copy4", "Copy6"))
    assert (decision.verdict, decision.outcomes[0].value) == ("undecided", 0)
    assert decision.outcomes[0].remark == "Deep does not reach 4; both solve the longest delay that was tried"


@pytest.mark.parametrize(
    ("deep", "wide", "expected", "value"),
    [
        ((0.3, 0.3), (0.01, 0.3), "fails", -1), ((0.01, 0.3), (0.3, 0.3), "holds", 1),
        ((0.3, 0.3), (0.3, 0.3), "undecided", 0), ((0.3, 0.3), (0.01, 0.01), "fails", -3),
        ((0.01, 0.01), (0.3, 0.3), "holds", 3),
    ],
)  # fmt: skip
def test_what_does_not_reach_the_shortest_delay_of_the_sweep(root, tmp_path, deep, wide, expected, value):
    for delay, *scores in zip((4, 6), deep, wide, strict=True):
        for network, score in zip(("Deep", "Wide"), scores, strict=True):
            put(root, network, (score,) * 3, MSE, f"Copy{delay}", {"task": {"init_args": {"delay": delay}}})
    rule = {"kind": "reach", "pairs": [["Deep", "Wide"]], "solved_below": 0.05}
    decision = verdict(root, tmp_path, rule, ["Deep", "Wide"], tasks=("Copy4", "Copy6"))
    assert (decision.verdict, decision.outcomes[0].value) == (expected, value)
    assert ("Deep does not reach 4" in decision.outcomes[0].what) == (deep[0] > 0.05)
