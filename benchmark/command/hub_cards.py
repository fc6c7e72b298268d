"""The cards of what ``rnnbench publish --hub`` writes: of the data set of records, and of the networks."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rnnbench.leaderboard.frame import COLUMNS
from rnnbench.leaderboard.plan import run_command
from rnnbench.leaderboard.schema import Budget, Record
from rnnbench.leaderboard.tables.markdown import escape
from rnnbench.leaderboard.text import printable
from rnnbench.leaderboard.weights_file import weights_path

#: In every card of ours, which a later commit may then rewrite.
MARK = "<!-- written by rnnbench publish -->"


def dataset_card(repo: str, records: Sequence[Record]) -> str:
    """Return the card of a data set of records: what a row is, and how to read them."""
    from huggingface_hub import DatasetCardData

    data = DatasetCardData(pretty_name="Records of rnnbench", tags=["rnnbench"])
    rows = [f"| `{name}` | {what} |" for name, (_, what) in COLUMNS.items()]
    return "\n".join(
        [
            *("---", data.to_yaml(), "---", MARK, "# Records of rnnbench", ""),
            f"{len(records)} records of recurrent networks, one row an instance, of the suites "
            f"{', '.join(sorted({escape(record.suite) for record in records}))}.",
            *("", "```python", "import pandas as pd", ""),
            *(f'table = pd.read_parquet("hf://datasets/{repo}/records.parquet")', "```", ""),
            *("| column | what it holds |", "| --- | --- |", *rows, "| `record` | the whole record, as JSON |", ""),
        ]
    )


def model_card(repo: str, networks: Mapping[str, Record]) -> str:
    """Return the card of trained networks, by the places of their records: scores, training, how to load them."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=record.task,
            dataset_type=record.task,
            dataset_name=f"{record.task} ({record.suite}, budget {record.budget})",
            dataset_split="test",
            metric_type=name,
            metric_name=f"{name} of {record.network}, instance {record.instance}",
            metric_value=value,
        )
        for record in networks.values()
        for name, value in record.scores.test.items()
        if value is not None
    ]
    data = ModelCardData(
        library_name="rnnbench",
        tags=["rnnbench", "recurrent-neural-network"],
        datasets=[repo],
        model_name=repo,
        eval_results=results,
    )
    first = next(iter(networks))
    return "\n".join(
        [
            *("---", data.to_yaml(), "---", MARK, "# Recurrent networks trained by rnnbench", ""),
            f"{len(networks)} networks, each with the weights at its best validation value, as safetensors, and its "
            f"record. The records are the data set [{repo}](https://huggingface.co/datasets/{repo}) too.",
            *("", "```python", "import rnnbench", "from huggingface_hub import snapshot_download", ""),
            f'folder = snapshot_download("{repo}")',
            *(f'network, data = rnnbench.load_network(f"{{folder}}/{first}")', "```", "", "## Scores", ""),
            *_scores(networks),
            *("", "## Training", "", *_training(networks), ""),
        ]
    )


def weights_of(place: str) -> str:
    """Return where the weights of a record lie, given the record's place."""
    return weights_path(Path(place)).as_posix()


def _scores(networks: Mapping[str, Record]) -> Iterator[str]:
    yield "| network | task | instance | test | parameters | state size | weights |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | --- |"
    for place, record in networks.items():
        value = record.scores.test.get(record.ranked.name)
        score = f"{record.ranked.heading} {'–' if value is None else record.ranked.display.text(value)}"
        cells = (record.instance, score, record.parameters, record.state_size, f"[file]({weights_of(place)})")
        yield f"| {escape(record.network)} | {escape(record.task)} | {' | '.join(map(str, cells))} |"


def _training(networks: Mapping[str, Record]) -> Iterator[str]:
    suites: dict[tuple[str, Budget], list[Record]] = {}
    for record in networks.values():
        suites.setdefault((record.suite, record.budget), []).append(record)
    for (suite, budget), records in sorted(suites.items()):
        command = run_command(suite, budget, sorted({(record.task, record.network) for record in records}))
        own = sorted({f"{code.module} {code.version or code.source}" for r in records for code in r.own_code})
        code = f", with {escape(', '.join(own))}" if own else ""
        command = printable(command).replace("`", "'")
        yield f"- `{command}`{code}"
