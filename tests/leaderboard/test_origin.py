"""What a board says of records that others sent in, and of code that is a user's own."""

from rnnbench.leaderboard.board_page import write_leaderboard
from rnnbench.leaderboard.claims.decide import decide_all
from rnnbench.leaderboard.schema import OwnCode
from rnnbench.leaderboard.senders import Sent, measured_here, write_senders
from rnnbench.leaderboard.store import place_of
from tests.leaderboard.claims.test_claims import bounds, claim
from tests.leaderboard.factory import make_record, put


def test_senders_tiers_and_code_stand_under_the_board(tmp_path):
    own = OwnCode(module="mylab.cells", version="0.3", source="ab" * 8, commit="c" * 40, dirty=True)
    loose = OwnCode(module="cells_of_<b>", version=None, source="cd" * 8, commit=None, dirty=None)
    config = {"recurrence": {"class_path": "mylab.cells.MyNet"}, "task": {"class_path": "cells_of_<b>.Task"}}
    ours = make_record(network="MyNet", own_code=[own, loose], config=config)
    theirs = [make_record(network="GRU", instance=i) for i in range(2)]
    reproduced = make_record(network="GRU", task="Digits")
    put(tmp_path, ours, *theirs, reproduced)
    senders = {
        place_of(theirs[1]): Sent("Lab <X>", "self-reported"),
        place_of(reproduced): Sent("Y", "reproduced here"),
    }
    write_senders(tmp_path, senders)
    assert measured_here([ours, *theirs, reproduced], senders) == [ours, theirs[0], reproduced]

    report = write_leaderboard(tmp_path, tmp_path / "board")
    lines = report.page.read_text(encoding="utf-8").splitlines()
    assert "- Sent in by Lab &lt;X>, self-reported: GRU on sMNIST (1 of 2)." in lines
    assert "- Sent in by Y, reproduced here: GRU on Digits." in lines
    made = "is made by code outside of rnnbench"
    assert f"- MyNet {made}: mylab.cells 0.3, commit {'c' * 12} with changes." in lines
    assert f"- task sMNIST {made}: cells_of_&lt;b> of hash {'cd' * 8}." in lines


def test_each_module_is_named_once_with_what_it_makes(tmp_path):
    def code(*modules):
        return [OwnCode(module=f"lab.{m}", version="1", source="a", commit=None, dirty=None) for m in modules]

    for task, of_task in (("ADD", "Adding"), ("MINE", "lab.tasks.Mine")):
        for network, of_network in (("A", "lab.cells.A"), ("B", "lab.cells.B"), ("GRU", "GRU")):
            modules = [*(["base", "cells"] if network != "GRU" else []), *(["tasks"] if task == "MINE" else [])]
            config = {"recurrence": {"class_path": of_network}, "task": {"class_path": of_task}}
            put(tmp_path, make_record(network=network, task=task, config=config, own_code=code(*modules)))
    page = write_leaderboard(tmp_path, tmp_path / "board").page.read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if "made by" in line] == [
        "- A and B are made by code outside of rnnbench: lab.base 1; lab.cells 1.",
        "- task MINE is made by code outside of rnnbench: lab.tasks 1.",
    ]


def test_a_metric_of_ones_own_comes_with_its_task_alone(tmp_path):
    modules = {"Mine": ["lab.cells", "lab.metrics", "lab.tasks"], "GRU": ["lab.metrics", "lab.tasks"]}
    for network, names in modules.items():
        code = [OwnCode(module=name, version="1", source="a", commit=None, dirty=None) for name in names]
        config = {
            "recurrence": {"class_path": "lab.cells.Mine" if network == "Mine" else network},
            "task": {"class_path": "lab.tasks.Gap"},
        }
        put(tmp_path, make_record(network=network, task="GAP", config=config, own_code=code))
    page = write_leaderboard(tmp_path, tmp_path / "board").page.read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if "made by" in line] == [
        "- task GAP is made by code outside of rnnbench: lab.metrics 1; lab.tasks 1.",
        "- Mine is made by code outside of rnnbench: lab.cells 1.",
    ]


def test_claims_are_decided_by_what_was_seen_here(tmp_path):
    records = [make_record(instance=i) for i in range(3)]
    put(tmp_path, *records)
    asked = claim(tmp_path, bounds(above=0.5, networks=["LSTM"]), ["LSTM"], tasks=("sMNIST",))
    assert decide_all([asked], tmp_path)[0][0].verdict == "holds"
    write_senders(tmp_path, {place_of(record): Sent("Lab X") for record in records[1:]})
    (decision,), _ = decide_all([asked], tmp_path)
    assert (decision.verdict, decision.missing[0].there) == ("open", 1)
