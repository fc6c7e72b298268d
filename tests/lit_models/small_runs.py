"""Small trainings for tests: a task of a few sequences, and a Trainer that writes nothing."""

import functools
from typing import Any

import lightning as L

from rnnbench.benchmark.measures.base import Subject
from rnnbench.benchmark.run.train import quiet_lightning
from rnnbench.datamodules.adding import Adding
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.network import make_network
from rnnbench.lit_models.recurrences.elman import ElmanRNN

ELMAN = functools.partial(ElmanRNN, hidden_size=4)


def adding(**settings: Any) -> Adding:
    sizes = {"length": 6, "train_size": 64, "val_size": 20, "test_size": 24, "batch_size": 8, "eval_batch_size": 9}
    return Adding(**{**sizes, **settings})


def subject_of(recurrence: Any = ELMAN, samples: int = 8, **settings: Any) -> Subject:
    """One instance, and sequences of the test split to measure it on."""
    data = adding(**settings)
    data.setup()
    network = make_network(recurrence, data.task, 0)
    return Subject(network, data.task, data.samples("test", samples), data.training_batches, data.at_length)


def trainer(steps: int, validate_every: int, **options: Any) -> L.Trainer:
    writes = {"logger": False, "enable_checkpointing": False}
    shows = {"enable_progress_bar": False, "enable_model_summary": False}
    length = {"max_steps": steps, "max_epochs": -1, "val_check_interval": validate_every}
    fixed = {"check_val_every_n_epoch": None, "num_sanity_val_steps": 0, "accelerator": "cpu"}
    return L.Trainer(**{**writes, **shows, **length, **fixed, **options})


def fit(
    model: LitSequenceModel, data: SequenceDataModule, steps: int, validate_every: int, **options: Any
) -> L.Trainer:
    """Train, evaluating every so many steps, and return the Trainer."""
    used = trainer(steps, validate_every, **options)
    with quiet_lightning():
        used.fit(model, datamodule=data)
    return used
