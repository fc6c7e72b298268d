import functools
import os
import random
import re
from xml.dom import minidom

import pytest

from rnnbench.leaderboard.board_page import write_leaderboard
from rnnbench.leaderboard.literature import RESULTS, find_published
from rnnbench.leaderboard.schema import Published
from tests.leaderboard.factory import ACCURACY, CROSS_ENTROPY, MSE, RMSE, TABLE2, full_disk, make_record, put


def page_of(tmp_path, *records):
    """The page that some records make."""
    put(tmp_path / "records", *records)
    return write_leaderboard(tmp_path / "records", tmp_path / "out").page.read_text(encoding="utf-8")


def row(page, network, table="Scores"):
    """The cells of a network's row, by the heading of the column."""
    section = page.split(f"### {table}\n")[1].split("\n### ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return next(dict(zip(lines[0], line, strict=True)) for line in lines[2:] if line[0] == network)


def instances(*tests, **changes):
    return [make_record(val=(test,), test=(test,), instance=i, **changes) for i, test in enumerate(tests)]


def many():
    """A bit of everything: two suites, three networks, a sweep, a diverged and an interrupted instance."""
    return [
        *instances(0.9, 0.92, 0.94),
        *instances(0.5, 0.6, network="GRU", lr=0.1, grid=(0.1, 0.01)),
        *instances(0.7, 0.8, network="GRU", lr=0.01, grid=(0.1, 0.01)),
        *instances(0.3, 0.2, network="Elman_wc", published={"source": TABLE2, "model": "Elman_wc", "task": "sMNIST"}),
        *instances(0.1, 0.2, task="ADD100", metrics=(RMSE, MSE), suite="adding", budget="paper"),
        make_record(instance=3, diverged_at=200),
        make_record(instance=4, status="interrupted"),
    ]


ACC, ADD = "sMNIST<br>accuracy % ↑", "ADD100<br>RMSE ↓"
PRINTED, PRINTED_ADD = "sMNIST<br>published", "ADD100<br>published"
OVER_TRAINING, COST = "Best over training", "Time and memory"
adding = functools.partial(instances, task="ADD100", metrics=(RMSE,))
gru = functools.partial(instances, network="GRU")
DIGITS = {"task": {"class_path": "rnnbench.SequentialDigits", "init_args": {}}}
keller = {"source": "keller2024", "model": "iRNN", "task": "ADD100"}
# What is measured: records, and cells of the page by network, table and column.
CELLS = {
    "mean, deviation and number of instances": (
        [*instances(0.9, 0.92, 0.94), *gru(0.5)],
        {("LSTM", "Scores", ACC): "**92.00 ± 2.00** (3)<br>best 94.00", ("GRU", "Scores", ACC): "50.00 (1)"},
    ),
    "errors in short scientific form, the smallest best": (
        [*adding(2e-5, 4e-5), *adding(0.4, 0.4, network="GRU")],
        {
            ("LSTM", "Scores", ADD): "**3.00e-5 ± 1.4e-5** (2)<br>best 2.00e-5",
            ("GRU", "Scores", ADD): "4.00e-1 ± 0 (2)",
        },
    ),
    "all bold that paired instances cannot distinguish from the best": (
        # Each is far from the next but for the pairs: GRU is above the LSTM in one instance, RNN always 0.2 below.
        [*instances(0.9, 0.8, 0.7), *gru(0.85, 0.82, 0.69), *instances(0.7, 0.6, 0.5, network="RNN")],
        {
            ("LSTM", "Scores", ACC): "**80.00 ± 10.00** (3)<br>best 90.00",
            ("GRU", "Scores", ACC): "**78.67 ± 8.50** (3)<br>best 85.00",
            ("RNN", "Scores", ACC): "60.00 ± 10.00 (3)<br>best 70.00",
        },
    ),
    "nothing bold below what can be distinguished, however noisy": (
        [*instances(0.9, 0.91, 0.9), *gru(0.85, 0.86, 0.84), *instances(0.95, 0.2, 0.99, network="RNN")],
        {
            ("GRU", "Scores", ACC): "85.00 ± 1.00 (3)<br>best 86.00",
            ("RNN", "Scores", ACC): "71.33 ± 44.50 (3)<br>best 99.00<br>median 95.00",
        },
    ),
    "nothing bold that does not beat chance": (
        [*instances(0.1, 0.1), *gru(0.08, 0.09)],
        {("LSTM", "Scores", ACC): "10.00 ± 0.00 (2)", ("GRU", "Scores", ACC): "8.50 ± 0.71 (2)<br>best 9.00"},
    ),
    "the median of a spread that is not symmetric": (
        instances(0.2, 0.9, 0.92),
        {("LSTM", "Scores", ACC): "**67.33 ± 41.00** (3)<br>best 92.00<br>median 90.00"},
    ),
    "scores by validation, the best over training by test": (
        [make_record(val=(0.6, 0.9, 0.8), test=(0.5, 0.7, 0.75))],
        {("LSTM", "Scores", ACC): "**70.00** (1)", ("LSTM", OVER_TRAINING, ACC): "75.00 (1)"},
    ),
    "an instance without a number": (
        [make_record(val=(0.7,), test=(0.7,)), make_record(val=(0.7,), test=(None,), instance=1)],
        {("LSTM", "Scores", ACC): "**70.00** (1)<br>no number 1/2"},
    ),
    "missing records": (
        [*instances(0.9), *adding(0.1, network="GRU")],
        {("LSTM", "Scores", ADD): "–", ("GRU", "Scores", ACC): "–", ("LSTM", COST, "ADD100"): "–"},
    ),
    "diverged instances, never best": (
        [
            *instances(0.99),
            make_record(val=(0.99,), test=(0.99,), instance=1, diverged_at=50),
            *(make_record(network="RNN", instance=i, diverged_at=150) for i in range(2)),
            *gru(0.5, 0.5),
        ],
        {
            ("LSTM", "Scores", ACC): "99.00 (1)<br>diverged 1/2",
            ("RNN", "Scores", ACC): "diverged 2/2",
            ("GRU", "Scores", ACC): "**50.00 ± 0.00** (2)",
        },
    ),
    "chance and best possible": (
        [*instances(0.9), *adding(0.1), *adding(0.1, metrics=({**RMSE, "chance": 0.4},), network="GRU")],
        {
            ("*chance*", "Scores", ACC): "11.35",
            ("*chance*", "Scores", ADD): "4.00e-1–4.08e-1",
            ("*best possible*", "Scores", ACC): "100.00",
            ("*best possible*", "Scores", ADD): "0",
        },
    ),
    "the chance of the split where older records hold that of balanced classes": (
        [*instances(0.11, config=DIGITS), *gru(0.13, config=DIGITS)],
        {
            ("*chance*", "Scores", ACC): "12.67",
            ("LSTM", "Scores", ACC): "11.00 (1)",
            ("GRU", "Scores", ACC): "**13.00** (1)",
        },
    ),
    "sizes as ranges": (
        [*instances(0.9, parameters=11_300), *adding(0.1, parameters=9_880, state_size=100)],
        {("LSTM", "Scores", "parameters"): "9.9k–11.3k", ("LSTM", "Scores", "state size"): "94–100"},
    ),
    "the published number": (
        instances(0.9, published={"source": TABLE2, "model": "WCRNN_best", "task": "sMNIST"}),
        {("LSTM", "Scores", f"{ACC}<br>1 epoch"): "**90.00** (1)", ("LSTM", "Scores", PRINTED): "98.22 (200 epochs)"},
    ),
    "a published number of another metric": (
        adding(0.1, published=keller),
        {("LSTM", "Scores", f"{ADD}<br>1 epoch"): "**1.00e-1** (1)", ("LSTM", "Scores", PRINTED_ADD): "1e-5 (MSE)"},
    ),
    "time and memory": (
        [
            make_record(seconds_per_step=0.01, peak_memory_bytes=100 * 2**20),
            make_record(seconds_per_step=0.03, peak_memory_bytes=200 * 2**20, instance=1),
        ],
        {("LSTM", COST, "sMNIST"): "20.0 ms<br>200 MiB"},
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_show(tmp_path, name):
    records, cells = CELLS[name]
    page = page_of(tmp_path, *records)
    assert "## quick, budget `cpu`" in page
    assert {place: row(page, place[0], place[1])[place[2]] for place in cells} == cells


def test_the_length_of_published_training_is_in_the_unit_of_its_source(tmp_path):
    iterations = {"source": "rusch2022lem:repo logs", "model": "LEM", "task": "ADD2000"}
    page = page_of(tmp_path, *adding(0.1, task="ADD2000", published=iterations), *instances(0.1, config=DIGITS))
    assert row(page, "LSTM")["ADD2000<br>published"] == "5.3e-5 (MSE, 30k iterations)"
    held = "12.67 %, where older records hold 10.00 %"
    assert f"- sMNIST: chance is the share of the test split's most frequent class, {held}" in page


def test_tasks_come_in_natural_order_and_metrics_do_not_share_a_column(tmp_path):
    page = page_of(
        tmp_path,
        *adding(0.1, task="ADD1000"),
        *adding(0.1, task="ADD200"),
        *adding(0.1, task="ADD200", metrics=(MSE,), network="GRU"),
    )
    header = [cell for cell in row(page, "LSTM") if "<br>" in cell]
    assert header == ["ADD200<br>MSE ↓", "ADD200<br>RMSE ↓", "ADD1000<br>RMSE ↓"]
    assert len(list((tmp_path / "out" / "figures").glob("*.svg"))) == 3


def test_what_the_source_printed_without_a_record_of_ours_is_published_only(tmp_path):
    published = {"source": TABLE2, "model": "WCRNN_best", "task": "sCIFAR10-gray"}
    page = page_of(tmp_path, *instances(0.4, network="WCRNN_best", task="sCIFAR10-gray", published=published))
    column = "sCIFAR10-gray<br>published"
    assert row(page, "LSTM (published only)")[column] == "58.13"
    assert row(page, "LSTM (published only)")["sCIFAR10-gray<br>accuracy % ↑<br>1 epoch"] == "–"
    assert row(page, "S4 (published only)")[column] == "91.8 [1]"
    assert row(page, "S4 (published only)")["parameters"] == "~300k"
    assert "[1] Printed under sCIFAR10-gray, but the number cited there was measured on colour images." in page
    assert "WCRNN_best (published only)" not in page


def test_a_column_labelled_root_mean_square_has_its_doubt_and_both_metrics(tmp_path):
    published = {"source": TABLE2, "model": "LSTM", "task": "ADD100"}
    curve = make_record(val=(0.1,), test=(0.1,), task="ADD100", metrics=(RMSE, MSE)).curve
    both = [point.model_copy(update={"test": {"rmse": 0.1, "mse": 0.01}}) for point in curve]
    record = make_record(task="ADD100", metrics=(RMSE, MSE), published=published, curve=both)
    page = page_of(tmp_path, record)
    assert row(page, "LSTM")[PRINTED_ADD] == "1.0e-6 (150 epochs) [1]"
    assert "[1] Labelled root mean square in dubinin2024:Table2, but perhaps a mean square" in page
    assert row(page, "LSTM", "Other metrics")["ADD100<br>MSE ↓"] == "1.00e-2 (1)"


def test_the_caption_says_which_evaluation_the_scores_are(tmp_path):
    last = {"task": {"class_path": "Copy"}, "training": {"test_at": "last"}, "seed": 0}
    at_last = make_record(task="Copy8", config=last)
    captions = [
        page_of(tmp_path / str(place), *records).split("### Scores\n\n")[1].partition(":")[0]
        for place, records in enumerate([[make_record()], [make_record(), at_last], [at_last]])
    ]
    best = "Test value at the best validation value of the ranked metric"
    assert captions == [best, f"{best}; on Copy8 of the last evaluation", "Test value of the last evaluation"]


def test_an_unverified_number_is_never_shown(tmp_path):
    published = {"source": "chang2019antisym", "model": "AntisymmetricRNN", "task": "sMNIST"}
    page = page_of(tmp_path, *instances(0.9, published=published))
    assert row(page, "LSTM")["sMNIST<br>accuracy % ↑"] == "**90.00** (1)"
    assert "98.0" not in page
    assert "- chang2019antisym has no verified number for LSTM on sMNIST." in page


def test_only_verified_numbers_are_read():
    assert find_published(Published(source="gu2022s4d", model="S4D-Lin", task="sCIFAR10-colour")) == []
    values = [n.value for n in find_published(Published(source="gu2022s4", model="S4", task="sCIFAR10-colour"))]
    assert values == ["91.13"]
    assert RESULTS.read_text(encoding="utf-8").count(",no\n") > 0


def test_iterations_to_minimal_performance_with_the_published_ones(tmp_path):
    published = {"source": "dubinin2024:Table1", "model": "WCRNN-homogeneous", "task": "sMNIST"}
    reached = [
        make_record(val=(0.4, 0.6, 0.7), test=(0.4, 0.4, 0.7), published=published),
        make_record(val=(0.6, 0.6, 0.7), test=(0.4, 0.4, 0.4), published=published, instance=1),
    ]
    never = instances(0.2, 0.3, network="GRU")
    page = page_of(tmp_path, *reached, *never)
    table, column = "Iterations to minimal performance", "sMNIST<br>accuracy % ≥ 50"
    assert row(page, "LSTM", table)[column] == "val 150 ± 71 (2)<br>test ≥ 300 ± 0 (2)<br>published 200"
    assert row(page, "GRU", table)[column] == "val > 100 (2)<br>test > 100 (2)"
    assert "Minimal performance was looked for every 100 steps." in page


def test_notes_name_the_grid_changed_code_other_data_and_hardware(tmp_path):
    page = page_of(
        tmp_path,
        *instances(0.5, lr=0.1, grid=(0.1, 0.01, 0.001)),
        *instances(0.7, lr=0.01, grid=(0.1, 0.01, 0.001)),
        *instances(0.6, network="GRU", code={"commit": "a", "dirty": True}, data_fingerprint="d1"),
    )
    grid = "training.learning_rate from 0.1, 0.01, 0.001"
    assert f"- LSTM, {grid}; chosen on validation: 0.01 on sMNIST (2 of 3 points measured)." in page
    assert "- Measured with changes in the code that were not committed: GRU on sMNIST." in page
    assert "- sMNIST: not all rows were measured on the same data (2 data sets)." in page
    assert "- Measured on processor two cores." in page


def test_what_could_not_be_placed_is_listed_and_untouched(tmp_path):
    records = tmp_path / "records"
    older = make_record(seed=1, started_at="2024-01-01T00:00:00Z", finished_at="2024-01-01T00:00:00Z")
    put(records, *many(), older)
    damaged = records / "quick" / "bad.json"
    damaged.write_bytes(b'{"schema_version": 1, "su')
    report = write_leaderboard(records, tmp_path / "out")
    listed = report.page.read_text(encoding="utf-8").split("## Not placed\n")[1]
    assert "- `quick/bad.json`: is cut short" in listed
    assert "-4.json`: interrupted" in listed
    assert f"1 record of family {older.family_id}: superseded by family {many()[0].family_id}" in listed
    assert damaged.read_bytes() == b'{"schema_version": 1, "su'
    assert report.problems[0].path.name == "bad.json"
    assert (report.records, len(report.problems)) == (len(many()) + 1, 3)


def test_same_records_same_bytes_whatever_the_order_of_writing(tmp_path):
    def written(name, records):
        put(tmp_path / name, *records)
        write_leaderboard(tmp_path / name, tmp_path / f"{name}-out")
        files = sorted((tmp_path / f"{name}-out").rglob("[!.]*"))
        return {file.relative_to(tmp_path / f"{name}-out"): file.read_bytes() for file in files if file.is_file()}

    shuffled = many()
    random.Random(1).shuffle(shuffled)  # noqa: S311
    first, second = written("a", many()), written("b", shuffled)
    assert len(first) == 3
    assert first == second
    assert all(b"\r" not in content and str(tmp_path).encode() not in content for content in first.values())


def test_every_linked_figure_is_there_and_stale_ones_go(tmp_path):
    records, out = tmp_path / "records", tmp_path / "out"
    put(records, *many())
    page = write_leaderboard(records, out).page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((figures/[^)]+)\)", page)
    assert links == ["figures/adding-paper-ADD100.svg", "figures/quick-cpu-sMNIST.svg"]
    assert all((out / link).is_file() for link in links)

    theirs = out / "figures" / "theirs.svg"
    theirs.write_text("<svg/>")
    for path in (records / "adding").rglob("*.json"):
        path.unlink()
    write_leaderboard(records, out)
    assert sorted(path.name for path in (out / "figures").glob("*.svg")) == ["quick-cpu-sMNIST.svg", "theirs.svg"]


def test_a_figure_names_split_metric_unit_and_networks(tmp_path):
    page_of(tmp_path, *many())
    svg = (tmp_path / "out" / "figures" / "quick-cpu-sMNIST.svg").read_text(encoding="utf-8")
    for text in ("validation accuracy (%)", "optimiser steps", "GRU", "LSTM (diverged 1/4)", "chance"):
        assert f">{text}</text>" in svg


def test_more_than_eight_learning_curves_are_split_into_panels(tmp_path):
    page_of(tmp_path, *(record for i in range(9) for record in instances(0.5, network=f"net{i}")))
    svg = (tmp_path / "out" / "figures" / "quick-cpu-sMNIST.svg").read_text(encoding="utf-8")
    assert svg.count(">validation accuracy (%)</text>") == 2
    assert svg.count(">chance</text>") == 2
    assert len(re.findall(r">net\d</text>", svg)) == 9


@pytest.mark.parametrize(
    "records",
    [
        [make_record(diverged_at=0)],
        [make_record(val=(0.0, 0.0), test=(0.0, 0.0), metrics=({**MSE, "chance": 0.0},))],
        [make_record(val=(1e38, 1e-38), test=(1e38, 1e38), metrics=(MSE,), instance=i) for i in range(2)],
        [make_record(network=f"$a_{i}|*<b> a network with quite a long name", suite="_$") for i in range(40)],
        [make_record(network="_hidden", metrics=(ACCURACY, CROSS_ENTROPY))],
        [make_record(config={"recurrence": {"class_path": "WCRNN", "init_args": {"r": 10**300}}})],
        [make_record(lr=[[1]], grid=([[1]], None), hardware={"cores": None, "list": [{}]})],
        [make_record(seconds_per_step=5e-324, peak_memory_bytes=2**63 - 1, parameters=2**63 - 1)],
        [make_record(val=(1e308,) * 3, test=(-1e308,) * 3, metrics=({**MSE, "chance": 1e308, "best": -1e308},))],
        [make_record(**dict.fromkeys(("started_at", "finished_at"), "0001-01-01T00:00:00+23:59"))],
    ],
    ids=["diverged", "zeros", "huge", "names", "_", "residual", "settings", "counts", "largest", "time"],
)
def test_odd_records_make_a_page_too(tmp_path, records):
    page = page_of(tmp_path, *records)
    for table in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    assert row(page, "*best possible*")
    assert len(list((tmp_path / "out" / "figures").glob("*.svg"))) == 1


def test_characters_that_steer_a_terminal_or_a_page_are_shown_as_escapes(tmp_path):
    odd = "a\x00b\x1b[2J\u202ec"
    wide = make_record(network="漢字", hardware={odd: [odd]})
    page = page_of(tmp_path, make_record(network=odd, task=odd), wide, make_record(status="interrupted", instance=7))
    assert all(char.isprintable() or char == "\n" for char in page)
    assert r"a\\x00b\\x1b\[2J\\u202ec" in page
    for figure in (tmp_path / "out" / "figures").glob("*.svg"):
        assert any(name in minidom.parse(str(figure)).toxml() for name in ("漢字", r"a\x00b"))  # noqa: S318


def test_two_names_never_share_a_figure(tmp_path):
    tasks = enumerate(("a", "A", "a b", "a_b"))
    records = [make_record(task=task, suite=suite, seed=n) for n, task in tasks for suite in ("q", "q-cpu-a")]
    page_of(tmp_path, *records)
    names = [path.name.casefold() for path in (tmp_path / "out" / "figures").glob("*.svg")]
    assert len(names) == len(set(names)) == len(records)


def test_what_is_no_file_among_old_figures_is_left_alone(tmp_path):
    figures = tmp_path / "out" / "figures"
    figures.mkdir(parents=True)
    os.mkfifo(figures / "pipe.svg")
    (figures / "folder.svg").mkdir()
    page_of(tmp_path, make_record())
    assert len(list(figures.glob("*.svg"))) == 3


@pytest.mark.parametrize("taken", ["LEADERBOARD.md", "figures/quick-cpu-sMNIST.svg"])
def test_an_output_that_cannot_be_written_is_named(tmp_path, taken):
    (tmp_path / "out" / taken).mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as caught:
        page_of(tmp_path, make_record())
    assert caught.value.filename == str(tmp_path / "out" / taken)
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_no_records_make_an_empty_page(tmp_path):
    report = write_leaderboard(tmp_path / "none", tmp_path / "out")
    assert "There are no records yet." in report.page.read_text(encoding="utf-8")
    assert (report.records, report.tables, report.figures, report.problems) == (0, 0, 0, [])


def test_a_full_disk_leaves_the_old_page(tmp_path, monkeypatch):
    old = page_of(tmp_path, *instances(0.9))
    put(tmp_path / "records", *instances(0.8, 0.7))

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_leaderboard(tmp_path / "records", tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("[!.]*") if path.is_file()]
    assert sorted(path.name for path in files) == ["LEADERBOARD.md", "quick-cpu-sMNIST.svg"]
    assert (tmp_path / "out" / "LEADERBOARD.md").read_text(encoding="utf-8") == old
