"""Tasks on tokens: each by its definition written out, and lengths, padding and labels of all of them."""

import functools
import itertools

import pytest
import torch

from rnnbench import datamodules
from rnnbench.datamodules.loader import SequenceLoader
from rnnbench.datamodules.task import UNLABELLED, Batch
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.objective import training_loss
from rnnbench.lit_models.recurrences.gated import LSTM

SHORT = {"train_lengths": (16, 24), "val_lengths": (16, 24), "test_lengths": (17, 24)}


def prefixes(rule):
    """The labels of every prefix by a rule of it."""
    return lambda data, tokens, _: [rule(data, tokens[: t + 1]) for t in range(len(tokens))]


def value(data, tokens):
    if len(tokens) % 2 == 0:
        return None
    terms = [tokens[0]]
    for operator, residue in zip(tokens[1::2], tokens[2::2], strict=True):
        symbol = data.operators[operator - data.modulus]
        if symbol == "*":
            terms[-1] *= residue
        else:
            terms.append(residue if symbol == "+" else -residue)
    return sum(terms) % data.modulus


def product(data, tokens):
    """Follow each point through the permutations, the first one first."""
    images = range(len(data.elements[0]))
    for token in tokens:
        images = [data.elements[token][image] for image in images]
    return data.elements.index(tuple(images))


def innermost(data, tokens):
    stack = []
    for token in tokens:
        if token < data.kinds:
            stack.append(token)
        else:
            assert stack.pop() == token - data.kinds
        assert len(stack) <= data.depth
    return stack[-1] if stack else data.kinds


def last_written(data, tokens, _):
    memory, labels = None, []
    for instruction, bit in zip(tokens[::2], tokens[1::2], strict=True):
        memory = bit if instruction == 2 else memory
        labels += [memory if instruction == 4 else None, None]
        assert instruction != 4 or bit == memory
    assert (tokens[0], tokens[-2]) == (2, 4)
    return labels


def scattered(data, tokens, _):
    symbols = [token for token in tokens[: -data.count] if token != data.classes]
    assert (len(symbols), set(tokens[-data.count :])) == (data.count, {data.classes + 1})
    return [None] * (len(tokens) - data.count) + symbols


def after_the_mark(data, tokens, _):
    first = tokens.index(data.classes)
    assert (tokens.count(data.classes), tokens[-1]) == (2, data.classes)
    assert first < len(tokens) - 2
    return [None] * (len(tokens) - 1) + [tokens[first + 1]]


def recalled(data, tokens, labels):
    context = 2 * data.pairs
    memory = dict(zip(tokens[:context:2], tokens[1:context:2], strict=True))
    assert len(memory) == len(set(memory.values())) == data.pairs
    assert max(memory) < data.keys <= min(memory.values())
    queries = [t for t, label in enumerate(labels) if label is not None]
    assert sorted(tokens[t] for t in queries) == sorted(memory)
    assert set(queries) <= {*range(context, len(tokens), 2)}
    return [memory[tokens[t]] - data.keys if t in queries else None for t in range(len(tokens))]


# task: (settings, its labels by hand)
TASKS = {
    "ParityCheck": ({}, prefixes(lambda _, tokens: tokens.count(1) % 2)),
    "EvenPairs": ({}, prefixes(lambda _, tokens: sum(a != b for a, b in itertools.pairwise(tokens)) % 2)),
    "CycleNavigation": ({}, prefixes(lambda data, tokens: (tokens.count(2) - tokens.count(0)) % data.cycle)),
    "ModularArithmetic": ({}, prefixes(value)),
    "GroupWord": ({"group": "A4xZ5"}, prefixes(product)),
    "Dyck": ({"kinds": 3, "depth": 3}, prefixes(innermost)),
    "FlipFlop": ({"ignore": 0.5}, last_written),
    "SelectiveCopy": ({}, scattered),
    "InductionHeads": ({}, after_the_mark),
    "AssociativeRecall": ({"pairs": 3, "keys": 5, "values": 4}, recalled),
}
BOTH = ("ParityCheck", "EvenPairs", "CycleNavigation", "ModularArithmetic", "GroupWord", "Dyck")
for_all = pytest.mark.parametrize("name", TASKS)


