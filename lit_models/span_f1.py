"""F1 of labelled spans (slots), per instance: what ``seqeval`` scores, from tensors of classes.

torchmetrics has no F1 over spans, and ``seqeval`` (last released in 2020) works on lists of strings, a Python loop over
every token of every instance. The counts here are those of its default mode, that of the CoNLL-2000 script: a span
starts at ``B-x``, and at ``I-x`` after anything but a span of x; it ends before whatever does not continue it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric as TorchMetric

from rnnbench.datamodules.task import Metric


class SpanF1(TorchMetric):
    """F1 over all spans of all sequences (micro average) for every instance of an ensemble.

    A span counts as found if its first step, its last step and its type agree.

    Args:
        metric: what it is called, for records.
        instances: M.
        labels: name of each class: ``O``, ``B-x`` or ``I-x``.
        over_devices: whether ``compute`` gathers what all devices scored; all of them must then call it.

    Raises:
        ValueError: there is no label, or one of another form.

    >>> labels = ("O", "B-city", "I-city")
    >>> metric = SpanF1(Metric("slot_f1", "max", 0.0, 1.0), 1, labels)
    >>> predicted, targets = torch.tensor([[1, 2, 0, 1]]), torch.tensor([[1, 2, 0, 0]])  # two spans, one of them right
    >>> metric.update(torch.nn.functional.one_hot(predicted, 3)[None].float(), targets)
    >>> round(metric.compute().item(), 4)
    0.6667
    """

    full_state_update = False
    parts: Tensor
    types: Tensor
    found: Tensor
    predicted: Tensor
    present: Tensor

    def __init__(self, metric: Metric, instances: int, labels: Sequence[str], over_devices: bool = True) -> None:
        super().__init__(sync_on_compute=over_devices)
        self.metric = metric
        parts, types = label_codes(labels)
        self.register_buffer("parts", parts, persistent=False)
        self.register_buffer("types", types, persistent=False)
        for name in ("found", "predicted"):
            self.add_state(name, torch.zeros(instances, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("present", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> None:
        """Add a batch: outputs [M, B, T, K], classes [B, T] and, of unequal sequences, their lengths [B]."""
        found, predicted, present = span_counts(outputs.argmax(-1), targets, self.parts, self.types, lengths)
        self.found += found
        self.predicted += predicted
        self.present += present

    def compute(self) -> Tensor:
        """Return the F1 of every instance [M]; 0 where there are no spans at all."""
        spans = self.predicted + self.present
        return torch.where(spans > 0, 2 * self.found / spans.clamp(min=1), 0.0)


def label_codes(labels: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return of each label what part of a span it is (0 outside, 1 begin, 2 inside) and the number of its type [K].

    Raises:
        ValueError: there is no label, or one is not ``O``, ``B-x`` or ``I-x``.

    >>> [codes.tolist() for codes in label_codes(["O", "B-city", "I-city", "B-day"])]
    [[0, 1, 2, 1], [0, 1, 1, 2]]
    """
    if not labels:
        raise ValueError("labels must name every class for the F1 of spans, got none")
    types: dict[str, int] = {"": 0}
    codes = []
    for label in labels:
        part, _, name = label.partition("-")
        if label != "O" and (part not in ("B", "I") or not name):
            raise ValueError(f"a label must be 'O', 'B-type' or 'I-type', got {label!r}")
        codes.append(("OBI".index(part), types.setdefault(name, len(types))))
    parts, kinds = torch.tensor(codes).unbind(1)
    return parts, kinds


def span_counts(
    predicted: Tensor, targets: Tensor, parts: Tensor, types: Tensor, lengths: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the numbers of spans that were found [M], that were predicted [M], and that there are [].

    Of classes predicted [M, B, T] and right [B, T], with ``label_codes`` [K] and valid steps [B], or None for all.

    >>> span_counts(torch.tensor([[[1, 0]]]), torch.tensor([[1, 1]]), torch.tensor([0, 1]), torch.tensor([0, 1]), None)
    (tensor([1]), tensor([1]), tensor(2))
    """
    start, kind, end = _spans(predicted, parts, types, lengths)
    true_start, true_kind, true_end = _spans(targets, parts, types, lengths)
    found = start & true_start & (kind == true_kind) & (end == true_end)
    return found.sum((1, 2)), start.sum((1, 2)), true_start.sum()


def _spans(classes: Tensor, parts: Tensor, types: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return where spans start, the type at each step, and the last step of the span of each step [..., B, T]."""
    part, kind = parts[classes], types[classes]
    steps = torch.arange(classes.shape[-1], device=classes.device)
    if lengths is not None:
        inside = steps < lengths.unsqueeze(-1)
        part, kind = torch.where(inside, part, 0), torch.where(inside, kind, 0)
    continues = torch.zeros_like(part, dtype=torch.bool)
    continues[..., 1:] = (part[..., 1:] == 2) & (part[..., :-1] != 0) & (kind[..., 1:] == kind[..., :-1])
    last = torch.ones_like(continues)
    last[..., :-1] = ~continues[..., 1:]
    # The next step, itself included, at which a span (or a step outside of all) ends.
    ends = torch.where(last, steps, classes.shape[-1]).flip(-1).cummin(-1).values.flip(-1)
    return (part != 0) & ~continues, kind, ends
