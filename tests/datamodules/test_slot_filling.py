import pytest
import torch

from rnnbench.datamodules import ATIS
from rnnbench.datamodules.slot_filling import LABELS, best_constant, constant_f1
from rnnbench.datamodules.task import Metric
from rnnbench.lit_models.span_f1 import SpanF1, label_codes
from tests.datamodules.small_texts import write_requests

CITY = [LABELS.index(tag) for tag in ("B-toloc.city_name", "I-toloc.city_name")]
ROWS = [
    (["to", "new", "york"], ["O", "B-toloc.city_name", "I-toloc.city_name"]),
    (["boston"], ["B-toloc.city_name"]),
    (["to", "boston", "please"], ["O", "B-toloc.city_name", "O"]),
]


@pytest.fixture
def data(text_dir):
    write_requests(text_dir, "train", ROWS)
    write_requests(text_dir, "test", [(["to", "paris"], ["O", "B-toloc.city_name"]), (["york"], ["B-airport_name"])])
    return ATIS(vocabulary_size=5, data_dir=str(text_dir), batch_size=2)


def test_words_and_tags(data):
    data.setup()
    # <unk>, boston and to (twice each), new, please; york is left out.
    (batch,) = data.test_dataloader()
    assert batch.lengths.tolist() == [1, 2]
    assert batch.inputs.tolist() == [[0, 0], [2, 0]]
    assert batch.targets.tolist() == [[LABELS.index("B-airport_name"), 0], [0, CITY[0]]]
    assert data.task.labels is LABELS


def test_the_labels_are_well_formed_and_differ():
    assert len(set(LABELS)) == len(LABELS) == 127
    label_codes(LABELS)
    assert all(f"B-{label[2:]}" in LABELS for label in LABELS if label.startswith("I-"))


def test_chance_is_the_best_constant_of_training_scored_on_the_test_split(data):
    assert data.task.ranked.chance == 0
    data.setup()
    assert best_constant(data._sources["train"].targets) == CITY[0]
    # Of three slots given to three words one is right, and there are two.
    assert data.task.ranked.chance == pytest.approx(2 * 1 / (3 + 2))


@pytest.mark.parametrize("label", [0, *CITY, LABELS.index("B-airport_name"), LABELS.index("B-mod")])
def test_the_f1_of_a_constant_is_that_of_the_metric(data, label):
    data.setup()
    for split in ("train", "test"):
        source = data._sources[split]
        if label == CITY[1]:
            # A run of I- is one slot: not what chance looks at, since its begin is never right.
            assert constant_f1(source.targets, label) == 0
            continue
        metric = SpanF1(Metric("slot_f1", "max", 0.0, 1.0), 1, LABELS)
        _, targets, lengths = source.read(0, torch.arange(len(source)))
        outputs = torch.nn.functional.one_hot(torch.full_like(targets, label), 127).float()
        metric.update(outputs.unsqueeze(0), targets, lengths)
        assert constant_f1(source.targets, label) == pytest.approx(metric.compute().item())


@pytest.mark.needs_data
def test_real_requests(real_data_dir):
    data = ATIS(data_dir=str(real_data_dir))
    data.check_available()
    assert [len(data._sources[split]) for split in ("train", "val", "test")] == [4478, 500, 893]
    assert int(data._sources["test"].lengths.sum()) == 9164
    assert len(data._sources["train"].targets.unique()) == 120
    unknown = (data._sources["test"].inputs == 0).sum().item()
    assert 56 <= unknown < 100
