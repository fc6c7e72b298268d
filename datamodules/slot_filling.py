"""Slot filling: label every word of a request with the slot that it fills (ATIS; Hemphill et al. 1990)."""

import functools
import math
from typing import ClassVar

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least
from rnnbench.datamodules.loader import SequenceSource
from rnnbench.datamodules.real_data import SPLITS, DataMissingError, FoundSplit, Origin, find_splits
from rnnbench.datamodules.sequence_data_module import SequenceDataModule, Sizes
from rnnbench.datamodules.sources import RaggedSource
from rnnbench.datamodules.task import Metric, Task, Tokens
from rnnbench.datamodules.vocabulary import check_embedding, frequency_cross_entropy, read_vocabulary, token_numbers

WORDS = 868
"""Different words of the training split, and the unknown one."""

# The data set's slots: those of several words and, after the blank line, those of one.
_SLOTS = """
airline_name airport_name arrive_date.day_number arrive_time.end_time arrive_time.period_of_day
arrive_time.start_time arrive_time.time arrive_time.time_relative city_name class_type cost_relative
depart_date.day_number depart_date.today_relative depart_time.end_time depart_time.period_of_day
depart_time.start_time depart_time.time depart_time.time_relative economy fare_amount fare_basis_code flight_mod
flight_number flight_stop flight_time fromloc.airport_name fromloc.city_name fromloc.state_name meal_code
meal_description restriction_code return_date.date_relative return_date.day_number return_date.today_relative
round_trip state_name stoploc.city_name time today_relative toloc.airport_name toloc.city_name toloc.state_name
transport_type

aircraft_code airline_code airport_code arrive_date.date_relative arrive_date.day_name arrive_date.month_name
arrive_date.today_relative arrive_time.period_mod booking_class compartment connect day_name day_number days_code
depart_date.date_relative depart_date.day_name depart_date.month_name depart_date.year depart_time.period_mod flight
flight_days fromloc.airport_code fromloc.state_code meal mod month_name or period_of_day return_date.day_name
return_date.month_name return_time.period_mod return_time.period_of_day state_code stoploc.airport_code
stoploc.airport_name stoploc.state_code time_relative toloc.airport_code toloc.country_name toloc.state_code
"""
_LONG, _SHORT = (slots.split() for slots in _SLOTS.split("\n\n"))
LABELS = ("O", *(f"B-{slot}" for slot in (*_LONG, *_SHORT)), *(f"I-{slot}" for slot in _LONG))
"""The 127 tags of the data set; six of them occur in the test split only, where no network can have learned them."""
_NUMBERS = {label: number for number, label in enumerate(LABELS)}
_INSIDE = {_NUMBERS[f"B-{slot}"]: _NUMBERS[f"I-{slot}"] for slot in _LONG}


