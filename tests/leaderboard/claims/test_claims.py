"""Claims over made-up records: each rule's verdicts."""

import math

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnbench.leaderboard.claims.claim import load_claim
from rnnbench.leaderboard.claims.decide import decide_all
from rnnbench.leaderboard.claims.evidence import Sample
from rnnbench.leaderboard.claims.intervals import kendall, kendall_interval, mean_interval, paired_kendall_interval
from rnnbench.leaderboard.claims.labels import label
from rnnbench.leaderboard.dynamics import SideFiles
from rnnbench.leaderboard.record import write_record
from rnnbench.leaderboard.schema import Published
from rnnbench.leaderboard.store import find_records, path_of
from tests.leaderboard.factory import ACCURACY, MSE, TABLE2, make_record, put_dynamics

NORMALIZED = {"name": "normalized_mse", "direction": "min", "chance": 1.0, "best": 0.0}


def put(root, network, scores, metric=ACCURACY, task="Digits", config=None, **changes):
    """Write one record for each score, all of one row; a score of None is a diverged instance."""
    for instance, score in enumerate(scores):
        record = make_record(
            network=network, task=task, instance=instance, metrics=(metric,), val=(score or 0.5,), test=(score or 0.5,),
            **{**({} if score is not None else {"diverged_at": 50}), **({} if config is None else {"config": config})},
            **changes,
        )  # fmt: skip
        path = path_of(root, record)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_record(path, record)


def claim(tmp_path, rule, networks, tasks=("Digits",), instances=3):
    cells = {"suite": "quick", "budget": "cpu", "tasks": list(tasks), "networks": list(networks)}
    fields = {
        "id": "D1", "statement": "A statement.", "paper": "dubinin2024", "place": "Fig. 1", "instances": instances,
        "hours": 0.5, "records": [cells], "rule": rule,
    }  # fmt: skip
    path = tmp_path / "D1.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return load_claim(path)


def verdict(root, tmp_path, rule, networks, **kwargs):
    return decide_all([claim(tmp_path, rule, networks, **kwargs)], root)[0][0]


def bounds(**condition):
    return {"kind": "bounds", "conditions": [{"networks": ["A"], **condition}]}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"above": 0.5}, "holds"),
        ({"above": 0.6}, "fails"),  # the smallest is not larger than itself
        ({"at_least": 0.6}, "holds"),
        ({"statistic": "median", "below": 0.75}, "holds"),
        ({"statistic": "median", "at_most": 0.7}, "holds"),
        ({"statistic": "largest", "below": 0.8}, "fails"),
        ({"statistic": "smallest", "below": 0.65}, "holds"),
        ({"statistic": "mean", "above": 0.69}, "undecided"),
        ({"statistic": "mean", "above": 0.2}, "holds"),
        ({"statistic": "mean", "above": 0.99}, "fails"),
        ({"above": 5.0, "times_chance": True}, "holds"),  # chance is 0.1
        ({"above": 7.0, "times_chance": True}, "fails"),
    ],
)
def test_bounds(root, tmp_path, condition, expected):
    put(root, "A", (0.6, 0.7, 0.8))
    assert verdict(root, tmp_path, bounds(**condition), ["A"]).verdict == expected


def test_explained_variance_is_one_minus_the_normalized_error(root, tmp_path):
    put(root, "A", (0.04, 0.02, 0.03), NORMALIZED)
    decision = verdict(root, tmp_path, bounds(value="explained_variance", at_least=0.95), ["A"])
    assert (decision.verdict, decision.outcomes[0].value) == ("holds", pytest.approx(0.96))


def test_a_diverged_instance_counts_as_chance_and_is_named(root, tmp_path):
    put(root, "A", (0.6, None, 0.8))
    decision = verdict(root, tmp_path, bounds(above=0.5), ["A"])
    assert (decision.verdict, decision.outcomes[0].value) == ("fails", 0.1)
    assert "1 of 3 of A diverged" in decision.outcomes[0].remark


DIFFERENCE = {"kind": "difference", "pairs": [{"network": "A", "over": ["B"], "gain_above": 0.0}]}


