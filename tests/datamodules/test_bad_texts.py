"""Bad data of language, music and slot filling: refused before training, with file, row and rule, in one line."""

import pyarrow as pa
import pytest

from rnnbench.datamodules import ATIS, Music, Shakespeare, WikiText2
from tests.datamodules.small_texts import NOTES, STRINGS, write, write_lines, write_music, write_requests, write_texts

TASKS = {
    "Music": (Music, {"max_frames": 20, "batch_size": 4}),
    "ATIS": (ATIS, {"vocabulary_size": 20, "max_length": 9, "batch_size": 4}),
    "Words": (WikiText2, {"vocabulary_size": 20, "bptt": 5, "batch_size": 4}),
    "Chars": (Shakespeare, {"vocabulary_size": 20, "bptt": 5, "batch_size": 40}),
}
TRAIN, VALIDATION, TEST = "train", "validation", "test"
PIECE = [[60], [62, 64], []]


def column(name, split, **columns):
    return lambda folder: write(folder, name, split, **columns)


def rows_of(write_rows, *name):
    return lambda split, *rows: lambda folder: write_rows(folder, split, list(rows), *name)


music, requests, words = map(rows_of, (write_music, write_requests, write_lines))
chars = rows_of(write_lines, "tiny_shakespeare")
# name: (task, what is written over good data, the message)
BAD = {
    "missing column": (
        "Music",
        column("music/jsb_chorales", TRAIN, pieces=pa.array([PIECE], NOTES)),
        "jsb_chorales/train.parquet: there must be one column 'notes', got pieces",
    ),
    "missing tags": (
        "ATIS",
        column("atis", TEST, tokens=pa.array([["to"]], STRINGS)),
        "atis/test.parquet: there must be one column 'tags', got tokens",
    ),
    "wrong type of notes": (
        "Music",
        column("music/jsb_chorales", TEST, notes=pa.array([[60, 62]], pa.list_(pa.int32()))),
        "test.parquet: column 'notes' must hold a list of notes a step .*, got list<",
    ),
    "wrong type of tokens": (
        "ATIS",
        column("atis", TRAIN, tokens=pa.array(["to"]), tags=pa.array([["O"]], STRINGS)),
        "train.parquet: column 'tokens' must hold lists of words .*, got string",
    ),
    "wrong type of text": (
        "Words",
        column("wikitext-2-v1", TRAIN, text=pa.array([1, 2])),
        r"train.parquet: column 'text' must hold text \(strings\), got int64",
    ),
    "no piece": ("Music", music(TRAIN), "train.parquet is empty"),
    "no request": ("ATIS", requests(VALIDATION), "validation.parquet is empty"),
    "no line": ("Words", words(TEST), "test.parquet is empty"),
    "missing file": (
        "Chars",
        lambda folder: (folder / "tiny_shakespeare/validation.parquet").unlink(),
        "tiny_shakespeare/validation.parquet does not exist: give data_dir or RNNBENCH_DATA a folder",
    ),
    "note too high": (
        "Music",
        music(TEST, PIECE, [[60], [62, 109]]),
        "row 1 of .*test.parquet, frame 1: notes must be MIDI numbers from 21 to 108, got 109",
    ),
    "note too low": (
        "Music",
        music(TRAIN, [[20], [60]]),
        "row 0 of .*train.parquet, frame 0: notes must be .*, got 20",
    ),
    "frame of nothing": ("Music", music(TRAIN, [[60], None]), "row 0 of .*, frame 1, must be a list of notes"),
    "note of nothing": ("Music", music(TRAIN, [[60], [None]]), "row 0 of .*, frame 1: notes must be .*, got None"),
    "piece of no frames": ("Music", music(TRAIN, PIECE, []), "row 1 of .* must be a piece of 2 frames, .*, got 0"),
    "piece of one frame": ("Music", music(TRAIN, [[60]]), "row 0 of .*, one to read and one to predict, .*, got 1"),
    "piece too long": ("Music", music(TRAIN, PIECE, [[60]] * 21), r"row 1 of .* to 20 \(max_frames\), got 21"),
    "tags of another number": (
        "ATIS",
        requests(TRAIN, (["to"], ["O"]), (["fly", "to"], ["O"])),
        "row 1 of .*atis/train.parquet must have one tag a token, got 2 tokens and 1 tags",
    ),
    "unknown tag": (
        "ATIS",
        requests(TEST, (["to"], ["B-nowhere"])),
        "row 0 of .*test.parquet: the tag of token 0 must be one of ATIS's 127, got 'B-nowhere'",
    ),
    "missing word": ("ATIS", requests(TEST, ([None], ["O"])), "row 0 of .*: token 0 must be a word, got None"),
    "no words": ("ATIS", requests(TRAIN, ([], [])), r"row 0 of .* a sentence of 1 to 9 tokens \(max_length\), got 0"),
    "too many words": ("ATIS", requests(TRAIN, (["to"] * 10, ["O"] * 10)), "row 0 of .* of 1 to 9 tokens .*, got 10"),
    "text of one word": (
        "Words",
        words(TEST, ""),
        "rows 0 to 0 of .*test.parquet must hold 2 words together, .*, got 1",
    ),
    "no characters": ("Chars", chars(TRAIN, "", ""), "rows 0 to 1 of .*train.parquet must hold 2 char.*, got 0"),
    "row of nothing": ("Words", words(TEST, "a b", None), "row 1 of .*test.parquet holds nothing in column 'text'"),
    "few entries": ("Words", words(TRAIN, "a b c d"), "vocabulary_size must be at most 6, what .* has, got 20"),
    "few targets": ("Chars", chars(TRAIN, "abcdefghijklmnopqrs"), "batch_size must be at most 18, .*, got 40 streams"),
}


@pytest.mark.parametrize(("task", "spoil", "message"), BAD.values(), ids=BAD)
def test_bad_data_are_named_before_training(task, spoil, message, tmp_path):
    folder = write_texts(tmp_path)
    spoil(folder)
    cls, settings = TASKS[task]
    with pytest.raises(ValueError, match=message) as error:
        cls(data_dir=str(folder), **settings).check_available()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("task", "entries"), [("Words", 33278), ("Chars", 66), ("ATIS", 868)])
def test_the_published_vocabulary_is_expected(task, entries, tmp_path):
    cls, settings = TASKS[task]
    data = cls(data_dir=str(write_texts(tmp_path)), **{**settings, "vocabulary_size": None})
    with pytest.raises(ValueError, match=f"train.parquet must have {entries} entries, .*: give vocabulary_size"):
        data.check_available()
