"""Which code a result came from: rnnbench's and a user's own, and whether that was edited since; imports no torch."""

import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import rnnbench
from rnnbench.benchmark.config.specs import search_current_folder
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run.own_modules import used_files
from rnnbench.leaderboard.files import write_atomically
from rnnbench.leaderboard.own_source import class_paths, source_change
from rnnbench.leaderboard.schema import CodeVersion, OwnCode, Record

_CODES = TypeAdapter(list[OwnCode])

#: What classes derive from without being a user's own; its versions are in a record anyway.
_KNOWN = {"rnnbench", "torch", "lightning", *sys.stdlib_module_names}


@functools.cache
def code_version() -> CodeVersion:
    """Return the commit of rnnbench's code and whether it was changed since; None for both outside a git checkout."""
    rooms = ("benchmark", "datamodules", "leaderboard", "lit_models")
    folders = [Path(str(importlib.import_module(f"rnnbench.{room}").__file__)).parent for room in rooms]
    commit, dirty = repository_state(Path(__file__), (*folders, Path(str(rnnbench.__file__)).parent))
    return CodeVersion(commit=commit, dirty=dirty)


def repository_state(tracked: Path, folders: Iterable[Path]) -> tuple[str | None, bool | None]:
    """Return the commit of the repository that tracks a file, and whether anything in some of its folders differs.

    None for both if none tracks it: a virtual environment lies in many a repository that knows nothing of it.
    """
    # Variables as git sets them for its hooks would name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tracked.parent), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "--", str(tracked))
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", *map(str, folders)))
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None, None


def own_code(config: Mapping[str, Any], others: Iterable[object] = ()) -> list[OwnCode]:
    """Return the code of an experiment's classes, and of their bases, that is neither rnnbench's nor torch's.

    ``others`` are objects that the configuration need not name, such as the objectives of its task.
    """
    paths = [path.rpartition(".") for path in class_paths(config) if "." in path]
    classes = [*(getattr(importlib.import_module(module), name) for module, _, name in paths), *map(type, others)]
    bases = [base for one in classes for base in one.__mro__]
    modules = sorted({base.__module__ for base in bases if base.__module__.partition(".")[0] not in _KNOWN})
    return [_code_of(module) for module in modules]


def edited_since(before: Collection[OwnCode]) -> str:
    """Return which modules of a user's own are not what they were, with both hashes; empty if none.

    >>> from rnnbench.leaderboard.store import load_records, shipped_records
    >>> edited_since(load_records(shipped_records())[0].own_code)
    ''
    """
    search_current_folder()
    today = []
    for one in before:
        # Importing runs the user's code, which may be gone or fail in any way: then there is no source today.
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(one.module)
            today.append(_code_of(one.module))
    return source_change(before, today)


def note_source(path: Path, code: Collection[OwnCode]) -> None:
    """Write by which code of a user's own a training was begun, and no file if there is none."""
    if code:
        write_atomically(path, json.dumps([one.model_dump() for one in code]).encode())
    else:
        path.unlink(missing_ok=True)


def noted_source(path: Path) -> list[OwnCode]:
    """Return what ``note_source`` wrote, nothing if there is no file; a ``UserError`` if it is damaged."""
    try:
        return _CODES.validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise UserError(f"{path}: damaged; move it and the checkpoint beside it away to start again") from error


def with_commits(record: Record) -> Record:
    """Return a record of a copy of the code here, with what the copy does not know: commits, and its version."""
    here = [_code_of(one.module) for one in record.own_code]
    own = [known if known.source == one.source else one for known, one in zip(here, record.own_code, strict=True)]
    versions = {**record.versions, "rnnbench": rnnbench.__version__}
    return record.model_copy(update={"code": code_version(), "own_code": own, "versions": versions})


@functools.cache
def _code_of(module: str) -> OwnCode:
    top = module.partition(".")[0]
    file = Path(str(sys.modules[module].__file__))
    folders = [Path(folder) for folder in getattr(sys.modules[top], "__path__", ())]
    files = used_files(module, file, folders)
    source = _hash(files)
    package = _hash([path for folder in folders for path in sorted(_python_files(folder))] or [file])
    commit, dirty = repository_state(file, files)
    distributions = _distributions().get(top, [])
    return OwnCode(
        module=module,
        version=importlib.metadata.version(distributions[0]) if distributions else None,
        source=source,
        package=package if package != source else None,
        commit=commit,
        dirty=dirty,
    )


def _python_files(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield the files of a package, through links too, except for those that lead to a folder that they lie in."""
    real = folder.resolve()
    # A folder that may not be read holds nothing that could be imported.
    with contextlib.suppress(PermissionError):
        for one in folder.iterdir() if real not in above else ():
            if one.is_dir():
                yield from _python_files(one, (*above, real))
            elif one.suffix == ".py":
                yield one


@functools.cache  # It reads the lists of files of all that is installed: most of a second.
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _hash(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]
