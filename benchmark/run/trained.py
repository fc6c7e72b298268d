"""A trained network from its record: found, checked against it, and built again with its data module."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rnnbench.benchmark.config.construct import build_data_module, recurrence_factory, sized
from rnnbench.benchmark.config.options import SCANS
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run.old_weights import find_old_weights, read_old_weights
from rnnbench.benchmark.run.source import edited_since
from rnnbench.benchmark.run.weights import load_weights
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.leaderboard.files import FileError
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.settings import Config
from rnnbench.leaderboard.store import path_of, shipped_records
from rnnbench.leaderboard.weights_file import read_weights, weights_path
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.scan.native.availability import why_no_native
from rnnbench.lit_models.scan.policy import use_backend
from rnnbench.lit_models.scan.triton.availability import why_no_triton

#: Where a record lies that is given as an object, which does not know its place.
FOLDERS = (Path("runs"), Path("leaderboard/records"), shipped_records())


@dataclass(frozen=True)
class Trained:
    """An instance and its weights.

    Attributes:
        path: of its record, whether one lies there or not.
        record: None where there are weights alone.
        config: its resolved configuration.
        instance: its number.
        place: which of the instances trained together it was.
        tensors: its weights; None if it was trained for no steps, and has those that it was drawn with.
    """

    path: Path
    record: Record | None
    config: Config
    instance: int
    place: int
    tensors: dict[str, Tensor] | None

    @property
    def edit(self) -> str:
        """What was edited since of the user's own code that made it, in words; empty if nothing was."""
        change = edited_since(self.record.own_code) if self.record else ""
        return f"made by other source of your own code ({change})" if change else ""

    @property
    def needed_record(self) -> Record:
        """The record; a UserError if there are weights alone."""
        if self.record is None:
            raise UserError(f"{weights_path(self.path)}: its record, {self.path.name}, must lie beside it")
        return self.record

    def model(self, data: SequenceDataModule, copies: int = 1, trained: bool = True) -> LitSequenceModel:
        """Return an ensemble of copies of the network, before its training if not ``trained``.

        Raises:
            UserError: weights or record are of another architecture than the configuration, or that cannot be built.
        """
        file = weights_path(self.path)
        try:
            spec, recipe = self.config["recurrence"], Recipe(**self.config["training"])
            factory = recurrence_factory(spec)
            # Before memory is asked for.
            sized(functools.partial(factory, data.task.input_size), spec["class_path"])
            model = LitSequenceModel(
                recurrence=factory,
                task=data.task,
                instances=[self.instance] * copies,
                learning_rate=recipe.learning_rate,
                **recipe.of_model,
            )
            model.project(model.ensemble.network)
        except (UserError, ValueError, TypeError, KeyError, RuntimeError, MemoryError) as error:
            reason = f"its configuration cannot be built: {' '.join(str(error).split())}"
            raise UserError(f"{file}: {reason}{self.edit and f'; it was {self.edit}'}") from error
        if trained and self.tensors is not None:
            try:
                load_weights(model.ensemble, self.tensors)
            except ValueError as error:
                raise UserError(f"{file}: {error}{self.edit and f'; it was {self.edit}'}") from error
        for name, made in (("parameters", model.parameter_count), ("state_size", model.state_size)):
            if self.record is not None and getattr(self.record, name) != made:
                reason = f"{name} must be {made}, as its configuration makes it, got {getattr(self.record, name)}"
                raise UserError(f"{self.path}: {reason}{self.edit and f'; it was {self.edit}'}")
        return model


def load_network(record: Record | str | Path, data_dir: str | Path | None = None) -> tuple[Network, SequenceDataModule]:
    """Return a trained network, with the weights that its record's scores belong to, and its data module.

    Args:
        record: a record, or the path of one or of the weights beside it. A record that ``load_records`` returned is
            looked for in ``runs``, ``leaderboard/records`` and among those that came with rnnbench.
        data_dir: folder of the real data sets, if not that of RNNBENCH_DATA.

    Returns:
        The network, in evaluation mode on the CPU; and the data module, whose data ``setup`` loads. An instance that
        was trained for no steps has the weights that it was drawn with.

    Raises:
        UserError: there are no such weights, or they are damaged or another record's, or a class of the user's own
            cannot be imported.

    >>> load_network("runs/none.json")
    Traceback (most recent call last):
    rnnbench.benchmark.errors.UserError: runs/none.json: no such file
    """
    trained = find_trained(record)
    data = trained_data(trained, data_dir)
    network = trained.model(data).ensemble.instance(0).eval()
    if trained.edit:
        warnings.warn(f"{trained.path}: {trained.edit}: it may compute something else", stacklevel=2)
    return network, data


