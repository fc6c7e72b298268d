"""``python -m rnnbench``: the same as ``rnnbench``."""

import sys

from rnnbench.benchmark.command.cli import main

if __name__ == "__main__":
    sys.exit(main())
