"""The command line: which verb a line names. Torch is imported only by the verbs that need it."""

import sys
from collections.abc import Sequence

from rnnbench import __version__
from rnnbench.benchmark.command.parsing import Parser
from rnnbench.benchmark.command.streams import output_problem, prepare_streams, print_error
from rnnbench.benchmark.command.verb import all_verbs
from rnnbench.benchmark.errors import UserError, message_of, nearest
from rnnbench.benchmark.interruption import EXIT_CODE, MESSAGE
from rnnbench.leaderboard.files import FileError

_LIGHTNING = {
    "fit": "train one network with any Trainer option (LightningCLI; see fit --help)",
    "validate": "evaluate a checkpoint on the validation split (LightningCLI)",
    "test": "evaluate a checkpoint on the test split (LightningCLI)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 2 for a mistake of the user's or output that cannot be written, 130 if interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    code, message = 0, ""
    try:
        # The other commands do nothing but print.
        writes_files = {"fit", *(name for name, verb in all_verbs().items() if verb.writes_files)}
        prepare_streams(needs_output=not given or given[0] not in writes_files)
        code = _run_command(given)
    except (UserError, FileError) as error:
        message = str(error)
    except OSError as error:
        # A full disk or a folder that cannot be written: files are replaced as a whole, so none is damaged.
        message = message_of(error)
    except KeyboardInterrupt as interruption:
        print(str(interruption) or MESSAGE, file=sys.stderr)
        code = EXIT_CODE
    except SystemExit as end:  # --help and --version
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    # Where standard output is at fault, that is the reason of an OSError too.
    message = output_problem() or message
    if message:
        print_error(message)
    return 2 if message else code


def _run_command(given: list[str]) -> int:
    if given and given[0] in _LIGHTNING:
        from rnnbench.benchmark.command import lightning_cli

        return lightning_cli.main(given)
    parser, commands = _build_parsers()
    word = next((word for word in given if not word.startswith("-")), None)
    if word is None and not {"-h", "--help", "--version"} & set(given):
        unknown = f"unknown option '{given[0]}'" if given else "a command is missing"
        raise UserError(f"{unknown}: {nearest(given[0] if given else '', [*commands, *_LIGHTNING, *parser.options])}")
    if word is not None and word not in commands:
        raise UserError(f"unknown command '{word}': {nearest(word, [*commands, *_LIGHTNING])}")
    options, unknown_words = parser.parse_known_args(given)
    for unknown_word in sorted(unknown_words, key=lambda word: not word.startswith("-")):
        what = "option" if unknown_word.startswith("-") else "argument"
        hint = nearest(unknown_word.split("=")[0], commands[str(word)].options)
        raise UserError(f"{word}: unknown {what} '{unknown_word}': {hint}")
    return all_verbs()[str(word)].run(options)


def _build_parsers() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(prog="rnnbench", description="Trains recurrent networks on tasks of memory and expressivity.")
    parser.add_argument("--version", action="version", version=f"rnnbench {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    commands: dict[str, Parser] = {}
    for name, verb in all_verbs().items():
        description = f"{verb.help[0].upper()}{verb.help[1:]}."
        commands[name] = subparsers.add_parser(name, help=verb.help, description=description)
        verb.add_arguments(commands[name])
    for name, text in _LIGHTNING.items():
        subparsers.add_parser(name, help=text, add_help=False)
    return parser, commands
