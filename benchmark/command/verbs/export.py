"""``rnnbench export``: records as a table."""

import argparse
import io

from rnnbench.benchmark.command.arguments import add_records_dir, print_problems, records_dir
from rnnbench.benchmark.command.parsing import Parser, named_path
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.errors import UserError


def _add_arguments(parser: Parser) -> None:
    add_records_dir(parser)
    parser.add_argument("--csv", type=named_path, metavar="FILE", help="write CSV")
    parser.add_argument("--parquet", type=named_path, metavar="FILE", help="write Parquet")
    parser.add_argument(
        "--curves", action="store_true", help="learning curves, one row a value; else one row an instance"
    )


def _run(options: argparse.Namespace) -> int:
    if (options.csv is None) == (options.parquet is None):
        raise UserError(f"export: give exactly one of --csv and --parquet, got {'both' if options.csv else 'neither'}")
    from rnnbench.leaderboard.files import write_atomically
    from rnnbench.leaderboard.frame import curve_table, instance_table
    from rnnbench.leaderboard.store import Report, find_records

    records, problems = find_records(records_dir(options))
    table = (curve_table if options.curves else instance_table)(records)
    content = io.BytesIO()
    if options.csv:
        table.to_csv(content, index=False)
    else:
        table.to_parquet(content, index=False)
    path = options.csv or options.parquet
    write_atomically(path, content.getvalue())
    code = print_problems("not exported", Report(problems=problems))
    print(f"{path}: {len(table)} rows of {len(records)} records")
    return code


VERB = Verb("export", "write records as a table, CSV or Parquet", _add_arguments, _run, writes_files=True)
