"""Checking what a user wrote against typed models, and what a message says where they do not fit."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.errors import UserError, nearest, shown

_STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)

SPEC_FORM = "a mapping with class_path and init_args"
#: What a value "must be", by pydantic's type of error; the names in braces are what it says of the limit.
_MUST_BE = {
    **dict.fromkeys(("int_type", "int_from_float"), "a whole number"),
    **{"float_type": "a number", "finite_number": "a finite number", "none_required": "null"},
    **{"string_type": "text", "bool_type": "true or false", "path_type": "a path"},
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type"), "a mapping (key: value)"),
    **dict.fromkeys(("callable_type", "needs_python_object", "is_instance_of"), SPEC_FORM),
    "literal_error": "{expected}",
    "must": "{must}",
    **{"greater_than": "above {gt}", "greater_than_equal": "at least {ge}"},
    **{"less_than": "below {lt}", "less_than_equal": "at most {le}"},
    **{"too_short": "a list of at least {min_length}", "too_long": "a list of at most {max_length}"},
}


def section(value: object) -> Section:
    """Return a mapping as it was read, with the lines of its keys; null is an empty one."""
    if not isinstance(value, Section | None):
        raise must("a mapping (key: value)")
    return Section() if value is None else value


Mapped = Annotated[Section, PlainValidator(section), WithJsonSchema({"type": "object"})]


class Model(BaseModel):
    """What may be written in one mapping of a suite: nothing is coerced, and an unknown key is an error."""

    model_config = ConfigDict(**_STRICT, extra="forbid", frozen=True)

    #: What one of its keys is called in messages.
    key_name: ClassVar[str] = "setting"

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            raise must("a mapping (key: value)")
        for key in values:
            if key not in cls.model_fields:
                raise wrong(f"unknown {cls.key_name} {shown(key)}: {nearest(key, cls.model_fields)}", key)
        return values


#: A whole number of at least 1.
Count = Annotated[int, Field(ge=1)]

ModelT = TypeVar("ModelT", bound=BaseModel)


def must(allowed: str) -> PydanticCustomError:
    """Return the error to raise in a validator where a value must be something else."""
    return PydanticCustomError("must", "{must}", {"must": allowed})


def wrong(reason: str, *path: object) -> PydanticCustomError:
    """Return the error to raise in a validator, with its whole message; ``path`` leads on to what is wrong."""
    return PydanticCustomError("wrong", "{reason}", {"reason": reason, "path": path})


def validated(
    model: type[ModelT], written: object, whose: str = "", name: str = "", context: dict[str, list[str]] | None = None
) -> ModelT:
    """Return a mapping as a model, whose validators need the context.

    Raises:
        UserError: it does not fit; the message names the line, if a section was written, whose mapping it is, the
            setting, with ``name`` before it, what it must be, and its value.
    """
    try:
        return model.model_validate(written, context=context)
    except ValidationError as error:
        path, reason = _explained(error, written, name)
        at = written.at(*path) if isinstance(written, Section) else ""
        raise UserError(": ".join(part for part in (at, whose, reason) if part)) from error


def fitted(value: Any, hint: Any, name: str, built: Callable[..., Any] | None = None) -> Any:
    """Return a value as YAML gives it (list for tuple, text for a path) as an annotation wants it; else ValueError.

    What cannot be an annotation fits everything; ``built`` is what was made of a value that is a spec.

    >>> fitted([1, 2], tuple[float, float], "betas")
    (1.0, 2.0)
    >>> fitted("3", int | None, "k")
    Traceback (most recent call last):
    ValueError: k must be a whole number, got '3'
    """
    try:
        adapter = _adapter(hint)
    except Exception:
        # An annotation may be the user's and fail in any way: the class then checks for itself.
        return value if built is None else built
    try:
        # In JSON a list is what fits a tuple, and text what fits a path; else nothing is coerced.
        return adapter.validate_python(built) if built else adapter.validate_json(json.dumps(value))
    except ValidationError as error:
        if built and any(detail["type"] == "is_instance_of" for detail in error.errors()):
            return built  # for a class or a protocol of the user's own
        raise ValueError(_explained(error, value, name)[1]) from error


@functools.cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=_STRICT)


def _explained(error: ValidationError, written: Any, name: str) -> tuple[tuple[Any, ...], str]:
    """Return the path to what does not fit, and what it must be.

    Of a union there is an error for each of its types: those that come closest, deepest inside, are named.
    """
    found = [(_path(detail, written), detail) for detail in error.errors(include_url=False)]
    head = found[0][0][:1]
    path, first = max((each for each in found if each[0][: len(head)] == head), key=lambda each: len(each[0]))
    setting = ".".join(map(str, ([name] if name else []) + list(path)))
    if first["type"] == "wrong":
        return (*path, *first["ctx"]["path"]), first["ctx"]["reason"]
    if first["type"] == "value_error":
        return path, str(first["ctx"]["error"])
    if first["type"] == "missing":
        return path[:-1], f"{setting} is missing"
    allowed = dict.fromkeys(_must_be(detail) for other, detail in found if other == path)
    for key in path:
        written = written[key]
    hint = ": YAML writes None as null" if written == "None" else ""
    return path, f"{setting} must be {' or '.join(allowed)}, got {shown(written)}{hint}".lstrip()


def _must_be(detail: ErrorDetails) -> str:
    given = detail.get("ctx", {})
    limits = {name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in given.items()}
    return _MUST_BE[detail["type"]].format_map(limits) if detail["type"] in _MUST_BE else detail["msg"]


def _path(detail: ErrorDetails, written: Any) -> tuple[Any, ...]:
    """Return the keys and indices that lead to an error, without the names of the types of a union."""
    path: list[Any] = []
    for part in detail["loc"]:
        try:
            written = written[part]
        except (KeyError, IndexError, TypeError):
            continue
        path.append(part)
    return (*path, detail["loc"][-1]) if detail["type"] == "missing" else tuple(path)
