"""Load records, draw Lyapunov spectra, and ask whether one architecture is better than another, without torch.

Run it as a script, or cell by cell in an editor that knows ``# %%``.
"""

# %% Records come as typed data: one for each instance
import math

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.store import find_records, path_of, read_side_arrays, shipped_records

folder = shipped_records()  # or "runs"
records, unreadable = find_records(folder)
dynamics = [record for record in records if (record.suite, record.task) == ("dynamics", "Digits")]

# %% The spectrum of each network before training: the arrays lie in a file beside the record
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for network in sorted({record.network for record in dynamics}):
    record = next(record for record in dynamics if record.network == network)
    arrays, problem = read_side_arrays(path_of(folder, record), record)
    exponents = arrays["lyapunov/start/exponents"]  # [sequences, exponents], nats per step
    axes.plot(np.arange(1, exponents.shape[1] + 1), exponents.mean(0), label=network)
axes.axhline(0, color="0.6", linewidth=0.8)
axes.set(xlabel="index", ylabel="Lyapunov exponent (nats per step)")
axes.legend()
figure.savefig("spectra.svg")

# %% What a board shows: of a swept rate, the point that is best on validation
cells, _ = select_cells([record for record in records if (record.suite, record.budget) == ("quick", "cpu")])
shown = {(cell.first.task, cell.first.network): cell for cell in cells}

# %% Instances of the same number saw the same batches: their differences are paired
for task in sorted({task for task, _ in shown}):
    gru, lstm = (shown[task, network] for network in ("GRU", "LSTM"))
    metric = gru.metric
    scores = [{record.instance: record.scores.test[metric.name] for record in cell.finished} for cell in (gru, lstm)]
    both = sorted(scores[0].keys() & scores[1].keys())
    differences = np.array([scores[0][instance] - scores[1][instance] for instance in both])
    half = stats.t.ppf(0.975, len(both) - 1) * differences.std(ddof=1) / math.sqrt(len(both))
    low, high = differences.mean() - half, differences.mean() + half
    verdict = "cannot tell" if low <= 0 <= high else "GRU" if (low > 0) == (metric.direction == "max") else "LSTM"
    interval = f"{differences.mean():.3g} [{low:.3g}, {high:.3g}], n = {len(both)}"
    print(f"{task}, {metric.name}: GRU - LSTM = {interval}: {verdict}")
