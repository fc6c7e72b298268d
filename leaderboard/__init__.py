"""What came out: records, statistics, tables, figures and published numbers. Imports no other room and never torch."""

from rnnbench.leaderboard.page import LeaderboardReport, write_leaderboard
from rnnbench.leaderboard.record import Record, RecordError, comparable, read_record, summarise, write_record
from rnnbench.leaderboard.store import Problem, PublishReport, publish, record_path, scan

__all__ = [
    "LeaderboardReport",
    "Problem",
    "PublishReport",
    "Record",
    "RecordError",
    "comparable",
    "publish",
    "read_record",
    "record_path",
    "scan",
    "summarise",
    "write_leaderboard",
    "write_record",
]
