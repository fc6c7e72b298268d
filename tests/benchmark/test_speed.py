"""``rnnbench speed``: contenders agree before they are timed, take turns, and never hang or outlive the driver."""

import dataclasses
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
import torch

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.speed import REPORTS
from rnnbench.benchmark.speed.contender import Comparison, Sample
from rnnbench.benchmark.speed.driver import MOST_REPETITIONS, is_disturbed, largest_difference, take_sample
from rnnbench.benchmark.speed.lyapunov import LyapunovCase, straightforward_exponents
from rnnbench.lit_models.recurrences.wcrnn import WCRNN

AddReport = Callable[..., None]
#: A report whose contender "toy" does what TOY says, beside another where that matters; each process leaves its id.
TOY_REPORT = """
@dataclass(frozen=True)
class Case:
    size: int = 5

def build_well(case):
    print("a library prints something")
    pathlib.Path(f"{os.getpid()}.pid").touch()
    return lambda: {"sum": np.arange(case.size) + 1.0}

def build_toy(case):
    toy, work, calls = os.environ["TOY"], build_well(case), []
    if toy == "fails":
        raise ValueError("size is 3: no")
    def run():
        calls.append(toy)
        if toy == "sleeps":
            time.sleep(3600)
        if toy == "killed" and len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"sum": work()["sum"] + (toy == "differs") * 0.5}
    return run

beside = (Contender("well", build_well),) if os.environ["TOY"] == "differs" else ()
REPORTS = (Report("toy", Case(), Case(3), (*beside, Contender("toy", build_toy)), tolerance=1e-6),)
"""


def is_alive(process):
    # A process that ended and waits to be collected has a directory too, but no command line.
    path = Path(f"/proc/{process}/cmdline")
    return path.exists() and bool(path.read_bytes())


def peers_left(folder, expected):
    processes = [int(path.stem) for path in folder.glob("*.pid")]
    assert len(processes) == expected
    return [process for process in processes if is_alive(process)]


@pytest.mark.parametrize(
    ("behaviour", "fragment", "peers"),
    [
        ("differs", "toy: contenders differ from 'well' by more than 1e-06: 'toy' by 0.5; nothing was timed", 2),
        pytest.param(
            "fails",
            "toy: contender 'toy' ended with exit code 1: ValueError: size is 3: no",
            1,
            marks=pytest.mark.slow,
        ),
        ("killed", "toy: contender 'toy' was killed by signal 9", 1),
    ],
)
def test_failure_is_one_message_and_leaves_no_process(
    behaviour, fragment, peers, add_report, tmp_path, monkeypatch, capsys
):
    add_report(TOY_REPORT)
    monkeypatch.setenv("TOY", behaviour)
    assert main(["speed", "toy", "--quick", "--json", "out.json"]) == 2
    captured = capsys.readouterr()
    assert f"error: {fragment}" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not Path("out.json").exists()
    assert peers_left(tmp_path, peers) == []


def test_a_failing_report_stops_none_of_the_others(add_report, monkeypatch, capsys):
    for name in list(REPORTS):
        monkeypatch.delitem(REPORTS, name)
    add_report(TOY_REPORT)
    add_report(TOY_REPORT.replace('os.environ["TOY"]', '"well"').replace('"toy", Case()', '"good", Case()'), "good")
    monkeypatch.setenv("TOY", "fails")
    assert main(["speed", "all", "--quick", "--output", "speed", "--json", "out.json"]) == 2
    assert "error: toy: contender 'toy' ended with exit code 1: ValueError: size is 3: no" in capsys.readouterr().err
    assert {path.name for path in Path("speed").iterdir()} == {"good.json", "ratios.svg"}
    (report,) = json.loads(Path("out.json").read_text(encoding="utf-8"))
    assert report["title"] == "good (a small case of it)"


