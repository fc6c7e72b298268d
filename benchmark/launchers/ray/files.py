"""What a job wrote on another machine, put in its place here: records last, with the commits of the code."""

import json
from pathlib import Path

from rnnbench.benchmark.run.job import Job
from rnnbench.benchmark.run.recording import is_finished
from rnnbench.benchmark.run.source import with_commits
from rnnbench.leaderboard.files import side_path, write_atomically
from rnnbench.leaderboard.record import write_record
from rnnbench.leaderboard.schema import Record


def keep(job: Job, files: dict[str, bytes], is_trained: bool) -> None:
    """Write the files of a job, by their paths relative to the folder of runs; what is finished there stays.

    Raises:
        OSError: the disk is full, or the folder unwritable.
    """
    left = {job.runs_dir / name: content for name, content in files.items()}
    records: dict[Path, bytes] = {}
    for member in job.members:
        path = job.record_path(member)
        of_member = (path, side_path(path), job.weights_path(member))
        if is_finished(path):
            for other in of_member:
                left.pop(other, None)
        elif path in left:
            records[path] = left.pop(path)
    for path, content in left.items():
        write_atomically(path, content)
    for path, content in records.items():
        write_record(path, with_commits(Record.model_validate(json.loads(content))))
    if is_trained:
        for path in (job.checkpoint, job.progress, job.source):
            path.unlink(missing_ok=True)
