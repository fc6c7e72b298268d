"""What compare computes, against scipy, statsmodels, scikit-posthocs and pandas on the same numbers."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from rnnbench.leaderboard.board import boards
from rnnbench.leaderboard.comparison.compare import compare_networks
from rnnbench.leaderboard.comparison.paired import holm, paired_p, seeds_needed, sign_flip
from rnnbench.leaderboard.comparison.ranks import rank_intervals
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.store import find_records

RECORDS = Path(__file__).parents[3] / "leaderboard" / "records"
PAIRS = [("quick", "GRU", "LSTM"), ("quick", "WCRNN", "2RNN"), ("music", "RNN_stable", "RNN")]


def flip_statistic(tasks):
    """The statistic of the sign-flip test on all pairs, laid out as scipy's permutation test wants it."""
    sizes = [len(of_task) for of_task in tasks]
    scale = np.repeat([n * math.sqrt(np.mean(np.square(d))) for n, d in zip(sizes, tasks, strict=True)], sizes)
    return lambda one, other, axis: ((one - other) / scale).sum(axis)


def scipy_flips(tasks):
    values = np.concatenate(tasks)
    return stats.permutation_test(
        (values, np.zeros_like(values)), flip_statistic(tasks), permutation_type="samples", vectorized=True,
        n_resamples=np.inf,
    ).pvalue  # fmt: skip


@pytest.mark.parametrize(("suite", "first", "second"), PAIRS)
def test_committed_records_give_what_scipy_and_statsmodels_make_of_their_json(suite, first, second):
    cells, _ = select_cells(find_records(RECORDS, Path(suite))[0])
    (board,) = compare_networks(boards(cells), first, second).boards
    raw, p_values, gains = {}, [], []
    for task in board.tasks:
        for network in (first, second):
            shown = next(cell for cell in cells if cell.first.cell == (suite, "cpu", task.task, network))
            files = (RECORDS / suite / "cpu" / task.task / network).glob(f"{shown.first.experiment_id}-*.json")
            found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(files)]
            raw[network] = [record["scores"]["test"][task.metric.name] for record in found]
        expected = stats.ttest_rel(raw[first], raw[second])
        interval = expected.confidence_interval(0.95)
        assert task.interval == pytest.approx((np.mean(raw[first]) - np.mean(raw[second]), *interval), rel=1e-9)
        assert task.means == pytest.approx((np.mean(raw[first]), np.mean(raw[second])))
        p_values.append(expected.pvalue)
        gains.append((np.array(raw[first]) - raw[second]) * (1 if task.metric.direction == "max" else -1))
    assert [task.p for task in board.tasks] == pytest.approx(p_values)
    if board.flips:
        p_values.append(scipy_flips(gains))
        assert board.flips.p == pytest.approx(p_values[-1])
    adjusted = [task.adjusted for task in board.tasks] + [board.adjusted] * bool(board.flips)
    assert adjusted == pytest.approx(multipletests(p_values, method="holm")[1])


@pytest.mark.parametrize("sizes", [(3,), (3, 5), (1, 2, 8), (7, 7)])
def test_enumerated_flips_equal_scipys_permutation_test(sizes):
    random = np.random.default_rng(len(sizes))
    tasks = [10.0**i * random.normal(0.5, size=n) for i, n in enumerate(sizes)]
    found = sign_flip(tasks)
    assert found.exact
    assert found.p == pytest.approx(scipy_flips(tasks))


def test_drawn_flips_come_near_the_enumerated_ones():
    random = np.random.default_rng(0)
    tasks = [random.normal(0.4, size=n) for n in (5, 4, 6)]
    found = sign_flip(tasks)
    assert not found.exact
    exact = scipy_flips(tasks)
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 16384))


def test_flips_of_signed_ranks_are_wilcoxons_exact_test_and_holm_is_that_of_scikit_posthocs():
    random = np.random.default_rng(1)
    rows = random.normal([[0.0], [0.8], [1.6]], size=(3, 9))
    p_values = []
    for one, other in ((0, 1), (0, 2), (1, 2)):
        differences = rows[one] - rows[other]
        ranks = np.sign(differences) * stats.rankdata(np.abs(differences))
        p_values.append(sign_flip([ranks]).p)
        assert p_values[-1] == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)
    table = scikit_posthocs.posthoc_wilcoxon(rows, p_adjust="holm").to_numpy()
    assert holm(p_values) == pytest.approx([table[0, 1], table[0, 2], table[1, 2]])


@pytest.mark.parametrize("level", [0.05, 0.01])
@pytest.mark.parametrize("effect", [0.11, 0.3, 0.5, 1.0, 2.0])
def test_seeds_needed_are_those_of_statsmodels(effect, level):
    differences = [effect - math.sqrt(0.5), effect + math.sqrt(0.5)]
    needed = seeds_needed(differences, level)
    assert TTestPower().power(effect, needed, level) >= 0.8
    assert needed == 2 or TTestPower().power(effect, needed - 1, level) < 0.8


def test_two_differences_that_agree_are_judged_by_their_signs():
    # Equal counts of right answers differ by rounding: a t test would find them certain.
    third, hardly = [0.5 - 0.3, 0.6 - 0.4], [0.2, 0.2]
    assert third[0] != third[1]
    assert paired_p(third) == paired_p(hardly) == 0.5
    assert seeds_needed(third) == 6


def test_mean_ranks_are_those_of_pandas():
    scores = np.random.default_rng(2).normal(size=(6, 4))
    found = rank_intervals(
        {f"T{i}": {name: [v, v] for name, v in zip("ABCD", row, strict=True)} for i, row in enumerate(scores)},
        {f"T{i}": "max" for i in range(6)},
    )
    # autorank averages ranks in the same way; it is not asked, since a package that it needs has no wheel.
    expected = pd.DataFrame(scores, columns=list("ABCD")).rank(axis=1, ascending=False).mean()
    assert {name: row.mean for name, row in found.items()} == pytest.approx(expected.to_dict())
