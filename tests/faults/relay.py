"""Processes of a cluster, forked from the tests' template rather than started as new interpreters.

A cluster executes a small relay: it has a process forked that does the work, passes on the signals that the cluster
sends it, ends as that ends, and takes it along when it is killed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

RELAY = """#!{python} -ISE
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect("{socket}")
server.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode() + b"\\n")
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: server.send(bytes([number])))
code = int(server.recv(99))
if code < 0:
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Relays:
    """What relays ask for: ``folder/name`` is one to execute."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.running = folder, set[int]()
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(folder / "socket"))
        self.server.listen(64)
        relay = folder / name
        relay.write_text(RELAY.format(python=sys.executable, socket=folder / "socket"), encoding="utf-8")
        relay.chmod(0o755)
        threading.Thread(target=self._serve, daemon=True).start()

    def process(self, words: list[str], folder: Path, environment: dict[str, str]) -> BaseProcess:
        """Return the process, not started yet, that is to do what a relay was given."""
        raise NotImplementedError

    def note_end(self, process: BaseProcess, environment: dict[str, str]) -> None:
        """Take note of how a process ended, before the cluster knows."""

    def _serve(self) -> None:
        while True:
            relay, _ = self.server.accept()
            threading.Thread(target=self._do, args=(relay,), daemon=True).start()

    def _do(self, relay: socket.socket) -> None:
        with relay, relay.makefile("rb", buffering=0) as lines:
            words, folder, environment = json.loads(lines.readline())
            process = self.process(words, Path(folder), environment)
            process.start()
            self.running.add(process.pid)
            while process.exitcode is None:
                if relay in select.select([relay, process.sentinel], [], [])[0]:
                    sent = relay.recv(1)
                    for kill in (os.kill, os.killpg) if not sent else (os.kill,):
                        with suppress(ProcessLookupError):
                            kill(process.pid, sent[0] if sent else signal.SIGKILL)
                    if not sent:
                        process.join()
            self.note_end(process, environment)
            self.running.discard(process.pid)
            with suppress(OSError):
                relay.sendall(str(process.exitcode).encode())
