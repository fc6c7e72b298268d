import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from rnnbench.benchmark.command.cli import main
from rnnbench.leaderboard.board import boards
from rnnbench.leaderboard.drawing.dynamics_figures import write_figures
from rnnbench.leaderboard.drawing.dynamics_panels import curvature
from rnnbench.leaderboard.drawing.panel_parts import Legend, Sheet
from rnnbench.leaderboard.files import side_path
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.store import find_records, path_of
from tests.leaderboard.factory import make_record, put, put_dynamics, synthetic_dynamics, untrained

KINDS = {"spectrum", "finite-time", "hessian", "gradient-norms", "truncation"}
KINDS |= {"memory-capacity", "polynomial-degree", "truncated-training", "parallelisability"}
KINDS |= {"processing-capacity", "effective-state"}


def wcrnn(r, **changes):
    config = {"recurrence": {"class_path": "WCRNN", "init_args": {"r": r, "hidden_size": 8}}}
    return make_record(network=f"WCRNN_r{r}", config=config, **changes)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of records with everything in it, and what is drawn from it."""
    root = tmp_path_factory.mktemp("everything")
    for r in (0.95, 1.01):
        for instance in range(2):
            record = wcrnn(r, instance=instance)
            summaries, arrays = synthetic_dynamics(r, instance)
            put_dynamics(root / "records", record, summaries, arrays, ("start", "epoch-3"))
    return root / "records", write_figures(root / "records", root / "out")


def drawn(tmp_path, *records_and_arrays):
    """The text of the figures of some records' measures, by file name."""
    for record, arrays in records_and_arrays:
        put_dynamics(tmp_path / "records", record, {}, arrays)
    report = write_figures(tmp_path / "records", tmp_path / "out")
    assert not report.damaged
    return {path.name: path.read_text(encoding="utf-8") for path in report.written}


def test_each_measure_task_and_moment_has_a_figure_and_each_task_a_combined_one(written):
    _, report = written
    expected = {f"quick-cpu-sMNIST-{moment}-{kind}.svg" for moment in ("start", "epoch-3") for kind in KINDS}
    together = {f"quick-cpu-sMNIST-{kind}.svg" for kind in ("dynamics", "training-hessian", "training-finite-time")}
    assert {path.name for path in report.written} == expected | together
    assert all(b"<svg" in path.read_bytes() and b"rnnbench" in path.read_bytes() for path in report.written)
    assert (report.measured, report.failed, report.damaged) == (True, [], [])


def test_titles_of_figures_differ_as_their_names_do(written):
    texts = [path.read_text(encoding="utf-8") for path in written[1].written]
    titles = {re.search(r">sMNIST \(quick\), ([^:<]*): budget", text)[1] for text in texts}
    assert len(titles) == len(texts)


def test_the_combined_figure_has_the_panels_of_the_paper_and_their_units(written):
    svg = written[1].written[0].read_text(encoding="utf-8")
    for text in (
        "A  scores over training",
        "B  finite-time exponents",
        "C  Hessian eigenvalues by rank",
        "D  gradient norms",
        "test accuracy (%)",
        "finite-time exponent (nats per step)",
        "|eigenvalue| of the Hessian (loss)",
        "‖∂L/∂hₜ‖∞ (loss per unit of state)",
        "time step",
        "rank",
        "sMNIST (quick), Dynamics before training: budget cpu, n = 2, 300 steps (3 epochs)",
        "WCRNN_r0.95",
        "WCRNN_r1.01",
        "log r of the residual",
        "negative eigenvalue",
    ):
        assert f">{text}</text>" in svg, text
    assert svg.count(">WCRNN_r0.95</text>") == 1


