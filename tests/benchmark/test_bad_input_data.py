"""Bad data of language, music and slot filling, given to the command line: file, row and what is expected, in time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from rnnbench.benchmark.command.cli import main
from tests.datamodules.small_texts import (
    NOTES,
    STRINGS,
    write,
    write_lines,
    write_music,
    write_requests,
    write_texts,
)

ROOT = Path(__file__).parents[2]
SUITE = """title: Mine
tasks:
  Music: {class_path: Music, init_args: {max_frames: 20}}
  ATIS: {class_path: ATIS, init_args: {vocabulary_size: 20, max_length: 9, embedding_size: 4}}
  Words: {class_path: WikiText2, init_args: {vocabulary_size: 20, embedding_size: 4, bptt: 5}}
  Chars: {class_path: Shakespeare, init_args: {vocabulary_size: 20, bptt: 5}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 3}}
training: {learning_rate: 1e-3, batch_size: 4, max_steps: 3, validate_every: 2}
"""
TRAIN, TEST = "train", "test"
PIECE = [[60], [62, 64], []]


def music(split: str, pieces: list) -> object:
    return lambda folder: write_music(folder, split, pieces)


def requests(split: str, *rows: tuple[list, list]) -> object:
    return lambda folder: write_requests(folder, split, list(rows))


# name: (task, what is written over good data, fragments of the message)
BAD = {
    "missing column": (
        "Music",
        lambda folder: write(folder, "music/jsb_chorales", TRAIN, pieces=pa.array([PIECE], NOTES)),
        ["jsb_chorales/train.parquet: there must be one column 'notes', got pieces"],
    ),
    "missing tags": (
        "ATIS",
        lambda folder: write(folder, "atis", TEST, tokens=pa.array([["to"]], STRINGS)),
        ["atis/test.parquet: there must be one column 'tags', got tokens"],
    ),
    "wrong type of notes": (
        "Music",
        lambda folder: write(folder, "music/jsb_chorales", TEST, notes=pa.array([[60, 62]], pa.list_(pa.int32()))),
        ["test.parquet: column 'notes' must hold a list of notes a step", "got list<"],
    ),
    "wrong type of tokens": (
        "ATIS",
        lambda folder: write(folder, "atis", TRAIN, tokens=pa.array(["to"]), tags=pa.array([["O"]], STRINGS)),
        ["train.parquet: column 'tokens' must hold lists of words", "got string"],
    ),
    "wrong type of text": (
        "Words",
        lambda folder: write(folder, "wikitext-2-v1", TRAIN, text=pa.array([1, 2])),
        ["train.parquet: column 'text' must hold text (strings), got int64"],
    ),
    "empty split of music": ("Music", music(TRAIN, []), ["train.parquet is empty"]),
    "empty split of requests": ("ATIS", requests("validation"), ["validation.parquet is empty"]),
    "empty split of text": ("Words", lambda folder: write_lines(folder, TEST, []), ["test.parquet is empty"]),
    "missing file": (
        "Chars",
        lambda folder: (folder / "tiny_shakespeare/validation.parquet").unlink(),
        ["tiny_shakespeare/validation.parquet does not exist", "give data_dir or RNNBENCH_DATA a folder"],
    ),
    "note too high": (
        "Music",
        music(TEST, [PIECE, [[60], [62, 109]]]),
        ["row 1 of", "test.parquet, frame 1: notes must be MIDI numbers from 21 to 108, got 109"],
    ),
    "note too low": ("Music", music(TRAIN, [[[20], [60]]]), ["row 0 of", "train.parquet, frame 0", "got 20"]),
    "frame without a list": ("Music", music(TRAIN, [[[60], None]]), ["row 0 of", "frame 1, must be a list of notes"]),
    "note that is nothing": ("Music", music(TRAIN, [[[60], [None]]]), ["row 0 of", "frame 1", "got None"]),
    "tags of another number": (
        "ATIS",
        requests(TRAIN, (["to"], ["O"]), (["fly", "to"], ["O"])),
        ["row 1 of", "atis/train.parquet must have one tag a token", "2 tokens and 1 tags"],
    ),
    "unknown tag": (
        "ATIS",
        requests(TEST, (["to"], ["B-nowhere"])),
        ["row 0 of", "test.parquet: the tag of token 0 must be one of ATIS's 127, got 'B-nowhere'"],
    ),
    "missing word": ("ATIS", requests(TEST, ([None], ["O"])), ["row 0 of", "token 0 must be a word"]),
    "piece of no frames": ("Music", music(TRAIN, [PIECE, []]), ["row 1 of", "must be a piece of 2 frames", "got 0"]),
    "piece of one frame": ("Music", music(TRAIN, [[[60]]]), ["row 0 of", "one to predict", "got 1"]),
    "sentence of no words": ("ATIS", requests(TRAIN, ([], [])), ["row 0 of", "a sentence of 1 to 9 tokens", "got 0"]),
    "text of one word": (
        "Words",
        lambda folder: write_lines(folder, TEST, [""]),
        ["rows 0 to 0 of", "test.parquet must hold 2 words together", "got 1"],
    ),
    "text of no characters": (
        "Chars",
        lambda folder: write_lines(folder, TRAIN, ["", ""], "tiny_shakespeare"),
        ["rows 0 to 1 of", "train.parquet must hold 2 characters together", "got 0"],
    ),
    "row of nothing": (
        "Words",
        lambda folder: write_lines(folder, TEST, ["a b", None]),
        ["row 1 of", "test.parquet holds nothing in column 'text'"],
    ),
    "piece that is too long": (
        "Music",
        music(TRAIN, [PIECE, [[60]] * 21]),
        ["row 1 of", "to 20 (max_frames), got 21"],
    ),
    "sentence that is too long": (
        "ATIS",
        requests(TRAIN, (["to"] * 10, ["O"] * 10)),
        ["row 0 of", "1 to 9 tokens (max_length), got 10"],
    ),
    "more entries than there are": (
        "Words",
        lambda folder: write_lines(folder, TRAIN, ["a b c d"]),
        ["vocabulary_size must be at most 6, what the training split has, got 20"],
    ),
    "more streams than text": (
        "Chars",
        lambda folder: write_lines(folder, TRAIN, ["abcdefghijklmnopqrs"], "tiny_shakespeare"),
        ["batch_size must be at most 18, the training split's targets, got 40 streams"],
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(SUITE, encoding="utf-8")
    return write_texts(tmp_path / "data")


def run(task: str) -> int:
    return main(f"run mine.yaml --only {task} --data-dir data --runs-dir runs --workers 1".split())


@pytest.mark.parametrize(("task", "spoil", "fragments"), BAD.values(), ids=BAD)
def test_bad_data_are_named_before_training(task, spoil, fragments, folder, tmp_path, capsys) -> None:
    spoil(folder)
    if any("got 40 streams" in fragment for fragment in fragments):
        (tmp_path / "mine.yaml").write_text(SUITE.replace("batch_size: 4", "batch_size: 40"), encoding="utf-8")
    assert run(task) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith("error: suite mine")
    assert "\n" not in message
    assert all(fragment in message for fragment in fragments), message
    assert not list(tmp_path.glob("runs/**/*.json"))


@pytest.mark.parametrize("task", ["Words", "Chars", "ATIS"])
def test_the_published_vocabulary_is_expected(task, folder, tmp_path, capsys) -> None:
    (tmp_path / "mine.yaml").write_text(SUITE.replace("vocabulary_size: 20, ", ""), encoding="utf-8")
    assert run(task) == 2
    message = capsys.readouterr().err
    expected = {"Words": 33278, "Chars": 66, "ATIS": 868}
    assert f"train.parquet must have {expected[task]} entries, the unknown one included" in message
    assert "give vocabulary_size" in message


def test_as_a_user_would_and_unknown_words_are_no_mistake(folder, tmp_path) -> None:
    # A request of one word, and words and characters that no training split holds.
    write_requests(folder, "test", [(["never"], ["O"]), (["seen", "before"], ["B-airline_name", "I-airline_name"])])
    write_lines(folder, "test", ["§ÄÖ"], "tiny_shakespeare")
    command = [sys.executable, "-m", "rnnbench", "run", "mine.yaml", "--data-dir", "data", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True, "check": False}
    result = subprocess.run([*command, "--only", "ATIS", "Chars"], **options)
    assert result.returncode == 0, result.stderr
    assert len(list(tmp_path.glob("runs/**/*.json"))) == 2
    write_music(folder, "test", [[[60], [110]]])
    result = subprocess.run([*command, "--runs-dir", "other"], **options)
    assert result.returncode == 2
    assert "frame 1: notes must be MIDI numbers from 21 to 108, got 110" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "other").exists() or not list(tmp_path.glob("other/**/*.json"))
