"""The command line: which verb a line names. Torch is imported only by the verbs that need it."""

import sys
from collections.abc import Sequence

from rnnbench import __version__
from rnnbench.benchmark.command.parsing import Parser
from rnnbench.benchmark.command.streams import output_problem, prepare_streams, print_error
from rnnbench.benchmark.command.verb import all_verbs
from rnnbench.benchmark.errors import UserError, message_of, nearest
from rnnbench.benchmark.interruption import EXIT_CODE, MESSAGE
from rnnbench.datamodules.own_code import own_line, reason_of
from rnnbench.leaderboard.files import FileError

#: As a shell has it of a program that SIGPIPE ended.
_READER_IS_GONE = 128 + 13
_LIGHTNING = {
    "fit": "train one network with any Trainer option (LightningCLI; see fit --help)",
    "validate": "evaluate a checkpoint on the validation split (LightningCLI)",
    "test": "evaluate a checkpoint on the test split (LightningCLI)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 2 for a mistake of the user's or output that cannot be written, 130 if interrupted.

    What only prints ends in silence where its reader has gone, such as ``head``, as other tools do.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    code, message = 0, ""
    problem: OSError | None = None
    try:
        # The other commands do nothing but print.
        prepare_streams(needs_output=not _writes_files(given))
        code = _run_command(given)
    except (UserError, FileError) as error:
        message = str(error)
    except BrokenPipeError as error:
        problem = error
    except MemoryError:
        message = "memory ran out: nothing that is finished is lost; free some, and give the command again"
    except OSError as error:
        # A full disk or a folder that cannot be written: files are replaced as a whole, so none is damaged.
        message = message_of(error)
    except Exception as error:
        if not own_line(error):
            raise
        message = reason_of(error)
    except KeyboardInterrupt as interruption:
        print(str(interruption) or MESSAGE, file=sys.stderr)
        code = EXIT_CODE
    except SystemExit as end:  # --help and --version
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    # Where standard output is at fault, that is the reason of an OSError too.
    problem = output_problem() or problem
    if isinstance(problem, BrokenPipeError) and not message and not _writes_files(given):
        return code or _READER_IS_GONE
    message = f"standard output cannot be written: {problem.strerror}" if problem else message
    if message:
        print_error(message)
    return 2 if message else code


def _writes_files(given: Sequence[str]) -> bool:
    """Return whether a line does more than to print."""
    return bool(given) and given[0] in {"fit", *(name for name, verb in all_verbs().items() if verb.writes_files)}


def _run_command(given: list[str]) -> int:
    if given and given[0] in _LIGHTNING:
        if given[1:] in (["-h"], ["--help"]):
            from rnnbench.benchmark.command.fit_help import fit_help

            print(fit_help(given[0]))
            return 0
        from rnnbench.benchmark.command import lightning_cli

        if given[1:] == ["--help", "all"]:
            given = given[:2]

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
