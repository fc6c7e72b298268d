"""What a value in a suite's file means: what it looks like, or nothing; and that no text ends in a traceback."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.config.suite import load_suite, suite_files
from rnnbench.benchmark.config.yaml_file import read_yaml
from rnnbench.benchmark.errors import MOST_CHARACTERS, UserError

READ = {
    **{"0": 0, "-3": -3, "+3": 3, "9223372036854775807": 2**63 - 1},
    **{"1e-3": 1e-3, "1E3": 1000.0, "1.": 1.0, ".5": 0.5, "-1.5e+3": -1500.0, "01.5": 1.5, "0e-400": 0.0},
    **{"true": True, "FALSE": False, "null": None, "~": None, "": None, "y": "y", "n": "n"},
    **{"2020-01-01": "2020-01-01", "1,000": "1,000", "1.0.0": "1.0.0", "10 %": "10 %", "=": "=", "inf": "inf"},
    **{"'010'": "010", '"yes"': "yes", "'1:30'": "1:30", '"a\\u00e9\\t"': "aé\t", "'<<'": "<<"},
    "{<<: {b: 1, c: 2}, c: 3}": {"b": 1, "c": 3},
    "{<<: [{b: 1}, {b: 2, d: 4}]}": {"b": 1, "d": 4},
    "[&x {b: 1}, *x]": [{"b": 1}, {"b": 1}],
}
NUMBER = "must be a finite decimal number without leading zeros, or in quotes if it is text"
REFUSED = {
    **dict.fromkeys(["010", "08", "-00", "0o17", "0x1F", "0b101", "1_000", "1_0.5", "1:30", "190:20:30.15"], NUMBER),
    **dict.fromkeys([".inf", "-.Inf", ".NaN", f"0x{'f' * 5000}", f"{'1' * 4000}:30"], NUMBER),
    **dict.fromkeys(["yes", "No", "on", "OFF"], "must be true or false, or in quotes if it is text"),
    **dict.fromkeys(["9223372036854775808", "1" * 5000], "must be a whole number of at most 64 bits"),
    **dict.fromkeys(["1e400", "-1e-400", f"1e{'9' * 5000}"], "must be from 1e-307 to 1e308 in size, or 0"),
    **dict.fromkeys(["!!int 3", "!!float 3", "!!python/name:os.system x", "!mine 3", "! 3"], "YAML's tag !"),
    '"\\U00110000"': "stands for no character",
    '"\\ud83d\\ude00"': r"the character '\ud83d' is not allowed in text",
    '"\\x1b[31m"': r"the character '\x1b' is not allowed in text",
    "{b: 1, b: 2}": "'b' is already given in line 2",
    "{<<: {b: 1}, <<: {c: 2}}": "'<<' is already given in line 2",
    "{<<: 3}": "'<<' must be a mapping or a list of mappings, got 3",
    "{[1]: 2}": "a key must be text, in quotes if it looks like something else, got [1]",
    "*x": "the alias *x has no anchor before it",
    "&x [*x]": "the alias *x has no anchor before it",
    "[" * 60: "is nested too deeply: at most 50 levels",
    "1\n---\nb: 2": "a second document begins; a file must hold exactly one",
}


@pytest.mark.parametrize("written", READ)
def test_value_means_what_it_looks_like(tmp_path: Path, written: str) -> None:
    (tmp_path / "a.yaml").write_text(f"# first line\na: {written}\n", encoding="utf-8")
    assert repr(read_yaml(tmp_path / "a.yaml")["a"]) == repr(READ[written])  # 1 is not 1.0


@pytest.mark.parametrize("written", REFUSED, ids=lambda written: written[:20])
def test_what_is_ambiguous_or_of_no_use_is_refused_with_its_line(tmp_path: Path, written: str) -> None:
    (tmp_path / "a.yaml").write_text(f"# first line\na: {written}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"a.yaml, line [23]: .*{re.escape(REFUSED[written])}") as refused:
        read_yaml(tmp_path / "a.yaml")
    assert len(str(refused.value)) < 300


BOMB = "a0: &a0 {k0: 1}\n" + "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9))
MERGES = "a0: &a0 {k0: 1}\n" + "\n".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k{i}: 1}}" for i in range(1, 40))


@pytest.mark.parametrize("text", [BOMB, MERGES])
def test_aliases_count_as_if_they_were_written_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="must hold at most 20,000 values, aliases written out"):
        read_yaml(tmp_path / "a.yaml")


SHIPPED = [path.read_text(encoding="utf-8") for path in suite_files().values()]
PIECES = ["null", "yes", "1_0", "-1", "3.5", "[]", "{a: b}", "&a [*a]", "!!int 3"]
PIECES += ['"\\x1b"', "LSTM", "<<", ".nan", "- a"]
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES) | st.text(max_size=4)), max_size=5
)


@given(text=st.sampled_from(SHIPPED), edits=EDITS, budget=st.sampled_from(["smoke", "cpu", "paper"]))
def test_no_edit_of_a_suite_ends_in_a_traceback(tmp_path_factory, text, edits, budget) -> None:
    for share, removed, piece in edits:
        at = int(share * len(text))
        text = text[:at] + piece + text[at + removed :]
    path = tmp_path_factory.mktemp("edited") / "suite.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(UserError):
        assert load_suite(path, budget).experiments


def test_message_is_short_and_holds_nothing_that_controls_a_terminal() -> None:
    message = str(UserError(f"unknown name '\x1b]0;\u202e\ud800{'x' * 10_000}'"))
    assert message.startswith(r"unknown name '\x1b]0;\u202e\ud800x")
    assert len(message) == MOST_CHARACTERS


@pytest.mark.parametrize("path", suite_files().values(), ids=lambda path: path.stem)
def test_both_parsers_read_our_suites_alike(path):
    one, other = read_yaml(path), read_yaml(path, ours=True)
    assert (repr(one), lines_of(one)) == (repr(other), lines_of(other))


def lines_of(value):
    if isinstance(value, list):
        return [lines_of(item) for item in value]
    return (value.lines, [lines_of(item) for item in value.values()]) if isinstance(value, Section) else None
