"""How a worker's training ends when it is asked to: saved after the step that it is at, or else where it is."""

from __future__ import annotations

import signal
from typing import Protocol

#: For the rest of a step, or for an evaluation that follows it, and for the checkpoint.
_SECONDS_TO_SAVE = 5.0


class Savable(Protocol):
    """A training that raises KeyboardInterrupt after the next step, once it is saved, if ``end_is_wanted`` is set."""

    end_is_wanted: bool


_training: Savable | None = None


def note_training(training: Savable | None) -> None:
    """Note which training is on, if any."""
    global _training
    _training = training


def end_training() -> None:
    """Have the training that is on end after its step, or soon; without one raise KeyboardInterrupt."""
    if _training is None:
        raise KeyboardInterrupt
    _training.end_is_wanted = True
    signal.signal(signal.SIGALRM, _end_now)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS_TO_SAVE)


def end_saved() -> None:
    """Raise KeyboardInterrupt: what was to be saved is."""
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    raise KeyboardInterrupt


def _end_now(*_: object) -> None:
    raise KeyboardInterrupt
