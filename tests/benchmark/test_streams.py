"""Where output goes: narrow terminals, full disks, pipes whose reader has gone, closed streams; never a traceback."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench.benchmark.command.streams import print_table
from rnnbench.leaderboard.store import shipped_records

full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


def run(words: str, redirection: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, started by a shell."""
    command = ["sh", "-c", f"{sys.executable} -m rnnbench {words} {redirection}"]
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    everything = {**os.environ, **environment}
    return subprocess.run(command, env=everything, capture_output=True, encoding=encoding, check=False)


@pytest.mark.parametrize(("encoding", "listed"), [("ascii", "list measures"), ("cp1252", "list")])
def test_what_a_terminal_cannot_show_is_replaced(encoding: str, listed: str, tmp_path: Path) -> None:
    suite = tmp_path / "greek.yaml"
    suite.write_text(
        "tasks: {ADDγ: {class_path: Adding}}\nnetworks: {Größe: {class_path: LSTM, init_args: {hidden_size: 2}}}\n"
        "training: {max_steps: 5}\n",
        encoding="utf-8",
    )
    for words in (listed, f"status {suite} --runs-dir {tmp_path}"):
        done = run(words, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, "")
        assert "?" in done.stdout


def test_tables_are_aligned_in_ascii_too_and_split_where_a_terminal_is_narrow(monkeypatch) -> None:
    rows = [["γ", "RMSE ↓", "accuracy % ↑"], ["LSTM", "0.1 ± 0.2", "98 – 99"]]
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    monkeypatch.setattr(sys, "stdout", stream)
    print_table(rows)
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "20")
    print_table(rows)
    stream.flush()
    assert stream.buffer.getvalue().decode().splitlines() == [
        "?     RMSE (min)  accuracy % (max)",
        "LSTM  0.1 +- 0.2           98 - 99",
        "?     RMSE (min)",
        "LSTM  0.1 +- 0.2",
        "",
        "?     accuracy % (max)",
        "LSTM           98 - 99",
    ]


@full_disk
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["list measures", "--version", "list --help"])
def test_output_that_cannot_be_written(words: str, unbuffered: str) -> None:
    done = run(words, ">/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


@full_disk
def test_an_error_that_cannot_be_written() -> None:
    assert run("lsit", "2>/dev/full").returncode == 2


def test_a_reader_that_has_gone(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    # As other tools end there; what has more to do than to print says why it stopped.
    gone = "error: standard output cannot be written: Broken pipe\n"
    cell = "quick/cpu/Digits/GRU"
    shutil.copytree(shipped_records() / cell, tmp_path / "runs" / cell)
    for words, expected in (("list measures --json", (141, "")), ("publish --records-dir out", (2, gone))):
        command = [sys.executable, "-m", "rnnbench", *words.split()]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, done.stderr) == expected
    os.close(writing)


def test_closed_streams(tmp_path: Path) -> None:
    done = run("list measures", ">&-")
    assert (done.returncode, done.stderr) == (2, "error: standard output is closed: give it a file or a pipe\n")
    assert run("list measures", "2>&-").stdout == run("list measures").stdout != ""
    # What is printed must not go into a file that is opened in place of the stream.
    records = tmp_path / "records"
    records.mkdir()
    (records / "cut.json").write_text("{", encoding="utf-8")
    done = run(f"leaderboard --records-dir {records} --output {tmp_path}", ">&- 2>&-")
    assert done.returncode == 2
    assert "not placed: cut.json" not in (tmp_path / "LEADERBOARD.md").read_text(encoding="utf-8")
