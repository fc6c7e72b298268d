"""Reports on whole trainings: both sides do the same work, what is timed is what is said, long work is done once."""

import json
import os
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

import pytest
import torch

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.speed import REPORTS, overhead
from rnnbench.benchmark.speed.driver import largest_difference
from rnnbench.benchmark.speed.overhead import (
    LARGEST_NORM,
    LEARNING_RATE,
    Stopwatch,
    TrainingCase,
    build_training,
    fit_as_fit,
    fit_as_run,
    fit_bare,
    train_bare,
)
from rnnbench.benchmark.speed.whole_suite import SuiteCase, build_command, build_plain
from rnnbench.datamodules.task import Batch
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.elman import ElmanRNN

SMALL = TrainingCase("Adding", instances=2, units=4, sequences=8, steps=6, updates=3, warm_up=2)
#: A report of long work, of which the case takes a sample: 0.2 s of a child process and 0.3 s of sleep.
TOY_REPORT = """
SPIN = "import time\\nwhile time.process_time() < 0.2: pass"

@dataclass(frozen=True)
class Case:
    sampled: int = 2

def build(case, calls):
    def work():
        calls.append(case)
        assert len(calls) == (2 if case.sampled else 1)
        if case.sampled:
            subprocess.run([sys.executable, "-c", SPIN])
            time.sleep(0.3)
        return {"cores": np.array(1.0)}
    return work

def build_alone(case, calls=[]):
    return build(case, calls)

def build_on_all(case, calls=[]):
    assert len(os.sched_getaffinity(0)) > 1 or os.cpu_count() == 1
    return build(case, calls)

REPORTS = (Report("toy", Case(), Case(1), (
    Contender("alone", build_alone, instances=lambda case: case.sampled),
    Contender("on all", build_on_all, largest_ratio=0.5, instances=10, whole_machine=True),
), 1e-6, agreement=Case(0), full=Case(5), once=True, note="A sample."),)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_long_work_is_done_once_by_its_own_clock(add_report, capsys):
    add_report(TOY_REPORT)
    assert main(["speed", "toy", "--full", "--output", "speed"]) == 0
    page = capsys.readouterr().out
    assert "Times: of the processor, but of the clock for on all, on all cores, for one instance" in page
    assert "- A sample." in page
    (report,) = json.loads(Path("speed/toy.json").read_text(encoding="utf-8"))
    assert report["case"] == {"sampled": 5}
    alone, on_all = report["timings"]
    assert [len(timing["samples"]) for timing in (alone, on_all)] == [1, 1]
    assert alone["first_call_seconds"] is None
    # The child's time is counted, the sleep is not; on the whole machine it is the other way round.
    assert alone["samples"][0]["process_seconds"] >= 0.1
    assert alone["median_seconds"] == alone["samples"][0]["process_seconds"]
    assert on_all["median_seconds"] == on_all["samples"][0]["wall_seconds"] >= 0.4
    assert on_all["ratio"] == pytest.approx(on_all["median_seconds"] / 10 / (alone["median_seconds"] / 5))
    assert b"toy: on all" in Path("speed/ratios.svg").read_bytes()


@pytest.mark.parametrize("case", [SMALL, replace(SMALL, task="random pixels", instances=1)], ids=lambda case: case.task)
@pytest.mark.filterwarnings("ignore")  # What Lightning has to say of its own defaults is not ours to fix.
def test_trainers_and_bare_loop_come_to_the_same_weights(case):
    bare = build_training(case, fit_bare)()
    assert any(name.endswith("recurrent_map.weight") for name in bare.result)
    for fit in (fit_as_run, fit_as_fit):
        assert largest_difference(build_training(case, fit)().result, bare.result) < 1e-6
    untrained = build_training(replace(case, updates=0, warm_up=1), fit_bare)()
    assert largest_difference(untrained.result, bare.result) > 1e-4


@pytest.mark.parametrize("root", [True, False])
def test_bare_loop_is_torchs_adam_and_clipping_on_each_instance_alone(root):
    networks = [Network(ElmanRNN(2, 3), 4, "last").double() for _ in range(3)]
    ensemble = Ensemble(networks)
    targets = torch.randn(5, 4, dtype=torch.float64) if root else torch.randint(4, (5,))
    inputs = 10 * torch.randn(6, 5, 7, 2, dtype=torch.float64)
    steps: list[None] = []
    train_bare(ensemble, root, [Batch(each, targets, None) for each in inputs], lambda: steps.append(None))
    assert len(steps) == len(inputs)
    for index, network in enumerate(networks):
        optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
        for each in inputs:
            optimizer.zero_grad()
            outputs = network(each)
            loss = (outputs - targets).square().mean().sqrt() if root else torch.nn.CrossEntropyLoss()(outputs, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_NORM)
            optimizer.step()
        for alone, stack in zip(network.parameters(), ensemble.parameters(), strict=True):
            torch.testing.assert_close(stack[index], alone, rtol=0, atol=1e-12)


def test_stopwatch_leaves_the_first_steps_out(monkeypatch):
    for clock, seconds in (("process_time", (1.0, 2.0, 4.0, 8.0)), ("perf_counter", (1.0, 3.0, 9.0, 27.0))):
        monkeypatch.setattr(overhead.time, clock, iter(seconds).__next__)
    watch = Stopwatch(warm_up=2)
    for _ in range(4):
        watch.on_train_batch_end()
    found = watch.measured(Ensemble([torch.nn.Linear(1, 1)]))
    assert found.process_seconds == 6.0
    assert found.wall_seconds == 24.0


def test_suite_is_twelve_different_configurations_that_can_be_sampled():
    (report,) = resolve_name(REPORTS["suite"])
    networks = report.case.networks()
    assert len({json.dumps(spec, sort_keys=True) for spec in networks.values()}) == len(networks) == 12
    plain, command, _ = report.contenders
    assert (plain.instances_of(report.case), command.instances_of(report.case)) == (12, 60)
    assert plain.instances_of(report.full) == 60


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Starting from v1.9.0")
def test_suite_through_the_command_scores_as_in_plain_lightning():
    case = SuiteCase(instances=2, sampled=2, units=4, sequences=8, steps=6, updates=4, evaluated=20)
    found, expected = build_command(case, 2)(), build_plain(case)()
    assert len(expected) == 24
    assert largest_difference(found, expected) < 1e-6
