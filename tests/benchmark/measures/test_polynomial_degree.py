import functools
import math

import numpy as np
import pytest

from rnnbench.benchmark.measures.base import Subject
from rnnbench.benchmark.measures.polynomial_degree import PolynomialDegree
from rnnbench.lit_models.lit_sequence_model import make_network
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
from tests.lit_models.small_runs import ELMAN, adding

PRODUCT = functools.partial(SecondOrderRNN, hidden_size=4, time_activation="identity")


def subject(recurrence):
    data = adding()
    data.setup()
    return Subject(make_network(recurrence, data.task, 0), data.task, data.samples("test", 3), data.training_batches)


@pytest.mark.parametrize(("recurrence", "known"), [(PRODUCT, [1, 2, 3]), (ELMAN, [0, 0, 0])])
def test_an_instance_is_measured(recurrence, known):
    measured = PolynomialDegree(length=3).take(subject(recurrence))
    assert set(measured.arrays) == {"steps", "degree", "settled"}
    assert measured.arrays["steps"].tolist() == [1, 2, 3]
    assert measured.arrays["settled"].tolist() == [1, 1, 1]
    assert measured.arrays["degree"].dtype == np.float32
    assert measured.arrays["degree"].tolist() == pytest.approx(known, abs=0.01)
    assert measured.summary["degree"] == pytest.approx(known[-1], abs=0.01)


def test_a_degree_that_has_not_settled_is_no_number():
    measured = PolynomialDegree(length=600).take(subject(PRODUCT))
    assert measured.arrays["settled"][-1] == 0
    assert math.isnan(measured.summary["degree"])
