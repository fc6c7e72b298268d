"""``rnnbench fit|validate|test``: LightningCLI over any task, recurrence and Trainer option."""

import difflib
import importlib
import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import lightning as L
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from rnnbench.benchmark.config.specs import search_current_folder
from rnnbench.benchmark.errors import UserError, did_you_mean, is_out_of_memory, nearest
from rnnbench.benchmark.interruption import MESSAGE
from rnnbench.benchmark.run.checkpoint import check_checkpoint, read_checkpoint
from rnnbench.benchmark.run.lean_trainer import LeanTrainer, silence_tips
from rnnbench.datamodules import registered_tasks
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.datamodules.task import Task
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.presets import PRESETS
from rnnbench.lit_models.recurrences import registered_recurrences
from rnnbench.lit_models.task_trial import try_task

_NOISE = (
    *("Does not validate against", "Subtypes:", "Errors:", "Given value", "Expected a path but"),
    *(f"Expected a <class '{name}'>" for name in ("NoneType", "collections.abc.Sequence", "collections.abc.Iterable")),
    *("Not a valid subclass of", "Subclass types expect one of", "a class path (str)", "a dict with"),
)
_RECURRENCE = "--model.recurrence"
#: Our own code that only hands on what Lightning is given.
_DOOR = ("rnnbench.benchmark.command.", "rnnbench.benchmark.run.lean_trainer")
_LONGEST_MESSAGE = 600
#: The least values of Trainer options that Lightning does not check, or divides by.
_LEAST = {
    **{"max_epochs": -1, "max_steps": -1, "num_sanity_val_steps": -1},
    **{"min_epochs": 0, "min_steps": 0, "log_every_n_steps": 0},
    **{"check_val_every_n_epoch": 1, "accumulate_grad_batches": 1},
}


