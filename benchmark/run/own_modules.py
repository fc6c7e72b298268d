"""Which files a module of a user's own comes from: its own and those that it imports of its package. No torch."""

import ast
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path


def used_files(module: str, file: Path, folders: Sequence[Path]) -> list[Path]:
    """Return the files of a module and of what it imports from its own package, also indirectly and within functions.

    An ``__init__.py`` counts where something is imported from it, not because it lies above. What is imported by a name
    that is made up when the code runs is not seen.

    Args:
        module: its full name.
        file: where it lies.
        folders: those of the package that it begins with; none for a module outside of packages.
    """
    found = {module: file}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        for candidates in _imports(name, found[name]):
            files = ((each, place) for each in candidates if (place := _file_of(each, module, folders)))
            for each, place in list(files)[:1]:
                if each not in found:
                    found[each] = place
                    waiting.append(each)
    return [found[name] for name in sorted(found)]


def _imports(module: str, file: Path) -> Iterator[tuple[str, ...]]:
    """Yield, for each name that a module imports, the modules that it may be or come from, the likelier first."""
    tree = ast.Module([], [])
    # A compiled module, or a file that nothing has imported, need not be Python.
    with contextlib.suppress(SyntaxError, ValueError):
        tree = ast.parse(file.read_bytes())
    parents = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name,) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((f"{base}.{alias.name}", base) for alias in node.names)


def _file_of(name: str, module: str, folders: Sequence[Path]) -> Path | None:
    """Return the file of a module of the package of another one; None if there is none."""
    top, *parts = name.split(".")
    if top != module.partition(".")[0]:
        return None
    places = (folder.joinpath(*parts) for folder in folders)
    files = (file for place in places for file in (place / "__init__.py", place.with_name(f"{place.name}.py")))
    return next((file for file in files if file.is_file()), None)
