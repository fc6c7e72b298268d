import re

import numpy as np
import pytest

from rnnbench.leaderboard.board_page import write_leaderboard
from rnnbench.leaderboard.files import read_arrays, side_path
from rnnbench.leaderboard.publishing import publish
from rnnbench.leaderboard.record import write_record
from rnnbench.leaderboard.store import path_of
from tests.leaderboard.factory import full_disk, make_record, put, put_dynamics, untrained
from tests.leaderboard.factory import synthetic_dynamics as everything
from tests.leaderboard.test_board_page import row


def synthetic_dynamics(r, instance=0, only=("gradient_flow", "hessian"), **changes):
    return everything(r, instance, only=only, **changes)


def page_of(tmp_path):
    report = write_leaderboard(tmp_path / "records", tmp_path / "out")
    return report, report.page.read_text(encoding="utf-8")


def test_the_table_has_a_column_for_each_number_and_moment_that_any_network_has(tmp_path):
    for instance, largest in enumerate((-0.05, -0.07)):
        summaries, arrays = synthetic_dynamics(0.95, instance, only=("gradient_flow", "lyapunov"))
        summaries["lyapunov"] = {"largest": largest, "kaplan_yorke": None}
        put_dynamics(tmp_path / "records", make_record(instance=instance), summaries, arrays, ("start", "end"))
    put(tmp_path / "records", make_record(network="GRU"))
    _, page = page_of(tmp_path)
    lstm, gru = row(page, "LSTM", "Dynamics"), row(page, "GRU", "Dynamics")
    assert lstm["sMNIST before training<br>largest exponent (nats per step)"] == "-0.06 ± 0.014 (2)"
    assert lstm["sMNIST before training<br>Kaplan–Yorke dimension"] == "undefined (2)"
    assert gru["sMNIST before training<br>largest exponent (nats per step)"] == "–"
    assert "sMNIST after training<br>gradient slope (nats per step)" in lstm
    assert not any("contraction" in heading for heading in lstm)
    assert "### Scores" in page


def test_exponents_of_minus_infinity_differ_from_undefined_ones(tmp_path):
    summaries, arrays = synthetic_dynamics(0.9, only=("lyapunov",), nilpotent=True)
    summaries["lyapunov"]["kaplan_yorke"] = None
    put_dynamics(tmp_path / "records", make_record(), summaries, arrays)
    lstm = row(page_of(tmp_path)[1], "LSTM", "Dynamics")
    assert lstm["sMNIST before training<br>largest exponent (nats per step)"] == "−∞ (1)"
    assert lstm["sMNIST before training<br>Kaplan–Yorke dimension"] == "undefined (1)"


def test_failed_measures_are_counted_and_listed_with_their_reason(tmp_path):
    for instance in range(3):
        failed = ("hessian",) if instance else ()
        put_dynamics(tmp_path / "records", make_record(instance=instance), *synthetic_dynamics(0.95), failed=failed)
    _, page = page_of(tmp_path)
    cell = row(page, "LSTM", "Dynamics")["sMNIST before training<br>largest \\|Hessian eigenvalue\\|"]
    assert cell.endswith("(1)<br>failed 2/3")
    reason = "hessian before training failed in instances 1, 2: ArithmeticError: not finite"
    assert f"- LSTM on sMNIST: {reason}\n" in page


def test_a_board_of_untrained_networks_shows_no_scores(tmp_path):
    put_dynamics(tmp_path / "records", untrained(make_record()), *synthetic_dynamics(0.95))
    _, page = page_of(tmp_path)
    assert "### Dynamics\n" in page
    assert "- Untrained: measured only.\n" in page
    assert "Minimal performance was looked for" not in page
    for heading in ("Scores", "Best over training", "Iterations", "Time and memory", "Learning curves"):
        assert f"### {heading}" not in page
    assert not list((tmp_path / "out" / "figures").glob("*.svg"))


def test_a_board_of_both_shows_scores_of_what_was_trained_and_names_the_rest(tmp_path):
    put_dynamics(tmp_path / "records", untrained(make_record(network="A_first")), *synthetic_dynamics(0.95))
    put(tmp_path / "records", make_record())
    _, page = page_of(tmp_path)
    assert "A_first" not in page.split("### Scores")[1].split("### ")[0]
    assert row(page, "LSTM")["sMNIST<br>accuracy % ↑"].startswith("**88.00**")
    assert "- Untrained, measured only: A_first on sMNIST.\n" in page
    # Colours go by the rows of the whole board, here as in the figures of dynamics.
    assert "#d55e00" in (tmp_path / "out" / "figures" / "quick-cpu-sMNIST.svg").read_text(encoding="utf-8").lower()


@pytest.mark.parametrize(("count", "shown"), [(None, True), (3, True), (1, False)])
def test_the_mean_of_one_exponent_is_not_that_of_a_spectrum(tmp_path, count, shown):
    summaries, arrays = {"lyapunov": {"largest": -0.1, "mean": -0.2}}, {"lyapunov": {"exponents": np.zeros((1, 1))}}
    record = put_dynamics(tmp_path / "records", make_record(), summaries, arrays)
    measure = record.measures["lyapunov"]["start"]
    measured = measure.model_copy(update={"settings": {**measure.settings, "count": count}})
    record = record.model_copy(update={"measures": {"lyapunov": {"start": measured}}})
    write_record(path_of(tmp_path / "records", record), record)
    cells = row(page_of(tmp_path)[1], "LSTM", "Dynamics")
    assert "sMNIST before training<br>largest exponent (nats per step)" in cells
    assert ("sMNIST before training<br>mean exponent (nats per step)" in cells) == shown


