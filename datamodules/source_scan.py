"""Finding the classes of a room by reading its files as source: listing them needs no torch."""

import ast
import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Argument:
    """A constructor argument as written: its name, annotation, and default (source text; None where required)."""

    name: str
    annotation: str
    default: str | None


@dataclass(frozen=True)
class FoundClass:
    """A public class found in a room: name, module, first line of its docstring, and constructor arguments."""

    name: str
    module: str
    summary: str
    arguments: tuple[Argument, ...]


@functools.cache
def find_classes(folder: Path, package: str, base: str) -> dict[str, FoundClass]:
    """Return by name, sorted, the public concrete classes in ``folder`` that derive, maybe indirectly, from ``base``.

    Private files (``_name.py``) are passed over, and so are ``base`` itself and classes with an ``@abstractmethod`` of
    their own or without a constructor of their own. ``package`` is the import path of the folder.

    Raises:
        ValueError: two files define a class of the same name, or a file cannot be parsed.
    """
    nodes: dict[str, tuple[str, ast.ClassDef]] = {}
    for path in sorted(folder.glob("[!_]*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        except SyntaxError as error:
            raise ValueError(f"{path}, line {error.lineno}: not valid Python: {error.msg}") from error
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                module = f"{package}.{path.stem}"
                if node.name in nodes:
                    raise ValueError(f"class {node.name} is defined in both {nodes[node.name][0]} and {module}")
                nodes[node.name] = (module, node)
    found = {}
    for name, (module, node) in sorted(nodes.items()):
        methods = {f.name: f for f in node.body if isinstance(f, ast.FunctionDef)}
        abstract = any("abstractmethod" in ast.unparse(d) for f in methods.values() for d in f.decorator_list)
        if "__init__" in methods and not abstract and not name.startswith("_") and _derives(name, base, nodes):
            summary = (ast.get_docstring(node) or "").split("\n")[0]
            found[name] = FoundClass(name, module, summary, tuple(_arguments(name, nodes).values()))
    return found


def arguments_in(file: Path, name: str) -> tuple[Argument, ...]:
    """Return the constructor arguments of a class of a file, which is read as source."""
    nodes = {node.name: ("", node) for node in ast.parse(file.read_bytes()).body if isinstance(node, ast.ClassDef)}
    return tuple(_arguments(name, nodes).values())


def _derives(name: str, base: str, nodes: dict[str, tuple[str, ast.ClassDef]]) -> bool:
    if name not in nodes:
        return False
    return any(parent == base or _derives(parent, base, nodes) for parent in _bases(nodes[name][1]))


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(parent).split("[")[0].split(".")[-1] for parent in node.bases]


def _arguments(name: str, nodes: dict[str, tuple[str, ast.ClassDef]]) -> dict[str, Argument]:
    """Return a constructor's arguments by name, and those of a base's that it hands ``**settings`` on to."""
    node = nodes[name][1]
    inherited = next((_arguments(base, nodes) for base in _bases(node) if base in nodes), {})
    spec = next((f.args for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    if spec is None:
        return inherited
    # What has a place alone is not given by a user, nor is self.
    plain = spec.args if spec.posonlyargs else spec.args[1:]
    defaults = [*[None] * (len(plain) - len(spec.defaults)), *spec.defaults, *spec.kw_defaults]
    own = {
        one.arg: Argument(
            one.arg,
            ast.unparse(one.annotation) if one.annotation else "",
            None if default is None else ast.unparse(default),
        )
        for one, default in zip([*plain, *spec.kwonlyargs], defaults, strict=True)
    }
    new = {name: one for name, one in own.items() if name not in inherited}
    return own if spec.kwarg is None else {**new, **inherited, **own}


def constructor_parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Return what a class's constructor takes by name, and what its bases' take that it hands ``**settings`` on to."""
    found: dict[str, inspect.Parameter] = {}
    for constructor in _constructors(cls):
        _, *own = inspect.signature(constructor).parameters.values()
        named = {one.name: one for one in own if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
        found |= {name: one for name, one in named.items() if name not in found}
    return found


def constructor_hints(cls: type) -> dict[str, Any]:
    """Return the types of ``constructor_parameters``; none of a class whose annotations mean nothing when it runs."""
    try:
        found = [typing.get_type_hints(constructor) for constructor in _constructors(cls)]
    except (NameError, AttributeError, TypeError, SyntaxError):
        # A user's class may import the names of its annotations for type checkers alone, or write what is no type.
        return {}
    return {name: hint for hints in reversed(found) for name, hint in hints.items()}


def _constructors(cls: type) -> Iterator[Callable[..., None]]:
    for constructor in (vars(each)["__init__"] for each in cls.__mro__ if "__init__" in vars(each)):
        yield constructor
        if all(one.kind != one.VAR_KEYWORD for one in inspect.signature(constructor).parameters.values()):
            return
