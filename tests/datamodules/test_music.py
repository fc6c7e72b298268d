import itertools
import math

import pytest
import torch

from rnnbench.datamodules import Music
from rnnbench.datamodules.loader import bucket_by_length
from rnnbench.datamodules.music import COLLECTIONS
from tests.datamodules.small_texts import write_music

PIECES = [[[21], [], [60, 108]], [[60], [60, 62], [60], [], [21]]]


def load(text_dir, **settings):
    data = Music(data_dir=str(text_dir), **{"batch_size": 2, **settings})
    data.check_available()
    return data


def test_frames_are_predicted_one_step_on(text_dir):
    write_music(text_dir, "test", PIECES)
    (batch,) = load(text_dir).test_dataloader()
    assert batch.lengths.tolist() == [2, 4]
    assert batch.inputs.shape == batch.targets.shape == (2, 4, 88)
    for row, piece in enumerate(PIECES):
        for step, (now, following) in enumerate(itertools.pairwise(piece)):
            for frames, notes in ((batch.inputs, now), (batch.targets, following)):
                assert (frames[row, step].nonzero().flatten() + 21).tolist() == notes
                assert frames[row, step].sum() == len(notes)
    assert not batch.inputs[0, 2:].any()


def test_chance_is_the_training_splits_frequencies_scored_on_the_test_split(text_dir):
    write_music(text_dir, "train", [[[21], [21], [60]], [[60], []]])
    write_music(text_dir, "test", [[[60], [21, 60]]])
    data = load(text_dir)
    # Each key once in the three targets of training; 86 keys never, taken for half a time.
    sounding = -2 * math.log(1 / 3)
    assert data.task.ranked.chance == pytest.approx(sounding - 86 * math.log(1 - 0.5 / 3))
    assert Music().task.ranked.chance == pytest.approx(88 * math.log(2))


def test_every_collection_has_a_name_and_a_longest_piece():
    assert len({Music(name).task.name for name in COLLECTIONS}) == 4
    assert Music(max_frames=9).task.steps == 8


def test_training_is_bucketed_by_length_and_in_another_order_each_epoch(text_dir):
    data = load(text_dir, batch_size=4)
    loader = data.train_dataloader()
    epochs = [list(loader), list(loader)]
    lengths = [[batch.lengths.tolist() for batch in epoch] for epoch in epochs]
    everything = sorted(data._sources["train"].lengths.tolist())
    assert sorted(list(itertools.chain(*lengths[0]))) == sorted(list(itertools.chain(*lengths[1]))) == everything
    assert lengths[0] != lengths[1]
    # 40 pieces fit one pool: cut into batches, they are in order of length.
    batches = sorted(map(sorted, lengths[0]))
    assert list(itertools.chain(*batches)) == everything
    assert lengths[0] != batches


def test_buckets_hold_each_sequence_once_and_a_smaller_batch_is_last():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 100, (1003,), generator=generator)
    order = torch.randperm(1003, generator=generator)
    found = bucket_by_length(order, lengths, 8, generator)
    assert sorted(found.tolist()) == list(range(1003))
    spread = [batch.max() - batch.min() for batch in lengths[found].split(8)]
    unsorted = [batch.max() - batch.min() for batch in lengths[order].split(8)]
    assert sum(spread) < 0.2 * sum(unsorted)
    # Batches of all lengths follow each other.
    means = torch.stack([batch.float().mean() for batch in lengths[found].split(8)])
    assert means.diff().sign().unique().numel() > 1


@pytest.mark.needs_data
def test_real_music(real_data_dir):
    steps = {"jsb_chorales": 13_807, "musedata": 245_202, "nottingham": 176_561, "piano_midi": 75_911}
    for name, frames in steps.items():
        data = Music(name, data_dir=str(real_data_dir), batch_size=4)
        data.check_available()
        train = data._sources["train"]
        assert int(train.lengths.sum()) + len(train) == frames
        longest = max(int(source.lengths.max()) for source in data._sources.values())
        assert longest == data.task.steps
    jsb = Music(data_dir=str(real_data_dir))
    jsb.setup()
    assert jsb.task.ranked.chance == pytest.approx(11.09, abs=0.01)
