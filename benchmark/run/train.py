"""Training one job: build, fit or go on, evaluate, write the records."""

import contextlib
import dataclasses
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from rnnbench.benchmark.config.construct import build_data_module, recurrence_factory
from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.measures import build_measure
from rnnbench.benchmark.run.callbacks.logger_mirror import LoggerMirror
from rnnbench.benchmark.run.callbacks.resume_checkpoint import (
    AtomicCheckpointIO,
    ProgressFile,
    ResumeCheckpoint,
    TrainingClock,
)
from rnnbench.benchmark.run.callbacks.take_measures import TakeMeasures
from rnnbench.benchmark.run.callbacks.wandb_mirror import WandbMirror
from rnnbench.benchmark.run.checkpoint import check_checkpoint
from rnnbench.benchmark.run.job import Job
from rnnbench.benchmark.run.lease import BusyError, Lease
from rnnbench.benchmark.run.provenance import reset_peak_memory
from rnnbench.benchmark.run.recording import Run, Start, is_finished, write_records
from rnnbench.benchmark.run.source import note_source, own_code
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.scan.policy import use_backend

Mirror: TypeAlias = WandbMirror | LoggerMirror


def train(job: Job, options: TrainOptions) -> None:
    """Train what the job names, from its checkpoint if there is one, and write its records, unless all are there.

    Raises:
        BusyError: another process trains this job, or has taken it over, or just trained it on several devices.
        UserError: the checkpoint is damaged, or not this job's; it is left untouched.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    if job.experiment.is_pilot:
        options = dataclasses.replace(options, wandb="off", loggers=())
    backend = use_backend(options.scan, options.checkpoint_every)
    mirrors: list[Mirror] = [LoggerMirror(job, kind) for kind in options.loggers]
    if options.wandb != "off":
        mirrors.append(WandbMirror(job, options.wandb))
    with quiet_lightning(), backend, contextlib.ExitStack() as stack:
        # One process of each run holds the lease; with several devices the others share what it holds.
        lease = stack.enter_context(Lease(job.folder)) if is_first_process(options) else None
        if lease is not None and all(is_finished(job.record_path(member)) for member in job.members):
            # Another launcher was first. Processes that share a run wait for each other: all of them are to end.
            if options.devices > 1:
                raise BusyError(f"another process has trained it ({job.folder})")
            return
        for mirror in mirrors:
            stack.enter_context(mirror)
        _train(job, options, mirrors, lease)


def is_first_process(options: TrainOptions) -> bool:
    """Return whether this process is the one of its run that holds the lock and writes files."""
    # Lightning sets the variable, and torchrun both; with one device somebody else may, and mean something else.
    return options.devices == 1 or os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


class _KeepLease(L.Callback):
    """Ends a run that another process has taken over before it writes a checkpoint."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def on_save_checkpoint(self, *_: Any) -> None:
        """See that the lease still holds."""
        self._lease.confirm()


def _train(job: Job, options: TrainOptions, mirrors: Sequence[Mirror], lease: Lease | None) -> None:
    start = Start()
    if is_first_process(options):
        job.begin()
    reset_peak_memory()
    data, model = build(job, options.data_dir)
    measures = TakeMeasures({spec["measure"]: build_measure(spec) for spec in job.experiment.measures})
    clock = TrainingClock()
    checkpoint = job.checkpoint if job.checkpoint.exists() else None
    if checkpoint is not None:
        check_checkpoint(checkpoint, model)
    elif is_first_process(options):
        configs = {member.experiment_id: job.point(member).config for member in job.members}
        note_source(job.source, own_code(configs, data.task.objectives))
    guards = [_KeepLease(lease)] if lease is not None else []
    trainer = make_trainer(job, options, measures, clock, *mirrors, *guards)
    run = Run(job, model, data, trainer, clock, start, measures, options, lease)
    try:
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if trainer.global_step > (model.curve[-1]["step"] if model.curve else 0):
            # The last step was not one of those that are followed by an evaluation.
            trainer.validate(model, datamodule=data, verbose=False)
        # Also after ``fit``, which calls no hook when nothing is left to train.
        measures.on_train_end(trainer, model)
    except (KeyboardInterrupt, SystemExit):
        if model.curve and trainer.is_global_zero:
            records = write_records(run, interrupted=True)
            for mirror in mirrors:
                mirror.summarise(records)
        raise
    if trainer.is_global_zero:
        records = write_records(run, interrupted=False)
        for mirror in mirrors:
            mirror.summarise(records)
        for path in (job.checkpoint, job.progress, job.source):
            path.unlink(missing_ok=True)


def build(job: Job, data_dir: Path | None) -> tuple[SequenceDataModule, LitSequenceModel]:
    """Return the data module and the ensemble of a job, one factory and one learning rate per member."""
    data = build_data_module(job.experiment.config, data_dir)
    points = [job.point(member) for member in job.members]
    model = LitSequenceModel(
        recurrence=[recurrence_factory(point.config["recurrence"]) for point in points],
        task=data.task,
        instances=[member.instance for member in job.members],
        learning_rate=[point.recipe.learning_rate for point in points],
        **points[0].recipe.of_model,
    )
    return data, model


def make_trainer(job: Job, options: TrainOptions, *callbacks: L.Callback) -> L.Trainer:
    """Return the Trainer of a job: its recipe's length and evaluations, the callbacks of a resumable run and others."""
    recipe = job.point(job.members[0]).recipe
    resume = ResumeCheckpoint(job.checkpoint, options.checkpoint_seconds, recipe.validate_every, options.deadline)
    devices: Any = options.devices if options.device_index is None else [options.device_index]
    nodes = 1
    if options.devices > 1:
        # Of processes that torchrun or srun started, perhaps on several machines.
        devices = int(os.environ.get("LOCAL_WORLD_SIZE", devices))
        nodes = options.devices // devices
    return L.Trainer(
        accelerator=options.accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if options.devices > 1 else "auto",
        # The loaders split each batch themselves: Lightning's sampler would change the global batches.
        use_distributed_sampler=False,
        max_epochs=recipe.max_epochs if recipe.max_epochs is not None else -1,
        max_steps=recipe.max_steps if recipe.max_steps is not None else -1,
        check_val_every_n_epoch=1 if recipe.validate_every is None else None,
        val_check_interval=recipe.validate_every,
        num_sanity_val_steps=0,
        # The processes of a run are always ours, also where SLURM's variables would tell Lightning otherwise.
        plugins=[AtomicCheckpointIO(), LightningEnvironment()],
        # The checkpoint last: it is to hold what the others did.
        callbacks=[ProgressFile(job.progress), *callbacks, resume],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=job.folder,
    )


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's hints about loggers and devices, and warnings about torch that it causes itself."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec")
            # On a cluster, where the processes of a run are ours all the same.
            warnings.filterwarnings("ignore", message="The `srun` command is available")
            # With several devices: what is logged is the same on all, and no stride changes a value.
            warnings.filterwarnings("ignore", message=".*sync_dist=True.* when logging on epoch level")
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