def build(name, **settings):
    labels = {"labels": "every"} if name in BOTH else {}
    data = getattr(datamodules, name)(**{**SHORT, **TASKS[name][0], **labels, "batch_size": 16, **settings})
    data.setup()
    return data


@for_all
def test_labels_are_those_of_the_definition(name):
    data = build(name, train_size=16, test_size=1000)
    inputs, targets, lengths = data._sources["test"].read(0, torch.arange(1000))
    assert {*lengths.tolist()} == {*data.nearest(torch.arange(17, 25)).tolist()}
    for tokens, found, length in zip(inputs.tolist(), targets.tolist(), lengths.tolist(), strict=True):
        if data.readout == "last":
            found = [UNLABELLED] * (length - 1) + [found]
        labels = [None if label == UNLABELLED else label for label in found]
        assert labels[:length] == TASKS[name][1](data, tokens[:length], labels[:length])
        assert {*tokens[length:], *labels[length:]} <= {0, None}


@pytest.mark.parametrize("name", BOTH)
def test_the_label_at_the_end_is_the_last_of_those_at_every_step(name):
    every, last = (build(name, train_size=300, labels=labels) for labels in ("every", "last"))
    assert (every.task.readout, last.task.readout, last.task.loss_steps) == ("every", "last", None)
    inputs, targets, lengths = every.draw_split("train")
    assert torch.equal(targets.gather(1, lengths[:, None] - 1)[:, 0], last.draw_split("train")[1])
    assert torch.equal(inputs, last.draw_split("train")[0])


@pytest.mark.parametrize("name", ["ParityCheck", "EvenPairs", "CycleNavigation", "ModularArithmetic", "GroupWord"])
def test_chances_are_those_of_all_sequences(name):
    data = build(name, train_size=16) if name != "GroupWord" else datamodules.GroupWord("S3")
    steps, symbols = 5, range(data.tokens.vocabulary_size)
    kinds = [symbols] * steps
    if name == "ModularArithmetic":
        kinds = [symbols[: data.modulus] if t % 2 == 0 else symbols[data.modulus :] for t in range(steps)]
    found = data.label(torch.tensor([*itertools.product(*kinds)]))
    counted = torch.stack([(found == k).double().mean(0) for k in range(data.classes)], 1)
    torch.testing.assert_close(data.chances(steps), counted, rtol=1e-12, atol=1e-12)


def test_chance_weighs_steps_as_often_as_they_are_scored():
    """Places after 1, 2 and 3 steps of a random walk on a circle of 5: at best 3/9, 3/9 and 7/27 of all paths."""
    circle = functools.partial(datamodules.CycleNavigation, test_lengths=(1, 3))
    last, every = circle().task.ranked.chance, circle(labels="every").task.ranked.chance
    # Place 0 at the end of a third each: 1/3, 1/3 and 7/27.
    assert last == pytest.approx((1 / 3 + 1 / 3 + 7 / 27) / 3)
    assert every == pytest.approx((3 * 1 / 3 + 2 * 1 / 3 + 7 / 27) / 6)


@pytest.mark.parametrize("lengths_per", ["sequence", "batch"])
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("name", ["GroupWord", "InductionHeads"])
def test_data_do_not_depend_on_devices(name, fresh, lengths_per):
    data = build(name, train_size=300, batch_size=100, fresh=fresh, lengths_per=lengths_per)
    whole = data.train_dataloader()
    parts = [SequenceLoader(whole.source, 100, whole.order_seed, rank, 3) for rank in range(3)]
    for _ in range(2):
        for batch, *shared in zip(whole, *parts, strict=True):
            assert not fresh or lengths_per == "sequence" or len(batch.lengths.unique()) == 1
            for place, rows in enumerate(torch.arange(100).tensor_split([33, 66])):
                for expected, found in zip(batch, shared[place], strict=True):
                    expected = expected[rows]
                    assert torch.equal(expected[:, : found.shape[1]] if found.dim() > 1 else expected, found)


