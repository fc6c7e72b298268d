"""Claims over records that are missing, wrong, foreign or there twice; and claims' files that are wrong."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rnnbench.benchmark.command.cli import main
from rnnbench.leaderboard.claims.claim import ClaimError, load_claim, load_claims
from rnnbench.leaderboard.claims.decide import decide_all
from rnnbench.leaderboard.claims.report import as_json, as_terminal
from rnnbench.leaderboard.papers import PAPERS
from rnnbench.leaderboard.plan import PlannedCell, SuitePlan
from rnnbench.leaderboard.store import load_records
from tests.leaderboard.claims.test_claims import bounds, claim, put, verdict

ROOT = Path(__file__).parents[3]


def test_missing_records_leave_a_claim_open_with_its_command(root, tmp_path):
    put(root, "A", (0.6, 0.7))
    decision = verdict(root, tmp_path, bounds(above=0.5), ["A"])
    assert decision.verdict == "open"
    assert [(gap.network, gap.there) for gap in decision.missing] == [("A", 2)]
    assert decision.commands == ["rnnbench run quick --only Digits/A"]
    assert "rnnbench run quick --only Digits/A (about 0.5 core-hours)" in as_terminal([decision])


@pytest.mark.parametrize(("planned", "more"), [(2, " --instances 0-2"), (3, ""), (5, "")])
def test_the_command_asks_for_more_instances_than_the_suite_has_where_the_claim_does(root, tmp_path, planned, more):
    put(root, "A", (0.6, 0.7))
    (record,) = {r.experiment_id for r in load_records(root)}
    plan = SuitePlan("quick", "cpu", planned, {("Digits", "A"): PlannedCell(frozenset([record]))})
    claims = [claim(tmp_path, bounds(above=0.5), ["A"])]
    (decision,), _ = decide_all(claims, root, {("quick", "cpu"): plan})
    assert decision.commands == [f"rnnbench run quick --only Digits/A{more}"]


@pytest.mark.parametrize("foreign", [{"suite": "other"}, {"budget": "smoke"}, {"status": "interrupted"}])
def test_records_of_another_suite_or_budget_or_interrupted_ones_decide_nothing(root, tmp_path, foreign):
    put(root, "A", (0.6, 0.7, 0.8), **foreign)
    assert verdict(root, tmp_path, bounds(above=0.5), ["A"]).verdict == "open"


def test_records_without_what_the_rule_reads_leave_it_open_and_say_so(root, tmp_path):
    put(root, "A", (0.6, 0.7, 0.8))
    decision = verdict(root, tmp_path, bounds(value="measure:lyapunov/start/largest", above=0.0), ["A"])
    assert decision.verdict == "open"
    assert "instance 0 of A on Digits has no measure:lyapunov/start/largest" in decision.reason


def test_a_record_that_lies_elsewhere_or_twice_is_not_counted(root, tmp_path):
    put(root, "A", (0.6, 0.7, 0.8))
    paths = sorted(root.rglob("*.json"))
    shutil.copy(paths[0], paths[0].with_name("copy.json"))
    (decision,), problems = decide_all([claim(tmp_path, bounds(above=0.5), ["A"])], root)
    assert [problem.path.name for problem in problems] == ["copy.json"]
    assert decision.outcomes[0].n == 3
    paths[1].unlink()
    assert verdict(root, tmp_path, bounds(above=0.5), ["A"]).verdict == "open"


def test_the_same_experiment_in_two_suites_is_no_duplicate(root, tmp_path):
    put(root, "A", (0.6, 0.7, 0.8))
    put(root, "A", (0.6, 0.7, 0.8), suite="other")
    assert verdict(root, tmp_path, bounds(above=0.5), ["A"]).verdict == "holds"


def test_records_of_another_version_of_the_suite_decide_nothing(root, tmp_path):
    put(root, "A", (0.1, 0.2, 0.3), seed=1, finished_at="2026-01-01T00:00:00Z")
    put(root, "A", (0.6, 0.7, 0.8), seed=2)
    ids = {r.config["seed"]: r.experiment_id for r in load_records(root)}
    for seed, expected in ((2, "holds"), (1, "fails"), (3, "open")):
        cell = PlannedCell(frozenset([ids.get(seed, "f" * 12)]))
        plan = SuitePlan("quick", "cpu", 3, {("Digits", "A"): cell})
        claims = [claim(tmp_path, bounds(above=0.5), ["A"])]
        assert decide_all(claims, root, {("quick", "cpu"): plan})[0][0].verdict == expected


def test_two_rows_of_one_configuration_are_two_samples(root, tmp_path):
    for network in "AB":
        put(root, network, (0.6, 0.7, 0.8), config={"recurrence": {"init_args": {"rank": 4}}})
    outcomes = verdict(root, tmp_path, bounds(above=0.5, networks=["A", "B"]), ["A", "B"]).outcomes
    assert [outcome.n for outcome in outcomes] == [3, 3]


def test_a_damaged_record_is_a_problem_and_missing(root, tmp_path):
    put(root, "A", (0.6, 0.7, 0.8))
    sorted(root.rglob("*.json"))[0].write_text("{", encoding="utf-8")
    asked = claim(tmp_path, bounds(above=0.5), ["A"])
    (decision,), problems = decide_all([asked], root)
    assert len(problems) == 1
    assert decision.verdict == "open"


def test_what_no_claim_asks_for_is_not_read(root, tmp_path):
    put(root, "A", (0.6, 0.7, 0.8))
    put(root, "B", (0.6,))
    next(path for path in root.rglob("*.json") if path.parent.name == "B").write_text("{", encoding="utf-8")
    (decision,), problems = decide_all([claim(tmp_path, bounds(above=0.5), ["A"])], root)
    assert (decision.verdict, problems) == ("holds", [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "d-1"}, "id"),
        ({"rule": {"kind": "guess"}}, "rule"),
        ({"rule": {"kind": "bounds", "conditions": [{"networks": ["A"]}]}}, "exactly one of above, below"),
        ({"threshold": 3}, "threshold"),
        ({"records": []}, "records"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, change, message):
    whole = json.loads(claim(tmp_path, bounds(above=0.5), ["A"]).model_dump_json(exclude_none=True))
    path = tmp_path / "D1.yaml"
    path.write_text(yaml.safe_dump({**whole, **change}), encoding="utf-8")
    with pytest.raises(ClaimError, match=message) as raised:
        load_claim(path)
    assert str(path) in str(raised.value)


def test_a_file_is_named_after_its_claim(tmp_path):
    claim(tmp_path, bounds(above=0.5), ["A"])
    (tmp_path / "D1.yaml").rename(tmp_path / "D2.yaml")
    with pytest.raises(ClaimError, match=r"D1\.yaml"):
        load_claims(tmp_path)


def test_the_same_records_give_the_same_bytes(root):
    put(root, "A", (0.6, 0.7, 0.8))
    first, second = (as_json(decide_all(load_claims(), root)[0]) for _ in range(2))
    assert first == second
    assert {one["verdict"] for one in json.loads(first)} == {"open"}


def test_shipped_claims_are_those_of_the_papers():
    claims = load_claims()
    assert [claim.id for claim in claims] == [
        *(f"D{n}" for n in range(1, 10)), *(f"W{n}" for n in range(1, 13)), *(f"S{n}" for n in range(1, 7)), "C1", "C2",
        *(f"T{n}" for n in range(1, 4)), "P1", "P2",
    ]  # fmt: skip
    assert all(claim.statement.endswith(".") for claim in claims)


def test_the_command_decides_from_the_shipped_records_without_torch(tmp_path, capsys):
    code = (
        "import sys; from rnnbench.benchmark.command.cli import main; main(['claims']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("34 claims: ")
    assert lines[-1] == "False"
    put(tmp_path, "A", (0.6,))
    assert main(["claims", "--paper", "miller2019", "--json", "--records-dir", str(tmp_path)]) == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == [f"S{n}" for n in range(1, 7)]


def test_notes_stand_under_their_claims(root, tmp_path):
    put(root, "A", (0.6, 0.7, 0.8))
    note = "Tried " + " ".join(["once more with fifteen instances"] * 9)
    noted = claim(tmp_path, bounds(above=0.5), ["A"]).model_copy(update={"note": note})
    text = as_terminal(decide_all([noted], root)[0])
    assert f"Note: {note}" in " ".join(text.split())
    assert max(map(len, text.splitlines())) < 120


def test_every_paper_has_a_claim():
    assert {claim.paper for claim in load_claims()} == set(PAPERS)


def test_a_paper_without_claims_is_named(capsys):
    assert main(["claims", "--paper", "miller2018"]) == 2
    assert "did you mean miller2019?" in capsys.readouterr().err