def test_untrained_points_of_a_sweep_are_not_called_chosen(tmp_path):
    for lr in (0.1, 0.01):
        record = untrained(make_record(lr=lr, grid=(0.1, 0.01)))
        put_dynamics(tmp_path / "records", record, *synthetic_dynamics(0.95))
    _, page = page_of(tmp_path)
    assert "one point shown, without a choice: 0.01 on sMNIST." in page
    assert "chosen on validation:" not in page


def test_every_linked_figure_is_there_and_stale_ones_go(tmp_path):
    record = make_record()
    summaries, arrays = everything(0.95)
    put_dynamics(tmp_path / "records", record, summaries, arrays)
    put_dynamics(tmp_path / "records", make_record(task="Digits"), summaries, {"lyapunov": arrays["lyapunov"]})
    report, page = page_of(tmp_path)
    shown = re.findall(r"!\[[^]]*\]\((figures/dynamics/[^)]+)\)", page)
    assert shown == [
        "figures/dynamics/quick-cpu-Digits-start-spectrum.svg",
        "figures/dynamics/quick-cpu-Digits-start-finite-time.svg",
        "figures/dynamics/quick-cpu-sMNIST-dynamics.svg",
    ]
    links = set(re.findall(r"\]\((figures/[^)]+)\)", page))
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.svg")}
    assert links == written
    assert report.figures == len(written)

    theirs = tmp_path / "out" / "figures" / "dynamics" / "theirs.svg"
    theirs.write_text("<svg/>")
    put(tmp_path / "records", record.model_copy(update={"measures": {}}))
    write_leaderboard(tmp_path / "records", tmp_path / "out")
    left = {path.name for path in theirs.parent.iterdir()}
    assert left == {"theirs.svg", "quick-cpu-Digits-start-spectrum.svg", "quick-cpu-Digits-start-finite-time.svg"}


def test_a_damaged_side_file_is_listed_and_the_scores_stay(tmp_path):
    record = put_dynamics(tmp_path / "records", make_record(), *synthetic_dynamics(0.95))
    side_path(path_of(tmp_path / "records", record)).write_bytes(b"cut")
    report, page = page_of(tmp_path)
    assert len(report.damaged) == 1
    assert "is damaged" in page.split("## Not placed")[1]
    assert row(page, "LSTM")["sMNIST<br>accuracy % ↑"].startswith("**88.00**")
    assert str(tmp_path) not in page


def test_publish_copies_the_arrays_with_the_record(tmp_path):
    runs, records = tmp_path / "runs", tmp_path / "records"
    record = put_dynamics(runs, make_record(), *synthetic_dynamics(0.95))
    source, target = side_path(path_of(runs, record)), side_path(path_of(records, record))
    assert len(publish(runs, records).published) == 1
    assert target.read_bytes() == source.read_bytes()
    assert len(publish(runs, records).identical) == 1

    put_dynamics(runs, make_record(), synthetic_dynamics(0.95)[0], synthetic_dynamics(0.96)[1])
    kept = publish(runs, records)
    (problem,) = kept.damaged
    assert problem.reason == "the published record differs and was kept: --replace overwrites it"
    assert target.read_bytes() != source.read_bytes()
    assert len(publish(runs, records, replace=True).replaced) == 1
    assert target.read_bytes() == source.read_bytes()

    write_record(path_of(runs, record), make_record())
    assert len(publish(runs, records, replace=True).replaced) == 1
    assert not target.exists()
    assert len(publish(runs, records).identical) == 1


@pytest.mark.parametrize("damage", ["missing", "cut", "lacking"])
def test_publish_refuses_records_without_the_arrays_they_name(tmp_path, damage):
    runs, records = tmp_path / "runs", tmp_path / "records"
    summaries, arrays = synthetic_dynamics(0.95)
    record = put_dynamics(runs, make_record(), summaries, arrays)
    side = side_path(path_of(runs, record))
    if damage == "missing":
        side.unlink()
    elif damage == "cut":
        side.write_bytes(side.read_bytes()[:-9])
    else:
        put_dynamics(runs, make_record(), summaries, {"hessian": arrays["hessian"]})
        put(runs, record)
    report = publish(runs, records)
    assert len(report.damaged) == len(report.problems) == 1
    assert {"missing": "missing", "cut": "damaged", "lacking": "lacks"}[damage] in report.problems[0].reason
    assert not records.exists()


def test_a_full_disk_leaves_no_record_without_its_arrays(tmp_path, monkeypatch):
    runs, records = tmp_path / "runs", tmp_path / "records"
    record = put_dynamics(runs, make_record(), *synthetic_dynamics(0.95))
    monkeypatch.setattr("rnnbench.leaderboard.publishing.write_atomically", full_disk)
    with pytest.raises(OSError, match="No space left"):
        publish(runs, records)
    assert not path_of(records, record).exists()
    assert read_arrays(side_path(path_of(runs, record)))
