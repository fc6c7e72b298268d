"""Reports on scans: contenders compute the same, times and memory are per instance, targets are judged as they say."""

import dataclasses
import importlib.util
import json
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
import torch

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.speed import REPORTS
from rnnbench.benchmark.speed.cases import SequenceCase, class_losses
from rnnbench.benchmark.speed.command import render
from rnnbench.benchmark.speed.contender import Comparison, Outcome, Sample, Target, Timing
from rnnbench.benchmark.speed.driver import evaluate_targets, largest_difference

#: Contenders of known cost: 0.04 s of the processor for four instances against 0.02 s for one, and 64 MB against 16 MB.
TOY_REPORTS = """
@dataclass(frozen=True)
class Case:
    megabytes: int = 1

def spend(seconds):
    def build(case):
        def work():
            begin = time.process_time()
            while time.process_time() < begin + seconds:
                pass
            return {"size": np.array(float(case.megabytes))} if seconds == 0.02 else {"nothing": np.zeros(1)}
        return work
    return build

def hold(share):
    def build(case):
        def work():
            return {"sum": np.array(np.ones(share * case.megabytes * 125_000).mean())}
        return work
    return build

def refuse(case):
    raise AssertionError("left out")

REPORTS = (
    Report("times", Case(), Case(3), (
        Contender("one", spend(0.02)),
        Contender("four", spend(0.04), instances=4, compared=False),
        Contender("missing", refuse, package="rnnbench_no_such_package"),
        Contender("fails", refuse, compared=False, optional=True),
    ), 1e-6, agreement=Case(2)),
    Report("slow", Case(), None, (Contender("one", refuse), Contender("other", refuse)), 1e-6),
    Report("memory", Case(), Case(16), (
        Contender("one", hold(1), largest_memory=1.5),
        Contender("two", hold(4), instances=2),
    ), 1e-6, memory_unit=lambda case: 1e6 * case.megabytes),
)
"""


def resets_peak_memory():
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def test_toy_report_through_the_command(add_report, capsys):
    add_report(TOY_REPORTS)
    assert main(["speed", "toy", "--quick", "--json", "out.json"]) == 0
    page = capsys.readouterr().out
    times, memory = json.loads(Path("out.json").read_text(encoding="utf-8"))
    assert [times["title"], memory["title"]] == ["times (a small case of it)", "memory (a small case of it)"]
    assert times["left_out"] == {
        "missing": "needs rnnbench_no_such_package (`pip install 'rnnbench[speed]'`)",
        "fails": "ended with exit code 1: AssertionError: left out",
    }
    assert "Left out: missing: needs rnnbench_no_such_package" in page
    one, four = times["timings"]
    assert [one["difference"], four["difference"]] == [0.0, None]
    # The toys spend what they say of the processor's time, whatever else the machine does.
    assert four["median_seconds"] >= 0.04
    assert four["ratio"] == pytest.approx(four["median_seconds"] / 4 / one["median_seconds"])
    assert "not compared" in page
    assert times["timings"][0]["memory"] is None
    one, two = memory["timings"]
    if resets_peak_memory():
        assert one["memory"] == pytest.approx(1.0, abs=0.2)
        assert two["memory"] == pytest.approx(2.0, abs=0.2)
    else:
        assert one["memory"] is two["memory"] is None
    assert one["largest_memory"] is None


def available(report):
    return [c for c in report.contenders if c.package is None or importlib.util.find_spec(c.package)]


SCAN_REPORTS = [
    report for name in ("scan", "linear", "ensemble", "memory", "scaling") for report in resolve_name(REPORTS[name])
]


@pytest.mark.parametrize("report", SCAN_REPORTS, ids=lambda report: report.title)
def test_contenders_agree_in_double_precision(report):
    assert report.agreement.precision == "float64"
    reference, *contenders = available(report)
    expected = reference.build(report.agreement)()
    gradients = {name: values for name, values in expected.items() if name != "loss"}
    assert len(gradients) == len(list(report.agreement.network(0).parameters()))
    # An error of a gradient has something to show in: five digits of each are compared.
    assert all(np.abs(values).max() > 1e5 * report.tolerance for values in gradients.values())
    for contender in contenders:
        if contender.compared:
            found = contender.build(report.agreement)()
            assert largest_difference(found, expected) <= report.tolerance, contender.name
            assert largest_difference(contender.build(report.agreement)(), found) == 0.0, contender.name


