"""``rnnbench publish --hub``: records as a data set, and weights as models, on the Hugging Face Hub.

Both go by one name, ``REPO``: the data set holds one Parquet file of one row an instance, with the documented columns
and the whole ``record`` as JSON; the model repository holds weights, each with its record beside it.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from rnnbench.benchmark.command.hub_cards import MARK, dataset_card, model_card, weights_of
from rnnbench.benchmark.errors import UserError, message_of
from rnnbench.leaderboard.files import FileError, read_file
from rnnbench.leaderboard.frame import COLUMNS, instance_table
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.store import Problem, Report, find_records, place_of
from rnnbench.leaderboard.weights_file import read_weights, weights_path

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FILE, CARD = "records.parquet", "README.md"
_LOGIN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


#: Largest file of records that is read from the Hub.
_LARGEST = 2**30


@dataclass
class HubReport(Report):
    """How many records and weights are new on the Hub, how many records were replaced, and how many were there."""

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    identical: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)


def publish_to_hub(runs_root: Path, repo: str, replace: bool = False) -> HubReport:
    """Add finished and diverged records, and the weights beside them, to what the Hub holds under a name.

    A record of the same experiment and instance that differs stays as it is there, unless ``replace``. A card that
    somebody else wrote stays too.

    Raises:
        UserError: there is no token, the Hub cannot be reached or refuses, or what is there is not ours.
    """
    import huggingface_hub
    from huggingface_hub.utils.tqdm import disable_progress_bars

    with _refusals(repo):
        token = huggingface_hub.get_token()
        if token is None:
            raise UserError(f"--hub {repo}: there is no token of the Hugging Face Hub: {_LOGIN}")
        disable_progress_bars()
        api = huggingface_hub.HfApi(token=token)
        found, problems = find_records(runs_root)
        report = HubReport(problems=problems)
        there = _Repository(api, repo, "dataset")
        records = there.records()
        for record in (record for record in found if record.status != "interrupted"):
            _merge(record, records, replace, report)
        if changed := [*report.added, *report.replaced]:
            rows = [records[place] for place in sorted(records)]
            there.push({FILE: _parquet(rows)}, dataset_card(repo, rows), f"Add {len(changed)} records")
        _push_weights(api, repo, runs_root, records, report)
    return report


def _merge(record: Record, records: dict[str, Record], replace: bool, report: HubReport) -> None:
    place = place_of(record)
    if place not in records:
        report.added.append(place)
    elif records[place] == record:
        report.identical.append(place)
        return
    elif replace:
        report.replaced.append(place)
    else:
        reason = "another record of this instance is on the Hub and was kept; --replace overwrites it"
        report.problems.append(Problem(Path(place), reason, damaged=False))
        return
    records[place] = record


def _push_weights(api: HfApi, repo: str, runs_root: Path, records: Mapping[str, Record], report: HubReport) -> None:
    ours = (*report.added, *report.replaced, *report.identical)
    beside = {place: weights_path(runs_root / place) for place in ours}
    if not any(path.exists() for path in beside.values()):
        return
    there = _Repository(api, repo, "model")
    files: dict[str, bytes] = {}
    for place, path in beside.items():
        name = weights_of(place)
        if not path.exists() or (name in there.files and place not in report.replaced):
            continue
        try:
            content = read_weights(path, records[place])[1]
        except FileError as error:
            report.problems.append(Problem(Path(name), error.reason))
            continue
        files |= {name: content, place: read_file(runs_root / place, _LARGEST)}
        report.weights.append(name)
    if files:
        known = {*there.files, *files}
        networks = {place: record for place, record in sorted(records.items()) if weights_of(place) in known}
        there.push(files, model_card(repo, networks), f"Add the weights of {len(report.weights)} networks")


class _Repository:
    """A repository of the Hub as it is now, made if there is none."""

    def __init__(self, api: HfApi, repo: str, kind: Literal["dataset", "model"]) -> None:
        self._api, self._repo, self._kind = api, repo, kind
        api.create_repo(repo, repo_type=kind, exist_ok=True)
        self._revision = api.repo_info(repo, repo_type=kind).sha
        self.files = set(api.list_repo_files(repo, repo_type=kind, revision=self._revision))

    def read(self, name: str) -> bytes:
        path = self._api.hf_hub_download(self._repo, name, repo_type=self._kind, revision=self._revision)
        return read_file(Path(path).resolve(), _LARGEST)

    def records(self) -> dict[str, Record]:
        """Return the records by place; none where there is no file of them yet."""
        import pandas as pd

        if FILE not in self.files:
            return {}
        try:
            texts = pd.read_parquet(io.BytesIO(self.read(FILE)), columns=["record"])["record"]
            records = [Record.model_validate_json(text) for text in texts]
        except (OSError, ValueError, ValidationError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"--hub {self._repo}: {FILE} there is damaged or not of rnnbench's records: {reason}"
            ) from error
        return {place_of(record): record for record in records}

    def push(self, files: Mapping[str, bytes], card: str, message: str) -> None:
        """Add files in one commit, with the card unless somebody else wrote the one there.

        Nothing is overwritten that came in between: the Hub refuses a commit on another one than was read.
        """
        from huggingface_hub import CommitOperationAdd

        if CARD not in self.files or MARK.encode() in self.read(CARD):
            files = {**files, CARD: card.encode()}
        operations = [CommitOperationAdd(name, content) for name, content in files.items()]
        self._api.create_commit(
            self._repo, operations, commit_message=message, repo_type=self._kind, parent_commit=self._revision
        )


def _parquet(records: Sequence[Record]) -> bytes:
    table = instance_table(records)[[*COLUMNS]]
    table["record"] = [json.dumps(record.model_dump(), sort_keys=True) for record in records]
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    return content.getvalue()


@contextlib.contextmanager
def _refusals(repo: str) -> Iterator[None]:
    """Turn what the Hub, its library or the network refuses into one message."""
    from huggingface_hub.errors import HfHubHTTPError

    # What the library raises without a connection derives from its client's error, which is not the same everywhere.
    refused: tuple[type[Exception], ...] = (OSError, ValueError, *HfHubHTTPError.__bases__)
    try:
        yield
    except (UserError, FileError):
        raise
    except refused as error:
        text = " ".join(message_of(error).split()) or type(error).__name__
        hint = f"; {_LOGIN}" if "401" in text or "403" in text else ""
        raise UserError(f"--hub {repo}: {text[:500]}{hint}") from error
