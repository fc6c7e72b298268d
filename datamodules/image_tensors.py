"""Image sets as contiguous tensors, decoded once and kept in a cache folder."""

import hashlib
import logging
import os
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datamodules.image_decoding import ImageRefusedError, decode_image
from rnnbench.datamodules.real_data import DataMissingError, FoundSplit, Origin, data_folder, expand_home, find_split

logger = logging.getLogger(__name__)

CLASSES = 10
DECODING = 2
"""Version of ``decode_image``: what an older one decoded is not read."""
ABANDONED = 24 * 3600.0
"""Seconds after which a half-written cache file is removed: the process that wrote it was killed."""

_Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


def load_images(
    origin: Origin, split: str, data_dir: str | None, image_shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Return the images [size, *image_shape] uint8 and labels [size] int64 of one split.

    What was decoded is kept in ``cache_folder()``, under a name that other data do not get: it holds the content or
    the Hub's revision, the columns, the shape and the version of the decoding. When the Hub cannot be reached, the
    newest copy that was made from it before is used, with a warning.

    The first column of ``origin`` holds the images, its second the labels; for the rest see ``find_split`` and, for
    ``image_shape``, ``decode_image``.

    Raises:
        DataMissingError: the data are not there, or hold an image that is refused or a label outside 0 to 9.
    """
    try:
        found = find_split(origin, split, data_dir)
    except DataMissingError as error:
        arrays = _earlier_copy(origin, split, data_dir, image_shape, error)
    else:
        folder = cache_folder()
        path = folder and folder / _cache_name(origin, split, found.identify(), image_shape)
        cached = _read_cache(path, image_shape) if path else None
        arrays = cached or _decode(found, image_shape)
        if cached is None:
            _write_cache(path, *arrays)
    return torch.from_numpy(arrays[0]), torch.from_numpy(arrays[1])


def count_images(origin: Origin, split: str, data_dir: str | None, image_shape: tuple[int, ...]) -> int:
    """Return the number of images of a split, without decoding them; see ``load_images``."""
    try:
        return find_split(origin, split, data_dir).size
    except DataMissingError as error:
        return len(_earlier_copy(origin, split, data_dir, image_shape, error)[1])


def _earlier_copy(
    origin: Origin, split: str, data_dir: str | None, image_shape: tuple[int, ...], error: DataMissingError
) -> _Arrays:
    """Return the newest copy of a split of the Hub, which is out of reach; raise ``error`` where there is none."""
    folder, pattern = cache_folder(), _cache_name(origin, split, "hub-*", image_shape)
    copies = [] if folder is None or data_folder(data_dir) else sorted(folder.glob(pattern), key=os.path.getmtime)
    if not copies:
        raise error
    logger.warning("%s. Using the copy %s", error, copies[-1])
    arrays = _read_cache(copies[-1], image_shape)
    if arrays is None:
        damaged = f"{copies[-1]}, the only copy of {origin.hub} here, is damaged"
        raise DataMissingError(f"{damaged}: delete it and go online") from error
    return arrays


def cache_folder() -> Path | None:
    """Return the folder of decoded images, RNNBENCH_CACHE or ``~/.cache/rnnbench``; None without a home directory."""
    try:
        return expand_home(os.environ.get("RNNBENCH_CACHE") or "~/.cache/rnnbench")
    except RuntimeError:
        return None


def _cache_name(origin: Origin, split: str, source: str, image_shape: tuple[int, ...]) -> str:
    kind = hashlib.sha256(repr((list(origin.columns), image_shape, DECODING)).encode()).hexdigest()[:8]
    return f"{origin.folder.replace('/', '-')}-{split}-{source}-{kind}.npz"


def _read_cache(path: Path, image_shape: tuple[int, ...]) -> _Arrays | None:
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


def _write_cache(path: Path | None, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    if path is None:
        logger.warning("There is no home directory: decoded images are kept if RNNBENCH_CACHE names a folder")
        return
    # Written under another name and then moved, whole: two processes that do so at once write the same.
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for rest in path.parent.glob("*.tmp"):
            if time.time() - os.path.getmtime(rest) > ABANDONED:
                rest.unlink(missing_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
            np.savez(file, images=images, labels=labels)
        temporary.replace(path)
    except OSError as error:
        logger.warning("Decoded images cannot be kept in %s (%s); they are decoded again next time", path, error)
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _decode(found: FoundSplit, image_shape: tuple[int, ...]) -> _Arrays:
    images = np.empty((found.size, *image_shape), np.uint8)
    labels = np.empty(found.size, np.int64)
    for row, (encoded, label) in enumerate(_rows(found)):
        where = f"row {row} of {found.where}"
        if encoded is None:
            raise DataMissingError(f"{where} is not an image: it holds nothing in column '{found.columns[0]}'")
        try:
            images[row] = decode_image(encoded, image_shape)
        except ImageRefusedError as error:
            raise DataMissingError(f"{where} {error}") from error
        if label is None or not 0 <= label < CLASSES:
            raise DataMissingError(f"{where}: the label must be from 0 to {CLASSES - 1}, got {label}")
        labels[row] = label
    return images, labels


def _rows(found: FoundSplit) -> Iterator[tuple[bytes | None, int | None]]:
    image, label = found.columns
    for table in found.tables():
        # flatten() carries the nulls of structs over to their fields.
        chunks = (
            chunk.flatten()[chunk.type.get_field_index("bytes")] if hasattr(chunk, "field") else chunk
            for chunk in table.column(image).chunks
        )
        encoded = (item for chunk in chunks for item in chunk.to_pylist())
        yield from zip(encoded, table.column(label).to_pylist(), strict=True)
