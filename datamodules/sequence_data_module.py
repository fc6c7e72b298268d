"""The base of every data module: three splits of sequences, a task, and a fingerprint of the data."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import lightning as L
import torch

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.loader import SequenceLoader, SequenceSource
from rnnbench.datamodules.seeds import named_generator
from rnnbench.datamodules.task import Batch, Task

SPLITS = ("train", "val", "test")


class Sizes(NamedTuple):
    """Sequences of each split, and the mean number of steps of a training sequence."""

    train: int
    val: int
    test: int
    mean_steps: float


class SequenceDataModule(L.LightningDataModule):
    """A task and its train, validation and test sequences.

    Subclasses give ``task`` (which must not need the data) and ``make_sources``. A subclass's constructor takes its own
    settings, and hands ``batch_size``, ``eval_batch_size`` and ``seed`` on to this one, as ``**loading`` for example.

    Args:
        batch_size: sequences of one training batch, over all devices; at most those of the training split.
        eval_batch_size: sequences of one evaluation batch.
        seed: seed of data generation, order and splits; part of the experiment, shared by its instances.

    >>> from rnnbench.datamodules.adding import Adding
    >>> data = Adding(length=20, train_size=64, batch_size=32)
    >>> data.task.name, data.steps_per_epoch()
    ('ADD20', 2)
    >>> data.setup()
    >>> [tuple(batch.inputs.shape) for batch in data.train_dataloader()]
    [(32, 20, 2), (32, 20, 2)]
    """

    #: Whether all three splits come with the data: the seed then decides nothing but the order of training.
    fixed_splits: ClassVar[bool] = False

    def __init__(self, batch_size: int = 128, eval_batch_size: int = 500, seed: int = 0) -> None:
        super().__init__()
        check_at_least(1, batch_size=batch_size, eval_batch_size=eval_batch_size)
        check_at_least(0, seed=seed)
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self._sources: dict[str, SequenceSource] = {}

    @property
    @abstractmethod
    def task(self) -> Task:
        """The task; available before the data are."""

    @abstractmethod
    def make_sources(self) -> dict[str, SequenceSource]:
        """Return the sources of the splits ``train``, ``val`` and ``test``."""

    def check_available(self) -> None:
        """Check cheaply, before any training, that the data are there and fill a batch.

        Raises:
            ValueError: they are not there (``DataMissingError``, which says how to get them) or are less than a batch.
        """
        self._check_batch(self.split_sizes().train)

    def split_sizes(self) -> Sizes:
        """Return the sizes of the splits, maybe without loading them."""
        train, val, test = map(self.source, SPLITS)
        lengths = getattr(train, "lengths", None)
        steps = float(self.task.steps if lengths is None else lengths.double().mean())
        return Sizes(len(train), len(val), len(test), steps)

    def steps_per_epoch(self) -> int:
        """Return the number of training batches of an epoch, maybe without loading."""
        return -(-self.split_sizes().train // self.batch_size)

    @property
    def published_sizes(self) -> Sizes | None:
        """About the sizes that the published data have, for plans without them; None where no data are needed."""
        return None

    def setup(self, stage: str | None = None) -> None:
        """Load or generate the splits, once."""
        if self._sources:
            return
        sources = self.make_sources()
        given = list(sources) if isinstance(sources, dict) else type(sources).__name__
        if not isinstance(sources, dict) or sources.keys() != set(SPLITS):
            raise ValueError(f"make_sources must return a dict of the splits {', '.join(SPLITS)}, got {given}")
        for split, source in sources.items():
            if not (hasattr(source, "read") and hasattr(source, "__len__")):
                kinds = "have read and __len__, as FixedSource does"
                raise ValueError(f"the source of split {split} must {kinds}, got {type(source).__name__}")
        self._check_batch(len(sources["train"]))
        self._sources = sources

    @property
    def is_loaded(self) -> bool:
        """Whether ``setup`` was called."""
        return bool(self._sources)

    def source(self, split: str) -> SequenceSource:
        """Return the source of a split, loaded or generated if need be; ValueError if there is no such split."""
        check_choice("split", split, SPLITS)
        self.setup()
        return self._sources[split]

    def _check_batch(self, sequences: int) -> None:
        if self.batch_size > sequences:
            raise ValueError(f"batch_size must be at most {sequences}, the training sequences, got {self.batch_size}")

    def train_dataloader(self) -> SequenceLoader:
        """Return the training batches, in a new order each epoch."""
        return self._loader("train", self.batch_size, self.seed)

    def val_dataloader(self) -> list[SequenceLoader]:
        """Return the validation and the test split: nothing is chosen on the latter."""
        return [self._loader(split, self.eval_batch_size, None) for split in ("val", "test")]

    def test_dataloader(self) -> SequenceLoader:
        """Return the test split."""
        return self.val_dataloader()[1]

    def _loader(self, split: str, batch_size: int, order_seed: int | None) -> SequenceLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return SequenceLoader(self.source(split), batch_size, order_seed, rank, world_size)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Return the batch on the device; Lightning's own search for the tensors in it takes a part of a short step."""
        inputs, targets, lengths = batch
        return Batch(inputs.to(device), targets.to(device), None if lengths is None else lengths.to(device))

    def samples(self, split: str, count: int) -> Batch:
        """Return ``count`` sequences of a split to measure on, always the same; ValueError if there are fewer."""
        source = self.source(split)
        if not 1 <= count <= len(source):
            raise ValueError(f"samples must be from 1 to {len(source)}, all of split {split!r}, got {count}")
        order = torch.randperm(len(source), generator=named_generator("samples", split, self.seed))
        return Batch(*source.read(0, order[:count]))

    def at_length(self, length: int, count: int) -> tuple[Task, Batch]:
        """Return the task with sequences of another length, and the first ``count`` test sequences of it.

        Raises:
            ValueError: the task does not draw its sequences, or has no setting ``length``.
        """
        raise ValueError(f"task must draw its sequences and have a length, got {type(self).__name__}")

    def training_batches(self) -> Iterator[Batch]:
        """Return the training batches of an epoch from its start, apart from those that training goes through."""
        return iter(SequenceLoader(self.source("train"), self.batch_size, self.seed))

    def fingerprint(self) -> str:
        """Return a short hash of the data: the splits' sizes, and 64 sequences of each, spread over it, as read.

        Two runs with different fingerprints saw different data.
        """
        digest = hashlib.sha256()
        for split in SPLITS:
            source = self.source(split)
            digest.update(f"{split}:{len(source)}".encode())
            spread = torch.linspace(0, len(source) - 1, min(len(source), 64)).long()
            for tensor in source.read(0, spread):
                digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]