class _Parser(LightningArgumentParser):
    """A parser whose errors name the nearest known word."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise UserError(_readable(message, self))


class _SequenceCLI(LightningCLI):
    """LightningCLI whose model takes its sizes from the data module's task."""

    #: What trains, once ``fit`` has begun.
    fitting: ClassVar[L.Trainer | None] = None

    def __init__(self, verb: str, *args: Any, **kwargs: Any) -> None:
        self._verb = verb
        super().__init__(*args, **kwargs)

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # Lightning asks an instance
        """Return the verb that was given: the parsers of the others take as long to build."""
        return {self._verb: LightningCLI.subcommands()[self._verb]}

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Return a parser with our errors and name; an abbreviated option is an unknown one."""
        return super().init_parser(**{"prog": "rnnbench", **kwargs, "allow_abbrev": False})

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link the model's task to the data module's, so that sizes are never repeated."""
        parser.link_arguments("data", "model.task", compute_fn=_task_of, apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the arguments, and see that a checkpoint can be read before Lightning looks for settings in it."""
        try:
            super().parse_arguments(parser, args)
        except UnicodeDecodeError as error:
            raise UserError(f"--config: not text in UTF-8: {error}") from error
        config = self.config[self.config["subcommand"]]
        _check_options(config)
        given = config.get("ckpt_path")
        # The other words are Lightning's own, for checkpoints that it looks for itself.
        self._checkpoint = None if given in (None, "best", "last", "hpc", "registry") else Path(given)
        if self._checkpoint is not None:
            read_checkpoint(self._checkpoint)

    def instantiate_classes(self) -> None:
        """Build everything and see that the data can be had, before anything is trained."""
        try:
            super().instantiate_classes()
            self.datamodule.check_available()
            try_task(self.datamodule)
            if self._checkpoint is not None:
                check_checkpoint(self._checkpoint, self.model)
        except ValueError as error:
            raise UserError(_readable(str(error), self.parser)) from error

    def before_fit(self) -> None:
        """Keep the trainer: when it is interrupted, it knows where its checkpoints are."""
        type(self).fitting = self.trainer


def _interrupted(trainer: L.Trainer | None) -> str:
    """Return how to go on after an interruption: ``fit`` does so from a checkpoint that it is given alone."""
    if trainer is None:
        return MESSAGE
    path = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if not path:
        return f"{MESSAGE}: no checkpoint was saved yet, so the same command trains from the start"
    return f"{MESSAGE}: the same command trains from the start; with --ckpt_path {path} it goes on from there"


def _check_options(config: Any) -> None:
    """Refuse options that Lightning would take in silence, or fail at later."""
    trainer, seed = config["trainer"], config.get("seed_everything")
    for name, least in _LEAST.items():
        if isinstance(trainer[name], int) and trainer[name] < least:
            raise UserError(f"trainer.{name} must be at least {least}, got {trainer[name]}")
    if trainer["val_check_interval"] in (0, 0.0):
        raise UserError("trainer.val_check_interval must be positive, got 0")
    if trainer["gradient_clip_val"]:
        raise UserError("trainer.gradient_clip_val clips all instances together: use model.gradient_clip_norm")
    # Lightning starts as many processes as its options say.
    most, devices = 4 * (os.cpu_count() or 1), str(trainer["devices"])
    if devices.isdecimal() and int(devices) > most:
        raise UserError(f"trainer.devices must be at most {most}, four for each processor, got {devices}")
    if isinstance(seed, int) and not 0 <= seed < 2**32:
        raise UserError(f"seed_everything must be from 0 to {2**32 - 1}, got {seed}")


def _refusal(error: Exception) -> str:
    """Return what Lightning, jsonargparse or torch refuse of what was given; nothing where our own code fails.

    None of our functions is on the way to a refusal, but for the command itself; or torch's optimisers check their
    settings, or sizes are beyond the memory.
    """
    text = " ".join(str(error).split())
    if is_out_of_memory(error):
        return f"the sizes given are too large for the memory: {text[:200]}"
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = any(name.startswith("rnnbench.") and not name.startswith(_DOOR) for name in modules)
    if ours and not (isinstance(error, ValueError) and modules[-1].startswith("torch.optim.")):
        return ""
    bare = isinstance(error, (ArithmeticError, LookupError, AttributeError, AssertionError)) or not text
    return f"{type(error).__name__}: {text}"[:_LONGEST_MESSAGE] if bare else text[:_LONGEST_MESSAGE]


def _task_of(data: SequenceDataModule) -> Task:
    return data.task


def _readable(message: str, parser: LightningArgumentParser) -> str:
    """Return what jsonargparse says of one mistake, without its search through all types that it was not."""
    lines = dict.fromkeys(line.strip(" -") for line in message.splitlines())
    kept = " ".join(line for line in lines if line and not line.startswith(_NOISE))
    kept = re.sub(r"( are required: [\w, ]+) Expected a <class .*", r"\1", kept)
    kept = kept if len(kept) <= _LONGEST_MESSAGE else f"{kept[:_LONGEST_MESSAGE]} ..."
    if "did you mean" in kept:
        # A nested parser's error comes by once more.
        return kept
    classes = {**registered_tasks(), **registered_recurrences()}
    if found := re.search(r"Expected a dot import path string: (\S+)", kept):
        if found[1] in PRESETS:
            spec = json.dumps(PRESETS[found[1]].recurrence)
            return f"preset {found[1]}: only --model.recurrence takes its name; write {spec} here"
        key = re.search(r'Parser key "([\w.]+)"', message)
        return _unknown_class(found[1], key[1] if key else "")
    if found := re.search(r"Option '(\w+)' is not accepted", kept):
        arguments = {argument.name for cls in classes.values() for argument in cls.arguments}
        return f"{kept}; {did_you_mean(found[1], sorted(arguments))}"
    if found := re.search(r"[Uu]nrecognized arguments: (--[\w.]+)", kept):
        return f"unknown option '{found[1]}': {_nearest_option(found[1], parser)}"
    return kept


def _unknown_class(name: str, key: str) -> str:
    """Return what is said of a class that is not found, by the option that names it."""
    if key.startswith("trainer"):
        return f"{key}: unknown class '{name}': write its import path, such as lightning.pytorch.callbacks.Timer"
    known = registered_tasks() if key.startswith("data") else [*registered_recurrences(), *PRESETS]
    return f"unknown class '{name}': {nearest(name, known)}"


def _nearest_option(option: str, parser: LightningArgumentParser) -> str:
    verbs = parser._subcommands_action.choices.values() if parser._subcommands_action else ()
    known = {name for p in (parser, *verbs) for action in p._actions for name in action.option_strings}
    close = difflib.get_close_matches(option, sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else "see --help for all"


def with_presets(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a verb with presets written out: the recurrence in place, the training settings first.

    So all that is given besides overrides what a preset asks for.

    >>> with_presets(["fit", "--model.recurrence", "LSTM_47", "--model.recurrence.hidden_size=8"])
    ['fit', '--model.recurrence', '{"class_path": "LSTM", "init_args": {"hidden_size": 47}}',
    '--model.recurrence.hidden_size=8']
    """
    words = [
        part for word in arguments for part in (word.split("=", 1) if word.startswith(f"{_RECURRENCE}=") else [word])
    ]
    first: list[str] = []
    for index, (option, value) in enumerate(pairwise(words), start=1):
        if option == _RECURRENCE and value in PRESETS:
            preset = PRESETS[value]
            words[index] = json.dumps(preset.recurrence)
            first = [f"--model.{name}={setting}" for name, setting in preset.training.items()]
    return [*words[:1], *first, *words[1:]]


def main(arguments: Sequence[str]) -> int:
    """Run a verb with LightningCLI.

    Raises:
        UserError: an option or value is wrong, data are missing, or a checkpoint is damaged.
    """
    silence_tips()
    search_current_folder()
    _SequenceCLI.fitting = None
    expanded = with_presets(arguments)
    if list(arguments) == sys.argv[1:]:
        # The processes of several devices are started with these again.
        sys.argv[1:] = expanded
    # Classes go by their short names on the command line once they are imported.
    for found in [*registered_tasks().values(), *registered_recurrences().values()]:
        importlib.import_module(found.module)
    try:
        _SequenceCLI(
            expanded[0],
            LitSequenceModel,
            SequenceDataModule,
            subclass_mode_data=True,
            trainer_class=LeanTrainer,
            save_config_kwargs={"overwrite": True},
            parser_class=_Parser,
            auto_configure_optimizers=False,
            # Without a seed Lightning takes this one too, and warns.
            seed_everything_default=0,
            # LightningCLI warns of arguments that are given to it and to the process.
            args=None if expanded == sys.argv[1:] else expanded,
        )
    except SystemExit as end:
        # Lightning answers Ctrl-C with exit code 1.
        if isinstance(end.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt(_interrupted(_SequenceCLI.fitting)) from None
        raise
    except (UserError, OSError):
        raise
    except Exception as error:
        if not (message := _refusal(error)):
            raise
        raise UserError(message) from error
    return 0
