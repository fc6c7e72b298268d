"""Where real data come from: a folder of Parquet files, or the Hugging Face Hub; through the ``datasets`` library."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

ColumnKind = Literal["image", "class", "text", "words", "notes"]
"""Encoded images (``bytes`` of an image file), class numbers, text, lists of words, or lists of lists of notes."""

HUB_TIMEOUT = 5.0
"""Seconds to wait for the Hub to answer at all. Asked once, before ``datasets`` would retry for half a minute."""


class DataMissingError(ValueError):
    """Real data that cannot be had, or are not what they should be; the message says how to get them."""


@dataclass(frozen=True, eq=False)
class Origin:
    """A data set and where it is found.

    Attributes:
        folder: its folder under ``data_dir``, with one file ``<split>.parquet`` a split.
        hub: its name on the Hugging Face Hub; None where it is not there in this form.
        columns: what each needed column holds (``ColumnKind``).
        splits: names of its splits.
        hub_config: which configuration of the Hub's data set is meant.
    """

    folder: str
    hub: str | None
    columns: dict[str, ColumnKind]
    splits: tuple[str, ...] = ("train", "test")
    hub_config: str | None = None

    @property
    def files(self) -> str:
        """The files of all splits below ``data_dir``, for messages."""
        *first, last = (f"{self.folder}/{split}.parquet" for split in self.splits)
        return f"{', '.join(first)} and {last}"


@dataclass(frozen=True)
class FoundSplit:
    """A split that was found, its columns checked, its rows not read yet.

    Attributes:
        where: path or name, for messages.
        key: changes whenever the data do.
        rows: number of rows, at least 1.
        read: yields its rows as Arrow tables.
    """

    where: str
    key: str
    rows: int
    read: Callable[[], Iterator[pa.Table]]


def find_split(origin: Origin, split: str, data_dir: str | None) -> FoundSplit:
    """Find one split, in ``data_dir``, else in the folder that RNNBENCH_DATA names, else on the Hub.

    A folder is never left for the Hub: what it lacks is an error. Of a folder only the file's footer is read here; from
    the Hub the split is downloaded, if ``datasets`` does not have it yet.

    Raises:
        DataMissingError: no such file; a damaged or empty one; a missing column; or the Hub cannot be reached.
    """
    folder = data_dir or os.environ.get("RNNBENCH_DATA")
    if folder:
        return _in_folder(origin, split, Path(folder).expanduser())
    if origin.hub is None:
        raise DataMissingError(
            f"{origin.folder} is not on the Hugging Face Hub in the form that is needed: give data_dir or "
            f"RNNBENCH_DATA a folder that holds {origin.files} (docs/data.md lists their columns)"
        )
    return _on_hub(origin, split)


def _in_folder(origin: Origin, split: str, folder: Path) -> FoundSplit:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / origin.folder / f"{split}.parquet"
    layout = f"give data_dir or RNNBENCH_DATA a folder that holds {origin.files}"
    if origin.hub:
        layout += f", or leave both out to download {origin.hub} from the Hugging Face Hub"
    try:
        footer, schema, stat = pq.read_metadata(path), pq.read_schema(path), path.stat()
    except FileNotFoundError as error:
        raise DataMissingError(f"{path} does not exist: {layout}") from error
    except (OSError, pa.ArrowException) as error:
        raise DataMissingError(f"{path} cannot be read as Parquet ({error}): {layout}") from error
    _check_columns(origin, schema, footer.num_rows, str(path))
    key = hashlib.sha256(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()[:16]

    def read() -> Iterator[pa.Table]:
        import datasets

        # Streamed, and with a cache that is gone at the end: otherwise datasets first writes a copy of the whole file.
        with tempfile.TemporaryDirectory() as cache:
            rows = datasets.load_dataset(
                "parquet", data_files={split: str(path)}, split=split, streaming=True, cache_dir=cache
            )
            yield from _tables(origin, rows)

    return FoundSplit(str(path), key, footer.num_rows, read)


def _on_hub(origin: Origin, split: str) -> FoundSplit:
    import datasets
    from huggingface_hub import HfApi

    where = f"{origin.hub} ({split}) of the Hugging Face Hub"
    advice = (
        f"connect to the network once, or give data_dir (or the environment's RNNBENCH_DATA) a folder that holds "
        f"{origin.files}"
    )
    revision = None
    try:
        if not datasets.config.HF_HUB_OFFLINE:
            revision = HfApi().dataset_info(origin.hub, timeout=HUB_TIMEOUT).sha
        # Offline by choice: what datasets has kept from an earlier download will do.
        configuration = [origin.hub_config] if origin.hub_config else []
        rows = datasets.load_dataset(origin.hub, *configuration, split=split, revision=revision)
    except Exception as error:  # the Hub's client raises another library's errors, a different one each major version
        raise DataMissingError(f"{where} cannot be had ({type(error).__name__}: {error}): {advice}") from error
    _check_columns(origin, rows.features.arrow_schema, len(rows), where)
    return FoundSplit(where, f"hub-{revision or rows._fingerprint}", len(rows), lambda: _tables(origin, rows))


def _tables(origin: Origin, rows: datasets.Dataset | datasets.IterableDataset) -> Iterator[pa.Table]:
    import datasets

    rows = rows.select_columns(list(origin.columns))
    for name, kind in origin.columns.items():
        if kind == "image":  # decoded by us, all at once, not row by row
            rows = rows.cast_column(name, datasets.Image(decode=False))
    return rows.with_format("arrow").iter(batch_size=1000)


def _check_columns(origin: Origin, schema: pa.Schema, rows: int, where: str) -> None:
    import pyarrow as pa

    def is_image(kind: pa.DataType) -> bool:
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)

    def is_text(kind: pa.DataType) -> bool:
        return pa.types.is_string(kind) or pa.types.is_large_string(kind)

    def list_of(inner: Callable[[pa.DataType], bool]) -> Callable[[pa.DataType], bool]:
        return lambda kind: (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and inner(kind.value_type)

    expected = {
        "image": (is_image, "encoded images (binary, or a struct with a binary field 'bytes')"),
        "class": (pa.types.is_integer, "class numbers (integers)"),
        "text": (is_text, "text (strings)"),
        "words": (list_of(is_text), "lists of words (lists of strings)"),
        "notes": (list_of(list_of(pa.types.is_integer)), "a list of notes a step (lists of lists of integers)"),
    }
    for name, kind in origin.columns.items():
        if name not in schema.names:
            raise DataMissingError(f"{where} has no column '{name}': it has {', '.join(schema.names) or 'none'}")
        accepts, what = expected[kind]
        if not accepts(schema.field(name).type):
            raise DataMissingError(f"column '{name}' of {where} is {schema.field(name).type}: it should hold {what}")
    if rows == 0:
        raise DataMissingError(f"{where} is empty")


def read_rows(origin: Origin, split: str, data_dir: str | None) -> tuple[list[tuple[Any, ...]], str]:
    """Return all rows of a split as plain Python values, one entry a column, and where they came from.

    Raises:
        DataMissingError: as ``find_split``, or a row holds nothing in a column; the message names the row.
    """
    found = find_split(origin, split, data_dir)
    rows: list[tuple[Any, ...]] = []
    for table in found.read():
        rows += zip(*(table.column(name).to_pylist() for name in origin.columns), strict=True)
    for number, row in enumerate(rows):
        for name, value in zip(origin.columns, row, strict=True):
            if value is None:
                raise DataMissingError(f"row {number} of {found.where} holds nothing in column '{name}'")
    return rows, found.where
