import math
from collections import Counter

import pytest
import torch

from rnnbench.datamodules import Shakespeare, ShakespeareChunks, WikiText2
from rnnbench.datamodules.real_data import DataMissingError
from rnnbench.datamodules.text_chunks import ALPHABET
from rnnbench.datamodules.vocabulary import read_vocabulary, token_numbers
from tests.datamodules.small_texts import write_lines


def test_the_vocabulary_is_that_of_the_training_split_alone(text_dir):
    write_lines(text_dir, "train", [" b a <unk> a \n", "", " c a b \n"])
    write_lines(text_dir, "validation", [" d a \n"])
    write_lines(text_dir, "test", [" <unk> c \n"])
    data = WikiText2(vocabulary_size=5, data_dir=str(text_dir), batch_size=2)
    data.setup()
    # <unk> 0; by frequency and spelling: <eos> and a, three times each, b, c.
    tokens = {split: source.tokens.tolist() for split, source in data._sources.items()}
    assert tokens["train"] == [3, 2, 0, 2, 1, 1, 4, 2, 3, 1]
    assert tokens["val"] == [0, 2, 1]
    assert tokens["test"] == [0, 4, 1]


def test_characters_are_kept_as_they_are(text_dir):
    write_lines(text_dir, "train", ["ab\n", "", "b "])
    data = WikiText2("char", vocabulary_size=5, embedding_size=None, data_dir=str(text_dir), batch_size=2)
    write_lines(text_dir, "test", ["aé"])
    data.setup()
    entries = list(read_vocabulary("ab\nb ", None, 5, "here"))
    assert entries[:2] == ["<unk>", "b"]
    assert "".join(entries[i] for i in data._sources["train"].tokens) == "ab\nb "
    assert [entries[i] for i in data._sources["test"].tokens] == ["a", "<unk>"]


def test_the_most_frequent_entries_stay():
    vocabulary = read_vocabulary("aabbbcd", 3, 5, "here")
    assert list(vocabulary) == ["<unk>", "b", "a"]
    assert token_numbers("abcde", vocabulary).tolist() == [2, 1, 0, 0, 0]
    with pytest.raises(ValueError, match="vocabulary_size must be at most 5"):
        read_vocabulary("abcd", 6, 5, "here")
    with pytest.raises(DataMissingError, match=r"vocabulary of here must have 9 entries, .* got 5"):
        read_vocabulary("abcd", None, 9, "here")


def test_training_batches_go_on_where_the_one_before_stopped(text_dir):
    data = Shakespeare(bptt=7, vocabulary_size=20, data_dir=str(text_dir), batch_size=5)
    data.setup()
    tokens = data._sources["train"].tokens
    length = (len(tokens) - 1) // 5
    batches = list(data.train_dataloader())
    assert len(batches) == data.steps_per_epoch() == math.ceil(length / 7)
    inputs, targets = (torch.cat([batch[i] for batch in batches], 1) for i in (0, 1))
    for row in range(5):
        assert torch.equal(inputs[row], tokens[row * length : (row + 1) * length])
        assert torch.equal(targets[row], tokens[row * length + 1 : (row + 1) * length + 1])
    assert all(batch.lengths is None for batch in batches)


def test_chance_is_the_training_splits_frequencies_scored_on_the_test_split(text_dir):
    data = WikiText2(vocabulary_size=12, data_dir=str(text_dir), batch_size=2)
    assert data.task.ranked.chance == pytest.approx(12)
    assert Shakespeare().task.ranked.chance == pytest.approx(math.log2(66))
    data.setup()
    counts = Counter(data._sources["train"].tokens[1:].tolist())
    test = data._sources["test"].tokens[1:].tolist()
    nats = -sum(math.log(counts[token] / sum(counts.values())) for token in test) / len(test)
    assert data.task.ranked.chance == pytest.approx(math.exp(nats))
    assert data.task.metrics[1].chance == pytest.approx(nats)


@pytest.mark.needs_data
def test_real_texts(real_data_dir):
    sizes = {"word": (2_088_628, 217_646, 245_569), "char": (10_754_535, 1_117_594, 1_252_084)}
    for level, expected in sizes.items():
        data = WikiText2(level, data_dir=str(real_data_dir))
        data.check_available()
        assert tuple(len(data._sources[split].tokens) for split in ("train", "val", "test")) == expected
        assert data._sources["train"].tokens.max() == data.task.output_size - 1
    data = Shakespeare(data_dir=str(real_data_dir))
    data.setup()
    assert [len(data._sources[split].tokens) for split in ("train", "val", "test")] == [1_003_788, 55_756, 55_850]
    assert data.task.ranked.chance == pytest.approx(4.850, abs=1e-3)


def test_chunks_begin_anywhere_and_differ_between_epochs(text_dir):
    text = "".join(chr(ord(" ") + i) for i in range(95))
    for split in ("train", "validation", "test"):
        write_lines(text_dir, split, [text], "tiny_shakespeare")
    data = ShakespeareChunks(length=10, train_size=500, data_dir=str(text_dir), batch_size=250)
    data.setup()
    loader = data.train_dataloader()
    epochs = [[batch for batch in loader] for _ in range(2)]
    for inputs, targets, lengths in epochs[0]:
        read = ["".join(ALPHABET[number] for number in row) for row in inputs.tolist()]
        assert all(row in text for row in read)
        assert torch.equal(targets[:, :-1], inputs[:, 1:])
        assert lengths is None
    # Of 85 places, 500 draws miss each with a probability of 0.3 %.
    assert len({tuple(row) for batch in epochs[0] for row in batch.inputs.tolist()}) > 80
    assert not torch.equal(epochs[0][0].inputs, epochs[1][0].inputs)
    test = torch.cat([batch.inputs for batch in data.test_dataloader()])
    assert "".join(ALPHABET[number] for number in test.flatten().tolist()) == text[:90]
    # 94 characters are targets once, and 6 never: they count half.
    assert data.task.ranked.chance == pytest.approx(math.log2(94 + 6 / 2))
    write_lines(text_dir, "test", ["naïve" * 9], "tiny_shakespeare")
    with pytest.raises(DataMissingError, match="printable ASCII characters, got 'ï'"):
        ShakespeareChunks(length=10, data_dir=str(text_dir)).setup()
    write_lines(text_dir, "test", ["short"], "tiny_shakespeare")
    with pytest.raises(DataMissingError, match=r"more than 10 characters \(length\) together, got 5"):
        ShakespeareChunks(length=10, data_dir=str(text_dir)).setup()
