"""How many members a run is given: what is counted on short sequences, against what whole ensembles keep."""

from dataclasses import replace

import pytest
import torch

from rnnbench.benchmark.config.construct import build_data_module, recurrence_factory
from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers import machine, memory
from rnnbench.benchmark.launchers.choice import plan_of
from rnnbench.benchmark.launchers.memory import kept_for_backward, member_bytes, members_that_fit
from rnnbench.benchmark.launchers.plan import LARGEST_ENSEMBLE, make_plan
from rnnbench.benchmark.launchers.suite_run import run_suite
from rnnbench.benchmark.run.job import Job, Member
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import make_network

GIGABYTE = 10**9


def cell(name, **settings):
    return {"class_path": name, "init_args": settings or {"hidden_size": 48}}


CELLS = {
    "LSTM": cell("LSTM"),
    "WCRNN": cell("WCRNN"),
    "loop": cell("CoRNN"),
    "matrix of each step": cell("OrthogonalRNN"),
    "stack of state spaces": cell("StackedRNN", layer=cell("LRU"), num_layers=2),
    "window": cell("FeedForwardTruncation", recurrence=cell("ElmanRNN"), k=10),
}


def experiment(recurrence, task="Adding", batch_size=20, length=60, **recipe):
    config = {
        "task": cell(task, length=length, train_size=100),
        "recurrence": recurrence,
        "training": Recipe(batch_size=batch_size, max_steps=2, **recipe).model_dump(),
        "seed": 0,
    }
    return Experiment("memory", "smoke", task, "network", config, {})


def bytes_kept_by(ensemble, inputs):
    own = {tensor.untyped_storage().data_ptr() for tensor in ensemble.state_dict().values()}
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        ensemble(inputs).square().sum()
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


@pytest.mark.parametrize("task", ["Adding", "DelayedCopy"])
@pytest.mark.parametrize("name", CELLS)
def test_what_is_estimated_is_what_an_ensemble_keeps(name, task):
    one = experiment(CELLS[name], task)
    module, factory = build_data_module(one.config), recurrence_factory(CELLS[name])
    estimated = kept_for_backward(make_network(factory, module.task, 0), module.task)(32, 60)
    ensemble = Ensemble([make_network(factory, module.task, instance) for instance in range(3)])
    found = bytes_kept_by(ensemble, torch.rand(32, 60, module.task.input_size))
    # The scan of a diagonal state space keeps a little more than a linear share of each step.
    assert 3 * estimated == pytest.approx(found, rel=0.15)


def members(one, gigabytes, monkeypatch, **options):
    monkeypatch.setattr(memory, "memory_of_a_run", lambda options: gigabytes * GIGABYTE)
    return members_that_fit(one, build_data_module(one.config), RunOptions(**options))


def test_large_networks_share_a_run_with_fewer(monkeypatch):
    suite = load_suite("table2", "paper")
    small, large = (next(e for e in suite.experiments if e.name == f"sMNIST/{row}") for row in ("LSTM", "UR-LSTM"))
    assert members(small, 8, monkeypatch) == LARGEST_ENSEMBLE
    # Of 1,024 units: the scan keeps about 6 T·B·N numbers, and as much in the backward pass.
    each = 12 * 784 * 128 * 1024 * 4 / GIGABYTE
    assert members(large, 1, monkeypatch) == 1
    assert members(large, 3.3 * each, monkeypatch) == 3
    assert members(large, 3.3 * each / 2, monkeypatch) == 1


def test_what_keeps_less_leaves_room_for_more():
    one = experiment(CELLS["LSTM"], length=2000)
    module = build_data_module(one.config)
    # Else it is an evaluation's 500 sequences that count.
    module.eval_batch_size = 1
    whole = member_bytes(one, module, RunOptions())
    assert member_bytes(one, module, RunOptions(checkpoint_every=20)) < whole / 10
    assert member_bytes(one, module, RunOptions(devices=2)) == pytest.approx(whole / 2, rel=0.05)
    module.eval_batch_size = 1000
    assert member_bytes(one, module, RunOptions()) > 1000 * 2000 * 48 * 4


