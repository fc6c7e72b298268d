"""``rnnbench claims``: verdicts on the papers' statements."""

import argparse
import sys

from rnnbench.benchmark.command.arguments import add_list, add_records_dir, records_dir
from rnnbench.benchmark.command.parsing import Parser, one_of
from rnnbench.benchmark.command.verb import Verb
from rnnbench.leaderboard.papers import PAPERS


def _add_arguments(parser: Parser) -> None:
    add_records_dir(parser)
    add_list(parser, "--paper", "KEY", " | ".join(PAPERS), type=one_of("paper", PAPERS))
    parser.add_argument("--every", action="store_true", help="every comparison on a line of its own")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.config.plans import shipped_plans
    from rnnbench.leaderboard.claims.claim import load_claims
    from rnnbench.leaderboard.claims.decide import decide_all
    from rnnbench.leaderboard.claims.report import as_json, as_terminal

    claims = [claim for claim in load_claims() if not options.paper or claim.paper in options.paper]
    plans = shipped_plans({(cells.suite, cells.budget) for claim in claims for cells in claim.records})
    decisions, problems = decide_all(claims, records_dir(options), plans)
    for problem in problems:
        print(f"not read: {problem}", file=sys.stderr)
    print(as_json(decisions) if options.json else as_terminal(decisions, options.every), end="")
    return 2 if problems else 0


VERB = Verb("claims", "decide the papers' statements from records alone", _add_arguments, _run)