def test_contenders_end_when_the_driver_is_killed(add_report, tmp_path):
    add_report(TOY_REPORT)
    code = "from rnnbench.benchmark.speed.driver import compare\n"
    code += "list(compare('toy', 'toy_report:REPORTS', 1, True, print))"
    driver = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TOY": "sleeps"}, stdout=subprocess.PIPE)
    while len(list(tmp_path.glob("*.pid"))) < 1:
        assert driver.poll() is None
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    # The contender would sleep for an hour.
    while peers_left(tmp_path, 1):
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lyapunov", "scan"])
def test_quick_report_as_a_user_would(name, tmp_path):
    words = ["speed", name, "--quick", "--repeats", "2", "--json", "out.json"]
    command = [sys.executable, "-m", "rnnbench", *words]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (definition,) = (report for report in resolve_name(REPORTS[name]) if report.quick is not None)
    there = {c.name: c for c in definition.contenders if c.package is None or importlib.util.find_spec(c.package)}
    rows = [line.split(" | ")[0] for line in result.stdout.splitlines() if line.startswith("| ")]
    assert rows == [f"| {name}" for name in ("contender", "---", *there)]
    assert f"torch {torch.__version__.split('+')[0]}" in result.stdout
    assert "threads of a contender: 1" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    (report,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert set(report) == {field.name for field in dataclasses.fields(Comparison)}
    assert report["case"] == dataclasses.asdict(definition.quick)
    assert report["outcomes"] == []
    assert report["left_out"].keys() == {c.name for c in definition.contenders} - there.keys()
    reference = report["timings"][0]
    assert (reference["ratio"], reference["difference"]) == (1.0, 0.0)
    for timing, contender in zip(report["timings"], there.values(), strict=True):
        assert timing["instances"] == contender.instances
        counted = [sample["process_seconds"] for sample in timing["samples"] if sample["counted"]]
        assert len(counted) == 2
        alone = timing["median_seconds"] / timing["instances"]
        assert timing["median_seconds"] == pytest.approx(sum(counted) / 2)
        assert timing["ratio"] == pytest.approx(alone / reference["median_seconds"])
        assert timing["difference"] <= report["tolerance"] if contender.compared else timing["difference"] is None


def test_straightforward_method_knows_the_answer_without_coupling():
    strengths = torch.tensor([0.5, 0.9, 1.0, 1.1])
    recurrence = WCRNN(1, 4, residual="diagonal", r=(0.5, 1.1), gamma=0.0).requires_grad_(False)
    recurrence.residual_own.copy_(strengths)
    exponents = straightforward_exponents(recurrence.double(), torch.rand(7, 2, 1, dtype=torch.float64))
    torch.testing.assert_close(exponents, strengths.double().log().expand(2, 4), rtol=0, atol=1e-12)


def test_spectra_agree_with_the_straightforward_method():
    case = LyapunovCase(units=5, sequences=2, steps=40, gamma=0.7)
    expected, *found = (contender.build(case)() for contender in resolve_name(REPORTS["lyapunov"])[0].contenders)
    assert [largest_difference(result, expected) < 1e-10 for result in found] == [True, True]


def runs_of(*walls):
    """Samples of a source whose runs take one second of the processor and these of the clock."""
    remaining = [Sample(1.0, wall) for wall in walls]
    return take_sample(lambda: remaining.pop(0))


def test_disturbed_run_is_void_and_repeated():
    assert runs_of(1.05, 1.0) == [Sample(1.0, 1.05)]
    assert runs_of(1.5, 1.2, 1.02, 1.0) == [Sample(1.0, 1.5, False), Sample(1.0, 1.2, False), Sample(1.0, 1.02)]
    # A busy machine ends with the least disturbed run.
    walls = [2.0] * (MOST_REPETITIONS + 5)
    walls[1] = 1.3
    taken = runs_of(*walls)
    assert len(taken) == MOST_REPETITIONS + 1
    assert [sample.wall_seconds for sample in taken if sample.counted] == [1.3]
    assert all(is_disturbed(sample) for sample in taken)


@pytest.mark.parametrize(
    ("values", "difference"),
    [
        ([1.0, 2.0], 0.0),
        ([1.0, 2.25], 0.25),
        ([math.nan, 2.0], math.inf),
        ([math.inf, 2.0], math.inf),
        ([1.0], math.inf),
    ],
)
def test_largest_difference(values, difference):
    assert largest_difference({"x": np.array(values)}, {"x": np.array([1.0, 2.0])}) == difference
    assert largest_difference({"y": np.array(values)}, {"x": np.array([1.0, 2.0])}) == math.inf


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_has_a_reference_and_a_small_case(name):
    reports = resolve_name(REPORTS[name])
    assert any(report.quick is not None for report in reports)
    for report in reports:
        names = [contender.name for contender in report.contenders]
        assert len(set(names)) == len(names) >= 2
        assert report.contenders[0].largest_ratio is None
        assert report.contenders[0].package is None
        assert report.contenders[0].compared
        assert report.quick != report.case
        assert all({*target.contenders, *target.references} <= {*names} for target in report.targets)
