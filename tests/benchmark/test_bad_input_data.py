"""Bad data given to the command line, before training and beside good data."""

from pathlib import Path

from tests.benchmark.small_jobs import rnnbench
from tests.datamodules.small_texts import write_lines, write_music, write_requests, write_texts

SUITE = """title: Mine
tasks:
  Music: {class_path: Music, init_args: {max_frames: 20}}
  ATIS: {class_path: ATIS, init_args: {vocabulary_size: 20, max_length: 9, embedding_size: 4}}
  Chars: {class_path: Shakespeare, init_args: {vocabulary_size: 20, bptt: 5}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 3}}
training: {learning_rate: 1e-3, batch_size: 4, max_steps: 3, validate_every: 2}
"""


def test_as_a_user_would_and_unknown_words_are_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SUITE, encoding="utf-8")
    folder = write_texts(tmp_path / "data")
    # A request of one word, and words and characters that no training split holds.
    write_requests(folder, "test", [(["never"], ["O"]), (["seen", "before"], ["B-airline_name", "I-airline_name"])])
    write_lines(folder, "test", ["§ÄÖ"], "tiny_shakespeare")
    words = ("run", "mine.yaml", "--data-dir", "data", "--workers", "1")
    result = rnnbench(tmp_path, *words, "--only", "ATIS", "Chars")
    assert result.returncode == 0, result.stderr
    assert len(list(tmp_path.glob("runs/**/*.json"))) == 2
    write_music(folder, "test", [[[60], [110]]])
    result = rnnbench(tmp_path, *words, "--runs-dir", "other")
    assert result.returncode == 2
    (message,) = (line for line in result.stderr.splitlines() if line.startswith("error: suite mine"))
    assert "frame 1: notes must be MIDI numbers from 21 to 108, got 110" in message
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("other/**/*.json"))
