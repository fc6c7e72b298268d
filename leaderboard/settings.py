"""Settings: the configuration of an experiment, and the hash of it that is its id."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

Config: TypeAlias = dict[str, Any]

#: Settings of a configuration that cannot change a result, and so do not enter an id.
NOT_IN_ID = ("task.init_args.data_dir", "task.init_args.eval_batch_size")

#: Settings that came after records had been published, with their defaults: at these they do not enter an id, so that
#: the ids of what was trained before there was such a setting stay.
LATER_SETTINGS: dict[str, Any] = {
    "training.stability_input_bound": None,
    "training.stability_contraction": 1.0,
    "training.stability_forget_bound": None,
    "training.patience": None,
    "training.plateau_factor": 0.1,
    "training.plateau_patience": None,
    "training.test_at": "best",
    "recurrence.init_args.depth_form": "between",
    "recurrence.init_args.depth_residual": False,
}


def config_id(config: Config, without: tuple[str, ...] = ()) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of a configuration's canonical JSON.

    The same whatever the order of the keys, and for 1 and 1.0. Left out are the dotted paths ``without``, what cannot
    change a result (``NOT_IN_ID``), and what came later and is at its default (``LATER_SETTINGS``).

    >>> config_id({"seed": 1, "training": {}}) == config_id({"training": {}, "seed": 1.0})
    True
    """
    canonical = _canonical(config, {*NOT_IN_ID, *without})
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _canonical(value: Any, left_out: Collection[str], path: str = "") -> Any:
    """Return a part of a configuration as it enters an id; ``path`` leads to it."""
    if isinstance(value, dict | Mapping):
        inside = {}
        for key, inner in value.items():
            place = f"{path}.{key}" if path else str(key)
            if place in left_out or LATER_SETTINGS.get(place, ...) == inner:
                continue
            # Most are: without another call.
            is_plain = inner is None or type(inner) in (str, int, bool)
            inside[str(key)] = inner if is_plain else _canonical(inner, left_out, place)
        return inside
    if isinstance(value, list | tuple):
        return [_canonical(inner, left_out, path) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def get_setting(config: Config, path: str) -> Any:
    """Return the value at a dotted path of a configuration."""
    value: Any = config
    for key in path.split("."):
        value = value[key]
    return value