@pytest.mark.parametrize("report", SCAN_REPORTS, ids=lambda report: report.title)
def test_every_contender_runs_the_timed_case_made_small(report):
    small = dataclasses.replace(report.case, sequences=2, steps=3)
    for contender in available(report):
        work = contender.build(small)
        # Gradients are not added up from run to run.
        assert largest_difference(work(), work()) == 0.0, contender.name


def test_losses_are_the_cross_entropy_of_each_instance():
    logits, classes = torch.randn(3, 7, 10), torch.randint(10, (7,))
    expected = torch.stack([torch.nn.functional.cross_entropy(one, classes) for one in logits])
    torch.testing.assert_close(class_losses(logits, classes), expected)
    torch.testing.assert_close(class_losses(logits[0], classes), expected[0])


def test_instances_differ_and_are_the_same_in_every_process():
    case = SequenceCase("GRU", units=4)
    first, again, second = (case.network(index).recurrence.weight_hh for index in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def timing(name, seconds, instances=1):
    return Timing(name, 0.0, 0.0, 0.0, [Sample(seconds, seconds)], seconds, seconds, None, 0, instances)


@pytest.mark.parametrize(
    ("bounds", "value", "met"),
    [
        # Time is that of one instance, and the better of several counts.
        (Target(("two", "five"), ("peer",), 0.4), 0.4, True),
        (Target(("two",), ("peer", "five"), 1.4), 1.5, False),
        (Target(("peer",), ("absent", "large"), 1.0), 0.1, True),
        # Growth is an exponent within two bounds.
        (Target(("large",), ("peer",), largest=1.1, smallest=0.9, factor=10), 1.0, True),
        (Target(("huge",), ("peer",), largest=1.1, smallest=0.9, factor=10), 2.0, False),
        (Target(("peer",), ("peer",), largest=1.1, smallest=0.9, factor=10), 0.0, False),
    ],
)
def test_targets_are_judged_as_they_say(bounds, value, met):
    timings = [timing("peer", 1.0), timing("two", 1.2, 2), timing("five", 2.0, 5), timing("large", 10.0)]
    (outcome,) = evaluate_targets([bounds], [*timings, timing("huge", 100.0)])
    assert (outcome.value, outcome.met) == (pytest.approx(value), met)
    assert evaluate_targets([Target(("two",), ("absent",), 1.0)], timings) == []


def test_page_shows_targets_disturbed_runs_memory_and_contenders_left_out():
    taken = [Sample(4.0, 9.0, counted=False), Sample(4.0, 5.0)]
    timings = [
        timing("plain", 4.0),
        Timing("fast", 0.002, 1.5, 3e-9, taken, 1.0, 0.25, 1 / 3, 1),
        Timing("large", 0.0, 0.0, None, [], 4.0, 0.5, 0.4, 0, 2, 2.25, 2.2),
    ]
    outcomes = [
        Outcome(Target(("fast",), ("plain", "peer"), 0.4), 0.5),
        Outcome(Target(("long",), ("short",), 1.1, 0.9, 10), 1.04),
    ]
    hardware = {"processor": "A CPU", "cores": 2, "system": "Linux", "threads": 1, "accelerator": "A GPU"}
    versions = {"torch": "2", "python": "3", "rnnbench": "0", "jax": "1"}
    page = render(Comparison("toy", "title", False, {}, 1e-6, timings, hardware, versions, outcomes, {"other": "why"}))
    for fragment in (
        "| plain | 4000.0 | 4.000 |  | not measured |  |",
        "| fast | 1000.0 | 0.250 | ≤ 0.333: met | not measured |  | 2.0 | 1500.0 | 3.0e-09 |",
        "| large | 2000.0 | 0.500 | ≤ 0.400: missed | 2.25 | ≤ 2.200: missed | 0.0 | 0.0 | not compared |",
        "largest difference 3.0e-09, up to 1e-06 allowed",
        "Ratio, fast to plain or peer: 0.500 (≤ 0.400: missed)",
        "Exponent over a factor of 10, long to short: 1.040 (0.9 to 1.1: met)",
        "Left out: other: why",
        "A CPU (2 cores, Linux), A GPU; torch 2, jax 1",
        "Warning: 1 of 1 runs of fast had to share the core",
    ):
        assert fragment in page
    assert "runs of plain" not in page