def test_training_is_shown_by_panels_before_and_after_it_with_one_axis(tmp_path):
    rows = [(0.95, (1.0, 2.0, 4.0)), (1.01, (8.0, 6.0, 3.0))]
    for r, largest in rows:
        arrays = synthetic_dynamics(r, only=("hessian",))[1]
        whole = put_dynamics(tmp_path / "records", wcrnn(r), {}, arrays, ("start", "epoch-1", "end"))
        taken = whole.measures["hessian"]
        for place, (moment, value) in enumerate(zip(tuple(taken), largest, strict=True)):
            changes = {"step": 100 * place, "summary": {"largest_magnitude": value}}
            taken[moment] = taken[moment].model_copy(update=changes)
        put(tmp_path / "records", whole)
    report = write_figures(tmp_path / "records", tmp_path / "out")
    svg = next(path for path in report.written if "training-hessian" in path.name).read_text(encoding="utf-8")
    for text in ("during training", "before training", "after training", "largest |eigenvalue| of the Hessian (loss)"):
        assert f">{text}</text>" in svg
    (board,) = boards(select_cells(find_records(tmp_path / "records")[0])[0])
    axes = Figure().add_subplot()
    curvature(axes, Sheet(board, board.columns[0], Legend()), {})
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()]
    assert drawn == [([0, 100, 200], list(largest)) for _, largest in rows]


def test_more_networks_than_one_panel_holds_have_panels_of_one_figure_and_only_those_measured(tmp_path):
    for index in range(9):
        arrays = synthetic_dynamics(0.95, only=("gradient_flow",))[1]
        put_dynamics(tmp_path / "records", wcrnn(0.9 + index / 100), {}, arrays)
    put(tmp_path / "records", *(make_record(network=f"unmeasured{index}") for index in range(9)))
    (figure,) = write_figures(tmp_path / "records", tmp_path / "out").written
    assert figure.name == "quick-cpu-sMNIST-start-gradient-norms.svg"
    svg = figure.read_text(encoding="utf-8")
    assert len(re.findall(r">WCRNN_r[0-9.]+</text>", svg)) == 9
    assert svg.count(">time step</text>") == 2
    assert "unmeasured" not in svg


def test_what_was_not_trained_has_no_panel_of_scores(tmp_path):
    arrays = synthetic_dynamics(0.95, only=("lyapunov", "hessian", "gradient_flow"))[1]
    svg = drawn(tmp_path, (untrained(wcrnn(0.95)), arrays))["quick-cpu-sMNIST-dynamics.svg"]
    assert ">A  finite-time exponents</text>" in svg
    assert "scores over training" not in svg
    assert "accuracy" not in svg


def test_without_all_three_measures_there_is_no_combined_figure(tmp_path):
    arrays = synthetic_dynamics(0.95, only=("lyapunov", "gradient_flow"))[1]
    names = drawn(tmp_path, (wcrnn(0.95), arrays))
    assert "quick-cpu-sMNIST-start-spectrum.svg" in names
    assert "quick-cpu-sMNIST-dynamics.svg" not in names


def test_minus_infinity_is_reported(tmp_path):
    arrays = synthetic_dynamics(0.9, nilpotent=True, only=("lyapunov", "gradient_flow"))[1]
    figures = drawn(tmp_path, (make_record(network="FF"), arrays))
    assert ">8 of 8 exponents at −∞</text>" in figures["quick-cpu-sMNIST-start-spectrum.svg"]
    assert ">8 of 8 lines end at −∞</text>" in figures["quick-cpu-sMNIST-start-finite-time.svg"]
    assert ">50 of 60 gradients drawn are 0</text>" in figures["quick-cpu-sMNIST-start-gradient-norms.svg"]


def test_what_is_not_finite_is_reported(tmp_path):
    arrays = synthetic_dynamics(0.95, only=("lyapunov", "gradient_flow"))[1]
    arrays["lyapunov"]["exponents"][1] = np.nan
    arrays["lyapunov"]["curve"][-1, :2] = np.nan
    arrays["gradient_flow"]["norm_inf"][:5] = np.inf
    figures = drawn(tmp_path, (wcrnn(0.95), arrays))
    assert ">1 of 3 sequences not finite</text>" in figures["quick-cpu-sMNIST-start-spectrum.svg"]
    assert ">2 of 8 lines not finite</text>" in figures["quick-cpu-sMNIST-start-finite-time.svg"]
    assert ">5 of 60 gradients drawn not finite</text>" in figures["quick-cpu-sMNIST-start-gradient-norms.svg"]