@for_all
def test_padding_changes_no_loss_and_no_score(name):
    data = build(name, train_size=16, val_size=8)
    model = LitSequenceModel(functools.partial(LSTM, hidden_size=4), data.task).double()
    inputs, targets, lengths = data._sources["val"].read(0, torch.arange(8))
    assert lengths.min() < lengths.max()
    padded = torch.randint(data.tokens.vocabulary_size, (8, inputs.shape[1] + 5))
    inside = torch.arange(padded.shape[1]) < lengths[:, None]
    padded[inside] = inputs[torch.arange(inputs.shape[1]) < lengths[:, None]]
    every = targets.dim() == 2
    more = torch.nn.functional.pad(targets, (0, 5), value=UNLABELLED) if every else targets
    whole = Batch(inputs, targets, lengths), Batch(padded, more, lengths)
    losses = [training_loss(data.task, model(one.inputs, one.lengths), one)[0] for one in whole]
    torch.testing.assert_close(*losses)
    rows = zip(inputs.split(1), targets.split(1), lengths.tolist(), strict=True)
    alone = [Batch(tokens[:, :n], target[:, :n] if every else target) for tokens, target, n in rows]
    counts = torch.tensor([int((one.targets != UNLABELLED).sum()) for one in alone], dtype=torch.float64)
    single = torch.stack([training_loss(data.task, model(one.inputs), one)[0] for one in alone])[:, 0]
    torch.testing.assert_close((single @ counts / counts.sum()).unsqueeze(0), losses[0])


@for_all
def test_other_lengths_and_sequences_to_measure_on(name):
    data = build(name, train_size=16, test_size=20)
    task, batch = data.at_length(40, 3)
    assert (task.steps, batch.lengths) == (batch.inputs.shape[1], None)
    assert task.steps in (39, 40)
    measured = data.samples("test", 5)
    assert (measured.inputs.shape, measured.lengths) == ((5, data.lengths.test[1]), None)
    assert all(torch.equal(*pair) for pair in zip(measured[:2], data.samples("test", 5)[:2], strict=True))
    with pytest.raises(ValueError, match="samples must be from 1 to 20"):
        data.samples("test", 21)
    with pytest.raises(ValueError, match=r"lengths\[0\] must be at least|must be at least 1, got 0"):
        data.at_length(0, 3)


def test_equal_lengths_are_batches_without_lengths():
    data = build("ParityCheck", train_size=16, train_lengths=(20, 20), val_lengths=(20, 20), test_lengths=(20, 20))
    assert {batch.lengths for loader in (data.train_dataloader(), *data.val_dataloader()) for batch in loader} == {None}
    assert (data.task.lengths, data.task.steps) == (None, 20)


# task, argument, what is given, and what the message says
BAD = (
    ("GroupWord", "group", "S7", "group must have at most 1024 elements"),
    ("GroupWord", "group", "Q8", "group must be S, A or Z with a number"),
    ("GroupWord", "generators", [[0, 2]], "generators must be permutations of 0 to 1"),
    ("GroupWord", "generators", [[*range(2000)]], "generators must be permutations of at most 1024 points"),
    ("GroupWord", "generators", [[1, 0, *range(2, 7)], [*range(1, 7), 0]], "group must have at most 1024 elements"),
    ("ModularArithmetic", "operators", "+/", "unknown operators '/'"),
    ("ModularArithmetic", "operators", "++", "operators must be some of"),
    ("ModularArithmetic", "modulus", 65, "modulus must be at most 64, got 65"),
    ("ParityCheck", "test_lengths", (40, 20), "test_lengths must be the shortest and the longest length"),
    ("SelectiveCopy", "val_lengths", (15, 20), r"val_lengths\[0\] must be at least 16, got 15"),
    ("AssociativeRecall", "keys", 3, "keys must be at least 4, got 3"),
    ("ParityCheck", "labels", "first", "unknown labels 'first'"),
)


@pytest.mark.parametrize(("name", "argument", "given", "message"), BAD)
def test_mistakes_are_named(name, argument, given, message):
    with pytest.raises(ValueError, match=message):
        getattr(datamodules, name)(**{argument: given})
