"""Where real data come from: a folder of Parquet files, or the Hugging Face Hub."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.datamodules.parquet_columns import ColumnKind, column_mistake

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

logger = logging.getLogger(__name__)

SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Names of the files of data sets that come with all three splits."""
HUB_TIMEOUT = 5.0
"""Seconds to wait for the Hub to answer at all. Asked once, before ``datasets`` would retry for half a minute."""


class DataMissingError(ValueError):
    """Real data that are not there, or that break a rule; the message says which, and how to get them."""


@dataclass(frozen=True, eq=False)
class Origin:
    """A data set and where it is found.

    Attributes:
        folder: its folder under ``data_dir``, with one file ``<split>.parquet`` a split.
        hub: its name on the Hugging Face Hub; None where it is not there in this form.
        columns: what each needed column holds (``ColumnKind``).
        rows: of each split the published number of rows (others are warned of), or None where any will do.
        hub_config: which configuration of the Hub's data set is meant.
    """

    folder: str
    hub: str | None
    columns: dict[str, ColumnKind]
    rows: Mapping[str, int | None]
    hub_config: str | None = None

    @property
    def files(self) -> str:
        """The files of all splits below ``data_dir``, for messages."""
        *first, last = (f"{self.folder}/{split}.parquet" for split in self.rows)
        return f"{', '.join(first)} and {last}"


