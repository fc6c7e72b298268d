"""A claim as its file states it: what a paper says, the records that decide it, and the rule."""

import json
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, ValidationError

from rnnbench.leaderboard.claims.evidence import Wanted
from rnnbench.leaderboard.claims.rules.base import Strict
from rnnbench.leaderboard.claims.rules.bounds import Bounds
from rnnbench.leaderboard.claims.rules.differences import Difference
from rnnbench.leaderboard.claims.rules.dynamics import Degree, NearLog, Reach, SameSign, Truncates
from rnnbench.leaderboard.claims.rules.parallel import HorizonOrder, IterationGrowth
from rnnbench.leaderboard.claims.rules.published import PublishedOrder
from rnnbench.leaderboard.claims.rules.sweeps import Increasing, Optimum, Trend
from rnnbench.leaderboard.papers import PAPERS
from rnnbench.leaderboard.schema import Budget

DEFINITIONS = Path(__file__).parent / "definitions"
# As safe, and ten times as fast where PyYAML has libyaml: every page reads all claims.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Depth, weak coupling, stability, deep transitions, state tracking, parallel iterations.
_ORDER = "DWSCTP"

AnyRule = Annotated[
    Bounds
    | Difference
    | Trend
    | Increasing
    | Optimum
    | NearLog
    | SameSign
    | Degree
    | Truncates
    | Reach
    | IterationGrowth
    | HorizonOrder
    | PublishedOrder,
    Field(discriminator="kind"),
]


def _known_paper(key: str) -> str:
    if key not in PAPERS:
        raise ValueError(f"must be one of {', '.join(PAPERS)}")
    return key


class Cells(Strict):
    """Cells of one suite and budget that a claim needs."""

    suite: str
    budget: Budget
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    networks: Annotated[tuple[str, ...], Field(min_length=1)]


class Claim(Strict):
    """A statement of a paper with the rule that decides it.

    Attributes:
        id: short name, for example ``D1``.
        statement: what the paper says, in one sentence.
        paper: key of the paper, one of ``leaderboard.papers``.
        place: where in the paper or its code.
        records: the cells that decide it.
        instances: how many instances each cell needs.
        rule: how they decide it.
        hours: what the records cost, in hours of one core, estimated.
        note: how the rule or the records differ from the paper's, and why; empty if they do not.
    """

    id: Annotated[str, Field(pattern="^[A-Z][0-9]+$")]
    statement: str
    paper: Annotated[str, AfterValidator(_known_paper)]
    place: str
    records: Annotated[tuple[Cells, ...], Field(min_length=1)]
    instances: Annotated[int, Field(ge=1)]
    rule: AnyRule
    hours: Annotated[float, Field(ge=0)]
    note: str = ""

    @property
    def wanted(self) -> list[Wanted]:
        """The cells that the claim needs."""
        return [Wanted(c.suite, c.budget, c.tasks, c.networks, self.instances) for c in self.records]


class ClaimError(ValueError):
    """A claim's file cannot be read; the message names it and what is wrong."""


def load_claim(path: Path) -> Claim:
    """Read a claim's file.

    Raises:
        ClaimError: it is not a claim.
    """
    try:
        # JSON's validation takes YAML's lists for tuples, which strict Python validation does not.
        return Claim.model_validate_json(_as_json(path), strict=True)
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise ClaimError(f"{path}: is not YAML that can be read: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ClaimError(f"{path}: {where or 'claim'}: {first['msg']}") from error


def load_claims(folder: Path = DEFINITIONS) -> list[Claim]:
    """Return all claims of a folder: the depth paper's, the residual paper's, and so on; in the order of their ids.

    Raises:
        ClaimError: a file is not a claim, is not named after its id, or two have one id.
    """
    claims = []
    for path in sorted(folder.glob("*.yaml")):
        claim = load_claim(path)
        if path.stem != claim.id:
            raise ClaimError(f"{path}: holds claim {claim.id}: the file must be named {claim.id}.yaml")
        claims.append(claim)
    return sorted(claims, key=lambda claim: (_ORDER.find(claim.id[0]), claim.id[0], int(claim.id[1:])))


def _as_json(path: Path) -> str:
    return json.dumps(yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER))  # noqa: S506
