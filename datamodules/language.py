"""Language: predict the next word or character of a text, the state carried through it all."""

import functools
import math
from typing import Any, ClassVar, Literal, NamedTuple, cast

from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice, check_flags
from rnnbench.datamodules.loader import SequenceLoader, SequenceSource
from rnnbench.datamodules.real_data import SPLITS, DataMissingError, FoundSplit, Origin, find_splits
from rnnbench.datamodules.sequence_data_module import SequenceDataModule, Sizes
from rnnbench.datamodules.task import Metric, Task, Tokens
from rnnbench.datamodules.token_streams import StreamLoader, TokenSource
from rnnbench.datamodules.vocabulary import check_embedding, frequency_cross_entropy, read_vocabulary, token_numbers

END_OF_LINE = "<eos>"


class _Text(NamedTuple):
    """The name of a text's task, its unit, the entries of its vocabulary with the unknown one, its splits' tokens."""

    name: str
    unit: Literal["words", "characters"]
    entries: int
    tokens: tuple[int, int, int]


class _LanguageModelling(SequenceDataModule):
    """Texts as streams of tokens. Subclasses name their origin."""

    fixed_splits: ClassVar[bool] = True
    origin: ClassVar[Origin]

    def __init__(
        self,
        text: _Text,
        /,
        bptt: int = 35,
        embedding_size: int | None = 200,
        tied: bool = False,
        vocabulary_size: int | None = None,
        eval_streams: int = 20,
        data_dir: str | None = None,
        batch_size: int = 20,
        **loading: int,
    ) -> None:
        super().__init__(batch_size, **loading)
        check_at_least(1, bptt=bptt, eval_streams=eval_streams)
        check_embedding(embedding_size, vocabulary_size, text.entries)
        check_flags(tied=tied)
        if tied and embedding_size is None:
            raise ValueError("tied must be False without an embedding_size: only an embedding's weights can be tied")
        self.text = text
        self.bptt = bptt
        self.tokens = Tokens(vocabulary_size or text.entries, embedding_size, tied)
        self.vocabulary_size = vocabulary_size
        self.eval_streams = eval_streams
        self.data_dir = data_dir
        self._chance = math.log(self.tokens.vocabulary_size)

    @property
    def task(self) -> Task:
        """The next token at every step; ranked by perplexity of words or bits per character."""
        nats, size = self._chance, self.tokens.vocabulary_size
        ranked = Metric("bits_per_character", "min", nats / math.log(2), 0.0)
        if self.text.unit == "words":
            ranked = Metric("perplexity", "min", math.exp(nats), 1.0)
        metrics = ranked, Metric("cross_entropy", "min", nats, 0.0)
        sizes = self.tokens.input_size, size, self.bptt
        return Task(self.text.name, *sizes, "every", "cross_entropy", metrics, tokens=self.tokens, carries_state=True)

    @property
    def published_sizes(self) -> Sizes:
        """What the published tokens give, a sequence for each ``bptt`` of them."""
        train, val, test = (tokens // self.bptt for tokens in self.text.tokens)
        return Sizes(train, val, test, self.bptt)

    def make_sources(self) -> dict[str, SequenceSource]:
        """Return the three splits, and compute what the best constant scores: the training split's frequencies."""
        found = find_splits(self.origin, self.data_dir)
        tokens = _read_tokens(found, self.text, self.vocabulary_size)
        sources: dict[str, SequenceSource] = {split: TokenSource(part, self.bptt) for split, part in tokens.items()}
        targets = len(tokens["train"]) - 1
        if self.batch_size > targets:
            limit = f"at most {targets}, the training split's targets"
            raise ValueError(f"batch_size must be {limit}, got {self.batch_size} streams")
        self._chance = frequency_cross_entropy(tokens["train"][1:], tokens["test"][1:], self.task.output_size)
        return sources

    def steps_per_epoch(self) -> int:
        """Return the number of training batches of an epoch."""
        self.setup()
        return len(self.train_dataloader())

    def _check_batch(self, sequences: int) -> None:
        """Pass: a batch holds streams, whose number ``make_sources`` checks, not the pieces of a source."""

    def train_dataloader(self) -> StreamLoader:
        """Return the training split in ``batch_size`` streams, from its start in each epoch."""
        return self._streams("train", self.batch_size, self.bptt, whole=False)

    def val_dataloader(self) -> list[SequenceLoader]:
        """Return the validation and the test split, in ``eval_streams`` streams each."""
        steps = max(1, self.eval_batch_size // self.eval_streams)
        return [self._streams(split, self.eval_streams, steps, whole=True) for split in ("val", "test")]

    def _streams(self, split: str, streams: int, steps: int, whole: bool) -> StreamLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        source = cast(TokenSource, self.source(split))
        return StreamLoader(source, streams, steps, whole, rank, world_size)


class WikiText2(_LanguageModelling):
    r"""Predict the next word or character of Wikipedia's articles (Merity et al. 2016).

    ``word``: the words of the data set, in which rare ones are ``<unk>`` already, and ``<eos>`` at the end of every
    line; 33,278 entries, ranked by perplexity. ``char``: the characters of the same text as it stands, line ends and
    ``<unk>`` included; 284 entries, ranked by bits per character. It is not the papers' character task, which is Penn
    Treebank.

    Inputs are tokens [T], targets the tokens one step on. The text is read in parallel streams of which a batch holds
    the next ``bptt`` steps; the state is carried from batch to batch, through evaluation too. Chance is the best
    constant: the frequencies of the training split, scored on the test split (a uniform guess as long as the data are
    not loaded).

    Args:
        level: ``word`` or ``char``.
        bptt: steps of one batch, through which gradients flow.
        embedding_size: entries of a token's learned vector; None for one-hot inputs (of up to 1,024 tokens).
        tied: whether the readout's weights are the embedding's.
        vocabulary_size: entries that are kept, the most frequent ones of the training split; None for all, whose
            number must be the published one.
        eval_streams: parallel streams of evaluation, in which every token is scored.
        data_dir: folder that holds ``wikitext-2-v1/train.parquet``, ``validation.parquet`` and ``test.parquet``, with a
            column ``text``; None for the folder that RNNBENCH_DATA names, else ``Salesforce/wikitext``
            (``wikitext-2-v1``) of the Hugging Face Hub.
        batch_size: parallel streams of training, over all devices.
        eval_batch_size: tokens of one evaluation batch, over all streams; it changes no score.
        seed: decides nothing here: streams are read from their start in each epoch.

    >>> WikiText2().task.output_size, WikiText2("char", embedding_size=None).task.input_size
    (33278, 284)
    >>> words = text_tokens([" = Title = \n", ""], "words")
    >>> list(zip(words, words[1:]))  # inputs and targets
    [('=', 'Title'), ('Title', '='), ('=', '<eos>'), ('<eos>', '<eos>')]
    """

    origin = Origin(
        "wikitext-2-v1",
        "Salesforce/wikitext",
        {"text": "text"},
        {"train": 36718, "validation": 3760, "test": 4358},
        "wikitext-2-v1",
    )
    levels: ClassVar[dict[str, _Text]] = {
        "word": _Text("WikiText2-word", "words", 33278, (2_088_628, 217_646, 245_569)),
        "char": _Text("WikiText2-char", "characters", 284, (10_754_535, 1_117_594, 1_252_084)),
    }

    def __init__(self, level: Literal["word", "char"] = "word", **settings: Any) -> None:
        check_choice("level", level, self.levels)
        super().__init__(self.levels[level], **settings)


class Shakespeare(_LanguageModelling):
    """Predict the next character of Shakespeare's plays, the "tiny" collection of Karpathy 2015.

    65 different characters and the unknown one; otherwise as ``WikiText2`` at level ``char``. Ranked by bits per
    character.

    Args:
        data_dir: folder that holds ``tiny_shakespeare/train.parquet``, ``validation.parquet`` and ``test.parquet``,
            with a column ``text``; None for the folder that RNNBENCH_DATA names.
        bptt, embedding_size, tied, vocabulary_size, eval_streams, batch_size, eval_batch_size, seed: see ``WikiText2``.

    >>> text = text_tokens(["To be"], "characters")
    >>> list(zip(text, text[1:]))  # inputs and targets
    [('T', 'o'), ('o', ' '), (' ', 'b'), ('b', 'e')]
    >>> task = Shakespeare().task
    >>> task.name, task.input_size, task.output_size, round(task.ranked.chance, 2)  # a uniform guess: no data yet
    ('Shakespeare', 66, 66, 6.04)
    """

    origin = Origin("tiny_shakespeare", None, {"text": "text"}, dict.fromkeys(SPLITS.values()))

    def __init__(
        self,
        bptt: int = 64,
        embedding_size: int | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 2000,
        **settings: Any,
    ) -> None:
        text = _Text("Shakespeare", "characters", 66, (1_003_788, 55_756, 55_850))
        super().__init__(text, bptt, embedding_size, batch_size=batch_size, eval_batch_size=eval_batch_size, **settings)


def text_tokens(rows: list[str], unit: str) -> list[str] | str:
    """Return the ``words`` of lines of text, each line's end a word of its own, or the characters of all of it."""
    return [word for row in rows for word in (*row.split(), END_OF_LINE)] if unit == "words" else "".join(rows)


@functools.lru_cache(maxsize=8)
def _read_tokens(splits: tuple[FoundSplit, ...], text: _Text, size: int | None) -> dict[str, Tensor]:
    # Runs of one suite share what was read once; other data are another key.
    texts = {}
    for split, found in zip(SPLITS, splits, strict=True):
        texts[split] = text_tokens([row for (row,) in found.values()], text.unit)
        if len(texts[split]) < 2:
            rule = f"must hold 2 {text.unit} together, an input and its target"
            raise DataMissingError(f"rows 0 to {found.size - 1} of {found.where} {rule}, got {len(texts[split])}")
    vocabulary = read_vocabulary(texts["train"], size, text.entries, splits[0].where)
    return {split: token_numbers(tokens, vocabulary) for split, tokens in texts.items()}
