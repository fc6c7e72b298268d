"""Where in a user's own code an error happened: what a message names beside the error itself."""

import inspect
import os
import sysconfig
import traceback
from types import FrameType

#: Packages of classes of a user's own: not those of a library even where they are installed beside them.
_OWN: set[str] = set()
_STANDARD = sysconfig.get_path("stdlib")


def mark_as_own(cls: type) -> None:
    """Take the package of a class that is a user's own, not rnnbench's, for their code."""
    _OWN.update({cls.__module__.partition(".")[0]} - {"rnnbench"})


def own_line(error: BaseException) -> str:
    """Return the innermost line of a user's own code that an error came through; empty if it came through none.

    >>> def sample(count):
    ...     return 1 / count
    >>> try:
    ...     sample(0)
    ... except ZeroDivisionError as error:
    ...     own_line(error)  # what is typed in has no file
    ''
    """
    own = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_own(frame)]
    if not own:
        return ""
    frame, line = own[-1]
    return f"{_shown(frame.f_code.co_filename)}, line {line}"


def _is_own(frame: FrameType) -> bool:
    package, file = str(frame.f_globals.get("__name__")).partition(".")[0], frame.f_code.co_filename
    is_library = file.startswith(("<", _STANDARD)) or "site-packages" in file or "dist-packages" in file
    return package in _OWN or not (is_library or package == "rnnbench")


def defined_at(function: object) -> str:
    """Return the file and line of a function's definition; empty for what has none.

    >>> defined_at(len)
    ''
    """
    code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
    return f"{_shown(code.co_filename)}, line {code.co_firstlineno}" if code else ""


def _shown(file: str) -> str:
    return file.removeprefix(os.getcwd() + os.sep)


def reason_of(error: BaseException) -> str:
    r"""Return an error's type and text in one line, and the line of a user's own code that it came through, if any.

    >>> reason_of(ZeroDivisionError("division\nby zero"))
    'ZeroDivisionError: division by zero'
    """
    return f"{type(error).__name__}: {with_own_line(error)}"


def with_own_line(error: BaseException) -> str:
    """Return an error's text in one line, and the line of a user's own code that it came through, if any."""
    text, place = " ".join(str(error).split()), own_line(error)
    return f"{text} ({place})" if place else text