@pytest.mark.parametrize(
    ("a", "b", "metric", "expected"),
    [
        ((0.9, 0.8, 0.7), (0.8, 0.7, 0.6), ACCURACY, "holds"),
        ((0.8, 0.7, 0.6), (0.9, 0.8, 0.7), ACCURACY, "fails"),
        ((0.9, 0.7, 0.7), (0.8, 0.9, 0.6), ACCURACY, "undecided"),
        ((0.1, 0.2, 0.3), (0.2, 0.31, 0.4), MSE, "holds"),  # smaller is better
    ],
)
def test_differences_are_paired_by_instance(root, tmp_path, a, b, metric, expected):
    put(root, "A", a, metric)
    put(root, "B", b, metric)
    decision = verdict(root, tmp_path, DIFFERENCE, ["A", "B"])
    assert decision.verdict == expected
    outcome, gains = decision.outcomes[0], np.subtract(a, b) * (1 if metric is ACCURACY else -1)
    better = "gain in accuracy (as a fraction)" if metric is ACCURACY else "reduction of MSE"
    assert outcome.what == f"A over B on Digits: {better}"
    oracle = stats.ttest_1samp(gains, 0).confidence_interval(0.95) if np.ptp(gains) > 1e-12 else (gains[0], gains[0])
    assert (outcome.low, outcome.high) == pytest.approx(tuple(oracle))
    assert outcome.n == 3


def test_the_best_of_several_rows_is_chosen_on_validation(root, tmp_path):
    put(root, "A", (0.7, 0.7, 0.7))
    put(root, "B", (0.6, 0.6, 0.6))
    put(root, "C", (0.8, 0.8, 0.8))
    rule = {"kind": "difference", "pairs": [{"network": "A", "over": ["B", "C"], "loss_at_most": 0.05}]}
    decision = verdict(root, tmp_path, rule, ["A", "B", "C"])
    assert decision.verdict == "fails"
    assert "A over C" in decision.outcomes[0].what


def sweep(root, means, axis="r", task="Digits", spread=0.001):
    for point, mean in means.items():
        config = {"recurrence": {"class_path": "WCRNN", "init_args": {axis: point, "gamma": 0.01}}}
        put(root, f"{axis}{point}", [mean, mean + spread, mean - spread], task=task, config=config)
    return [f"{axis}{point}" for point in means]


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ({0.9: 0.3, 0.98: 0.8, 1.0: 0.9, 1.1: 0.2}, "holds"),
        ({0.9: 0.95, 0.98: 0.8, 1.0: 0.9, 1.1: 0.2}, "fails"),
        ({0.9: 0.9, 0.98: 0.8, 1.0: 0.9, 1.1: 0.2}, "undecided"),  # two best points, one of them outside
    ],
)
def test_optimum(root, tmp_path, means, expected):
    rows = sweep(root, means)
    rule = {"kind": "optimum", "axis": "recurrence.init_args.r", "inside": [0.97, 1.01]}
    assert verdict(root, tmp_path, rule, rows).verdict == expected
    near = {"kind": "optimum", "axis": "recurrence.init_args.r", "near": 0.985, "grid_steps": 1}
    assert (verdict(root, tmp_path, near, rows).verdict == "holds") == (expected != "fails" or 0.9 in means)


@pytest.mark.parametrize(
    ("long", "expected"), [({0.9: 0.1, 0.98: 0.2, 1.0: 0.9}, "holds"), ({0.9: 0.9, 0.98: 0.2, 1.0: 0.1}, "fails")]
)
def test_the_optimum_moves_with_the_length_of_the_task(root, tmp_path, long, expected):
    rows = sweep(root, {0.9: 0.1, 0.98: 0.9, 1.0: 0.2}, task="Short")
    sweep(root, long, task="Long")
    rule = {"kind": "optimum", "axis": "recurrence.init_args.r", "towards": 1.0, "longer": ["Short", "Long"]}
    assert verdict(root, tmp_path, rule, rows, tasks=("Short", "Long")).verdict == expected


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ({1: 0.9, 2: 0.7, 4: 0.5, 8: 0.3}, "holds"),
        ({1: 0.3, 2: 0.5, 4: 0.7, 8: 0.9}, "fails"),
    ],
)
def test_trend(root, tmp_path, means, expected):
    rows = sweep(root, means, "rank")
    rule = {"kind": "trend", "axis": "recurrence.init_args.rank", "below": -0.8}
    assert verdict(root, tmp_path, rule, rows).verdict == expected


