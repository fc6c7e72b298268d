"""Wrong words on the command line and damaged records: the nearest known word or the file, exit code 2."""

from pathlib import Path

import pytest

from rnnbench.benchmark.command import listing, parsing
from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.command.verbs import run


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("command", "fragments"),
    [
        ("", ["a command is missing", "run"]),
        ("rnu quick", ["unknown command 'rnu'", "did you mean run?"]),
        ("--verzion", ["'--verzion'", "did you mean --version?"]),
        ("run quik", ["unknown suite 'quik'", "did you mean quick?"]),
        ("run .", ["suite .", "YAML file", "got a folder"]),
        ("run smnist.yaml", ["smnist.yaml", "no such file", "did you mean smnist?"]),
        ("run quick --bugdet smoke", ["unknown option '--bugdet'", "did you mean --budget?"]),
        ("run quick --workers=2 --dryrun", ["unknown option '--dryrun'", "did you mean --dry-run?"]),
        ("run quick --data 7", ["unknown option '--data'", "did you mean --data-dir?"]),
        ("run quick extra", ["unknown suite 'extra'", "known: adding, "]),
        ("run quick --budget papr", ["--budget", "unknown budget 'papr'", "did you mean paper?"]),
        ("run quick --wandb ofline", ["--wandb", "'ofline'", "did you mean offline?"]),
        ("run quick --instances 4-2", ["--instances", "'4-2'", "0-4"]),
        ("run quick --instances a", ["--instances", "'a'", "0-4"]),
        ("run quick --instances -1", ["--instances"]),
        ("run quick --instances 0-999999999999", ["--instances", "0-999999999999", "from 0 to 9999"]),
        ("status quick --instances 4-2", ["--instances", "'4-2'", "0-4"]),
        ("run quick --workers 0", ["--workers", "'0'", "from 1 to"]),
        (f"run quick --workers {'9' * 5000}", ["--workers", "from 1 to 1000000"]),
        (f"run quick --instances {'9' * 5000}", ["--instances", "from 0 to 9999"]),
        ("run quick --scan lop", ["--scan", "unknown scan 'lop'", "did you mean loop?"]),
        ("run quick --checkpoint-every 0", ["--checkpoint-every", "'0'", "from 1 to"]),
        ("run quick --checkpoint-every sqrt", ["--checkpoint-every", "'sqrt'", "from 1 to", "auto"]),
        ("run quick --devices two", ["--devices", "'two'", "from 1 to"]),
        ("run quick --launcher rey", ["--launcher", "unknown launcher 'rey'", "did you mean ray?"]),
        ("run quick --address 10.0.0.1:6379", ["--address needs --launcher ray"]),
        ("run quick --gpus-per-job 0.5", ["--gpus-per-job needs --launcher ray"]),
        ("run quick --launcher ray --gpus-per-job 2", ["--gpus-per-job", "from 0 to 1", "'2'"]),
        ("run quick --launcher ray --devices 2", ["--devices must be 1 with --launcher ray, got 2"]),
        ("run quick --only Digit", ["--only Digit", "did you mean Digits?"]),
        ("run", ["SUITE"]),
        ("status quik", ["did you mean quick?"]),
        ("list task", ["unknown section 'task'", "did you mean tasks?"]),
        ("check nothing", ["nothing", "neither a suite"]),
        ("publish --runs-dir nowhere", ["nowhere", "no such folder"]),
        ("page --records-dir=", ["--records-dir", "must name a file or folder"]),
        ("leaderboard --records-dir nowhere", ["nowhere", "no such folder"]),
        ("leaderboard --records-dir . --output board.md", ["board.md", "LEADERBOARD.md"]),
        ("run quick --runs-dir file", ["error: --runs-dir file: is a file; a folder is needed\n"]),
        ("status quick --runs-dir file", ["error: --runs-dir file: is a file; a folder is needed\n"]),
        ("speed lyapunow", ["unknown report 'lyapunow'", "did you mean lyapunov?"]),
        ("speed --repeats 0", ["--repeats", "'0'", "from 1"]),
        ("speed --qick", ["unknown option '--qick'", "did you mean --quick?"]),
        ("speed --json nowhere/out.json", ["--json nowhere/out.json", "a folder that exists"]),
        ("speed --json .", ["--json .", "a file"]),
        # Before anything is timed. Nobody, not even root, can make files there.
        ("speed --json /proc/out.json", ["--json /proc/out.json", "cannot be written"]),
        ("speed --output /proc/out", ["--output /proc/out", "cannot be written"]),
        ("speed --output file", ["--output file", "must be a folder"]),
        ("speed --output folder", ["--output folder", "other.json: not written by rnnbench speed"]),
        ("speed scan --quick --full", ["--quick and --full"]),
        ("status gap", ["unknown suite 'gap': did you mean gap.yaml?"]),
        ("check gap.yml", ["suite file gap.yml: no such file; did you mean gap.yaml?"]),
        ("leaderboard --output file", ["--output file: must be a folder"]),
        ("publish --runs-dir empty", ["--runs-dir empty holds no records"]),
        ("merge empty --sender X", ["merge empty holds no records"]),
    ],
)
def test_wrong_words(command: str, fragments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    contents = {"file": "kept", "folder/other.json": "{}", "gap.yaml": "title: Gap"}
    for folder in ("folder", "empty"):
        (tmp_path / folder).mkdir()
    for name, text in contents.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(command.split()) == 2
    left = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == contents
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert all(fragment in message for fragment in fragments), message


def test_ray_without_its_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    assert main(["run", "quick", "--launcher", "ray"]) == 2
    assert capsys.readouterr().err == "error: --launcher ray: it is not installed: pip install 'rnnbench[ray]'\n"


def test_status_counts_the_chosen_instances(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for chosen in ("0", "0-1"):
        assert main(["status", "quick", "--instances", chosen]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] != outputs[1]


def test_instances_are_ordered_and_without_repetition() -> None:
    assert parsing.instances("0-2,5,1") == (0, 1, 2, 5)
    assert parsing.instances("3") == (3,)


def test_check_names_every_damaged_record_and_leaves_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    damaged = {
        "cut.json": '{"schema_version": 1, "suite": "qu',
        "foreign.json": '{"name": "package"}',
        "newer.json": '{"schema_version": 999}',
        "folder/half.json": '{"schema_version": 1}',
    }
    for name, text in damaged.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["check", "cut.json", "foreign.json", "newer.json", "missing.json", "folder"]) == 2
    captured = capsys.readouterr()
    for name in (*damaged, "missing.json"):
        assert f"error: {name}: " in captured.err
    assert captured.out == ""
    assert {name: (tmp_path / name).read_text(encoding="utf-8") for name in damaged} == damaged


@pytest.mark.parametrize("command", ["publish --runs-dir runs", "leaderboard --records-dir runs --output board"])
def test_damaged_record_is_named_and_the_rest_goes_on(command, capsys, tmp_path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "cut.json").write_text("{", encoding="utf-8")
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    assert "cut.json: is cut short" in captured.err
    assert "0 published" in captured.out or "from 0 records" in captured.out
    assert (tmp_path / "runs" / "cut.json").read_text(encoding="utf-8") == "{"


def test_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "board").write_text("a file, not a folder", encoding="utf-8")
    assert main(["leaderboard", "--records-dir", "records", "--output", "board"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert (tmp_path / "board").read_text(encoding="utf-8") == "a file, not a folder"


def test_full_disk_and_interruption_end_without_a_traceback(capsys, monkeypatch) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device", "runs/x.json")

    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(listing, "render", full)
    assert main(["list"]) == 2
    assert capsys.readouterr().err == "error: No space left on device: runs/x.json\n"
    monkeypatch.setattr(listing, "render", interrupt)
    assert main(["list"]) == 130