def test_at_most_twenty_lines_are_drawn_the_same_ones_each_time(tmp_path):
    few, many = (synthetic_dynamics(0.95, units=units, only=("lyapunov",))[1] for units in (7, 300))
    few["lyapunov"]["curve"] -= np.inf
    many["lyapunov"]["curve"] -= np.inf
    figures = drawn(tmp_path, (wcrnn(0.95), few), (wcrnn(0.96), many))
    svg = figures["quick-cpu-sMNIST-start-finite-time.svg"]
    assert ">7 of 7 lines end at −∞</text>" in svg
    assert ">20 of 20 lines end at −∞</text>" in svg


@pytest.mark.parametrize(
    ("recurrence", "shown"),
    [
        ({"class_path": "WCRNN", "init_args": {"r": 0.95}}, True),
        ({"class_path": "rnnbench.lit_models.recurrences.wcrnn.WCRNN", "init_args": {"r": 1}}, True),
        ({"class_path": "WCRNN", "init_args": {"r": [0.99, 1.0]}}, False),
        ({"class_path": "WCRNN", "init_args": {"r": 0.0}}, False),
        ({"class_path": "WCRNN", "init_args": {}}, False),
        ({"class_path": "LSTM", "init_args": {"r": 0.95}}, False),
        (None, False),
    ],
)
def test_log_r_is_drawn_where_the_residual_is_one_number(tmp_path, recurrence, shown):
    record = make_record(config={"recurrence": recurrence})
    arrays = synthetic_dynamics(0.95, only=("lyapunov",))[1]
    del arrays["lyapunov"]["exponents"]
    svg = drawn(tmp_path, (record, arrays))["quick-cpu-sMNIST-start-finite-time.svg"]
    assert (">log r of the residual</text>" in svg) is shown


def test_a_network_has_the_colour_of_its_learning_curve(tmp_path):
    put_dynamics(tmp_path / "records", wcrnn(0.95), *synthetic_dynamics(0.95, only=("lyapunov",)))
    put(tmp_path / "records", make_record(network="A_first"))
    write_figures(tmp_path / "records", tmp_path / "out")
    # The second row of the board, though the only one with measures.
    svg = (tmp_path / "out" / "quick-cpu-sMNIST-start-spectrum.svg").read_text(encoding="utf-8").lower()
    assert "#d55e00" in svg
    assert "#0072b2" not in svg


def test_bounds_are_dashed_where_there_are_any(tmp_path):
    stable = drawn(tmp_path / "a", (wcrnn(0.95), synthetic_dynamics(0.95, only=("truncation",))[1]))
    unstable = drawn(tmp_path / "b", (wcrnn(1.01), synthetic_dynamics(1.01, only=("truncation",))[1]))
    assert all(">bound</text>" in svg for svg in stable.values())
    assert all(">bound</text>" not in svg for svg in unstable.values())
    assert all(">accuracy (%)</text>" in svg for svg in unstable.values())


@pytest.mark.parametrize(
    ("fill", "alone"),
    [
        *((0.0, True), (np.nan, True), (1e308, False)),
        *(pytest.param(fill, False, marks=pytest.mark.slow) for fill in (np.inf, -np.inf, -1e308)),
    ],
)
def test_odd_values_are_drawn_without_a_warning(tmp_path, fill, alone):
    arrays = synthetic_dynamics(0.95)[1]
    keep = {"curve_steps", "ks", "delays", "steps", "lengths", "degrees"}
    odd = {
        measure: {name: a if name in keep else np.full(a.shape, fill) for name, a in of_measure.items()}
        for measure, of_measure in arrays.items()
    }
    others = () if alone else ((wcrnn(0.95, instance=1), arrays),)
    assert len(drawn(tmp_path, (wcrnn(0.95), odd), *others)) == len(KINDS) + 1


