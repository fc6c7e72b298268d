"""Small made texts, music and requests in the layout of the real ones."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rnnbench.datamodules.slot_filling import LABELS

SIZES = {"train": 40, "validation": 8, "test": 8}
WORDS = [f"word{i}" for i in range(30)]
COLLECTIONS = ("jsb_chorales", "musedata", "nottingham", "piano_midi")
NOTES = pa.list_(pa.list_(pa.int32()))
STRINGS = pa.list_(pa.string())


def write(folder: Path, name: str, split: str, **columns: pa.Array) -> Path:
    """Write one file."""
    path = folder / name / f"{split}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def write_music(folder: Path, split: str, pieces: list[Any], collection: str = "jsb_chorales") -> Path:
    return write(folder, f"music/{collection}", split, notes=pa.array(pieces, NOTES))


def write_requests(folder: Path, split: str, rows: list[tuple[list[str], list[str]]]) -> Path:
    tokens, tags = ([row[i] for row in rows] for i in (0, 1))
    return write(folder, "atis", split, tokens=pa.array(tokens, STRINGS), tags=pa.array(tags, STRINGS))


def write_lines(folder: Path, split: str, lines: list[str], name: str = "wikitext-2-v1") -> Path:
    return write(folder, name, split, text=pa.array(lines, pa.string()))


def draw_piece(generator: random.Random) -> list[list[int]]:
    frames = range(generator.randint(4, 12))
    return [sorted(generator.sample(range(21, 109), generator.randint(0, 4))) for _ in frames]


def draw_request(generator: random.Random) -> tuple[list[str], list[str]]:
    words = [generator.choice(WORDS) for _ in range(generator.randint(5, 9))]
    # A word of a number below ten fills the slot of that number.
    return words, [LABELS[int(word[4:]) + 1] if len(word) == 5 else "O" for word in words]


def draw_line(generator: random.Random) -> str:
    words = [generator.choice(WORDS) for _ in range(generator.randint(0, 9))]
    return f" {' '.join(words)} \n" if words else ""


def write_texts(folder: Path) -> Path:
    """Write all of them, with all their splits, and return the folder."""
    for split, size in SIZES.items():
        generator = random.Random(split)  # noqa: S311
        for collection in COLLECTIONS:
            write_music(folder, split, [draw_piece(generator) for _ in range(size)], collection)
        write_requests(folder, split, [draw_request(generator) for _ in range(size)])
        write_lines(folder, split, [draw_line(generator) for _ in range(2 * size)])
        text = "".join(generator.choice("abcdefghijklmnopqrstuvwxyz \n") for _ in range(12 * size))
        write_lines(folder, split, [text], "tiny_shakespeare")
    return folder


def write_published_vocabularies(folder: Path) -> Path:
    """Write small ones whose training splits have as many different words and characters as the real ones."""
    write_texts(folder)
    words = [f"word{i}" for i in range(867)]
    rows = [words[start : start + 9] for start in range(0, len(words), 9)]
    write_requests(folder, "train", [(row, ["O"] * len(row)) for row in rows])
    characters = "".join(chr(ord("!") + i) for i in range(65))
    write_lines(folder, "train", [characters * 30], "tiny_shakespeare")
    return folder