def test_kendalls_interval_covers_a_trend_that_instances_disagree_on():
    samples = [[0.1, 0.9, 0.5], [0.9, 0.1, 0.4], [0.2, 0.8, 0.6]]
    tau, low, high = kendall_interval([1, 2, 3], samples)
    assert low < tau <= high
    assert tau == pytest.approx(stats.kendalltau([1, 2, 3], np.mean(samples, 1)).statistic)


def test_kendalls_interval_over_rows_draws_rows_and_instances_within_them():
    generator = np.random.default_rng(3)
    first = generator.normal(size=(8, 4))
    second = first + 2 * generator.normal(size=(8, 4))
    tau, low, high = paired_kendall_interval(first.tolist(), second.tolist(), of_points=True)
    drawn = []
    for _ in range(2000):
        instances = generator.integers(0, 4, (8, 4))
        rows = generator.integers(0, 8, 8)
        means = [[values[row, instances[row]].mean() for row in rows] for values in (first, second)]
        drawn.append(stats.kendalltau(*means).statistic)
    assert tau == pytest.approx(stats.kendalltau(first.mean(1), second.mean(1)).statistic)
    # Two bootstraps of 2,000 draws differ by a few per cent of the range.
    assert (low, high) == pytest.approx(tuple(np.nanpercentile(drawn, [2.5, 97.5])), abs=0.1)
    of_instances = paired_kendall_interval(first.tolist(), second.tolist())
    assert high - low > of_instances.high - of_instances.low


# Small integers, so that there are ties, and what a diverged instance has.
@given(st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, 3.0, math.inf, math.nan])] * 4), min_size=2, max_size=9))
def test_kendalls_tau_is_scipys_for_one_pair_and_for_many(points):
    numbers = np.array(points).T
    expected = [float(stats.kendalltau(a, b).statistic) for a, b in (numbers[:2], numbers[2:])]
    np.testing.assert_array_equal(kendall(numbers[::2], numbers[1::2]), expected)
    np.testing.assert_array_equal(kendall(*numbers[:2]), expected[0])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("iterations", "iterations to minimal performance"),
        ("score:rmse", "RMSE"),
        ("last:accuracy", "accuracy (as a fraction)"),
        ("measure:gradient_flow/start/slope", "gradient slope (nats per step), before training"),
        ("measure:hessian/end/largest", "largest Hessian eigenvalue, after training"),
        ("array:lyapunov/start/exponents:max", "lyapunov exponents, before training"),
    ],
)
def test_what_is_compared_has_a_name_for_readers(root, value, expected):
    put(root, "A", (0.5,))
    sample = Sample("quick", "Digits", "A", tuple(find_records(root)[0]), SideFiles(root))
    assert label(value, sample) == expected


def test_one_value_has_an_interval_without_ends():
    assert mean_interval([0.5]) == (0.5, -math.inf, math.inf)


def dynamics(root, network, r, gamma=0.01, **values):
    """Two instances with a Lyapunov spectrum at ``start`` and ``end``, and whatever else is given."""
    for instance in range(2):
        config = {"recurrence": {"class_path": "WCRNN", "init_args": {"r": r, "gamma": gamma}}}
        record = make_record(network=network, task="Digits", instance=instance, config=config)
        summaries = {name: dict(one) for name, one in values.get("summaries", {}).items()}
        arrays = values.get(
            "arrays", {"lyapunov": {"exponents": np.full((2, 3), math.log(r) + values.get("off", 0.0))}}
        )
        put_dynamics(root, record, summaries, arrays, values.get("moments", ("start",)))


