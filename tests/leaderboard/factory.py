"""Records with hand-written numbers, for tests."""

import numpy as np

from rnnbench.leaderboard.files import side_path, write_arrays
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.record import summarise, write_record
from rnnbench.leaderboard.schema import CurvePoint, Measure, Record
from rnnbench.leaderboard.settings import config_id
from rnnbench.leaderboard.store import path_of

ACCURACY = {"name": "accuracy", "direction": "max", "chance": 0.1, "best": 1.0, "minimal_performance": 0.5}
CROSS_ENTROPY = {"name": "cross_entropy", "direction": "min", "chance": 2.302585, "best": 0.0}
RMSE = {"name": "rmse", "direction": "min", "chance": 0.408, "best": 0.0, "minimal_performance": 0.05}
MSE = {"name": "mse", "direction": "min", "chance": 0.1667, "best": 0.0}
TABLE2 = "dubinin2024:Table2"


#: What may differ between two runs of the same experiment on the same code.
PROVENANCE = {"seconds_per_step", "peak_memory_bytes", "code", "own_code", "versions", "hardware"}


def comparable(record):
    """A record without time, memory and provenance: what two runs of one experiment share."""
    return record.model_dump(exclude={*PROVENANCE, "started_at", "finished_at"})


def metrics_of(*infos):
    return [MetricInfo(**info) for info in infos]


def curve_of(metric, val, test, interval=100):
    """A curve with one metric, evaluated every ``interval`` steps."""
    return [
        CurvePoint(step=interval * i, epoch=i, train_loss=1.0 / i, val={metric: v}, test={metric: t})
        for i, (v, t) in enumerate(zip(val, test, strict=True), start=1)
    ]


