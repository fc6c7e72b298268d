"""The public names of rnnbench, each imported when it is first used: ``import rnnbench`` alone imports no torch.

Every recurrence and task that ``rnnbench list`` shows is a public name too, whether it is written here or not.

>>> import rnnbench
>>> rnnbench.LSTM(input_size=2, hidden_size=8).state_size
16
"""

import ast
import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Never executed: type checkers read it, and ``_modules`` as the table of what is imported when.
if TYPE_CHECKING:  # isort: off
    from rnnbench.benchmark.config.options import RunOptions as RunOptions
    from rnnbench.benchmark.config.suite import load_suite as load_suite
    from rnnbench.benchmark.errors import UserError as UserError
    from rnnbench.benchmark.launchers.suite_run import run_suite as run_suite
    from rnnbench.benchmark.run.trained import load_network as load_network
    from rnnbench.datamodules.adding import Adding as Adding
    from rnnbench.datamodules.copying import CopyMemory as CopyMemory, DelayedCopy as DelayedCopy
    from rnnbench.datamodules.images import (
        SequentialCIFAR10 as SequentialCIFAR10,
        SequentialDigits as SequentialDigits,
        SequentialMNIST as SequentialMNIST,
    )
    from rnnbench.datamodules.language import Shakespeare as Shakespeare, WikiText2 as WikiText2
    from rnnbench.datamodules.linear_system import LinearSystem as LinearSystem
    from rnnbench.datamodules.music import Music as Music
    from rnnbench.datamodules.objective import Objective as Objective
    from rnnbench.datamodules.polynomial import Polynomial as Polynomial
    from rnnbench.datamodules.sequence_data_module import SequenceDataModule as SequenceDataModule
    from rnnbench.datamodules.slot_filling import ATIS as ATIS
    from rnnbench.datamodules.state_tracking import StateTracking as StateTracking
    from rnnbench.datamodules.synthetic import SyntheticDataModule as SyntheticDataModule
    from rnnbench.datamodules.task import Batch as Batch, Metric as Metric, Task as Task, Tokens as Tokens
    from rnnbench.leaderboard.frame import read_records as read_records
    from rnnbench.leaderboard.store import load_records as load_records
    from rnnbench.lit_models.dynamics.effective_state import effective_state as effective_state
    from rnnbench.lit_models.dynamics.dimension import (
        entropy_rate as entropy_rate,
        kaplan_yorke_dimension as kaplan_yorke_dimension,
    )
    from rnnbench.lit_models.dynamics.gradient_flow import gradient_flow as gradient_flow
    from rnnbench.lit_models.dynamics.hessian import hessian_spectrum as hessian_spectrum
    from rnnbench.lit_models.dynamics.lyapunov import (
        finite_time_exponents as finite_time_exponents,
        lyapunov_spectrum as lyapunov_spectrum,
    )
    from rnnbench.lit_models.dynamics.memory import memory_capacity as memory_capacity
    from rnnbench.lit_models.dynamics.parallelisability import parallelisability as parallelisability
    from rnnbench.lit_models.dynamics.polynomial_degree import polynomial_degree as polynomial_degree
    from rnnbench.lit_models.dynamics.processing_capacity import processing_capacity as processing_capacity
    from rnnbench.lit_models.dynamics.truncated_training import truncated_training as truncated_training
    from rnnbench.lit_models.dynamics.truncation import (
        truncated_scores as truncated_scores,
        truncation_error as truncation_error,
    )
    from rnnbench.lit_models.ensemble import Ensemble as Ensemble
    from rnnbench.lit_models.lit_sequence_model import LitSequenceModel as LitSequenceModel
    from rnnbench.lit_models.network import Network as Network
    from rnnbench.lit_models.recurrence import Recurrence as Recurrence
    from rnnbench.lit_models.recurrences.antisymmetric import AntisymmetricRNN as AntisymmetricRNN
    from rnnbench.lit_models.recurrences.block_diagonal import BlockDiagonalRNN as BlockDiagonalRNN
    from rnnbench.lit_models.recurrences.coupled_oscillator import CoRNN as CoRNN
    from rnnbench.lit_models.recurrences.deep_transition import DeepTransitionRNN as DeepTransitionRNN
    from rnnbench.lit_models.recurrences.delta_net import DeltaNet as DeltaNet
    from rnnbench.lit_models.recurrences.elman import ElmanRNN as ElmanRNN
    from rnnbench.lit_models.recurrences.gated import GRU as GRU, LSTM as LSTM
    from rnnbench.lit_models.recurrences.linoss import LinOSS as LinOSS
    from rnnbench.lit_models.recurrences.gated_block import GatedBlock as GatedBlock
    from rnnbench.lit_models.recurrences.lipschitz import LipschitzRNN as LipschitzRNN
    from rnnbench.lit_models.recurrences.long_expressive_memory import LEM as LEM
    from rnnbench.lit_models.recurrences.lru import LRU as LRU
    from rnnbench.lit_models.recurrences.minimal import MinLSTM as MinLSTM, MinGRU as MinGRU
    from rnnbench.lit_models.recurrences.mlstm import MLSTM as MLSTM
    from rnnbench.lit_models.recurrences.multiplicative_integration import MIRNN as MIRNN
    from rnnbench.lit_models.recurrences.orthogonal import OrthogonalRNN as OrthogonalRNN
    from rnnbench.lit_models.recurrences.rg_lru import RGLRU as RGLRU
    from rnnbench.lit_models.recurrences.rwkv7 import RWKV7 as RWKV7
    from rnnbench.lit_models.recurrences.s4 import S4 as S4
    from rnnbench.lit_models.recurrences.s4d import S4D as S4D
    from rnnbench.lit_models.recurrences.s6 import S6 as S6
    from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN as SecondOrderRNN
    from rnnbench.lit_models.recurrences.slstm import SLSTM as SLSTM
    from rnnbench.lit_models.recurrences.stacked import StackedRNN as StackedRNN
    from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation as FeedForwardTruncation
    from rnnbench.lit_models.recurrences.ur_lstm import URLSTM as URLSTM
    from rnnbench.lit_models.recurrences.wcrnn import WCRNN as WCRNN
    from rnnbench.lit_models.scan.policy import current_backend as current_backend, use_backend as use_backend


@functools.cache
def _modules() -> dict[str, str]:
    """Return the module of each public name, read from source."""
    from rnnbench.datamodules import registered_tasks
    from rnnbench.lit_models.recurrences import registered_recurrences

    (block,) = (node for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    named = {alias.name: str(node.module) for node in imports for alias in node.names}
    return named | {name: found.module for name, found in {**registered_tasks(), **registered_recurrences()}.items()}


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(_modules())
    # A submodule or a name like __path__ is asked for at every import: neither is looked for in the sources.
    if name.startswith("_") or name not in _modules():
        raise AttributeError(f"module 'rnnbench' has no attribute '{name}'")
    value = globals()[name] = getattr(importlib.import_module(_modules()[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_modules()})
