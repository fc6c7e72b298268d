"""What a column of a Parquet file must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

ColumnKind = Literal["image", "class", "text", "words", "notes"]
"""Encoded images (``bytes`` of an image file), class numbers, text, lists of words, or lists of lists of notes."""


def column_mistake(schema: pa.Schema, name: str, kind: ColumnKind) -> str | None:
    """Return what is wrong with a column, or None.

    >>> import pyarrow as pa
    >>> column_mistake(pa.schema({"label": pa.float32()}), "label", "class")
    "column 'label' must hold class numbers (integers), got float"
    """
    import pyarrow.types as types

    def is_image(kind: pa.DataType) -> bool:
        if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def is_text(kind: pa.DataType) -> bool:
        return bool(types.is_string(kind) or types.is_large_string(kind))

    def list_of(inner: Callable[[pa.DataType], bool]) -> Callable[[pa.DataType], bool]:
        return lambda kind: (types.is_list(kind) or types.is_large_list(kind)) and inner(kind.value_type)

    kinds: dict[ColumnKind, tuple[Callable[[pa.DataType], bool], str]] = {
        "image": (is_image, "encoded images (binary, or a struct with a binary field 'bytes')"),
        "class": (types.is_integer, "class numbers (integers)"),
        "text": (is_text, "text (strings)"),
        "words": (list_of(is_text), "lists of words (lists of strings)"),
        "notes": (list_of(list_of(types.is_integer)), "a list of notes a step (lists of lists of integers)"),
    }
    accepts, what = kinds[kind]
    if schema.names.count(name) != 1:
        return f"there must be one column '{name}', got {', '.join(schema.names) or 'none'}"
    if not accepts(schema.field(name).type):
        return f"column '{name}' must hold {what}, got {schema.field(name).type}"
    return None
