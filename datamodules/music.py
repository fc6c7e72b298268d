"""Polyphonic music: predict which keys of the piano sound next (Boulanger-Lewandowski et al. 2012)."""

import functools
import itertools
import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.loader import SequenceSource
from rnnbench.datamodules.real_data import SPLITS, DataMissingError, FoundSplit, Origin, find_splits
from rnnbench.datamodules.sequence_data_module import SequenceDataModule, Sizes
from rnnbench.datamodules.sources import RaggedSource
from rnnbench.datamodules.task import Metric, Task

KEYS = 88
LOWEST, HIGHEST = 21, 108
"""MIDI numbers of the piano's keys."""

#: Of each collection: its task's name, the frames of its longest piece, the pieces of its splits and their mean frames.
COLLECTIONS = {
    "jsb_chorales": ("JSB", 160, Sizes(229, 76, 77, 59.3)),
    "musedata": ("MuseData", 4273, Sizes(524, 135, 124, 466.9)),
    "nottingham": ("Nottingham", 1793, Sizes(694, 173, 170, 253.4)),
    "piano_midi": ("Piano-midi", 3857, Sizes(87, 12, 25, 871.5)),
}


class Music(SequenceDataModule):
    """Predict the next frame of a piece of music from the frames so far, on 88 keys of a piano.

    Inputs [T, 88]: 1 where a key sounds in frame t, else 0. Targets [T, 88]: the same, one frame on; a piece of n
    frames gives n - 1 predictions. Loss and ranked metric: the negative log-likelihood of a frame in nats, each key an
    independent yes or no, summed over keys and averaged over all frames of all pieces. Pieces are of unequal lengths.

    Chance is the best constant: each key's frequency in the training split, scored on the test split (½ for each key,
    88 ln 2 nats, as long as the data are not loaded).

    Args:
        collection: ``jsb_chorales``, ``musedata``, ``nottingham`` or ``piano_midi``, with the splits of
            Boulanger-Lewandowski et al. 2012.
        max_frames: frames of the longest piece that is allowed; None for those of the collection's own.
        data_dir: folder that holds ``music/COLLECTION/train.parquet``, ``validation.parquet`` and ``test.parquet``,
            with a column ``notes`` (each frame's MIDI numbers, 21 to 108); None for the folder that RNNBENCH_DATA
            names.
        batch_size, eval_batch_size, seed: see ``SequenceDataModule``.

    >>> Music().task.name, Music("nottingham").task.steps
    ('JSB', 1792)
    >>> roll = piano_roll([[21, 108], [], [22]])
    >>> [part.nonzero().tolist() for part in (roll[:-1], roll[1:])]  # steps and keys of inputs and targets
    [[[0, 0], [0, 87]], [[1, 1]]]
    """

    fixed_splits: ClassVar[bool] = True

    def __init__(
        self,
        collection: Literal["jsb_chorales", "musedata", "nottingham", "piano_midi"] = "jsb_chorales",
        max_frames: int | None = None,
        data_dir: str | None = None,
        batch_size: int = 16,
        eval_batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        check_choice("collection", collection, COLLECTIONS)
        if max_frames is not None:
            check_at_least(2, max_frames=max_frames)
        self.collection = collection
        self.max_frames = max_frames or COLLECTIONS[collection][1]
        self.data_dir = data_dir
        self._chance = KEYS * math.log(2)

    @property
    def task(self) -> Task:
        """88 keys at every step; ranked by the negative log-likelihood of a frame."""
        metrics = (Metric("frame_nll", "min", chance=self._chance, best=0.0),)
        name = COLLECTIONS[self.collection][0]
        return Task(name, KEYS, KEYS, self.max_frames - 1, "every", "frame_nll", metrics)

    @property
    def published_sizes(self) -> Sizes:
        """Pieces of the collection's splits."""
        return COLLECTIONS[self.collection][2]

    def make_sources(self) -> dict[str, SequenceSource]:
        """Return the three splits, and compute what the best constant scores."""
        rows = dict(zip(SPLITS.values(), COLLECTIONS[self.collection][2][:3], strict=True))
        origin = Origin(f"music/{self.collection}", None, {"notes": "notes"}, rows)
        sources = _read_pieces(find_splits(origin, self.data_dir), self.max_frames)
        count = len(sources["train"].targets)
        # At least half an occurrence each way: no constant may give a key no chance at all.
        frequency = sources["train"].targets.double().mean(0).clamp(0.5 / count, 1 - 0.5 / count)
        share = sources["test"].targets.double().mean(0)
        self._chance = -(share * frequency.log() + (1 - share) * (-frequency).log1p()).sum().item()
        return dict(sources)


def piano_roll(frames: list[list[int]]) -> Tensor:
    """Return frames of MIDI numbers as [frames, 88] uint8."""
    roll = torch.zeros(len(frames), KEYS, dtype=torch.uint8)
    rows = [row for row, notes in enumerate(frames) for _ in notes]
    roll[rows, [note - LOWEST for note in itertools.chain.from_iterable(frames)]] = 1
    return roll


@functools.lru_cache(maxsize=4)
def _read_pieces(splits: tuple[FoundSplit, ...], max_frames: int) -> dict[str, RaggedSource]:
    # Runs of one suite share what was read once; other data are another key.
    sources = {}
    for split, found in zip(SPLITS, splits, strict=True):
        rows = found.values()
        for number, (frames,) in enumerate(rows):
            _check_piece(frames, max_frames, f"row {number} of {found.where}")
        rolls = [piano_roll(frames) for (frames,) in rows]
        inputs, targets = torch.cat([roll[:-1] for roll in rolls]), torch.cat([roll[1:] for roll in rolls])
        sources[split] = RaggedSource(inputs, targets, torch.tensor([len(roll) - 1 for roll in rolls]))
    return sources


def _check_piece(frames: list[Any], max_frames: int, where: str) -> None:
    if not 2 <= len(frames) <= max_frames:
        rule = f"must be a piece of 2 frames, one to read and one to predict, to {max_frames} (max_frames)"
        raise DataMissingError(f"{where} {rule}, got {len(frames)}")
    for step, notes in enumerate(frames):
        if notes is None:
            raise DataMissingError(f"{where}, frame {step}, must be a list of notes, empty for silence, got None")
        for note in notes:
            if note is None or not LOWEST <= note <= HIGHEST:
                rule = f"notes must be MIDI numbers from {LOWEST} to {HIGHEST}"
                raise DataMissingError(f"{where}, frame {step}: {rule}, got {note}")
