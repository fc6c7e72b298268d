"""Reading a checkpoint before Lightning does, so that a damaged or foreign one gives a clear message."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from rnnbench.benchmark.errors import UserError
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel

_REMEDY = "it is left untouched: move it away to train from the start"
# What zipfile and torch.load raise for files that are cut short, overwritten, or no checkpoints.
_DAMAGED = (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, ValueError, KeyError, TypeError, EOFError)
# What a training state holds, and as what.
_PARTS = {"state_dict": dict, "best_weights": dict, "loops": dict, "curve": list, "optimizer_states": list}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint.

    Raises:
        UserError: the file is damaged, or is not a checkpoint of ours; of weights alone, says what reads them.
        FileNotFoundError: there is no such file.
    """
    if path.suffix == ".safetensors" and path.exists():
        raise UserError(_trained(path, str(path.with_suffix(".json"))))
    try:
        # torch.load does not look at the checksums that torch.save wrote.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        checkpoint = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise UserError(f"checkpoint {path} is damaged or not one of rnnbench's; {_REMEDY}") from error
    if damaged:
        raise UserError(f"checkpoint {path} is damaged: its checksums do not agree; {_REMEDY}")
    if isinstance(checkpoint, dict) and checkpoint.keys() == {"state_dict", "config"}:
        raise UserError(_trained(path, "RECORD.json"))
    if not isinstance(checkpoint, dict) or any(not isinstance(checkpoint.get(k), kind) for k, kind in _PARTS.items()):
        raise UserError(f"checkpoint {path} is not one of rnnbench's; {_REMEDY}")
    return checkpoint


def _trained(path: Path, record: str) -> str:
    return f"{path} holds the weights of a trained network, no training state: 'rnnbench evaluate {record}' scores it"


def check_checkpoint(path: Path, model: LitSequenceModel) -> None:
    """Check that a checkpoint can be read and holds this model, and a state of its optimiser.

    Raises:
        UserError: it cannot, or does not.
    """
    checkpoint = read_checkpoint(path)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    held = {name: tuple(getattr(tensor, "shape", ())) for name, tensor in checkpoint["state_dict"].items()}
    if held != expected or len(checkpoint["optimizer_states"]) != 1:
        raise UserError(f"checkpoint {path} holds another model; {_REMEDY}")
