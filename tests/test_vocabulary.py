"""Code and texts use the field's words: none of those that CONTRIBUTING.md's wording replaced come back."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: A pattern, and what a researcher would write.
REPLACED = {
    r"\bway back\b|way_back|\bthere and back\b": "backward pass",
    r"(?<![.\w])(?<!random )walk(?:s|ed|ing)?\b|\w*Walk\b|(?<![.a-z])walk_|_walk\b": "scan, kernel",
    r"\bchosen\(\)|\bscanning\(": "current_backend(), use_backend()",
    r"\bstands? still\b|\bstand_still|\bpast_end\b": "freeze_padding, padding_mask",
    r"\btake_apart\b|\bput_together\b|\bpull_back\b": "unwrap_vmap, wrap_vmap, vjp",
    r"\bdef (?:place|beside|taken|moment)\(": "select_cells, read_side_arrays, measurements, parse_time",
    r"\"[^\"]*: [^\"]*\b(?:is|are) allowed\b": "must be ..., got ...",
    r"\bis no (?:recurrence|Recurrence)\b": "is not a Recurrence subclass",
    r"\bnot both and not neither\b": "exactly one of",
    r"\bfor want of\b": "out of, without",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\btold\b(?! (?:from|to|apart)\b)": "report, say",
    r"\banew\b|\bwhose ends\b": "again",
    r"\bwhat diverged is\b|\bwhat is missing is told\b": "diverged runs are, missing cells are",
}
#: In pages, what the glossary has another word for.
OTHER_WORDS = {
    r"(?i)\bhyper-?parameters?\b": "setting",
    r"(?i)\btime-?steps?\b": "step",
    r"(?i)\bdataset\b|\bdatasets\b(?! library)(?!`)": "data set",
    r"(?i)\bconfig(?:uration)? files?\b": "suite",
    r"(?i)\bensemble members?\b|\breplicates?\b": "instance",
    r"(?i)\b(?:test|validation) sets?\b": "split",
    r"(?i)\brandom guess(?:ing)?\b|\bbaseline accuracy\b": "chance",
}
FOLDERS = ("benchmark", "datamodules", "leaderboard", "lit_models", "rnnbench", "tests", "docs")
FILES = sorted(
    path
    for pattern in ("*.md", "*.py", "*.h", "*.c")
    for found in (ROOT.glob(pattern), *((ROOT / folder).rglob(pattern) for folder in FOLDERS))
    for path in found
    # Generated, and this list.
    if path.name != "LEADERBOARD.md" and path != Path(__file__)
)


@pytest.mark.parametrize("pattern", REPLACED, ids=REPLACED.values())
def test_replaced_words_stay_replaced(pattern: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert len(FILES) > 300
    assert found == [], f"write: {REPLACED[pattern]}"


@pytest.mark.parametrize("pattern", OTHER_WORDS, ids=OTHER_WORDS.values())
def test_pages_use_the_words_of_the_glossary(pattern: str) -> None:
    pages = [path for path in FILES if path.suffix == ".md" and path.name != "CHANGELOG.md"]
    # Code blocks hold names of libraries and their arguments.
    texts = {
        page.name: re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for page in pages
    }
    assert len(pages) > 20
    assert [(name, found[0]) for name, text in texts.items() for found in re.finditer(pattern, text)] == []
