"""Files of weights that are damaged, foreign or hostile, and what cannot be done: one message each."""

import io
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run.checkpoint import read_checkpoint
from rnnbench.benchmark.run.trained import load_network
from rnnbench.benchmark.run.weights import write_weights
from rnnbench.leaderboard.files import FileError
from rnnbench.leaderboard.record import read_record, write_record
from rnnbench.leaderboard.schema import Measure
from rnnbench.leaderboard.weights_file import read_weights, weights_path


def test_weights_that_are_cut_at_any_byte_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    assert len(content) < 4000
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FileError, match="is damaged or no safetensors file") as error:
            read_weights(path)
        assert "\n" not in str(error.value)


def test_numbers_of_every_type_are_read_back(copy: Path, tmp_path: Path) -> None:
    types = [
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
        "bool",
        "complex64",
    ]
    tensors = {name: torch.arange(6).view(2, 3).to(getattr(torch, name)) for name in types}
    tensors |= {"scalar": torch.tensor(3.0), "empty": torch.zeros(0, 4), "strided": torch.rand(4, 6).T[::2]}
    record, path = read_record(copy), tmp_path / "all.safetensors"
    write_weights(path, tensors, record, 0)
    torch.testing.assert_close(load_file(path), tensors, rtol=0, atol=0)
    assert not read_weights(path)[0].difference(record)
    with pytest.raises(ValueError, match=r"wide must be of a type that .* got torch\.complex128"):
        write_weights(path, {"wide": torch.zeros(2, dtype=torch.complex128)}, record, 0)


