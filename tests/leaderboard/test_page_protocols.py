"""How a page says that its rows were trained."""

import pytest

from rnnbench.leaderboard.board_page import write_leaderboard
from rnnbench.leaderboard.plan import PlannedCell, SuitePlan
from rnnbench.leaderboard.schema import Pilot, PilotPoint
from tests.leaderboard.factory import RMSE, make_record, put
from tests.leaderboard.test_board_page import ACC, adding, gru, instances, page_of, row

OPTIMISER, RATE = "training.optimizer", "training.learning_rate"
SIX = [{OPTIMISER: name, RATE: rate} for name in ("sgd", "adam") for rate in (0.1, 0.03, 0.003)]


def with_pilot(point, edges=(), instances=1, pilot=True, **changes):
    """A record of one of six points, chosen by pilots or not; the values of its grid have twelve combinations."""
    points = [PilotPoint(values=values, val=0.5, diverged=0) for values in SIX]
    chosen = Pilot(share=0.2, instances=instances, steps=60, points=points, edges=list(edges))
    swept = {OPTIMISER: ["sgd", "adam"], RATE: [0.1, 0.03, 0.003, 0.3, 1.0, 3.0]}
    training = {path.removeprefix("training."): value for path, value in SIX[point].items()}
    made = {"config": {"training": training}, "point": SIX[point], "pilot": chosen if pilot else None}
    return make_record(grid=swept, **{**made, **changes})


def test_notes_say_that_pilots_chose_from_all_points(tmp_path):
    page = page_of(
        tmp_path,
        with_pilot(5),
        with_pilot(0, edges=[RATE], task="ADD100", metrics=(RMSE,)),
        with_pilot(4, instances=2, network="GRU"),
        *(with_pilot(point, pilot=False, network="RNN") for point in range(6)),
    )
    pilots = "optimiser and learning rate chosen from 6 points by pilots of 20 % of the steps by"
    assert (
        f"- LSTM: {pilots} 1 instance on validation; chosen: sgd, 0.1 on ADD100 (edge of the grid, learning rate); "
        "adam, 0.003 on sMNIST." in page
    )
    assert f"- GRU: {pilots} 2 instances on validation; chosen: adam, 0.03 on sMNIST." in page
    # The suite lists six points: twelve combinations of its values are not its grid.
    assert "chosen on validation: adam, 0.003 on sMNIST." in page.split("- RNN, ")[1]
    assert "points measured" not in page


def recipe(lr, optimizer="adam", **changes):
    return {"config": {"training": {"optimizer": optimizer, "learning_rate": lr, **changes}}}


def test_what_differs_between_rows_is_in_a_table_and_the_rest_in_one_line(tmp_path):
    page = page_of(
        tmp_path,
        *instances(0.9, 0.8, **recipe(0.01)),
        *instances(0.7, 0.8, network="GRU", **recipe(0.1, "sgd")),
        *adding(0.1, 0.2, steps=200, **recipe(0.01)),
    )
    assert "All rows: no grid; 200 steps (2 epochs) on ADD100, 100 steps (1 epoch) on sMNIST." in page
    assert row(page, "GRU", "Training") == {"network": "GRU", "sMNIST": "sgd<br>learning rate 0.1", "ADD100": "–"}
    assert "rows differ" not in page
    assert "of other steps" not in page
    only = page_of(tmp_path / "one", with_pilot(5, **recipe(0.003)))
    assert (
        "All rows: adam; learning rate 0.003; grid of 6 points (learning rate, optimiser); 300 steps (3 epochs); "
        "pilots of 20 %." in only
    )
    assert "### Training" not in only


GRID = {"training.learning_rate": [0.1, 0.01]}


