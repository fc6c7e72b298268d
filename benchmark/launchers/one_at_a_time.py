"""Waiting for another command that does the same for the same folder."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rnnbench.benchmark.run.lease import BusyError, Lease

_SECONDS_BETWEEN_LOOKS = 1.0
#: Seconds of waiting for a sign of life that need no words.
_SILENCE = 3.0


@contextmanager
def one_at_a_time(folder: Path, what: str) -> Iterator[None]:
    """Wait until no other command holds the lease of a folder, which is made, and hold it within the block.

    Args:
        folder: the folder.
        what: whom a note says that this one waits for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    is_first = True
    looking = f"note: another {what} may hold {folder}: waiting a minute for a sign of it"
    late = threading.Timer(_SILENCE, print, (looking,), {"file": sys.stderr, "flush": True})
    late.daemon = True
    with ExitStack() as stack:
        stack.callback(late.cancel)
        late.start()
        while True:
            try:
                stack.enter_context(Lease(folder))
                break
            except BusyError as error:
                late.cancel()
                if is_first:
                    print(f"note: waiting for another {what}: {error}", file=sys.stderr, flush=True)
                is_first = False
                time.sleep(_SECONDS_BETWEEN_LOOKS)
        late.cancel()
        yield