class Program:
    """What a pickle may do when it is opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path("executed").touch, ()


def described(content: bytes, old: str, new: str) -> bytes:
    """Weights with something else in their header."""
    size = 8 + int.from_bytes(content[:8], "little")
    header = content[8:size].decode()
    assert old in header
    changed = header.replace(old, new, 1).encode()
    return len(changed).to_bytes(8, "little") + changed + content[size:]


def zipped() -> bytes:
    torch.save(Program(), buffer := io.BytesIO())
    return buffer.getvalue()


BAD = {
    "a pickle": (lambda _: pickle.dumps(Program()), "is a pickle, which may hold a program"),
    "a pickle of PyTorch": (lambda _: zipped(), "is a pickle, which may hold a program"),
    "nothing": (lambda _: b"", "is damaged or no safetensors file"),
    "a header of 2 EiB": (lambda _: b"\xff" * 200, "is damaged or no safetensors file"),
    "a newer version": (lambda c: described(c, 'format\\": 1', 'format\\": 2'), "is of format 2: update to read"),
    "an older version": (lambda c: described(c, 'format\\": 1', 'format\\": 0'), "format: Input should be 1"),
    "another instance": (lambda c: described(c, 'instance\\": 1', 'instance\\": 0'), "another record: its instance"),
    "other scores": (lambda c: described(c, 'test\\": {', 'test\\": {\\"f1\\": 1, '), "another record: its scores"),
    "another architecture": (lambda c: described(c, "[12, 3]", "[3, 12]"), "of another architecture: recurrence."),
    "other names": (lambda c: described(c, "readout.bias", "readout.bios"), "another architecture: readout.bi"),
    "no number": (lambda c: c[:-4] + b"\0\0\xc0\x7f", "holds values that are not numbers (NaN)"),
    "no description": (lambda c: described(c, '"rnnbench"', '"someone"'), "holds no description of rnnbench's"),
    "a description of no JSON": (lambda c: described(c, '"rnnbench": "{', '"rnnbench": "'), "cannot be read"),
    "a list for one": (lambda c: described(c, '"rnnbench": "{', '"rnnbench": "[1, 2, {'), "cannot be read"),
}


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD)
def test_bad_weights_end_in_one_message(make, reason: str, content: bytes, copy: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(copy.parent)
    weights_path(copy).write_bytes(make(content))
    before = copy.read_bytes()
    for words in (["evaluate", copy.name], ["measure", copy.name, "--measure", "lyapunov"]):
        assert main(words) == 2
        printed = capsys.readouterr()
        (line,) = printed.err.splitlines()
        assert line.startswith(f"error: {weights_path(copy).name}: ")
        assert reason in line
        assert not printed.out
    with pytest.raises(UserError, match=r"\.safetensors: "):
        load_network(copy.name)
    # The header does not say of what shapes the numbers must be.
    assert main(["check", copy.name]) == (0 if "architecture" in reason else 2)
    assert copy.read_bytes() == before
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("evaluate none.json", "none.json: no such file"),
        ("evaluate none.safetensors", "none.safetensors: no such file"),
        ("evaluate last.ckpt", "last.ckpt: must be a record (.json) or the weights beside one (.safetensors)"),
        ("evaluate lost.json", "lost.json: its weights, lost.safetensors, do not lie beside it: a run writes them"),
        ("evaluate alone.safetensors", "alone.safetensors: its record, alone.json, must lie beside it"),
        ("evaluate untrained.json --length 0", "must be a whole number from 1"),
        ("evaluate digits.json --length 9", "length must be a setting of the task, but SequentialDigits has none"),
        (
            "evaluate crowd.json",
            "together must be above its place, 1, and at most 10000, got 1000000000",
        ),
        ("evaluate open.json", "open.json: its run is interrupted; run it again to finish it"),
        ("evaluate edited.json", "edited.json: parameters must be "),
        ("measure lost.json", "--measure must name at least 1 measure of lyapunov, "),
        ("measure lost.json --measure lyapnov", "unknown measure 'lyapnov': did you mean lyapunov?"),
        ("measure lost.json --measure {lyapunov:", "not valid YAML"),
        ("measure untrained.json --measure lyapunov", "was trained for no steps: measure it with --at start"),
        ("measure early.json --measure lyapunov --at end", "are those of step 2, the best, and not of the last, 6"),
        (
            "measure lost.json --measure {lyapunov: {count: 7}} --at start",
            "count must be at most the size of the state",
        ),
        ("measure measured.json --measure lyapunov --at start", "what was taken in training stays"),
        ("measure later.json --measure lyapunov --at start", "--replace takes it again"),
    ],
)
def test_what_cannot_be_done_is_refused(words: str, reason: str, copy: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(copy.parent)
    record, first = read_record(copy), min(point.step for point in read_record(copy).curve)
    digits = {**record.config, "task": {"class_path": "SequentialDigits", "init_args": {}}}
    code = record.code
    one = Measure(status="failed", reason="so", step=0, settings={}, summary={}, arrays=[])
    for name, changes in {
        "lost": {},
        "digits": {"config": digits, "steps": 0},
        "crowd": {"hardware": {"instances_trained_together": 10**9}},
        "open": {"status": "interrupted"},
        "edited": {"parameters": 3},
        "untrained": {"steps": 0, "best_step": None},
        "early": {"best_step": first},
        "measured": {"measures": {"lyapunov": {"start": one}}},
        "later": {"measures": {"lyapunov": {"start": one.model_copy(update={"later": code})}}},
    }.items():
        write_record(Path(f"{name}.json"), record.model_copy(update=changes))
    shutil.copy(weights_path(copy), "alone.safetensors")
    weights = weights_path(copy).read_bytes()
    Path("crowd.safetensors").write_bytes(weights)
    Path("edited.safetensors").write_bytes(weights)
    Path("early.safetensors").write_bytes(described(weights, 'best_step\\": 6', f'best_step\\": {first}'))
    verb, *rest = words.split(maxsplit=2)
    given = re.findall(r"\{.*\}|\S+", " ".join(rest))
    assert main([verb, *given]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('hidden_size\\": 3', 'hidden_size\\": 300000', "must have at most 268,435,456 parameters"),
        ('class_path\\": \\"LSTM', 'class_path\\": \\"LTSM', "unknown recurrence 'LTSM'"),
        ('training\\": {', 'trained\\": {', "cannot be built: 'training'"),
        ('optimizer\\": \\"adam', 'optimizer\\": \\"ada', "Input should be"),
        ('length\\": 6', 'length\\": -6', "length must be at least"),
        ('class_path\\": \\"Adding', 'class_path\\": \\"os.path', "'os.path' is a module: write os.path.CLASS"),
    ],
)
def test_configurations_that_cannot_be_built(old: str, new: str, reason: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "alone.safetensors"
    path.write_bytes(described(content, old, new))
    with pytest.raises(UserError) as error:
        load_network(path)
    assert reason in str(error.value)


def test_lightnings_verbs_say_what_reads_weights(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"no training state: 'rnnbench evaluate {copy}' scores it"):
        read_checkpoint(weights_path(copy))
    torch.save({"state_dict": {}, "config": {}}, old := tmp_path / "weights-0.pt")
    with pytest.raises(UserError, match=r"'rnnbench evaluate RECORD\.json' scores it"):
        read_checkpoint(old)
