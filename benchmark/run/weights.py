"""The weights of an instance: written beside its record, and put into a network that was built again."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from rnnbench.leaderboard.files import write_atomically
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.weights_file import KEY, Description
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.network import Network

#: What a safetensors file calls the types of numbers.
_TYPES = {
    **{torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"},
    **{torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8"},
    **{torch.bool: "BOOL", torch.complex64: "C64"},
}


def write_weights(path: Path, tensors: Mapping[str, Tensor], record: Record, place: int) -> None:
    """Write the weights that a record's scores belong to as a safetensors file, by ``write_atomically``.

    The same weights give the same bytes. ``place`` is that of the instance among those trained together.

    Raises:
        ValueError: a tensor is of a type that such files do not hold.
        OSError: the disk is full or the folder unwritable.
    """
    description = json.dumps(Description.of(record, place).model_dump(), sort_keys=True, allow_nan=False)
    header: dict[str, object] = {"__metadata__": {KEY: description}}
    parts, end = [], 0
    # Wide numbers first: each then lies at a multiple of its size.
    for name, tensor in sorted(tensors.items(), key=lambda pair: (-pair[1].element_size(), pair[0])):
        if tensor.dtype not in _TYPES:
            raise ValueError(f"{name} must be of a type that safetensors files hold, got {tensor.dtype}")
        parts.append(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        begin, end = end, end + len(parts[-1])
        header[name] = {"dtype": _TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    write_atomically(path, b"".join((len(text).to_bytes(8, "little"), text, *parts)))


def best_weights(model: LitSequenceModel, index: int) -> dict[str, Tensor]:
    """Return the kept weights of one instance of an ensemble by their names in ``Network.state_dict``."""
    kept = {name.removeprefix("network."): stack for name, stack in model.best_weights.items()}
    return {name: kept[name][index].cpu() for name in _stored(model.ensemble.network)}


def load_weights(ensemble: Ensemble[Network], tensors: Mapping[str, Tensor]) -> None:
    """Put the weights of one instance into every place of an ensemble.

    Raises:
        ValueError: they are of another architecture.
    """
    state = ensemble.network.state_dict()
    own = {name: (list(stack.shape[1:]), stack.dtype) for name, stack in state.items()}
    given = {name: (list(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    if unlike := [name for name in {**_stored(ensemble.network), **given} if own.get(name) != given.get(name)]:
        name = unlike[0]
        needed, got = ("{} of {}".format(*held[name]) if name in held else "none" for held in (own, given))
        raise ValueError(f"holds weights of another architecture: {name} must be {needed}, got {got}")
    copies = {name: tensor.expand(ensemble.size, *tensor.shape) for name, tensor in tensors.items()}
    # Not strict: of tied tensors the first name alone is stored.
    ensemble.network.load_state_dict(copies, strict=False)


def _stored(network: nn.Module) -> dict[str, Tensor]:
    """Return what is stored of a network: its state, tied tensors once."""
    state = network.state_dict()
    named = (*network.named_parameters(), *network.named_buffers())
    return {name: tensor for name, tensor in named if name in state}
