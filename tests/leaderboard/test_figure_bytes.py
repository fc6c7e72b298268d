"""Figures and page have the same bytes on processors whose last bits differ."""

import numpy as np
import pytest

from rnnbench.leaderboard.board_page import write_leaderboard
from rnnbench.leaderboard.drawing.figure_style import round_coordinates
from rnnbench.leaderboard.drawing.speed_figure import speed_figure
from tests.leaderboard.factory import RMSE, make_record, put_dynamics, synthetic_dynamics
from tests.leaderboard.test_speed_figure import comparison

NUDGES = {
    "nothing": lambda values: values,
    "last bit up": lambda values: np.nextafter(values, np.inf),
    "last bit down": lambda values: np.nextafter(values, -np.inf),
    "relative 1e-9": lambda values: values * (1 + 1e-9 * np.random.default_rng(1).uniform(-1, 1, np.shape(values))),
}


def files_of(folder, nudge, only):
    """Everything that two networks with learning curves and all or some measures make, their values nudged."""
    for r, base in ((0.95, 0.41), (1.01, 0.123)):
        for instance in range(2):
            curve = nudge(base / np.sqrt(np.arange(1.0, 30.0)) + 0.01 * instance)
            record = make_record(network=f"r{r}", val=curve, test=curve / 2, metrics=(RMSE,), instance=instance)
            summaries, arrays = synthetic_dynamics(r, instance, only=only)
            nudged = {
                measure: {name: a if a.dtype.kind == "i" else np.where(a, nudge(a), 0) for name, a in named.items()}
                for measure, named in arrays.items()
            }
            put_dynamics(folder / "records", record, summaries, nudged)
    write_leaderboard(folder / "records", folder / "out")
    return {path.name: path.read_bytes() for path in (folder / "out").rglob("[!.]*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "only", "count"),
    [
        # A million times larger than a last bit, of both signs.
        ("relative 1e-9", ("lyapunov", "hessian", "gradient_flow"), 7),
        *(pytest.param(name, None, 14, marks=pytest.mark.slow) for name in NUDGES if name != "nothing"),
    ],
)
def test_noise_of_the_processor_does_not_show(tmp_path, name, only, count):
    plain, nudged = (files_of(tmp_path / each, NUDGES[each], only) for each in ("nothing", name))
    assert len(plain) == count
    assert [name for name in plain if plain[name] != nudged[name]] == []


@pytest.mark.parametrize("name", NUDGES)
def test_nor_in_the_figure_of_ratios(name):
    ratios = np.linspace(0.1034, 1.3071, 25)
    first, second = (
        speed_figure([comparison("scan", f"case {index}", t=float(ratio)) for index, ratio in enumerate(values)])
        for values in (ratios, NUDGES[name](ratios))
    )
    assert first == second


@pytest.mark.parametrize("x", ["3.125", "16.598677", "0.015625", "-7.4921875", "0.005", "1.0"])
def test_a_coordinate_between_two_hundredths_is_stable(x):
    written = {round_coordinates(f'<use x="{float(x) + noise:.9f}"/>') for noise in (-1e-6, 0.0, 1e-6)}
    assert len(written) == 1


def test_texts_styles_and_names_of_others_are_kept():
    svg = (
        '<!-- 0.12345 --><text style="font-size: 9.125px" x="1.23456">d="0.98765"</text>'
        '<g id="text_1"/><clipPath id="p1128fa8c3f"/><path clip-path="url(#p1128fa8c3f)" d="M 0.001 -0.001"/>'
    )
    assert round_coordinates(svg) == (
        '<!-- 0.12345 --><text style="font-size: 9.125px" x="1.23">d="0.98765"</text>'
        '<g id="text_1"/><clipPath id="p1"/><path clip-path="url(#p1)" d="M 0 0"/>'
    )
