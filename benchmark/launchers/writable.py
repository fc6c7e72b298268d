"""Whether results can be written, asked before anything is computed."""

import tempfile
from pathlib import Path

from rnnbench.benchmark.errors import UserError


def check_writable(folder: Path, option: str) -> None:
    """Make a folder and see that files can be written there.

    Args:
        folder: which.
        option: what the message names.

    Raises:
        UserError: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{option} cannot be written: {error.strerror}; give another folder") from error
