"""The times of records when the clock of the day is set while a network is trained."""

import datetime as dates
import time

import pytest

from rnnbench.benchmark.run import recording


@pytest.mark.parametrize("days", [-20_000, -1, 1, 3_000])
def test_a_start_knows_the_time_whatever_is_done_to_the_clock(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    start, begun = recording.Start(), time.monotonic()

    class Jumped(dates.datetime):
        @classmethod
        def now(cls, tz: dates.tzinfo | None = None) -> dates.datetime:
            return super().now(tz) + dates.timedelta(days=days)

    monkeypatch.setattr(recording, "datetime", Jumped)
    assert 0 <= (start.now() - start.at).total_seconds() <= time.monotonic() - begun + 1
    assert abs(recording.Start().at - start.at) > dates.timedelta(hours=23)
