import hypothesis
import hypothesis.strategies as st
import pytest
import torch

from rnnbench.datamodules import Adding, DelayedCopy
from rnnbench.datamodules.loader import SequenceLoader
from rnnbench.datamodules.sources import BLOCK, FixedSource, FreshSource


def draw(count, generator):
    inputs = torch.rand(count, 3, 2, generator=generator)
    return inputs, inputs.sum((1, 2))[:, None]


def epoch_of(loader):
    return [(batch.inputs, batch.targets) for batch in loader]


@hypothesis.given(st.lists(st.integers(0, 5 * BLOCK - 1), min_size=1, max_size=40), st.integers(0, 3))
def test_a_fresh_sequence_depends_on_its_index_and_epoch_alone(indices, epoch):
    source = FreshSource(draw, 5 * BLOCK, ("data", "test", 0))
    inputs, targets = source.read(epoch, torch.tensor(indices))
    for row, index in enumerate(indices):
        # From another source, which has nothing left of what this one drew.
        alone = FreshSource(draw, 5 * BLOCK, ("data", "test", 0)).read(epoch, torch.tensor([index]))
        assert all(map(torch.equal, (inputs[row : row + 1], targets[row : row + 1]), alone))


def test_fresh_epochs_differ_and_no_sequence_repeats():
    source = FreshSource(draw, 3 * BLOCK, ("data", "test", 0))
    rows = torch.cat([source.read(epoch, torch.arange(3 * BLOCK))[0].flatten(1) for epoch in range(2)])
    assert len(rows.unique(dim=0)) == 6 * BLOCK


@pytest.mark.parametrize("size", [BLOCK // 4, BLOCK // 3, BLOCK])
def test_reading_in_order_draws_every_block_once(size):
    calls = []

    def counted(count, generator):
        calls.append(count)
        return draw(count, generator)

    epoch_of(SequenceLoader(FreshSource(counted, 4 * BLOCK, ("data",)), size, None))
    assert calls == [BLOCK] * 4


def test_a_device_without_a_share_reads_nothing_of_the_right_shape():
    found = FreshSource(draw, 10, ("data",)).read(0, torch.arange(0))
    assert [part.shape for part in found] == [(0, 3, 2), (0, 1)]


def test_pixels_are_scaled_when_read():
    source = FixedSource(torch.tensor([[[0], [51], [255]]], dtype=torch.uint8), torch.tensor([7]), scale=255.0)
    inputs, targets = source.read(5, torch.tensor([0, 0]))
    assert inputs.dtype == torch.float32
    torch.testing.assert_close(inputs[1, :, 0], torch.tensor([0.0, 0.2, 1.0]))
    assert targets.tolist() == [7, 7]
    assert source.inputs.dtype == torch.uint8


def modules(**settings):
    data = Adding(length=8, **{"val_size": 10, "test_size": 10, **settings})
    data.setup()
    return data


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("world_size", [2, 3])
def test_devices_together_see_the_batches_of_one(fresh, world_size):
    data = modules(train_size=301, batch_size=100, fresh=fresh)
    source, order = data._sources["train"], None if fresh else 0
    for _ in range(2):
        alone = epoch_of(SequenceLoader(source, 100, order))
        shares = [epoch_of(SequenceLoader(source, 100, order, rank, world_size)) for rank in range(world_size)]
        for batch, *parts in zip(alone, *shares, strict=True):
            assert torch.equal(batch[0], torch.cat([part[0] for part in parts]))
            assert torch.equal(batch[1], torch.cat([part[1] for part in parts]))
            assert max(len(part[0]) for part in parts) - min(len(part[0]) for part in parts) <= 1


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("seen", [1, 2, 4])
def test_a_resumed_loader_gives_the_remaining_batches(fresh, seen):
    data = modules(train_size=400, batch_size=100, fresh=fresh)
    undisturbed, interrupted, resumed = (data.train_dataloader() for _ in range(3))
    expected = epoch_of(undisturbed) + epoch_of(undisturbed)

    batches = iter(interrupted)
    for _ in range(seen):
        next(batches)
    resumed.load_state_dict(interrupted.state_dict())
    rest = epoch_of(resumed)
    if len(rest) < 4:  # an epoch that was cut is followed by the next
        rest += epoch_of(resumed)
    assert len(rest) == 8 - seen
    for found, wanted in zip(rest, expected[seen:], strict=True):
        assert all(map(torch.equal, found, wanted))


def test_fixed_training_set_is_the_same_every_epoch_in_another_order():
    loader = modules(train_size=50, batch_size=50, fresh=False).train_dataloader()
    (first, _), (second, _) = epoch_of(loader)[0], epoch_of(loader)[0]
    assert not torch.equal(first, second)
    assert torch.equal(first.flatten(1).unique(dim=0), second.flatten(1).unique(dim=0))


def test_fresh_training_sequences_come_as_they_are_drawn():
    data = modules(train_size=300, batch_size=128)
    loader = data.train_dataloader()
    for epoch in range(2):
        inputs = torch.cat([batch.inputs for batch in loader])
        assert torch.equal(inputs, data._sources["train"].read(epoch, torch.arange(300))[0])


def test_fixed_set_is_the_first_fresh_epoch():
    fixed, fresh = (modules(train_size=300, batch_size=10, fresh=f)._sources["train"] for f in (False, True))
    every = torch.arange(300)
    assert torch.equal(fixed.read(4, every)[0], fresh.read(0, every)[0])


def test_sizes_do_not_change_the_sequences():
    small, large = (modules(train_size=10, batch_size=10, test_size=size) for size in (20, 300))
    assert torch.equal(small._sources["test"].inputs, large._sources["test"].inputs[:20])


def test_splits_seeds_and_tasks_have_streams_of_their_own():
    def first_numbers(data, split):
        data.setup()
        return data._sources[split].read(0, torch.arange(10))[0][:, 0, 0]

    sizes = {"train_size": 10, "val_size": 10, "test_size": 10, "batch_size": 10}
    streams = [first_numbers(Adding(8, seed=seed, **sizes), s) for seed in (0, 1) for s in ("train", "val", "test")]
    streams.append(first_numbers(DelayedCopy(1, 2, 8, **sizes), "train"))
    assert len(torch.stack(streams).unique(dim=0)) == 7


def test_the_fingerprint_covers_targets_and_sizes():
    data = modules(train_size=10, batch_size=10, fresh=False)
    before = data.fingerprint()
    assert modules(train_size=10, batch_size=10, fresh=False).fingerprint() == before
    assert modules(train_size=10, batch_size=10, test_size=11).fingerprint() != before
    data._sources["val"].targets[3] += 1
    assert data.fingerprint() != before
