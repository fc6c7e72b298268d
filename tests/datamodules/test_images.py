import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from rnnbench.datamodules import SequentialCIFAR10, SequentialDigits, SequentialMNIST
from rnnbench.datamodules.images import PERMUTATIONS, pixel_order
from tests.datamodules.small_images import TEST, TRAIN, make_pixels


def whole(data, split):
    source = data._sources[split]
    return source.read(0, torch.arange(len(source)))


def small(cls, image_dir, **settings):
    data = cls(data_dir=str(image_dir), val_size=10, batch_size=8, **settings)
    data.check_available()
    data.setup()
    return data


def sorted_rows(sequences):
    return sequences.flatten(1).unique(dim=0)


def test_digits_are_those_of_scikit_learn_each_in_one_split():
    data = SequentialDigits()
    data.setup()
    parts = {split: whole(data, split) for split in ("train", "val", "test")}
    assert [len(labels) for _, labels in parts.values()] == [1297, 200, 300]
    images, labels = load_digits(return_X_y=True)
    rows = torch.cat([torch.cat([x[..., 0] * 16, y[:, None].float()], dim=1) for x, y in parts.values()])
    expected = torch.from_numpy(np.column_stack([images, labels])).float()
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, expected.tolist()))
    assert data.task.ranked.minimal_performance == 0.5


def test_chance_is_what_the_best_constants_score_on_the_test_split(image_dir):
    assert SequentialDigits().task.ranked.chance == 0.1  # before the data are there
    digits = SequentialDigits()
    digits.setup()
    for data in (small(SequentialMNIST, image_dir), digits):
        train, test = (whole(data, split)[1].bincount(minlength=10) for split in ("train", "test"))
        accuracy, cross_entropy = data.task.metrics
        assert accuracy.chance == test.max() / test.sum() != 0.1
        expected = -(test / test.sum() * (train.clamp(min=0.5) / train.clamp(min=0.5).sum()).log()).sum()
        assert cross_entropy.chance == pytest.approx(expected.item())


def test_permutations_are_those_of_the_published_codes():
    torch.manual_seed(12008)
    assert torch.equal(pixel_order("torch_12008"), torch.randperm(784))
    assert pixel_order("numpy_92916").tolist() == np.random.RandomState(92916).permutation(784).tolist()

    def reversed_bits(number):
        bits = [number >> place & 1 for place in range(10)]
        return sum(bit << (9 - place) for place, bit in enumerate(bits))

    assert pixel_order("bit_reversal").tolist() == [r for r in map(reversed_bits, range(1024)) if r < 784]
    for name in PERMUTATIONS:
        assert pixel_order(name).sort().values.tolist() == list(range(784))


@pytest.mark.parametrize("permutation", [None, *PERMUTATIONS])
def test_mnist_pixels_come_in_the_order_of_the_permutation(image_dir, permutation):
    inputs, labels = whole(small(SequentialMNIST, image_dir, permutation=permutation), "test")
    images, expected_labels = make_pixels("mnist", "test", TEST)
    order = range(784) if permutation is None else pixel_order(permutation).tolist()
    assert inputs.shape == (TEST, 784, 1)
    for sequence, image in zip(inputs[..., 0].tolist(), images.reshape(TEST, 784).tolist(), strict=True):
        assert sequence == pytest.approx([image[pixel] / 255 for pixel in order])
    assert labels.tolist() == expected_labels.tolist()


@pytest.mark.parametrize("color", [False, True])
def test_cifar_pixels_are_those_that_pillow_gives(image_dir, color):
    inputs, _ = whole(small(SequentialCIFAR10, image_dir, color=color), "test")
    images = [Image.fromarray(image) for image in make_pixels("cifar10", "test", TEST)[0]]
    expected = np.stack([np.asarray(image if color else image.convert("L")) for image in images])
    assert torch.equal((inputs * 255).round(), torch.from_numpy(expected).reshape(TEST, 1024, -1).float())


def test_training_images_are_split_once(image_dir):
    data = small(SequentialMNIST, image_dir)
    train, val = (whole(data, split)[0] for split in ("train", "val"))
    assert (len(train), len(val)) == (TRAIN - 10, 10)
    images = torch.from_numpy(make_pixels("mnist", "train", TRAIN)[0]).reshape(TRAIN, 784).float() / 255
    torch.testing.assert_close(sorted_rows(torch.cat([train, val])), sorted_rows(images))
    other = small(SequentialMNIST, image_dir, seed=1)
    assert not torch.equal(whole(other, "val")[0], val)
    assert torch.equal(whole(other, "test")[0], whole(data, "test")[0])


def test_names_tell_variants_apart():
    names = [SequentialMNIST(permutation=p).task.name for p in (None, *PERMUTATIONS)]
    names += [SequentialCIFAR10(color=color).task.name for color in (False, True)]
    assert names[:4] == ["sMNIST", "psMNIST", "psMNIST-torch_12008", "psMNIST-bit_reversal"]
    assert names[4:] == ["sCIFAR10-gray", "sCIFAR10-colour"]


def test_a_validation_split_of_all_training_images_is_refused(image_dir):
    data = SequentialMNIST(data_dir=str(image_dir), val_size=TRAIN)
    for call in (data.check_available, data.setup):
        with pytest.raises(ValueError, match="val_size must be less than 40, the training images, got 40"):
            call()


@pytest.mark.needs_data
def test_real_mnist(real_data_dir):
    data = SequentialMNIST(data_dir=str(real_data_dir))
    data.check_available()
    data.setup()
    assert [len(data._sources[split]) for split in ("train", "val", "test")] == [55_000, 5_000, 10_000]
    inputs, labels = whole(data, "test")
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = torch.cat([data._sources[split].inputs for split in ("train", "val")]).double() / 255
    assert pixels.mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std().item() == pytest.approx(0.3081, abs=5e-5)
    assert inputs.max() == 1.0


@pytest.mark.needs_data
def test_real_cifar10(real_data_dir):
    data = SequentialCIFAR10(color=True, data_dir=str(real_data_dir))
    data.setup()
    assert [len(data._sources[split]) for split in ("train", "val", "test")] == [45_000, 5_000, 10_000]
    assert data._sources["test"].targets.bincount().tolist() == [1000] * 10
    total = sum(data._sources[split].inputs.sum((0, 1), dtype=torch.float64) for split in ("train", "val"))
    assert (total / 50_000 / 1024 / 255).tolist() == pytest.approx([0.49140, 0.48216, 0.44653], abs=1e-5)
