"""Named networks of the papers, as recurrence specifications with their training settings. Imports no torch."""

import math
from dataclasses import dataclass, field
from typing import Any

TABLE_2 = "Dubinin & Effenberger 2024, Table 2"
FIGURE_2 = "Dubinin & Effenberger 2024, Fig. 2"
PASCANU = "Pascanu et al. 2014"


@dataclass(frozen=True)
class Preset:
    """A named architecture.

    Attributes:
        recurrence: ``{class_path, init_args}``; ``init_args`` leaves out the input size, which the task gives.
        source: where it is described.
        note: its parameters on sMNIST with the readout, and what the source leaves open.
        training: settings of the recipe that belong to it.
    """

    recurrence: dict[str, Any]
    source: str
    note: str
    training: dict[str, Any] = field(default_factory=dict)


def _wcrnn(**settings: Any) -> dict[str, Any]:
    return {"class_path": "WCRNN", "init_args": {"hidden_size": 100, **settings}}


# "Informed heterogeneity" (section 4.3), drawn for every unit; an angle belongs to a pair of units (eq. 16).
_INFORMED = {"residual": "rotation_diagonal", "r": [0.99, 1.0], "phi": [0.0, math.pi / 4], "gamma": [0.005, 0.05]}
# Sizes and sigmoid as in the authors' tutorial; its sparse weights, rescaled to a largest singular value of 1, are not.
_DEEP = {"hidden_size": 200, "transition_layers": [200], "skip": "linear", "activation": "sigmoid"}
_COUNT_100 = "11,310 parameters on sMNIST"


def _homogeneous(r: float, regime: str) -> Preset:
    return Preset(
        _wcrnn(residual="scalar", r=r, gamma=0.01), FIGURE_2, f"{_COUNT_100}. {regime}: exponents about log {r}."
    )


def _stack(num_layers: int, class_path: str, **settings: Any) -> dict[str, Any]:
    layer = {"class_path": class_path, "init_args": settings}
    return {"class_path": "StackedRNN", "init_args": {"layer": layer, "num_layers": num_layers}}


def _adamw(weight_decay: float) -> dict[str, Any]:
    return {"optimizer": "adamw", "weight_decay": weight_decay, "schedule": "cosine"}


PRESETS: dict[str, Preset] = {
    "WCRNN_best": Preset(
        _wcrnn(**_INFORMED), TABLE_2, f"{_COUNT_100}. Informed heterogeneous: one configuration for all tasks."
    ),
    "WCRNN_no_tanh": Preset(
        _wcrnn(**_INFORMED, activation="identity"), TABLE_2, f"{_COUNT_100}. WCRNN_best without the nonlinearity."
    ),
    "Elman_res+clip": Preset(
        _wcrnn(residual="scalar", r=1.0, gamma=1.0, form="B"),
        TABLE_2,
        f"{_COUNT_100}. Identity residual inside the tanh. The clipping norm is not in the paper; 1.0 is our choice.",
        {"gradient_clip_norm": 1.0},
    ),
    "Elman_wc": Preset(
        _wcrnn(**_INFORMED, form="B"),
        TABLE_2,
        f"{_COUNT_100}. Type B (eq. 19). Its residual is not in the paper; the informed heterogeneous one is ours.",
    ),
    "LSTM_47": Preset(
        {"class_path": "LSTM", "init_args": {"hidden_size": 47}},
        TABLE_2,
        "9,880 parameters on sMNIST. PyTorch's LSTM with about as many parameters as the others.",
    ),
    "UR-LSTM_48": Preset(
        {"class_path": "URLSTM", "init_args": {"hidden_size": 48}},
        TABLE_2,
        "10,090 parameters on sMNIST. UR-LSTM (Gu et al. 2020) of the other rows' size.",
    ),
    "UR-LSTM_1024": Preset(
        {"class_path": "URLSTM", "init_args": {"hidden_size": 1024}},
        TABLE_2,
        "4,212,746 parameters on sMNIST. UR-LSTM (Gu et al. 2020) of the published size there, around 4M.",
    ),
    "DT(S)-RNN": Preset(
        {"class_path": "DeepTransitionRNN", "init_args": _DEEP},
        PASCANU,
        "122,810 parameters on sMNIST. Deep transition with a shortcut; inputs join in its last layer.",
    ),
    "DOT(S)-RNN": Preset(
        {"class_path": "DeepTransitionRNN", "init_args": {**_DEEP, "output_layers": [200]}},
        PASCANU,
        "163,010 parameters on sMNIST. DT(S)-RNN with a deep output.",
    ),
    "WCRNN_r0.95": _homogeneous(0.95, "Strongly subcritical"),
    "WCRNN_r0.995": _homogeneous(0.995, "Weakly subcritical"),
    "WCRNN_r1.0025": _homogeneous(1.0025, "Critical, as the figure calls it"),
    "WCRNN_r1.01": _homogeneous(1.01, "Strongly supercritical"),
    "WCRNN_rotation": Preset(
        _wcrnn(residual="rotation", phi=2 * math.pi / 28, gamma=0.01),
        "Dubinin & Effenberger 2024, Fig. 4",
        f"{_COUNT_100}. Homogeneous rotations at the characteristic frequency of sMNIST, one turn per image row.",
    ),
    "S4D_small": Preset(
        _stack(4, "S4D", hidden_size=128),
        "Gu et al. 2022, the authors' small example of S4D",
        "201,226 parameters on sMNIST, 201,482 on colour sCIFAR: the example's about 200k. No dropout, and one learning"
        " rate, where the example has 0.01, and for the state spaces 0.001 without weight decay.",
        _adamw(0.01),
    ),
    "S4_33": Preset(
        _stack(2, "S4", hidden_size=33),
        TABLE_2,
        "9,766 parameters on sMNIST. S4 of the other rows' size; the optimiser is that of the authors' recipe. No "
        "dropout.",
        _adamw(0.05),
    ),
    "S4_176": Preset(
        _stack(4, "S4", hidden_size=176),
        TABLE_2,
        "299,978 parameters on sMNIST: the around 300k that the table states, without layers or features, which are "
        "ours; the optimiser is that of the authors' recipe. No dropout.",
        _adamw(0.05),
    ),
    "S4_control": Preset(
        _stack(4, "S4", hidden_size=107, norm="pre"),
        "Lizaire et al. 2026, S4 as a control",
        "123,614 parameters on sMNIST. The source gives sizes (107 features of 64 states, 4 layers), not their count. "
        "No dropout.",
    ),
    "S4_sCIFAR": Preset(
        _stack(6, "S4", hidden_size=512, num_ssms=2),
        "Gu, Goel & Ré 2022, sCIFAR, sizes of the authors' later recipe",
        "3,369,226 parameters on sMNIST, not the 7.9M published: one direction, and A and B for two groups of "
        "features, not for each. No dropout.",
        _adamw(0.05),
    ),
    "LRU_sCIFAR": Preset(
        _stack(6, "LRU", hidden_size=512, state_dim=384, r_min=0.9, r_max=0.999),
        "Orvieto et al. 2023, sCIFAR",
        "7,892,746 parameters on sMNIST; no count is published. No dropout, and one learning rate, where the paper has "
        "a quarter of it for the recurrence.",
        _adamw(0.05),
    ),
}
