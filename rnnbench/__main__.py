"""The command ``rnnbench``, also as ``python -m rnnbench``."""

import os
import sys

from rnnbench.benchmark.interruption import EXIT_CODE, MESSAGE, end_on_signals, ignore_signals


def main() -> int:
    """Run the command that the process was started with, and return its exit code."""
    try:
        # Before anything that takes time to import.
        end_on_signals()
        _open_streams()
        # A notebook's cell passes on a backend that only the notebook has, and torchmetrics imports matplotlib.
        os.environ["MPLBACKEND"] = "agg"
        from rnnbench.benchmark.command import cli

        return cli.main()
    except KeyboardInterrupt:
        print(MESSAGE, file=sys.stderr)
        return EXIT_CODE
    finally:
        ignore_signals()


def _open_streams() -> None:
    """Open standard streams that a service has closed: the next file that is opened would take their place."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is the one that is closed.
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)
            setattr(sys, name, os.fdopen(opened, "r" if descriptor == 0 else "w", closefd=False))


if __name__ == "__main__":
    sys.exit(main())
