"""Two instances of an LSTM whose last weights are those of its best step."""

from pathlib import Path

from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.run.job import Job
from tests.benchmark.small_jobs import adding_experiment, job_of


def lstm_job(runs_dir: Path, measures: list) -> Job:
    recipe = Recipe(batch_size=8, max_steps=6, validate_every=2, test_at="last", stability_input_bound=1.0)
    return job_of(adding_experiment(recipe, "LSTM", measures=measures, train_size=64, hidden_size=3), runs_dir)
