"""F1 of spans, against the examples that seqeval publishes and a reading of tags token by token."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.datamodules.task import Metric
from rnnbench.lit_models.span_f1 import SpanF1, label_codes

LABELS = ("O", "B-MISC", "I-MISC", "B-PER", "I-PER")
METRIC = Metric("slot_f1", "max", 0.0, 1.0)


def score(predicted: list[list[str]], targets: list[list[str]], labels: tuple[str, ...] = LABELS) -> float:
    longest = max(map(len, targets))
    lengths = torch.tensor([len(row) for row in targets])

    def classes(rows: list[list[str]]) -> torch.Tensor:
        # Padding by a label that would count if it were looked at.
        return torch.tensor([[labels.index(tag) for tag in row] + [1] * (longest - len(row)) for row in rows])

    metric = SpanF1(METRIC, 1, labels)
    one_hot = torch.nn.functional.one_hot(classes(predicted), len(labels)).float()
    metric.update(one_hot.unsqueeze(0), classes(targets), lengths)
    return metric.compute().item()


def test_the_example_of_seqeval() -> None:
    # From the README of seqeval 1.2.2, which prints 0.50.
    true = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    predicted = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    assert score(predicted, true) == 0.5


def spans(tags: list[str]) -> set[tuple[int, int, str]]:
    """Spans (start, end, type), read as the CoNLL-2000 script reads tags."""
    found, start = set(), None
    for i, tag in enumerate([*tags, "O"]):
        before, kind = (tags[i - 1] if i else "O"), tag[2:]
        if start is not None and not (tag[0] == "I" and before[2:] == kind):
            found.add((start, i - 1, before[2:]))
            start = None
        if start is None and tag != "O":
            start = i
    return found


@given(st.lists(st.lists(st.tuples(*[st.sampled_from(LABELS)] * 2), min_size=1, max_size=8), min_size=1, max_size=4))
def test_any_tags_against_a_reading_token_by_token(rows: list[list[tuple[str, str]]]) -> None:
    predicted, true = [[p for p, _ in row] for row in rows], [[t for _, t in row] for row in rows]
    found = total = 0
    for ours, theirs in zip(predicted, true, strict=True):
        found += len(spans(ours) & spans(theirs))
        total += len(spans(ours)) + len(spans(theirs))
    assert score(predicted, true) == pytest.approx(2 * found / total if total else 0.0)


def test_counts_add_up_over_batches_and_instances_stay_apart() -> None:
    targets = torch.tensor([[1, 2, 0]])
    right, wrong = (torch.nn.functional.one_hot(torch.tensor([row]), 5).float() for row in ([1, 2, 0], [1, 0, 0]))
    metric = SpanF1(METRIC, 2, LABELS)
    metric.update(torch.stack([right, right]), targets)
    metric.update(torch.stack([right, wrong]), targets)
    assert metric.compute().tolist() == [1.0, 0.5]


@pytest.mark.parametrize("labels", [(), ("O", "X-y"), ("B-",), ("o",)])
def test_labels_of_another_form_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="label"):
        label_codes(labels)