@pytest.mark.parametrize(
    "planned", [{"grid": {}}, {"grid": {"training.learning_rate": [0.1]}}, {"grid": GRID, "pilot": (0.2, 1)}]
)
def test_a_record_chosen_from_another_grid_or_without_pilots_is_of_another_version(tmp_path, planned):
    record = make_record(grid=(0.1, 0.01), lr=0.1)
    put(tmp_path / "records", record)
    cells = {("sMNIST", "LSTM"): PlannedCell(frozenset([record.experiment_id]), **planned)}
    plans = {("quick", "cpu"): SuitePlan("quick", "cpu", 1, cells)}
    page = write_leaderboard(tmp_path / "records", tmp_path / "out", plans).page.read_text(encoding="utf-8")
    assert "1 record of another version of the suite, not shown: sMNIST/LSTM" in page


def test_rows_of_other_steps_stand_apart_with_the_reason_and_are_never_the_best(tmp_path):
    longer = make_record(network="Deep", val=(0.9, 0.95), test=(0.9, 0.95), grid=(0.1, 0.01), lr=0.1)
    records = [
        longer,
        *instances(0.9),
        *gru(0.5),
        *gru(0.4, suite="other"),
        make_record(suite="other", val=(0.9,) * 9, test=(0.9,) * 9),
    ]
    put(tmp_path / "records", *records)
    cells = {("sMNIST", r.network): PlannedCell(frozenset([r.experiment_id])) for r in records[:3]}
    cells["sMNIST", "Deep"] = PlannedCell(frozenset([longer.experiment_id, "0"]), "learns late.", GRID)
    plans = {("quick", "cpu"): SuitePlan("quick", "cpu", 1, cells)}
    page = write_leaderboard(tmp_path / "records", tmp_path / "out", plans).page.read_text(encoding="utf-8")
    quick = page.split("## quick")[1]
    names = [line.split(" | ")[0] for line in quick.split("### Scores")[1].split("### ")[0].splitlines() if "|" in line]
    assert names[2:] == ["| LSTM", "| GRU", "| *chance*", "| *best possible*", "| *of other steps:*", "| Deep"]
    assert row(quick, "Deep")[ACC] == "95.00 (1)"
    assert row(quick, "LSTM")[ACC] == "**90.00** (1)"
    reason = "Deep has 200 steps (2 epochs), grid of 2 points (learning rate): learns late."
    assert f"- sMNIST: rows differ in steps and grid. {reason}\n" in quick
    assert "- sMNIST: rows differ in steps. LSTM has 900 steps (9 epochs), no grid: the suite gives no reason." in page


@pytest.mark.parametrize("limit", ["max_steps", "max_epochs"])
def test_rows_that_stopped_early_by_patience_have_the_same_steps(tmp_path, limit):
    stop = recipe(0.01, patience=10, **{limit: 1000})
    page = page_of(tmp_path, *instances(0.9, stopped_at=100, **stop), *gru(0.5, steps=800, **stop))
    assert f"All rows: adam; learning rate 0.01; no grid; at most 1000 {limit[4:]}." in page


def test_a_board_is_of_one_version_of_its_suite_and_names_what_is_missing_of_it(tmp_path):
    new, old = instances(0.9, 0.8), instances(0.99, network="GRU", seed=1)
    put(tmp_path / "records", *new, *old)
    cells = {("sMNIST", name): PlannedCell(frozenset([new[0].experiment_id])) for name in ("LSTM", "GRU")}
    plans = {(suite, "cpu"): SuitePlan(suite, "cpu", 3, cells) for suite in ("quick", "rotation")}
    report = write_leaderboard(tmp_path / "records", tmp_path / "out", plans)
    page = report.page.read_text(encoding="utf-8")
    assert "99.00" not in page
    assert "Missing: LSTM on sMNIST (2 of 3 instances); GRU on sMNIST." in page
    assert "`rnnbench run quick --only sMNIST/LSTM sMNIST/GRU` fills them." in page
    assert "| no records of the suite as it is | `rnnbench run rotation` (" in page
    assert "1 record of another version of the suite, not shown: sMNIST/GRU" in page
    assert not report.damaged
    brief = write_leaderboard(tmp_path / "records", tmp_path / "out", plans, everything=False).page.read_text("utf-8")
    for heading in ("## Claims of the papers", "## Not run", "[Claims of the papers]"):
        assert (heading in page, heading in brief) == (True, False)
    assert "Missing: LSTM on sMNIST" in brief
