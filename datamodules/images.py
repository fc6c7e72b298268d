"""Images read pixel by pixel: scikit-learn's digits, MNIST and CIFAR-10."""

import math
from abc import abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice, check_flags
from rnnbench.datamodules.image_tensors import CLASSES, count_images, load_images
from rnnbench.datamodules.loader import SequenceSource
from rnnbench.datamodules.real_data import Origin
from rnnbench.datamodules.seeds import named_generator
from rnnbench.datamodules.sequence_data_module import SequenceDataModule, Sizes
from rnnbench.datamodules.sources import FixedSource
from rnnbench.datamodules.task import Metric, Task
from rnnbench.datamodules.vocabulary import frequency_cross_entropy

PERMUTATIONS = ("numpy_92916", "torch_12008", "bit_reversal")


class _Classes(SequenceDataModule):
    """What is common to the image sets: ten classes, and a chance that is known once the labels are."""

    _chance = (1 / CLASSES, math.log(CLASSES))

    def _task(self, name: str, steps: int, channels: int = 1, minimal_performance: float | None = None) -> Task:
        accuracy, cross_entropy = self._chance
        metrics = (
            Metric("accuracy", "max", chance=accuracy, best=1.0, minimal_performance=minimal_performance),
            Metric("cross_entropy", "min", chance=cross_entropy, best=0.0),
        )
        return Task(name, channels, CLASSES, steps, "last", "cross_entropy", metrics)

    def _set_chance(self, train: Tensor, test: Tensor) -> None:
        """Compute what the best constants score on the test split, from the labels [size] of both."""
        share = test.bincount(minlength=CLASSES).max().item() / len(test)
        self._chance = (share, frequency_cross_entropy(train, test, CLASSES))


class SequentialDigits(_Classes):
    """Classify the digit that an image shows, its 8 × 8 pixels read one by one: scikit-learn's 1,797 scanned digits.

    Inputs [64, 1]: pixels in [0, 1], line by line. Target: class 0 to 9 at the last step. The images ship with
    scikit-learn; 1,297 of them, drawn by the seed without regard to class, are for training, 200 for validation and
    300 for the test. Chance is the share of the test split's most frequent class (of ten balanced ones before the data
    are there).

    Args:
        batch_size, eval_batch_size, seed: see ``SequenceDataModule``.

    >>> data = SequentialDigits()
    >>> data.setup()
    >>> inputs, targets, _ = next(iter(data.test_dataloader()))
    >>> (inputs[0, 8:16, 0] * 16).int().tolist(), targets[0].item()  # the second line of a digit, and its class
    ([0, 7, 15, 9, 13, 7, 0, 0], 2)
    """

    def __init__(self, batch_size: int = 128, eval_batch_size: int = 500, seed: int = 0) -> None:
        super().__init__(batch_size, eval_batch_size, seed)

    @property
    def task(self) -> Task:
        """Ten classes at the last step; ranked by accuracy."""
        return self._task("digits", 64, minimal_performance=0.5)

    def make_sources(self) -> dict[str, SequenceSource]:
        """Return the three splits."""
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        inputs, targets = torch.from_numpy(pixels.astype(np.uint8))[..., None], torch.from_numpy(labels).long()
        order = torch.randperm(len(targets), generator=named_generator("split", "digits", self.seed))
        parts = dict(zip(("train", "val", "test"), torch.split(order, [1297, 200, 300]), strict=True))
        self._set_chance(targets[parts["train"]], targets[parts["test"]])
        return {split: FixedSource(inputs[part], targets[part], scale=16.0) for split, part in parts.items()}


class _ImageSequences(_Classes):
    """The image sets that come from a folder or the Hub: part of the training images is kept for validation."""

    origin: ClassVar[Origin]
    image_shape: ClassVar[tuple[int, ...]]

    def __init__(self, data_dir: str | None = None, val_size: int = 5000, **loading: int) -> None:
        super().__init__(**loading)
        check_at_least(1, val_size=val_size)
        self.data_dir = data_dir
        self.val_size = val_size

    @abstractmethod
    def sequences(self, images: Tensor) -> Tensor:
        """Return images [size, ...] uint8 as sequences of pixels [size, T, D] uint8."""

    def split_sizes(self) -> Sizes:
        """Return the numbers of images of the splits, without decoding them."""
        train, test = (count_images(self.origin, s, self.data_dir, self.image_shape) for s in ("train", "test"))
        self._check_val_size(train)
        return Sizes(train - self.val_size, self.val_size, test, float(self.task.steps))

    @property
    def published_sizes(self) -> Sizes:
        """What the published images leave for training, and their test split."""
        train, test = (self.origin.rows[split] or 0 for split in ("train", "test"))
        return Sizes(train - self.val_size, self.val_size, test, self.task.steps)

    def make_sources(self) -> dict[str, SequenceSource]:
        """Return the three splits."""
        images, labels = load_images(self.origin, "train", self.data_dir, self.image_shape)
        self._check_val_size(len(labels))
        order = torch.randperm(len(labels), generator=named_generator("split", self.origin.folder, self.seed))
        inputs, val, train = self.sequences(images), order[: self.val_size], order[self.val_size :]
        test_images, test_labels = load_images(self.origin, "test", self.data_dir, self.image_shape)
        self._set_chance(labels[train], test_labels)
        return {
            "train": FixedSource(inputs[train], labels[train], scale=255.0),
            "val": FixedSource(inputs[val], labels[val], scale=255.0),
            "test": FixedSource(self.sequences(test_images), test_labels, scale=255.0),
        }

    def _check_val_size(self, images: int) -> None:
        if self.val_size >= images:
            raise ValueError(f"val_size must be less than {images}, the training images, got {self.val_size}")


