"""How many members of an experiment fit into one run: what a member keeps in memory, against this machine's."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnnbench.benchmark.config.construct import recurrence_factory
from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.launchers.estimate import random_inputs
from rnnbench.benchmark.launchers.machine import default_workers, machine_memory
from rnnbench.benchmark.launchers.plan import LARGEST_ENSEMBLE
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.datamodules.task import Task
from rnnbench.lit_models.network import Network, make_network
from rnnbench.lit_models.parameter_budget import count_parameters
from rnnbench.lit_models.scan.native.library import padded_length
from rnnbench.lit_models.scan.policy import BackendName, use_backend
from rnnbench.lit_models.scan.segments import segment_length
from rnnbench.lit_models.token_loss import LARGE_VOCABULARY

#: Part of the memory that the runs at a time may fill by this estimate; the rest is for data, libraries and others.
SHARE = 0.6
_FLOAT = 4
#: Copies of the weights beside the optimiser's moments: themselves, gradients, the best so far, those before the step.
_COPIES = 4
#: A kept tensor's gradient is as large as itself, and an evaluation holds a layer's inputs beside its outputs.
_TWICE = 2
#: As many sequences as fill the vectors of compiled kernels: of fewer, tensors are kept in other ways.
_SEQUENCES, _LENGTHS = (16, 32), (16, 32)


def members_that_fit(experiment: Experiment, module: SequenceDataModule, options: RunOptions) -> int:
    """Return how many members of an experiment one run trains at most, one even where none would fit.

    The same on the same machine with the same options; what was begun keeps its members (``benchmark.plan``).
    """
    fitting = int(memory_of_a_run(options) / member_bytes(experiment, module, options))
    return max(1, min(LARGEST_ENSEMBLE, fitting))


def memory_of_a_run(options: RunOptions) -> float:
    """Return the bytes that one run may fill: ``SHARE`` of a GPU's memory or of the machine's, divided by the runs."""
    runs = (options.workers or default_workers()) if options.devices == 1 else 1
    gpus = torch.cuda.device_count()
    if gpus:
        least = min(torch.cuda.mem_get_info(index)[1] for index in range(gpus))
        return SHARE * least / -(-runs // gpus)
    # On the CPU the processes of several devices fill the same memory.
    return SHARE * machine_memory() / max(runs, options.devices)


def member_bytes(experiment: Experiment, module: SequenceDataModule, options: RunOptions) -> float:
    """Return about how many bytes one more member of a run takes.

    Weights with all that is as large as they are (``_COPIES`` and the optimiser's moments), and the larger of two: what
    is kept for the backward pass, with as much again for its gradients, and a layer's inputs and outputs in evaluation.
    """
    point = experiment.points()[0]
    task, recipe = module.task, point.recipe
    network = make_network(recurrence_factory(point.config["recurrence"]), task, 0)
    with use_backend(_backend_that_counts(options)):
        kept = kept_for_backward(network, task)
    # Compiled kernels fill whole vectors.
    sequences = padded_length(-(-module.batch_size // options.devices), _FLOAT)
    longest = task.steps if task.lengths is None else task.lengths.train[1]
    segment = segment_length(longest, options.checkpoint_every)
    learning = kept(sequences, segment or longest)
    if segment is not None:
        learning += _FLOAT * sequences * network.recurrence.state_size * -(-longest // segment)
    scored = -(-module.eval_batch_size // options.devices)
    scoring = _FLOAT * scored * task.steps * network.recurrence.hidden_size
    weights = _FLOAT * count_parameters(network) * (_COPIES + _moments(recipe))
    return weights + _TWICE * max(learning, scoring)


def _backend_that_counts(options: RunOptions) -> BackendName:
    """Return the scan that keeps on the CPU what a run's keeps; kernels on a GPU keep what those in PyTorch do."""
    if options.scan == "loop":
        return "loop"
    return options.scan if options.scan in ("auto", "native") and not torch.cuda.is_available() else "eager"


def _moments(recipe: Recipe) -> int:
    return (1 if recipe.momentum else 0) if recipe.optimizer == "sgd" else 2


def kept_for_backward(network: Network, task: Task) -> Callable[[int, int], float]:
    """Return a function of sequences and steps: the bytes that autograd keeps from the forward to the backward pass.

    A few short sequences are scanned and what is kept of them counted, so this holds for any recurrence and scan. It
    is taken as a multiple of the sequences plus a constant, each growing linearly with the steps.
    """
    lengths = [min(length, task.steps) for length in _LENGTHS]
    found = {
        (sequences, steps): _kept_bytes(network, task, sequences, steps)
        for sequences, steps in itertools.product(_SEQUENCES, lengths)
    }

    def at(sequences: int, steps: int) -> float:
        ends = []
        for length in lengths:
            few, more = (found[number, length] for number in _SEQUENCES)
            ends.append(few + (more - few) * (sequences - _SEQUENCES[0]) / (_SEQUENCES[1] - _SEQUENCES[0]))
        slope = (ends[1] - ends[0]) / (lengths[1] - lengths[0]) if lengths[1] > lengths[0] else 0.0
        return max(ends[1] + slope * (steps - lengths[1]), 0.0)

    return at


def _kept_bytes(network: nn.Module, task: Task, sequences: int, steps: int) -> int:
    known = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    # The scores of large vocabularies are never held.
    read = task.tokens is None or task.output_size < LARGE_VOCABULARY
    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        inputs = random_inputs(task, sequences, steps, torch.device("cpu"))
        network(inputs, read=read).square().sum()
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in known)