@pytest.mark.parametrize(("off", "expected"), [(0.009, "holds"), (-0.011, "fails")])
def test_exponents_near_log_r(root, tmp_path, off, expected):
    dynamics(root, "A", 0.95, off=off)
    ends = [f"array:lyapunov/start/exponents:{end}" for end in ("max", "min")]
    assert verdict(root, tmp_path, {"kind": "near_log", "values": ends}, ["A"], instances=2).verdict == expected


def test_growth_along_an_axis_in_every_instance(root, tmp_path):
    for r, largest in ((0.95, 1.0), (1.0, 3.0), (1.05, 9.0)):
        dynamics(root, f"r{r}", r, summaries={"lyapunov": {"largest": largest}})
    rule = {"kind": "increasing", "axis": "recurrence.init_args.r", "value": "measure:lyapunov/start/largest"}
    rows = ["r0.95", "r1.0", "r1.05"]
    assert verdict(root, tmp_path, rule, rows, instances=2).verdict == "holds"
    dynamics(root, "r1.05", 1.05, summaries={"lyapunov": {"largest": 2.0}})
    decision = verdict(root, tmp_path, rule, rows, instances=2)
    assert (decision.verdict, decision.outcomes[0].value) == ("fails", -1.0)


@pytest.mark.parametrize(("after", "expected"), [(0.1, "holds"), (-0.1, "fails")])
def test_signs_through_training(root, tmp_path, after, expected):
    for instance in range(2):
        summaries = {"lyapunov": {"largest": 0.2}, "gradient_flow": {"slope": after}}
        arrays = {
            "lyapunov": {"exponents": np.ones((2, 3))},
            "gradient_flow": {"norm_inf": np.ones(3), "norm_2": np.ones(3)},
        }
        put_dynamics(root, make_record(network="A", task="Digits", instance=instance), summaries, arrays)
    rule = {"kind": "same_sign", "pairs": [["measure:lyapunov/start/largest", "measure:gradient_flow/start/slope"]]}
    assert verdict(root, tmp_path, rule, ["A"], instances=2).verdict == expected


@pytest.mark.parametrize(("degrees", "expected"), [([1, 3, 6, 10], "holds"), ([1, 2, 3, 4], "fails")])
def test_degree_of_two_layers(root, tmp_path, degrees, expected):
    arrays = {"polynomial_degree": {"steps": np.arange(1, 5), "degree": np.array(degrees, dtype=float)}}
    for instance in range(2):
        config = {"recurrence": {"class_path": "StackedRNN", "init_args": {"num_layers": 2}}}
        put_dynamics(root, make_record(network="A", task="Digits", instance=instance, config=config), {}, arrays)
    rule = {"kind": "degree", "degree": "polynomial_degree/start/degree", "tolerance": 0.01}
    assert verdict(root, tmp_path, rule, ["A"], instances=2).verdict == expected


def truncation(root, contraction=0.5, errors=(0.4, 0.2, 0.1, 0.001), metric=(0.5, 0.7, 0.895, 0.9)):
    ks = np.array([1, 4, 8, 32])
    arrays = {
        "truncation": {
            "ks": ks, "state_error": np.array(errors) / 2, "state_error_max": np.array(errors),
            "output_error": np.array(errors), "bound": 2.0 * contraction**ks, "metric": np.array(metric),
        }
    }  # fmt: skip
    summaries = {"truncation": {"contraction": contraction, "metric_full": 0.9}}
    for instance in range(2):
        put_dynamics(root, make_record(network="A", task="Digits", instance=instance), summaries, arrays, ("end",))


@pytest.mark.parametrize(
    ("changes", "contractive", "expected"),
    [
        ({"errors": (0.9, 0.1, 0.005, 0.0)}, True, "holds"),
        ({"errors": (0.9, 0.2, 0.005, 0.0)}, True, "fails"),  # 0.2 > 2 / 16
        ({"errors": (0.9, 0.1, 0.005, 0.0), "metric": (0.5, 0.7, 0.8, 0.9)}, True, "fails"),
        ({"contraction": 0.99, "errors": (1.0, 1.0, 1.0, 0.0)}, True, "undecided"),  # no k is large enough
        ({}, False, "holds"),
        ({"metric": (0.5, 0.6, 0.8, 0.9)}, False, "fails"),
    ],
)
def test_truncation(root, tmp_path, changes, contractive, expected):
    truncation(root, **changes)
    rule = {"kind": "truncates", "contractive": contractive}
    assert verdict(root, tmp_path, rule, ["A"], instances=2).verdict == expected


