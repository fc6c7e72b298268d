"""Finding the classes of a room by reading its files as source: listing them needs no torch."""

import ast
import functools
from dataclasses import dataclass
from pathlib import Path


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
            found[name] = FoundClass(name, module, summary, _arguments(methods["__init__"].args))
    return found


def _derives(name: str, base: str, nodes: dict[str, tuple[str, ast.ClassDef]]) -> bool:
    if name not in nodes:
        return False
    parents = [ast.unparse(parent).split("[")[0].split(".")[-1] for parent in nodes[name][1].bases]
    return any(parent == base or _derives(parent, base, nodes) for parent in parents)


def _arguments(spec: ast.arguments) -> tuple[Argument, ...]:
    plain = [*spec.posonlyargs, *spec.args][1:]
    defaults = [*[None] * (len(plain) - len(spec.defaults)), *spec.defaults, *spec.kw_defaults]
    return tuple(
        Argument(
            argument.arg,
            ast.unparse(argument.annotation) if argument.annotation else "",
            None if default is None else ast.unparse(default),
        )
        for argument, default in zip([*plain, *spec.kwonlyargs], defaults, strict=True)
    )
