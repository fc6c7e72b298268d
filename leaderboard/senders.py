"""Records that others sent in: who, and whether they were reproduced here. A list beside the records, which it names.

The records themselves are as they were sent. One that is not listed was measured here.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.leaderboard.files import FileError, read_file, write_atomically
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.store import place_of

SENDERS = "senders.csv"
SELF_REPORTED, REPRODUCED = "self-reported", "reproduced here"
TIERS = (SELF_REPORTED, REPRODUCED)
_HEADER = ["record", "sender", "tier"]
_LARGEST = 16 * 2**20


@dataclass(frozen=True)
class Sent:
    """Who sent a record in, and its tier: ``self-reported`` or ``reproduced here``."""

    sender: str
    tier: str = SELF_REPORTED


#: By the place of the record, relative to the folder of records and with ``/``.
Senders = dict[str, Sent]


def read_senders(records_root: Path) -> Senders:
    """Return who sent records of a folder in; empty where all were measured here.

    Raises:
        FileError: the list is damaged.
    """
    path = records_root / SENDERS
    try:
        text = read_file(path, _LARGEST).decode()
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise FileError(path, "is not text in UTF-8") from error
    header, *rows = [*csv.reader(io.StringIO(text))] or [[]]
    if header != _HEADER:
        raise FileError(path, f"must begin with {','.join(_HEADER)}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(_HEADER) or row[2] not in TIERS:
            raise FileError(path, f"line {number} must be a record, its sender, and one of {', '.join(TIERS)}")
    return {place: Sent(sender, tier) for place, sender, tier in rows}


def measured_here(records: Sequence[Record], senders: Senders) -> list[Record]:
    """Return the records that are ours, or were reproduced here."""
    if not senders:
        return list(records)
    return [r for r in records if senders.get(place_of(r), Sent("", REPRODUCED)).tier == REPRODUCED]


def write_senders(records_root: Path, senders: Mapping[str, Sent]) -> None:
    """Write the list, if it differs; an empty one where there is none stays away."""
    path = records_root / SENDERS
    if senders == read_senders(records_root):
        return
    text = io.StringIO()
    rows = ([place, sent.sender, sent.tier] for place, sent in sorted(senders.items()))
    csv.writer(text, lineterminator="\n").writerows([_HEADER, *rows])
    write_atomically(path, text.getvalue().encode())
