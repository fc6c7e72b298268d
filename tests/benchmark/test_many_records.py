"""The records that `rnnbench speed records` makes are as valid as those that they are copies of."""

import shutil

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.speed.many_records import Copies
from rnnbench.leaderboard.store import find_records, shipped_records


def test_copies_of_records_are_records(tmp_path, capsys):
    source, root = tmp_path / "source", tmp_path / "records"
    shutil.copytree(shipped_records() / "adding", source / "adding")
    shutil.copytree(shipped_records() / "coupling", source / "coupling")
    Copies(records=150, suites=3, rates=2).write(source, root)
    records, problems = find_records(root)
    assert (len(records), problems) == (150, [])
    originals = find_records(source)[0]
    assert [record for record in records if record in originals] == originals
    assert {record.suite for record in records} == {f"{s}{n}" for s in ("adding", "coupling") for n in ("", "-1", "-2")}
    assert len({record.experiment_id for record in records}) > len({record.experiment_id for record in originals})
    assert main(["check", str(root)]) == 0, capsys.readouterr()
