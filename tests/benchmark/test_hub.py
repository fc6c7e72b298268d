"""Publishing to the Hugging Face Hub, on a stand-in that takes what the real interface takes; nothing is pushed."""

import inspect
import io
import json
import socket
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save

from rnnbench.benchmark.command.cli import main
from rnnbench.leaderboard.frame import COLUMNS
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.store import path_of, place_of
from rnnbench.leaderboard.weights_file import KEY, Description, read_weights, weights_path
from tests.leaderboard.factory import make_record, put

REPO = "someone/records"
HfApi = huggingface_hub.HfApi  # before it is replaced


@dataclass
class StandIn:
    """Repositories in memory; every call must fit the signature of the real method."""

    folder: Path
    files: dict = field(default_factory=dict)
    commits: list = field(default_factory=list)

    def __getattr__(self, name):
        def call(*args, **kwargs):
            given = inspect.signature(getattr(HfApi, name)).bind(None, *args, **kwargs).arguments
            return getattr(StandIn, f"_{name}")(self, **{key: value for key, value in given.items() if key != "self"})

        return call

    def _create_repo(self, repo_id, repo_type, exist_ok):
        assert exist_ok
        huggingface_hub.utils.validate_repo_id(repo_id)
        self.files.setdefault((repo_type, repo_id), {})

    def _repo_info(self, repo_id, repo_type):
        return SimpleNamespace(sha=f"sha{len(self.commits)}")

    def _list_repo_files(self, repo_id, repo_type, revision):
        assert revision == f"sha{len(self.commits)}"
        return list(self.files[repo_type, repo_id])

    def _hf_hub_download(self, repo_id, filename, repo_type, revision):
        assert revision == f"sha{len(self.commits)}"
        path = self.folder / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.files[repo_type, repo_id][filename])
        return str(path)

    def _create_commit(self, repo_id, operations, commit_message, repo_type, parent_commit):
        assert parent_commit == f"sha{len(self.commits)}"
        assert all(isinstance(operation, huggingface_hub.CommitOperationAdd) for operation in operations)
        self.files[repo_type, repo_id] |= {one.path_in_repo: one.path_or_fileobj for one in operations}
        self.commits.append((repo_type, commit_message))


@pytest.fixture
def hub(tmp_path, monkeypatch) -> StandIn:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_token")
    stand_in = StandIn(tmp_path / "downloaded")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda token: stand_in)
    return stand_in


def put_weights(root: Path, record: Record) -> None:
    description = {KEY: json.dumps(Description.of(record, 0).model_dump())}
    weights_path(path_of(root, record)).write_bytes(save({"w": np.zeros(2, np.float32)}, description))


def publish(*words: str) -> int:
    return main(["publish", "--hub", REPO, *words])


def rows(hub: StandIn) -> list[Record]:
    table = pd.read_parquet(io.BytesIO(hub.files["dataset", REPO]["records.parquet"]))
    assert list(table.columns) == [*COLUMNS, "record"]
    records = [Record.model_validate_json(text) for text in table["record"]]
    assert table["test"].tolist() == [record.scores.test["accuracy"] for record in records]
    return records


def test_records_are_merged_with_what_is_there(hub, tmp_path, capsys) -> None:
    first, second = make_record(), make_record(instance=1)
    put(tmp_path / "runs", first, make_record(instance=2, status="interrupted"))
    assert publish() == 0
    assert rows(hub) == [first]
    (tmp_path / "runs").rename(tmp_path / "before")
    changed = make_record(test=(0.2, 0.5, 0.9))
    put(tmp_path / "runs", changed, second)
    assert publish() == 0
    assert rows(hub) == [first, second]
    captured = capsys.readouterr()
    assert "another record of this instance is on the Hub and was kept" in captured.err
    assert captured.out.splitlines()[-1] == f"{REPO}: 1 published, 0 replaced, 0 already there; weights of 0 networks"
    commits = list(hub.commits)
    assert publish() == 0
    assert hub.commits == commits == [("dataset", "Add 1 records")] * 2
    assert publish("--replace") == 0
    assert rows(hub) == [changed, second]
    assert set(hub.files) == {("dataset", REPO)}


def test_weights_go_with_a_filled_card_that_is_rewritten_unless_it_is_somebody_elses(hub, tmp_path, capsys) -> None:
    records = [make_record(network="Elman|<b>", instance=i) for i in range(2)]
    put(tmp_path / "runs", records[0])
    put_weights(tmp_path / "runs", records[0])
    assert publish() == 0
    put(tmp_path / "runs", records[1])
    put_weights(tmp_path / "runs", records[1])
    assert publish() == 0
    assert capsys.readouterr().out.endswith("1 already there; weights of 1 networks\n")
    files = hub.files["model", REPO]
    places = [place_of(record) for record in records]
    assert set(files) == {"README.md", *places, *(weights_path(Path(place)).as_posix() for place in places)}
    assert Record.model_validate_json(files[places[0]]) == records[0]
    (tmp_path / "copy").write_bytes(files[weights_path(Path(places[1])).as_posix()])
    assert not read_weights(tmp_path / "copy")[0].difference(records[1])

    card = huggingface_hub.ModelCard(files["README.md"].decode())
    assert (card.data.library_name, card.data.datasets) == ("rnnbench", [REPO])
    assert [result.metric_value for result in card.data.eval_results] == [0.88, 0.88]
    assert "Elman\\|&lt;b>" in card.text
    assert f'rnnbench.load_network(f"{{folder}}/{places[0]}")' in card.text
    assert "rnnbench run quick --only" in card.text

    hub.files["dataset", REPO]["README.md"] = b"mine"
    put(tmp_path / "runs", make_record())
    assert publish() == 0
    assert hub.files["dataset", REPO]["README.md"] == b"mine"
    assert b"2 networks" in files["README.md"]


def test_foreign_weights_stay_here(hub, tmp_path, capsys) -> None:
    record = make_record()
    put(tmp_path / "runs", record)
    path = weights_path(path_of(tmp_path / "runs", record))
    path.write_bytes(b"\x80\x04pickle")
    assert publish() == 2
    assert "is a pickle" in capsys.readouterr().err
    assert hub.files["model", REPO] == {}


def test_what_is_there_and_no_table_of_records_is_left_alone(hub, tmp_path, capsys) -> None:
    put(tmp_path / "runs", make_record())
    theirs = io.BytesIO()
    pd.DataFrame({"record": ["{}"]}).to_parquet(theirs)
    for content in (b"text", theirs.getvalue()):
        hub.files["dataset", REPO] = {"records.parquet": content}
        assert publish() == 2
        assert "records.parquet there is damaged or not of rnnbench's records" in capsys.readouterr().err
        assert hub.files["dataset", REPO] == {"records.parquet": content}


@pytest.mark.parametrize(
    ("token", "repo", "offline", "message"),
    [
        (None, REPO, True, f"--hub {REPO}: there is no token of the Hugging Face Hub: log in with `hf auth login`"),
        ("hf_x", REPO, True, "offline mode"),
        ("hf_x", "a/b/c", True, "Repo id must be in the form"),
        ("hf_x", REPO, False, f"--hub {REPO}: "),
    ],
)
def test_what_the_hub_or_the_network_refuses_is_one_message(
    token, repo, offline, message, tmp_path, monkeypatch, capsys
) -> None:
    put(tmp_path / "runs", make_record())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: token)
    if not offline:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda token: HfApi(address, token))
    assert main(["publish", "--hub", repo]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error