def test_moments_and_copies_of_the_weights_count():
    one = experiment(cell("GRU", hidden_size=600), batch_size=1, length=2, optimizer="sgd", momentum=0.0)
    module = build_data_module(one.config)
    module.eval_batch_size = 1
    plain = member_bytes(one, module, RunOptions())
    weights = 4 * (3 * 600 * (600 + 2) + 2 * 3 * 600 + 601)
    assert 4 * weights < plain
    for settings, moments in (({"optimizer": "sgd", "momentum": 0.9}, 1), ({"optimizer": "adam", "momentum": 0.9}, 2)):
        other = experiment(cell("GRU", hidden_size=600), batch_size=1, length=2, **settings)
        assert member_bytes(other, module, RunOptions()) - plain == moments * weights


def test_runs_at_a_time_share_the_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(memory, "machine_memory", lambda: 10 * GIGABYTE)
    assert [memory.memory_of_a_run(RunOptions(workers=n)) / GIGABYTE for n in (1, 2, 3)] == [6.0, 3.0, 2.0]
    assert memory.memory_of_a_run(RunOptions(workers=4, devices=2)) == 3 * GIGABYTE
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (1, (80, 40)[index] * GIGABYTE))
    assert memory.memory_of_a_run(RunOptions()) == 24 * GIGABYTE
    assert memory.memory_of_a_run(RunOptions(workers=4)) == 12 * GIGABYTE


def test_a_container_s_limits_are_what_the_machine_has(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_GROUPS", tmp_path)
    monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda process: set(range(8)))
    whole, inner = machine.machine_memory(), tmp_path / "outer" / "inner"
    assert (whole > 2**27, machine.granted_cores()) == (True, 8)
    inner.mkdir(parents=True)
    (tmp_path / "own").write_text("0::/outer/inner\n", encoding="ascii")
    for text, expected in (("max\n", whole), ("1000000\n", 1_000_000), (f"{2 * whole}\n", whole)):
        (inner / "memory.max").write_text(text, encoding="ascii")
        assert machine.machine_memory() == expected
    quotas = ((inner, "max 100000", 8), (inner.parent, "150000 100000", 2), (inner, "20000 100000", 1))
    for place, text, cores in quotas:
        (place / "cpu.max").write_text(f"{text}\n", encoding="ascii")
        assert machine.granted_cores() == cores


def test_a_plan_asks_only_where_it_matters_and_leaves_what_was_begun(tmp_path):
    one = experiment(CELLS["LSTM"])
    asked = []

    def three(wanted):
        asked.append(wanted)
        return 3

    sizes = [len(job.members) for job in make_plan((one,), tuple(range(7)), tmp_path, three).jobs]
    assert (sizes, asked) == ([3, 3, 1], [one])
    make_plan((one,), (0,), tmp_path, three)
    begun = Job(one, tuple(Member(one.points()[0].id, instance) for instance in range(5)), tmp_path)
    begun.save()
    begun.checkpoint.write_bytes(b"")
    (going_on,) = make_plan((one,), tuple(range(5)), tmp_path, three).jobs
    assert going_on.members == begun.members
    assert asked == [one]


SUITE = """
instances: 4
tasks: {ADD8: {class_path: Adding, init_args: {length: 8, train_size: 64, val_size: 20, test_size: 12}}}
networks: {LSTM: {class_path: LSTM, init_args: {hidden_size: 4}}}
training: {batch_size: 16, max_steps: 2}
"""


def test_a_run_is_cut_to_what_fits(tmp_path, monkeypatch, capsys):
    path = tmp_path / "four.yaml"
    path.write_text(SUITE, encoding="utf-8")
    suite, options = load_suite(path), RunOptions(runs_dir=tmp_path / "runs", dry_run=True, workers=1)
    (alone,) = suite.experiments
    each = member_bytes(alone, build_data_module(alone.config), options)
    monkeypatch.setattr(memory, "memory_of_a_run", lambda options: 2.5 * each)
    assert run_suite(suite, options) == 0
    assert capsys.readouterr().out.count("ADD8/LSTM (2 instances)") == 2
    # What only counts records builds no network.
    assert len(plan_of(suite, replace(options, dry_run=False)).jobs) == 1
