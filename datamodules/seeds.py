"""Random streams from named axes: no two axes share a stream, and no global generator decides a result."""

import hashlib
import json

import torch


def derive_seed(*axis: str | int) -> int:
    """Return the seed, in [0, 2**63), of one named axis of randomness: its name and its coordinates.

    It is the same on every machine and for every Python process.

    >>> derive_seed("weights", 3) == derive_seed("weights", 3)
    True
    >>> derive_seed("weights", 3) == derive_seed("order", 3)
    False
    """
    digest = hashlib.blake2b(json.dumps(axis).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def named_generator(*axis: str | int) -> torch.Generator:
    """Return a fresh CPU generator for the named axis (see ``derive_seed``)."""
    return torch.Generator().manual_seed(derive_seed(*axis))
