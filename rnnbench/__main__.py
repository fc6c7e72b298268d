"""The command ``rnnbench``, also as ``python -m rnnbench``."""

import os
import sys

from rnnbench.benchmark.command.streams import open_closed_streams
from rnnbench.benchmark.interruption import EXIT_CODE, MESSAGE, end_on_signals, ignore_signals


def main() -> int:
    """Run the command that the process was started with, and return its exit code."""
    try:
        # Before anything that takes time to import.
        end_on_signals()
        open_closed_streams()
        # A notebook's cell passes on a backend that only the notebook has, and torchmetrics imports matplotlib.
        os.environ["MPLBACKEND"] = "agg"
        from rnnbench.benchmark.command import cli

        return cli.main()
    except KeyboardInterrupt:
        print(MESSAGE, file=sys.stderr)
        return EXIT_CODE
    finally:
        ignore_signals()


if __name__ == "__main__":
    sys.exit(main())