def trained_data(trained: Trained, data_dir: str | Path | None = None, length: int | None = None) -> SequenceDataModule:
    """Return the data module of an instance, with sequences of another length if one is given.

    Raises:
        UserError: its configuration cannot be built, or its task has no such setting.
    """
    try:
        config = {**trained.config, "task": {**trained.config["task"]}}
        if length is not None:
            given = config["task"]["init_args"]
            ranges = {"val_lengths", "test_lengths"}
            if "length" not in given and not ranges <= given.keys():
                name = config["task"]["class_path"]
                raise UserError(f"{trained.path}: length must be a setting of the task, but {name} has none")
            other = {"length": length} if "length" in given else {name: [length, length] for name in ranges}
            config["task"]["init_args"] = {**given, **other}
        return build_data_module(config, data_dir)
    except (KeyError, TypeError) as error:
        raise UserError(f"{trained.path}: its configuration cannot be built: {error}") from error


def available_data(trained: Trained, data_dir: str | Path | None, length: int | None = None) -> SequenceDataModule:
    """Return ``trained_data``; a UserError too if the data are not there."""
    data = trained_data(trained, data_dir, length)
    try:
        data.check_available()
    except ValueError as error:
        raise UserError(f"{trained.path}: {error}") from error
    return data


@contextlib.contextmanager
def recorded_backend(record: Record) -> Iterator[None]:
    """Scan as in training within a block, where that can be done here; else by what suits the device."""
    name: Any = record.hardware.get("scan")
    on_gpu = torch.cuda.is_available()
    missing = why_no_native() if name == "native" else why_no_triton(on_gpu) if name == "triton" else name not in SCANS
    with use_backend("auto" if missing else name):
        yield


def find_trained(given: Record | str | Path, needs_weights: bool = True) -> Trained:
    """Return an instance with its weights, or without them where none are needed.

    Raises:
        UserError: as ``load_network``.
    """
    try:
        if isinstance(given, Record):
            return _beside(_place(given), given, needs_weights)
        path = Path(given)
        if "\0" in str(path):
            raise UserError(f"{path}: a path must not hold the character NUL")
        if path.suffix == ".safetensors" and not path.with_suffix(".json").exists():
            return _read(path, None)
        if path.suffix not in (".json", ".safetensors"):
            raise UserError(f"{path}: must be a record (.json) or the weights beside one (.safetensors)")
        return _beside(path.with_suffix(".json"), read_record(path.with_suffix(".json")), needs_weights)
    except FileError as error:
        raise UserError(str(error)) from error
    except FileNotFoundError as error:
        raise UserError(f"{given}: no such file") from error


def _place(record: Record) -> Path:
    places = [path_of(folder, record) for folder in FOLDERS]
    return next((place for place in places if weights_path(place).exists()), places[0])


def _beside(path: Path, record: Record, needs_weights: bool) -> Trained:
    """Return an instance with the weights that lie beside its record."""
    if not needs_weights or not record.steps:
        return Trained(path, record, record.config, record.instance, 0, None)
    if weights_path(path).exists():
        return _read(weights_path(path), record)
    if record.status == "interrupted":
        raise UserError(f"{path}: its run is interrupted; run it again to finish it")
    if record.best_step is None:
        raise UserError(f"{path}: no weights belong to it: it diverged at step {record.diverged_at}, before any score")
    old = find_old_weights(path, record)
    if old is None:
        remedy = "a run writes them, and 'rnnbench publish --weights' keeps those of small networks"
        raise UserError(f"{path}: its weights, {weights_path(path).name}, do not lie beside it: {remedy}")
    tensors, place = read_old_weights(old, record)
    return Trained(path, record, record.config, record.instance, place, tensors)


def _read(file: Path, record: Record | None) -> Trained:
    from safetensors.torch import load

    described, content = read_weights(file, record)
    tensors = load(content)
    return Trained(file.with_suffix(".json"), record, described.config, described.instance, described.place, tensors)