def make_record(
    *,
    val=(0.2, 0.6, 0.9),
    test=(0.2, 0.55, 0.88),
    metrics=(ACCURACY,),
    diverged_at=None,
    lr=None,
    grid=None,
    seed=0,
    **changes,
):
    """A record that can be true; its ids are the hashes of its configuration."""
    infos = metrics_of(*metrics)
    curve = changes.get("curve", curve_of(infos[0].name, val, test))
    steps = changes.get("steps", curve[-1].step if curve else 0)
    if "steps" in changes and "curve" not in changes:
        curve[-1] = CurvePoint(**{**dict(curve[-1]), "step": steps, "epoch": steps // 100})
    fields = {
        "schema_version": 1,
        "suite": "quick",
        "budget": "cpu",
        "task": "sMNIST",
        "network": "LSTM",
        "instance": 0,
        "config": {
            "task": {"class_path": "SequentialMNIST"},
            "training": {"learning_rate": lr, "betas": (0.9, 0.999)},
            "seed": seed,
        },
        "grid": grid if isinstance(grid, dict) else {"training.learning_rate": list(grid)} if grid else {},
        "point": {"training.learning_rate": lr} if grid else {},
        "status": "finished" if diverged_at is None else "diverged",
        "diverged_at": diverged_at,
        "metrics": infos,
        "curve": curve,
        "parameters": 9880,
        "state_size": 94,
        "steps": steps,
        "seconds_per_step": 0.0125,
        "peak_memory_bytes": 300 * 2**20,
        "data_fingerprint": "d0",
        "code": {"commit": "0" * 40, "dirty": False},
        "versions": {"torch": "2.13.0"},
        "hardware": {"processor": "two cores"},
        "started_at": "2025-01-01T00:00:00+00:00",
        "finished_at": "2025-01-01T01:00:00+00:00",
        "published": None,
        **summarise(curve, infos, steps, 100, diverged_at)._asdict(),
        **changes,
    }
    made = Record(**{"experiment_id": "0", "family_id": "0", **fields})
    ids = {"experiment_id": config_id(made.config), "family_id": config_id(made.config, tuple(made.grid))}
    return made.model_copy(update={name: value for name, value in ids.items() if name not in changes})


def full_disk(*_):
    """What a function that writes does when the disk is full."""
    raise OSError(28, "No space left on device")


def put(root, *records):
    """Write records where they belong."""
    for record in records:
        write_record(path_of(root, record), record)


def untrained(record):
    """The record as if nothing had been trained, only measured."""
    return record.model_copy(update={"steps": 0, "curve": [], **summarise([], record.metrics, 0, 100)._asdict()})


def make_measure(measure, moment, arrays=(), summary=None, reason=None, step=0):
    """A measure that holds these arrays, or failed for a reason."""
    return Measure(
        status="failed" if reason else "finished",
        reason=reason,
        step=step,
        settings={"samples": 4},
        summary=summary or {},
        arrays=[f"{measure}/{moment}/{name}" for name in arrays],
    )


def synthetic_dynamics(r, instance=0, units=8, steps=60, nilpotent=False, only=None):
    """Summaries and arrays of measures (all, or only some) as a weakly coupled network with residual r has, roughly."""
    random = np.random.default_rng([int(1000 * r), instance])
    exponents = np.log(r) + 1e-3 * np.sort(random.normal(size=(3, units)))[:, ::-1]
    curve_steps = np.unique(np.linspace(1, steps, 40).astype(int))
    curve = np.log(r) + 0.01 * random.normal(size=(len(curve_steps), units)) / np.sqrt(curve_steps)[:, None]
    eigenvalues = r**steps * 5 * np.exp(-0.3 * np.arange(20)) * np.where(random.random(20) < 0.3, -1, 1)
    norms = 0.1 * r ** np.arange(steps)[::-1] * np.exp(0.02 * random.normal(size=steps))
    if nilpotent:
        exponents, curve, norms = np.full_like(exponents, -np.inf), np.full_like(curve, -np.inf), norms.copy()
        norms[:-10] = 0
    ks = np.array([1, 2, 4, 8, 16, 32, steps])
    error = 2 * r**ks * (ks < steps)
    bound = 5 * r**ks if r < 1 else np.full(len(ks), np.nan)
    arrays = {
        "lyapunov": {"exponents": exponents, "curve_steps": curve_steps, "curve": curve},
        "hessian": {"eigenvalues": eigenvalues, "ggn_eigenvalues": np.abs(eigenvalues) * 1.1},
        "gradient_flow": {"norm_inf": norms, "norm_2": 3 * norms},
        "truncation": {
            "ks": ks, "state_error": error, "state_error_max": 2 * error, "output_error": error / 2, "bound": bound,
            "metric": 0.1 + 0.8 * ks / steps,
        },
        "memory_capacity": {"delays": np.arange(30), "capacity": r ** (2.0 * np.arange(30))},
        "polynomial_degree": {"steps": np.arange(1, 5), "degree": np.array([1.0, 3.0, 6.0, 10.0])},
        "parallelisability": {
            "steps": 2 ** np.arange(3, 7), "newton": np.array([3.0, 4.0, 5.0, 6.0]),
            "diagonal": np.array([8.0, 16.0, 20.0, 20.0]),
        },
        "effective_state": {"singular_values": r ** np.arange(units)},
        "processing_capacity": {
            "degrees": np.arange(1, 4), "by_degree": np.array([5.0, 2.0, 1.0]), "delays": np.arange(4),
            "capacity": np.ones((3, 4)),
        },
        "length_generalisation": {"lengths": np.array([60, 120, 240]), "metric": np.array([0.9, 0.5, 0.2])},
        "truncated_training": {"ks": ks[:4], "distance": r ** ks[:4, None] * 0.01 * np.arange(1, 51)},
    }  # fmt: skip
    largest = None if nilpotent else float(exponents.max())
    summaries = {
        "lyapunov": {"largest": largest, "mean": largest, "kaplan_yorke": 0.0, "minus_infinite": units * nilpotent},
        "hessian": {"largest_magnitude": float(np.abs(eigenvalues).max())},
        "gradient_flow": {"slope": float(np.log(r))},
        "memory_capacity": {"total": float(arrays["memory_capacity"]["capacity"].sum())},
    }
    return summaries, {name: arrays[name] for name in only or arrays}


def put_dynamics(root, record, summaries, arrays, moments=("start",), failed=()):
    """Write a record with measures at some moments, and the arrays beside it; ``failed`` measures have neither."""
    measures, beside = {}, {}
    for measure in arrays:
        measures[measure] = {}
        for moment in moments:
            if measure in failed:
                measures[measure][moment] = make_measure(measure, moment, reason="ArithmeticError: not finite")
                continue
            measures[measure][moment] = make_measure(measure, moment, arrays[measure], summaries.get(measure))
            for name, array in arrays[measure].items():
                beside[f"{measure}/{moment}/{name}"] = array
    whole = record.model_copy(update={"measures": measures})
    path = path_of(root, whole)
    if beside:
        write_arrays(side_path(path), beside)
    write_record(path, whole)
    return whole
