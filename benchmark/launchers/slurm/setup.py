"""What a user adds to the script of tasks: lines for SLURM, then shell; mistakes are found before a task begins."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator

#: Options that have to be what ``submit`` says, by their short forms, with its own option where it has one.
_TAKEN = {
    "time": ("-t", "--time"),
    "cpus-per-task": ("-c", "--cpus"),
    "gres": ("", "--gres"),
    "array": ("-a", "--array-limit"),
    "output": ("-o", ""),
    "job-name": ("-J", ""),
    "chdir": ("-D", ""),
    "signal": ("", ""),
    "open-mode": ("", ""),
    "wait": ("-W", ""),
}
_DIRECTIVE = "#SBATCH"
_SECONDS = 10


def mistakes(text: str) -> Iterator[str]:
    r"""Yield what is wrong with such lines, in one message each.

    >>> list(mistakes("#SBATCH --qos=long\nmodule load python\n#SBATCH --mem=1G\n"))
    ['line 3: #SBATCH --mem=1G: SLURM reads no such line after the first one of shell: move it up']
    >>> list(mistakes("#SBATCH -t 5"))
    ["line 1: #SBATCH -t 5: submit decides --time itself: use submit's --time instead"]
    >>> list(mistakes("#SBATCH --mem=1G # not --time=5"))
    []
    """
    is_shell = False
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith(_DIRECTIVE):
            is_shell = is_shell or not (line.startswith("#") or not line.strip())
            continue
        where = f"line {number}: {line.strip():.80}"
        if is_shell:
            yield f"{where}: SLURM reads no such line after the first one of shell: move it up"
        # sbatch too takes the rest of such a line for a comment.
        options = list(itertools.takewhile(lambda word: not word.startswith("#"), line.split()[1:]))
        for name, (short, own) in _TAKEN.items():
            if any(_is_option(word, name, short) for word in options):
                instead = f"use submit's {own} instead" if own else "leave it out"
                yield f"{where}: submit decides --{name} itself: {instead}"
    if error := _refused_by_shell(text):
        yield error


def _is_option(word: str, name: str, short: str) -> bool:
    return word.partition("=")[0] == f"--{name}" or bool(short and word.startswith(short))


def _refused_by_shell(text: str) -> str:
    """Return what bash says of lines that it cannot read; nothing where there is no bash."""
    bash = shutil.which("bash")
    if bash is None:
        return ""
    # In the C locale, and without a file of the user's: what bash says is then about these lines alone.
    environment = {name: value for name, value in os.environ.items() if name != "BASH_ENV"} | {"LC_ALL": "C"}
    done = subprocess.run(  # noqa: S603
        [bash, "-n"], input=text.encode(), capture_output=True, check=False, timeout=_SECONDS, env=environment
    )
    said = done.stderr.decode(errors="replace").strip().splitlines()
    # A warning too: a here-document without its end would take the rest of the script for text.
    return f"bash cannot read it: {said[0].partition(': ')[2]:.200}" if said else ""
