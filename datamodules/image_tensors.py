"""Image sets as contiguous tensors, decoded once and kept in a cache folder."""

from __future__ import annotations

import io
import logging
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rnnbench.datamodules.real_data import DataMissingError, FoundSplit, Origin, find_split

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

CLASSES = 10


def load_images(
    origin: Origin, split: str, data_dir: str | None, image_shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Return the images [size, *image_shape] uint8 and labels [size] int64 of one split.

    What was decoded is kept in ``cache_folder()``, under a name that changes with the data. When the Hub cannot be
    reached, the newest copy that was made from it before is used, with a message.

    Args:
        origin: the data set; its first column holds the images, its second the labels.
        split: ``train`` or ``test``.
        data_dir: see ``find_split``.
        image_shape: (height, width) for gray images, (height, width, 3) for colour.

    Raises:
        DataMissingError: the data cannot be had, or hold an image of another size or a label outside 0 to 9.
    """
    found = find_images(origin, split, data_dir)
    path = found if isinstance(found, Path) else _cache_file(origin, split, found.key)
    cached = _read_cache(path, image_shape)
    if cached is None and isinstance(found, Path):
        raise _damaged_copy(path, origin)
    if cached is None:
        cached = _decode(found, origin, image_shape)
        _write_cache(path, *cached)
    images, labels = cached
    return torch.from_numpy(images), torch.from_numpy(labels)


def find_images(origin: Origin, split: str, data_dir: str | None) -> FoundSplit | Path:
    """Return where a split is, without decoding it: the split itself, or a copy in the cache of one out of reach.

    Raises:
        DataMissingError: there is neither.
    """
    try:
        return find_split(origin, split, data_dir)
    except DataMissingError as error:
        if data_dir or os.environ.get("RNNBENCH_DATA"):
            raise
        copies = sorted(cache_folder().glob(_cache_file(origin, split, "hub-*").name), key=lambda p: p.stat().st_mtime)
        if not copies:
            raise
        logger.warning("%s. Using the copy %s", error, copies[-1])
        return copies[-1]


def count_images(origin: Origin, split: str, data_dir: str | None) -> int:
    """Return the number of images of a split, without decoding them.

    Raises:
        DataMissingError: the data cannot be had.
    """
    found = find_images(origin, split, data_dir)
    if not isinstance(found, Path):
        return found.rows
    try:
        with np.load(found, allow_pickle=False) as file:
            return len(file["labels"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged_copy(found, origin) from error


def _damaged_copy(path: Path, origin: Origin) -> DataMissingError:
    return DataMissingError(f"{path}, the only copy of {origin.hub} at hand, is damaged: delete it and go online")


def cache_folder() -> Path:
    """Return the folder of decoded images: RNNBENCH_CACHE, else ``~/.cache/rnnbench``."""
    return Path(os.environ.get("RNNBENCH_CACHE") or "~/.cache/rnnbench").expanduser()


def _cache_file(origin: Origin, split: str, key: str) -> Path:
    return cache_folder() / f"{origin.folder}-{split}-{key}.npz"


def _read_cache(path: Path, image_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            images, labels = file["images"], file["labels"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("The decoded images in %s cannot be read (%s); they are decoded again", path, error)
        return None
    whole = images.shape == (len(labels), *image_shape) and (images.dtype, labels.dtype) == (np.uint8, np.int64)
    return (images, labels) if whole else None


def _write_cache(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    # Written beside its place and moved there whole: two processes that do so at once write the same.
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
            np.savez(file, images=images, labels=labels)
        temporary.replace(path)
    except OSError as error:
        logger.warning("Decoded images cannot be kept in %s (%s); they are decoded again next time", path, error)
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _decode(found: FoundSplit, origin: Origin, image_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    images = np.empty((found.rows, *image_shape), np.uint8)
    labels = np.empty(found.rows, np.int64)
    mode = "RGB" if len(image_shape) == 3 else "L"
    for row, (encoded, label) in enumerate(_rows(found.read(), *origin.columns)):
        where = f"row {row} of {found.where}"
        try:
            with Image.open(io.BytesIO(encoded)) as image:
                pixels = np.asarray(image if image.mode == mode else image.convert(mode))
        except (OSError, TypeError, ValueError) as error:
            raise DataMissingError(f"{where} is not an image that can be decoded ({error})") from error
        if pixels.shape != image_shape:
            raise DataMissingError(f"{where} must be an image of shape {image_shape}, got {pixels.shape}")
        if label is None or not 0 <= label < CLASSES:
            raise DataMissingError(f"{where}: the label must be from 0 to {CLASSES - 1}, got {label}")
        images[row], labels[row] = pixels, label
    return images, labels


def _rows(tables: Iterator[pa.Table], image: str, label: str) -> Iterator[tuple[bytes, int]]:
    for table in tables:
        encoded = (chunk.field("bytes") for chunk in table.column(image).chunks)
        yield from zip(
            (item for chunk in encoded for item in chunk.to_pylist()), table.column(label).to_pylist(), strict=True
        )
