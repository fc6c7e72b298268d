"""``rnnbench run``: training what is missing of suites."""

import argparse
from importlib.util import find_spec

from rnnbench.benchmark.command.arguments import add_suites, add_training, check_loggers, suites_and_options
from rnnbench.benchmark.command.parsing import Parser, duration, one_of, share
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.config.options import LAUNCHERS
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.interruption import GOES_ON


def _add_arguments(parser: Parser) -> None:
    add_suites(parser)
    text = "end in order after 90s, 30m, 2h or 1h30m; exit code 3 if something is left"
    parser.add_argument("--time-limit", type=duration, metavar="TIME", help=text)
    add_training(parser)
    text = f"{' | '.join(LAUNCHERS)}: who starts runs (ray: a Ray cluster)"
    parser.add_argument("--launcher", type=one_of("launcher", LAUNCHERS), default="local", help=text)
    text = "of Ray's head (default: RAY_ADDRESS, a cluster that runs here, or one that is started)"
    parser.add_argument("--address", metavar="HOST:PORT", help=text)
    text = "share of a GPU that a run on Ray takes (default: 1 where the cluster has GPUs)"
    parser.add_argument("--gpus-per-job", type=share, metavar="X", help=text)
    parser.add_argument("--quiet", action="store_true", help="print errors alone: no bar, no table of scores")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and train nothing")


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.launchers import shared
    from rnnbench.benchmark.launchers.suite_run import run_suites

    check_loggers(options)
    _check_launcher(options)
    if options.scan in ("native", "triton"):
        _check_scan(options.scan)
    try:
        if options.dry_run or not shared.is_shared(options.devices):
            return run_suites(*suites_and_options(options, options.suite))
        if options.time_limit is not None:
            raise UserError("--time-limit needs a command that starts its processes itself: use the launcher's own")
        if not shared.is_first():
            return shared.follow()
        code = run_suites(*suites_and_options(options, options.suite))
        shared.end()
        return code
    except KeyboardInterrupt:
        raise KeyboardInterrupt(GOES_ON) from None


def _check_launcher(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other, and Ray where it is not installed."""
    if options.launcher != "ray":
        for name in ("address", "gpus_per_job"):
            if getattr(options, name) is not None:
                raise UserError(f"--{name.replace('_', '-')} needs --launcher ray")
    elif options.devices > 1:
        raise UserError(f"--devices must be 1 with --launcher ray, got {options.devices}")
    elif not find_spec("ray"):
        raise UserError("--launcher ray: it is not installed: pip install 'rnnbench[ray]'")


def _check_scan(scan: str) -> None:
    """Refuse a backend that depends on the machine where it cannot run."""
    import torch

    from rnnbench.lit_models.scan.native.availability import why_no_native
    from rnnbench.lit_models.scan.triton.availability import why_no_triton

    reason = why_no_native() if scan == "native" else why_no_triton(torch.cuda.is_available())
    if reason is not None:
        raise UserError(f"--scan {scan}: {reason}; --scan auto takes what suits the device")


VERB = Verb("run", "train what is missing of suites; running again goes on", _add_arguments, _run, writes_files=True)
