"""A job: the members of one experiment that one run trains together. Imports no torch."""

import functools
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rnnbench.benchmark.config.experiment import Experiment, Point
from rnnbench.benchmark.errors import UserError
from rnnbench.leaderboard.files import torn_files, write_atomically
from rnnbench.leaderboard.store import record_path
from rnnbench.leaderboard.weights_file import weights_path

JOB_FILE, CHECKPOINT, SOURCE_FILE = "job.yaml", "last.ckpt", "own_code"
#: Where pilots go, inside the folder of records: hidden, so that nothing takes them for results.
PILOTS = ".pilots"
_EXPERIMENT = TypeAdapter(Experiment)


@dataclass(frozen=True, order=True)
class Member:
    """One instance at one point of an experiment's grid, by its number and the point's id: what becomes one record."""

    experiment_id: str
    instance: int


@dataclass(frozen=True, eq=False)
class Job:
    """Members of one experiment, trained as one ensemble in a folder of their own.

    Attributes:
        experiment: what is trained.
        members: in the order of the instance axis.
        runs_dir: where records go, those of pilots into a folder inside it.
    """

    experiment: Experiment
    members: tuple[Member, ...]
    runs_dir: Path

    @property
    def name(self) -> str:
        """Short description for people."""
        instances = len({member.instance for member in self.members})
        points = len({member.experiment_id for member in self.members})
        grid = f" x {points} points of the grid" if points > 1 else ""
        pilot = "pilot: " if self.experiment.is_pilot else ""
        return f"{self.experiment.name} ({pilot}{instances} instance{'s' if instances > 1 else ''}{grid})"

    @property
    def root(self) -> Path:
        """The folder of the records: ``runs_dir``, or the one of pilots inside it."""
        return self.runs_dir / PILOTS if self.experiment.is_pilot else self.runs_dir

    @functools.cached_property
    def folder(self) -> Path:
        """The folder of checkpoint and progress; the same for the same members."""
        text = json.dumps([[member.experiment_id, member.instance] for member in self.members])
        cell = self.record_path(self.members[0]).parent
        return cell / f"run-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def file(self) -> Path:
        """The file that describes the job."""
        return self.folder / JOB_FILE

    @property
    def checkpoint(self) -> Path:
        """The file that an interrupted run goes on from."""
        return self.folder / CHECKPOINT

    @property
    def source(self) -> Path:
        """The file that says by which source of a user's own classes the training was begun."""
        return self.folder / SOURCE_FILE

    @property
    def progress(self) -> Path:
        """The file that holds the number of steps done."""
        return self.folder / "progress"

    def point(self, member: Member) -> Point:
        """Return the grid point of a member."""
        return self.experiment.point(member.experiment_id)

    def record_path(self, member: Member) -> Path:
        """Return where a member's record goes."""
        return record_path(self.root, self.experiment.cell.values(), member.experiment_id, member.instance)

    def weights_path(self, member: Member) -> Path:
        """Return where the weights that a member's scores belong to go: beside its record."""
        return weights_path(self.record_path(member))

    def begin(self) -> None:
        """Write the job into its folder, and remove what a killed process was writing; the caller holds the lease."""
        self.save()
        paths = (
            self.file,
            self.checkpoint,
            *map(self.weights_path, self.members),
            *map(self.record_path, self.members),
        )
        for path in paths:
            for torn in torn_files(path):
                torn.unlink(missing_ok=True)

    def save(self) -> None:
        """Write the job into its folder."""
        import yaml

        content = {"experiment": plain(self.experiment), "members": [asdict(member) for member in self.members]}
        # Through JSON: what YAML would write as tuples or shared references becomes plain lists and values.
        text = yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False)
        write_atomically(self.file, text.encode())


def plain(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment as JSON has it."""
    return dict(_EXPERIMENT.dump_python(experiment, mode="json"))


def experiment_of(content: dict[str, Any]) -> Experiment:
    """Return the experiment that `plain` made plain; a ``ValueError`` if it is none."""
    return _EXPERIMENT.validate_python(content)


def load_job(path: Path, runs_dir: Path) -> Job:
    """Return the job that ``Job.save`` wrote.

    Raises:
        UserError: the file is damaged or not a job's.
    """
    import yaml

    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        members = tuple(Member(**member) for member in content["members"])
        # A run that was begun before there were measures goes on without.
        return Job(experiment_of(content["experiment"]), members, runs_dir)
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        # What YAML says of a mistake takes several lines.
        what = f"damaged or not a run's description ({' '.join(str(error).split())})"
        raise UserError(f"{path}: {what}; move it away to start again") from error