class ATIS(SequenceDataModule):
    """Label every word of a request about flights with the slot that it fills.

    Inputs are words [T], targets one of 127 tags at every word (``O``, ``B-slot``, ``I-slot``). Words come from the
    training split; all others are one unknown word. Sentences are of unequal lengths. Ranked by the F1 of whole slots,
    as ``seqeval`` scores them. The label of a word is read out when that word has been seen, and no later.

    Chance is the best constant: the tag that, given to every word, has the best F1 on the training split, scored on the
    test split, and for the cross-entropy the tags' frequencies in training (no slot at all, and a uniform guess, as
    long as the data are not loaded).

    Args:
        embedding_size: entries of a word's learned vector; None for one-hot inputs.
        vocabulary_size: words that are kept, the unknown one included, the most frequent ones of the training split;
            None for all, whose number must be the published one.
        max_length: words of the longest sentence that is allowed.
        data_dir: folder that holds ``atis/train.parquet``, ``validation.parquet`` and ``test.parquet``, with columns
            ``tokens`` and ``tags``; None for the folder that RNNBENCH_DATA names.
        batch_size, eval_batch_size, seed: see ``SequenceDataModule``.

    >>> task = ATIS(embedding_size=100).task
    >>> task.tokens.vocabulary_size, task.input_size, task.output_size
    (868, 100, 127)
    >>> words, tags = "to new york", ("O", "B-toloc.city_name", "I-toloc.city_name")
    >>> dict(zip(words.split(), map(LABELS.index, tags)))  # inputs and targets
    {'to': 0, 'new': 41, 'york': 124}
    """

    fixed_splits: ClassVar[bool] = True
    origin: ClassVar[Origin] = Origin(
        "atis", None, {"tokens": "words", "tags": "words"}, {"train": 4478, "validation": 500, "test": 893}
    )

    def __init__(
        self,
        embedding_size: int | None = 100,
        vocabulary_size: int | None = None,
        max_length: int = 50,
        data_dir: str | None = None,
        batch_size: int = 16,
        eval_batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        check_at_least(1, max_length=max_length)
        check_embedding(embedding_size, vocabulary_size, WORDS)
        self.tokens = Tokens(vocabulary_size or WORDS, embedding_size)
        self.vocabulary_size = vocabulary_size
        self.max_length = max_length
        self.data_dir = data_dir
        self._chance = (0.0, math.log(len(LABELS)))

    @property
    def task(self) -> Task:
        """One of 127 tags at every step; ranked by the F1 of slots."""
        by_constant, by_frequency = self._chance
        metrics = (
            Metric("slot_f1", "max", chance=by_constant, best=1.0),
            Metric("cross_entropy", "min", chance=by_frequency, best=0.0),
        )
        sizes = self.tokens.input_size, len(LABELS), self.max_length
        return Task("ATIS", *sizes, "every", "cross_entropy", metrics, tokens=self.tokens, labels=LABELS)

    @property
    def published_sizes(self) -> Sizes:
        """Sentences of the splits."""
        train, val, test = (self.origin.rows[name] or 0 for name in SPLITS.values())
        return Sizes(train, val, test, 11.3)

    def make_sources(self) -> dict[str, SequenceSource]:
        """Return the three splits, and compute what the best constants score."""
        found = find_splits(self.origin, self.data_dir)
        sources = _read_sentences(found, self.vocabulary_size, self.max_length)
        train, test = sources["train"].targets, sources["test"].targets
        cross_entropy = frequency_cross_entropy(train, test, len(LABELS))
        self._chance = (constant_f1(test, best_constant(train)), cross_entropy)
        return dict(sources)


def constant_f1(targets: Tensor, label: int) -> float:
    """Return the F1 of one ``B-`` tag given to all targets [words], a slot of one word each; 0 for other tags."""
    if not LABELS[label].startswith("B-"):
        return 0.0
    # The slots of this type that end after one word; the last word's sentence ends with it.
    following = torch.cat([targets[1:], targets.new_zeros(1)])
    goes_on = following == _INSIDE.get(label, -1)
    found = ((targets == label) & ~goes_on).sum().item()
    begun = ((targets > 0) & (targets <= len(_LONG) + len(_SHORT))).sum().item()
    return 2 * found / (len(targets) + begun)


def best_constant(targets: Tensor) -> int:
    """Return the tag that, given to every word, has the best F1."""
    return max(range(len(LABELS)), key=lambda label: constant_f1(targets, label))


@functools.lru_cache(maxsize=4)
def _read_sentences(splits: tuple[FoundSplit, ...], size: int | None, max_length: int) -> dict[str, RaggedSource]:
    # Runs of one suite share what was read once; other data are another key.
    rows = {}
    for split, found in zip(SPLITS, splits, strict=True):
        rows[split] = found.values()
        for number, (words, tags) in enumerate(rows[split]):
            _check_sentence(words, tags, max_length, f"row {number} of {found.where}")
    training = (word for words, _ in rows["train"] for word in words)
    vocabulary = read_vocabulary(training, size, WORDS, splits[0].where)
    sources = {}
    for split, sentences in rows.items():
        inputs = token_numbers((word for words, _ in sentences for word in words), vocabulary)
        targets = torch.tensor([_NUMBERS[tag] for _, tags in sentences for tag in tags])
        sources[split] = RaggedSource(inputs, targets, torch.tensor([len(words) for words, _ in sentences]))
    return sources


def _check_sentence(words: list[str | None], tags: list[str | None], max_length: int, where: str) -> None:
    if len(words) != len(tags):
        raise DataMissingError(f"{where} must have one tag a token, got {len(words)} tokens and {len(tags)} tags")
    if not 1 <= len(words) <= max_length:
        raise DataMissingError(f"{where} must be a sentence of 1 to {max_length} tokens (max_length), got {len(words)}")
    for place, (word, tag) in enumerate(zip(words, tags, strict=True)):
        if word is None:
            raise DataMissingError(f"{where}: token {place} must be a word, got None")
        if tag not in _NUMBERS:
            raise DataMissingError(f"{where}: the tag of token {place} must be one of ATIS's 127, got {tag!r}")
