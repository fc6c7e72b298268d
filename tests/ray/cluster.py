"""The script of a cluster (``nodes.py``), as a process that takes words."""

import importlib.util
import subprocess
import sys
from pathlib import Path

#: Why there can be no cluster; empty if there can.
NO_RAY = "" if importlib.util.find_spec("ray") else "ray is not installed: make test-ray"


class Cluster:
    """The script of the cluster."""

    def __init__(self) -> None:
        script = [sys.executable, str(Path(__file__).with_name("nodes.py"))]
        self._script = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self._script.stdout.readline().strip()

    def tell(self, word: str) -> None:
        print(word, file=self._script.stdin, flush=True)
        assert self._script.stdout.readline() == "done\n"

    def end(self) -> None:
        self._script.communicate()
