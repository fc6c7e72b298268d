"""Families of rows and columns: what ``over`` stands for, and what is refused."""

from pathlib import Path

import pytest

from rnnbench.benchmark.config.suite import Suite, load_suite
from rnnbench.benchmark.errors import UserError

TASK = "{class_path: DelayedCopy, init_args: {delay: 2, width: 1, length: 8}}"
TRAINING = "training: {max_steps: 2, validate_every: 1}"


def suite_of(tmp_path: Path, networks: str, tasks: str = f"{{Copy2: {TASK}}}", more: str = "") -> Suite:
    (tmp_path / "own.yaml").write_text(f"tasks: {tasks}\nnetworks:\n{networks}\n{TRAINING}\n{more}", encoding="utf-8")
    return load_suite(tmp_path / "own.yaml", "cpu")


def test_a_family_is_the_same_suite_as_its_members_by_hand(tmp_path: Path) -> None:
    layer = "{class_path: ElmanRNN, init_args: {hidden_size: %s, time_activation: identity}}"
    stack = "{class_path: StackedRNN, init_args: {layer: %s, num_layers: %s}}"
    by_hand = "\n".join(f"  S-{n}x{size}: {stack % (layer % size, n)}" for n in (1, 2) for size in (4, 6))
    by_hand += "\n  adam-LSTM: {class_path: LSTM, init_args: {hidden_size: 3}}"
    by_hand += "\n  sgd-LSTM: {class_path: LSTM, init_args: {hidden_size: 3}}"
    copies = ", ".join(f"Copy{p}: {TASK.replace('delay: 2', f'delay: {p}')}" for p in (2, 3))
    few = "budgets: {cpu: {networks: [S-1x4, S-2x6, adam-LSTM, sgd-LSTM]}}\noverrides:\n"
    override = "  - {networks: [sgd-LSTM], training: {optimizer: sgd}}\n"
    families = """
  "S-{num_layers}x{hidden_size}":
    class_path: StackedRNN
    init_args: {layer: {class_path: ElmanRNN, init_args: {time_activation: identity}}}
    over: {num_layers: [1, 2], layer.init_args.hidden_size: [4, 6]}
  "{optimizer}-LSTM": {class_path: LSTM, init_args: {hidden_size: 3}, over: {training.optimizer: [adam, sgd]}}"""
    task = "{class_path: DelayedCopy, init_args: {width: 1, length: 8}, over: {delay: [2, 3]}}"
    rate = "  - {networks: [S-1x4], training: {learning_rate: 0.5}}\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = suite_of(tmp_path / "a", families, f'{{"Copy{{delay}}": {task}}}', few + rate)
    other = suite_of(tmp_path / "b", by_hand, f"{{{copies}}}", few + override + rate)
    assert [(e.name, e.config) for e in one.experiments] == [(e.name, e.config) for e in other.experiments]
    assert len(one.experiments) == 8


REFUSED = {
    "L: {class_path: LSTM, over: {hidden_size: [3, 4]}}": "the name L must hold {hidden_size}, by which",
    '"L{size}": {class_path: LSTM, over: {hidden_size: [3]}}': "{size} in the name L{size} must be a setting of over",
    '"L{hidden_size}": {class_path: LSTM, over: {hidden_size: 3}}': "over of L{hidden_size} must map settings to lists",
    '"L{hidden_size}": {class_path: LSTM, over: {hidden_size: [3, 3]}}': "must differ, got L3 twice",
    '"L{hiden_size}": {class_path: LSTM, over: {hiden_size: [3]}}': "LSTM has no argument 'hiden_size'",
    '"L{rate}": {class_path: LSTM, over: {training.rate: [1]}}': "unknown setting of training 'rate'",
    f'"L{{hidden_size}}": {{class_path: LSTM, over: {{hidden_size: {list(range(1001))}}}}}': "at most 1,000 members",
}


@pytest.mark.parametrize("written", REFUSED, ids=REFUSED.values())
def test_families_that_are_no_families_are_refused_with_their_line(tmp_path: Path, written: str) -> None:
    with pytest.raises(UserError) as refused:
        suite_of(tmp_path, f"  {written}")
    assert REFUSED[written] in str(refused.value)
    assert "own.yaml, line 3" in str(refused.value)
