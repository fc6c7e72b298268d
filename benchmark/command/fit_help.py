"""``rnnbench fit --help`` from source alone: to import Lightning, so that it lists its options, takes many seconds."""

import textwrap
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from rnnbench.benchmark.config.specs import registered
from rnnbench.datamodules.source_scan import Argument, arguments_in
from rnnbench.lit_models import presets

_WIDTH = 100


def fit_help(verb: str) -> str:
    """Return the options of ``fit``, ``validate`` or ``test`` with their types and defaults."""
    found = find_spec("lightning")
    lightning = Path(next(iter(found.submodule_search_locations or ()))) if found else Path()
    model = arguments_in(Path(presets.__file__).with_name("lit_sequence_model.py"), "LitSequenceModel")
    trainer = arguments_in(lightning / "pytorch" / "trainer" / "trainer.py", "Trainer")
    example = "--data Adding --data.length 10 --model.recurrence LSTM --model.recurrence.hidden_size 8"
    lines = [
        f"usage: rnnbench {verb} --data TASK [--data.NAME VALUE ...] --model.recurrence RECURRENCE",
        "                    [--model.recurrence.NAME VALUE ...] [--model.NAME VALUE ...] [--trainer.NAME VALUE ...]",
        f"\nfor example: rnnbench {verb} {example}",
        "\nRecurrences go by class name or preset, classes of your own by their import path.",
        *_names("tasks", registered("task")),
        *_names("recurrences", registered("recurrence")),
        *_names("presets", sorted(presets.PRESETS)),
        "\n--data.help TASK and --model.recurrence.help RECURRENCE show the arguments of one;",
        f"rnnbench {verb} --help all describes every option at length.",
        *_options("model", (one for one in model if one.name not in ("recurrence", "task"))),
        *_options("trainer", trainer),
        "\nothers:",
        "  -c, --config FILE         a configuration in YAML; later options count more",
        "  --print_config            print the whole configuration and exit",
        "  --seed_everything SEED    of all generators (default: 0)",
        "  --ckpt_path PATH          the checkpoint to go on from, or to evaluate",
    ]
    return "\n".join(lines)


def _names(what: str, names: Iterable[str]) -> list[str]:
    return [f"\n{what}:", textwrap.fill(", ".join(names), _WIDTH, initial_indent="  ", subsequent_indent="  ")]


def _options(part: str, arguments: Iterable[Argument]) -> list[str]:
    options = [f"  --{part}.{one.name} ({one.annotation}, default: {one.default})" for one in arguments]
    return [f"\n{part}:", *(textwrap.fill(option, _WIDTH, subsequent_indent="      ") for option in options)]