def parallel(root, network, exponents, growth, horizons=(4.0, 4.0, 4.0), iterations=(3.0, 3.0, 3.0)):
    for i, exponent in enumerate(exponents):
        summaries = {
            "lyapunov": {"largest": exponent, "minus_infinite": int(exponent is None)},
            "parallelisability": {"newton": iterations[i], "newton_growth": growth[i]},
            "truncation": {"memory": horizons[i]},
        }
        arrays = {name: {} for name in summaries} | {"truncation": {"ks": np.array([1, 4, 32])}}
        put_dynamics(root, make_record(network=network, task="Digits", instance=i), summaries, arrays)


GROWTH = {"kind": "iteration_growth", "margin": 0.1, "contracting_at_most": 0.3, "expanding_at_least": 0.5}


@pytest.mark.parametrize(
    ("exponents", "growth", "expected"),
    [
        ((-0.5, 0.5, 0.01), (0.2, 0.9, 0.4), "holds"),  # the last one is neither
        ((-0.5, 0.5, None), (0.2, 0.9, 0.4), "fails"),  # -inf
        ((-0.5, 0.5, -0.2), (0.2, 0.4, 0.0), "fails"),
        ((-0.5, 0.05, -0.2), (0.2, 0.4, 0.0), "open"),  # nothing expands
    ],
)
def test_growth_of_iterations(root, tmp_path, exponents, growth, expected):
    parallel(root, "A", exponents, growth)
    parallel(root, "Linear", (0.5, 0.5, 0.01), (0.0, 0.0, 0.0))
    parallel(root, "Near", (0.01, 0.05, -0.02), (0.0, 0.0, 0.0))
    rule = {**GROWTH, "expanding": ["A"], "moments": ["start"]}
    decision = verdict(root, tmp_path, rule, ["A", "Linear", "Near"])
    assert decision.verdict == expected
    if expected != "open":
        assert "no instance of Near has an exponent" in decision.outcomes[0].remark
        assert "not asked to grow where they expand: Linear" in decision.outcomes[0].remark


@pytest.mark.parametrize(
    ("horizons", "expected"), [((2, 8, 16, None), "holds"), ((16, 8, 4, 2), "fails"), ((8, 16, 2, 4), "undecided")]
)
def test_iterations_and_horizons(root, tmp_path, horizons, expected):
    for rank, horizon in enumerate(horizons):
        iterations = [rank + noise for noise in (0.0, 0.1, 0.2)]
        varied = [horizon and horizon + (-1) ** (i + rank) * 7 * (expected == "undecided") for i in range(3)]
        parallel(root, f"N{rank}", (-1.0,) * 3, (0.0,) * 3, varied, iterations)
    rule = {"kind": "horizon_order", "moments": ["start"]}
    assert verdict(root, tmp_path, rule, [f"N{rank}" for rank in range(4)]).verdict == expected


@pytest.mark.parametrize(("scores", "expected"), [((0.6, 0.9, 0.8), "holds"), ((0.9, 0.6, 0.7), "fails")])
def test_order_of_the_published_table(root, tmp_path, scores, expected):
    models = {"Elman_res+clip": scores[0], "WCRNN_best": scores[1], "LSTM": scores[2]}
    for network, score in models.items():
        published = Published(source=TABLE2, model=network, task="sMNIST")
        put(root, network, (score, score + 0.001, score - 0.001), task="sMNIST", published=published)
    decision = verdict(root, tmp_path, {"kind": "published_order"}, list(models), tasks=("sMNIST",))
    assert decision.outcomes[0].n == 3
    assert decision.verdict == expected