def test_instances_of_unequal_lengths_and_odd_names_are_drawn(tmp_path):
    short, long = synthetic_dynamics(0.95, steps=40)[1], synthetic_dynamics(0.95, steps=60)[1]
    short["hessian"]["eigenvalues"] = short["hessian"]["eigenvalues"][:3]
    one, other = (make_record(network="_$a|b", task="$x$", instance=i) for i in range(2))
    assert len(drawn(tmp_path, (one, short), (other, long))) == len(KINDS) + 1


def test_a_missing_damaged_or_misshapen_side_file_is_named_and_the_rest_drawn(tmp_path):
    root = tmp_path / "records"
    records = [wcrnn(r) for r in (0.95, 0.96, 0.97, 0.98)]
    for record, r in zip(records, (0.95, 0.96, 0.97, 0.98), strict=True):
        summaries, arrays = synthetic_dynamics(r, only=("lyapunov",))
        if r == 0.97:
            arrays["lyapunov"]["curve"] = arrays["lyapunov"]["curve"][:-1]
        put_dynamics(root, record, summaries, arrays)
    side_path(path_of(root, records[0])).unlink()
    damaged = side_path(path_of(root, records[1]))
    damaged.write_bytes(damaged.read_bytes()[:-40])

    report = write_figures(root, tmp_path / "out")

    assert [problem.path for problem in report.damaged] == [path_of(root, r).relative_to(root) for r in records[:3]]
    missing, cut, misshapen = (problem.reason for problem in report.damaged)
    assert "is missing" in missing
    assert "is damaged" in cut
    assert str(tmp_path) not in cut
    assert "lyapunov/start/curve" in misshapen
    svg = (tmp_path / "out" / "quick-cpu-sMNIST-start-spectrum.svg").read_text(encoding="utf-8")
    assert "WCRNN_r0.98" in svg
    assert "WCRNN_r0.95" not in svg


def test_the_command_writes_what_it_prints_and_names_failures(tmp_path, capsys):
    root = tmp_path / "records"
    few = synthetic_dynamics(0.95, only=("hessian", "gradient_flow"))
    put_dynamics(root, wcrnn(0.95), *few, failed=("hessian",))
    put_dynamics(root, wcrnn(0.95, suite="other"), *few)
    out = tmp_path / "out"
    assert main(["figures", "--records-dir", str(root), "--output", str(out), "--suite", "quick"]) == 0
    said = capsys.readouterr()
    assert sorted(said.out.split()) == sorted(str(path) for path in out.iterdir())
    assert all("quick-" in line for line in said.out.split())
    assert "failed: WCRNN_r0.95 on sMNIST: hessian before training failed in instance 0: ArithmeticError" in said.err

    side_path(path_of(root, wcrnn(0.95))).unlink()
    assert main(["figures", "--records-dir", str(root), "--output", str(out)]) == 2
    assert "is missing" in capsys.readouterr().err


def test_the_command_says_how_to_get_measures(tmp_path, capsys):
    put(tmp_path, make_record())
    assert main(["figures", "--records-dir", str(tmp_path), "--output", str(tmp_path / "out")]) == 0
    assert "'measures:'" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--suite", "quik"], "did you mean quick?"),
        (["--records-dir", "nowhere"], "--records-dir nowhere: no such folder"),
        (["--output", "file"], "is a file"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "records", make_record())
    (tmp_path / "file").write_text("theirs")
    given = {"--records-dir": "records", "--output": "out", **dict([words])}
    assert main(["figures", *(word for pair in given.items() for word in pair)]) == 2
    assert said in capsys.readouterr().err
