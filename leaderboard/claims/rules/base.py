"""What all rules share: how they are written, and which samples they look at."""

import fnmatch
from abc import abstractmethod
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from rnnbench.leaderboard.claims.evidence import Sample
from rnnbench.leaderboard.claims.verdict import Outcome


class Strict(BaseModel):
    """A part of a claim's file: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Rule(Strict):
    """One way to decide a claim."""

    @abstractmethod
    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each comparison.

        Args:
            samples: every cell that the claim needs, whole.

        Raises:
            LookupError: a record lacks a value, or a pattern matches no sample.
        """


def matching(samples: Sequence[Sample], networks: Sequence[str], tasks: Sequence[str] = ("*",)) -> list[Sample]:
    """Return the samples whose network and task match a pattern of each list.

    Raises:
        LookupError: none does.
    """
    found = [
        sample
        for sample in samples
        if any(fnmatch.fnmatchcase(sample.network, pattern) for pattern in networks)
        and any(fnmatch.fnmatchcase(sample.task, pattern) for pattern in tasks)
    ]
    if not found:
        raise LookupError(f"no row matches {', '.join(networks)} on {', '.join(tasks)}")
    return found


def by_task(samples: Sequence[Sample]) -> dict[tuple[str, str], list[Sample]]:
    """Return the samples of each task (with its suite), in the order in which they come."""
    grouped: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        grouped.setdefault((sample.suite, sample.task), []).append(sample)
    return grouped


def remark(*samples: Sample) -> str:
    """Return how many instances of some samples diverged, in words; empty if none did."""
    return "; ".join(f"{s.diverged} of {len(s.records)} of {s.network} diverged" for s in samples if s.diverged)
