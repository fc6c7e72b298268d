"""Whether results can be written, asked before anything is computed."""

import tempfile
from pathlib import Path

from rnnbench.benchmark.errors import UserError


def check_writable(folder: Path, option: str) -> None:
    """Make a folder and see that files can be written there; else a ``UserError`` that names the option."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{option} cannot be written: {error.strerror}; give another folder") from error