@dataclass(frozen=True, eq=False)
class FoundSplit:
    """A split that was found, its columns checked, its rows not read yet. Equal to another one that holds the same.

    Attributes:
        where: path or name, for messages.
        size: number of rows, at least 1.
        columns: names of the columns that are read.
        tables: yields its rows as Arrow tables.
        identify: returns a text that differs for different data; it may read the whole file, once.
    """

    where: str
    size: int
    columns: tuple[str, ...]
    tables: Callable[[], Iterator[pa.Table]] = field(repr=False)
    identify: Callable[[], str] = field(repr=False)

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same data."""
        return isinstance(other, FoundSplit) and self.identify() == other.identify()

    def __hash__(self) -> int:
        """Return a hash of the data."""
        return hash(self.identify())

    def values(self) -> list[tuple[Any, ...]]:
        """Return all rows as plain Python values, one entry a column; refuse a row that holds nothing in one."""
        rows: list[tuple[Any, ...]] = []
        for table in self.tables():
            rows += zip(*(table.column(name).to_pylist() for name in self.columns), strict=True)
        for number, row in enumerate(rows):
            if None in row:
                column = self.columns[row.index(None)]
                raise DataMissingError(f"row {number} of {self.where} holds nothing in column '{column}'")
        return rows


def find_splits(origin: Origin, data_dir: str | None) -> tuple[FoundSplit, ...]:
    """Find all splits, in the order of ``origin.rows``; see ``find_split``."""
    return tuple(find_split(origin, split, data_dir) for split in origin.rows)


def find_split(origin: Origin, split: str, data_dir: str | None) -> FoundSplit:
    """Find one split, in ``data_dir``, else in the folder that RNNBENCH_DATA names, else on the Hub.

    A folder is never left for the Hub: what it lacks is an error. Of a folder only the file's footer is read here; from
    the Hub the split is downloaded, if ``datasets`` does not have it yet.

    Raises:
        DataMissingError: no such file; a damaged or empty one; a missing column; or the Hub cannot be reached.
    """
    folder = data_folder(data_dir)
    if folder is None and origin.hub is None:
        raise DataMissingError(
            f"{origin.folder} is not on the Hugging Face Hub in the form that is needed: give data_dir or "
            f"RNNBENCH_DATA a folder that holds {origin.files} (docs/data.md says with which columns)"
        )
    found = _on_hub(origin, split) if folder is None else _in_folder(origin, split, folder)
    published = origin.rows[split]
    if published is not None and found.size != published:
        _warn_once(f"{found.where} has {found.size} rows, not the published {published}: scores are not comparable")
    return found


def data_folder(data_dir: str | None) -> Path | None:
    """Return the folder that ``data_dir``, else RNNBENCH_DATA names unless it is empty; None if neither does.

    Raises:
        DataMissingError: the name is empty, a file, or needs a home directory that does not exist.
    """
    name = (os.environ.get("RNNBENCH_DATA") or None) if data_dir is None else str(data_dir)
    if name is None:
        return None
    rule = f"{'RNNBENCH_DATA' if data_dir is None else 'data_dir'} must name a folder, got"
    try:
        folder = expand_home(name)
    except RuntimeError as error:
        raise DataMissingError(f"{rule} {name!r}: {error}") from error
    if not name or folder.is_file():
        raise DataMissingError(f"{rule} {f'the file {name}' if name else 'an empty name'}")
    return folder.absolute()


def expand_home(name: str) -> Path:
    """Return a path whose leading ``~`` is the home directory, as in a shell, unless something has just this name.

    >>> expand_home("data/~1 [v2]::a*").as_posix()
    'data/~1 [v2]::a*'
    """
    path = Path(name)
    return path if path.exists() else path.expanduser()


_warn_once = functools.cache(logger.warning)


def _in_folder(origin: Origin, split: str, folder: Path) -> FoundSplit:
    import pyarrow as pa

    path = folder / origin.folder / f"{split}.parquet"
    layout = f"give data_dir or RNNBENCH_DATA a folder that holds {origin.files}"
    if origin.hub:
        layout += f", or leave both out to download {origin.hub} from the Hugging Face Hub"

    def tables() -> Iterator[pa.Table]:
        with _opened(path, layout) as file:
            for batch in file.iter_batches(1000, columns=list(origin.columns)):
                yield pa.Table.from_batches([batch])

    with _opened(path, layout) as file:
        schema, rows, stat = file.schema_arrow, file.metadata.num_rows, path.stat()
    _check_rows(origin, schema, rows, str(path))
    identify = functools.partial(_content_hash, path, stat.st_size, stat.st_mtime_ns)
    return FoundSplit(str(path), rows, tuple(origin.columns), tables, identify)


@contextlib.contextmanager
def _opened(path: Path, layout: str) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if not path.is_file():
            raise DataMissingError(f"{path} {'is not a file' if path.exists() else 'does not exist'}: {layout}")
        # Arrow and datasets take some characters of a path for more than themselves.
        with path.open("rb") as file:
            yield pq.ParquetFile(file)
    except (OSError, pa.ArrowException) as error:
        raise DataMissingError(f"{path} cannot be read as Parquet ({error}): {layout}") from error


@functools.lru_cache(maxsize=64)
def _content_hash(path: Path, size: int, modified: int) -> str:
    # Size and time alone are the same for two files that rsync or a container image put in the same place.
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def _on_hub(origin: Origin, split: str) -> FoundSplit:
    import datasets
    from huggingface_hub import HfApi

    where = f"{origin.hub} ({split}) of the Hugging Face Hub"
    advice = f"give data_dir (or the environment's RNNBENCH_DATA) a folder that holds {origin.files}"
    if str(datasets.config.HF_CACHE_HOME).startswith("~"):  # it would become a folder of this name in the current one
        raise DataMissingError(f"{where} needs a home directory: name a folder for it in HF_HOME, or {advice}")
    revision = None
    try:
        if not datasets.config.HF_HUB_OFFLINE:
            revision = HfApi().dataset_info(str(origin.hub), timeout=HUB_TIMEOUT).sha
        # Offline by choice: what datasets has kept from an earlier download will do.
        configuration = [origin.hub_config] if origin.hub_config else []
        rows = datasets.load_dataset(origin.hub, *configuration, split=split, revision=revision)
    except Exception as error:  # the Hub's client raises another library's errors, a different one each major version
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        message = f"{where} cannot be loaded ({reason}): connect to the network once, or {advice}"
        raise DataMissingError(message) from error
    _check_rows(origin, rows.features.arrow_schema, len(rows), where)

    def tables() -> Iterator[pa.Table]:
        selected = rows.select_columns(list(origin.columns))
        for name, kind in origin.columns.items():
            if kind == "image":  # decoded by us, all at once, not row by row
                selected = selected.cast_column(name, datasets.Image(decode=False))
        yield from selected.with_format("arrow").iter(batch_size=1000)

    return FoundSplit(where, len(rows), tuple(origin.columns), tables, lambda: f"hub-{revision or rows._fingerprint}")


def _check_rows(origin: Origin, schema: pa.Schema, rows: int, where: str) -> None:
    for name, kind in origin.columns.items():
        if mistake := column_mistake(schema, name, kind):
            raise DataMissingError(f"{where}: {mistake}")
    if rows == 0:
        raise DataMissingError(f"{where} is empty")