class SequentialMNIST(_ImageSequences):
    """Classify the digit that an image shows, its 28 × 28 pixels read one by one (Le et al. 2015).

    Inputs [784, 1]: pixels in [0, 1], line by line (sMNIST) or in one fixed order (psMNIST); step t shows pixel
    ``order[t]``. Target: class 0 to 9 at the last step. 55,000 images for training, 5,000 drawn by the seed for
    validation, the 10,000 test images. Chance is the share of the test split's most frequent class, 1: 11.35 %.

    Args:
        permutation: order of the pixels. None: line by line. ``numpy_92916``: NumPy's ``RandomState(92916)``, that of
            scoRNN and expRNN, called psMNIST here. ``torch_12008``: PyTorch's seed 12008, that of coRNN and
            LipschitzRNN. ``bit_reversal``: that of S4 and HiPPO. Scores of different orders are not comparable.
        data_dir: folder that holds ``mnist/train.parquet`` and ``mnist/test.parquet``, with columns ``image`` and
            ``label``; None for the folder that RNNBENCH_DATA names, else ``ylecun/mnist`` of the Hugging Face Hub.
        val_size: training images kept for validation.
        batch_size, eval_batch_size, seed: see ``SequenceDataModule``.

    >>> SequentialMNIST().task.name, SequentialMNIST(permutation="bit_reversal").task.name
    ('sMNIST', 'psMNIST-bit_reversal')
    >>> pixel_order("bit_reversal")[:4].tolist()
    [0, 512, 256, 768]
    """

    origin = Origin("mnist", "ylecun/mnist", {"image": "image", "label": "class"}, {"train": 60000, "test": 10000})
    image_shape = (28, 28)

    def __init__(
        self, permutation: Literal["numpy_92916", "torch_12008", "bit_reversal"] | None = None, **images: Any
    ) -> None:
        super().__init__(**images)
        check_choice("permutation", permutation, (None, *PERMUTATIONS))
        self.permutation = permutation

    @property
    def task(self) -> Task:
        """Ten classes at the last step; ranked by accuracy, with the threshold 50 % of Dubinin & Effenberger 2024."""
        names = {None: "sMNIST", "numpy_92916": "psMNIST"}
        return self._task(names.get(self.permutation, f"psMNIST-{self.permutation}"), 784, minimal_performance=0.5)

    def sequences(self, images: Tensor) -> Tensor:
        """Return images [size, 28, 28] as sequences [size, 784, 1] in the order of the permutation."""
        pixels = images.reshape(-1, 784, 1)
        return pixels if self.permutation is None else pixels[:, pixel_order(self.permutation)]


class SequentialCIFAR10(_ImageSequences):
    """Classify what an image shows, its 32 × 32 pixels read one by one: CIFAR-10.

    Inputs [1024, 1] gray (luma as ``PIL``'s mode ``L`` has it) or [1024, 3] colour, in [0, 1], line by line. Target:
    class 0 to 9 at the last step. 45,000 images for training, 5,000 drawn by the seed for validation, the 10,000 test
    images. Chance is exact: the classes are balanced. Gray and colour are different tasks.

    Args:
        color: colour pixels; gray otherwise.
        data_dir: folder that holds ``cifar10/train.parquet`` and ``cifar10/test.parquet``, with columns ``img`` and
            ``label``; None for the folder that RNNBENCH_DATA names, else ``uoft-cs/cifar10`` of the Hugging Face Hub.
        val_size: training images kept for validation.
        batch_size, eval_batch_size, seed: see ``SequenceDataModule``.

    >>> red = torch.tensor([255, 0, 0], dtype=torch.uint8).expand(1, 32, 32, 3)
    >>> [SequentialCIFAR10(color).sequences(red)[0, 0].tolist() for color in (False, True)]  # the first of 1,024 steps
    [[76], [255, 0, 0]]
    """

    origin = Origin("cifar10", "uoft-cs/cifar10", {"img": "image", "label": "class"}, {"train": 50000, "test": 10000})
    image_shape = (32, 32, 3)

    def __init__(self, color: bool = False, **images: Any) -> None:
        super().__init__(**images)
        check_flags(color=color)
        self.color = color

    @property
    def task(self) -> Task:
        """Ten classes at the last step; ranked by accuracy."""
        name, channels = ("colour", 3) if self.color else ("gray", 1)
        return self._task(f"sCIFAR10-{name}", 1024, channels)

    def sequences(self, images: Tensor) -> Tensor:
        """Return images [size, 32, 32, 3] as sequences [size, 1024, 3], or [size, 1024, 1] in gray."""
        pixels = images.reshape(-1, 1024, 3)
        return pixels if self.color else torch.cat([_luma(part) for part in torch.split(pixels, 5000)])


def pixel_order(permutation: str, size: int = 784) -> Tensor:
    """Return which pixel each step shows, [size]: see ``SequentialMNIST``."""
    if permutation == "numpy_92916":
        return torch.from_numpy(np.random.RandomState(92916).permutation(size))
    if permutation == "torch_12008":
        return torch.randperm(size, generator=torch.Generator().manual_seed(12008))
    bits = (size - 1).bit_length()
    reversed_bits = torch.tensor([int(f"{i:0{bits}b}"[::-1], 2) for i in range(2**bits)])
    return reversed_bits[reversed_bits < size]


def _luma(colors: Tensor) -> Tensor:
    # ITU-R 601 in 16-bit fixed point, bit for bit what PIL's convert("L") gives.
    red, green, blue = colors.int().unbind(-1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8)[..., None]
