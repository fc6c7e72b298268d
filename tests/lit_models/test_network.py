"""Network: encoder, recurrence and readout together, the recurrence untouched."""

import pytest
import torch
from torch import nn

from rnnbench.lit_models.encoder import Embedding, OneHot
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.wcrnn import WCRNN

BATCH, STEPS, INPUTS, UNITS, OUTPUTS = 3, 5, 2, 4, 6
LENGTHS = torch.tensor([5, 1, 3])


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randn(BATCH, STEPS, INPUTS)


def written_out(network: Network, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Outputs [B, T, K] by steps, sequence by sequence."""
    rows = []
    for sequence, length in zip(inputs, lengths.tolist(), strict=True):
        state, outputs = network.recurrence.initial_state(1), []
        for t, features in enumerate(sequence):
            if t < length:
                state = network.recurrence.step(features.unsqueeze(0), state)
            outputs.append(network.recurrence.output(state) @ network.readout.weight.t() + network.readout.bias)
        rows.append(torch.cat(outputs))
    return torch.stack(rows)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_readout_at_every_and_at_the_last_step(inputs: torch.Tensor, lengths: torch.Tensor | None) -> None:
    every, last = (Network(ElmanRNN(INPUTS, UNITS), OUTPUTS, at) for at in ("every", "last"))
    ends = torch.full((BATCH,), STEPS) if lengths is None else lengths
    scored, outputs = torch.arange(STEPS) < ends.unsqueeze(-1), every(inputs, lengths)
    assert outputs.shape == (BATCH, STEPS, OUTPUTS)
    torch.testing.assert_close(outputs[scored], written_out(every, inputs, ends)[scored])
    expected = written_out(last, inputs, ends)[torch.arange(BATCH), ends - 1]
    torch.testing.assert_close(last(inputs, lengths), expected)


def test_encoder_reads_time_major_inputs_first() -> None:
    tokens = torch.randint(7, (BATCH, STEPS))
    seen = []

    class Encoder(nn.Embedding):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            seen.append(inputs.shape)
            return super().forward(inputs)

    encoder = Encoder(7, INPUTS)
    recurrence = ElmanRNN(INPUTS, UNITS)
    network = Network(recurrence, OUTPUTS, "every", encoder)
    expected = Network(recurrence, OUTPUTS, "every")
    expected.readout = network.readout
    torch.testing.assert_close(network(tokens), expected(encoder(tokens)))
    assert seen[0] == (STEPS, BATCH)


@pytest.mark.parametrize("readout", ["last", "every"])
def test_the_recurrence_is_left_bit_for_bit(readout: str) -> None:
    recurrence: Recurrence = WCRNN(INPUTS, UNITS, residual="orthogonal", gamma=(0.1, 0.2))
    nn.init.orthogonal_(recurrence.recurrent_map.weight)
    before = {name: tensor.clone() for name, tensor in recurrence.state_dict().items()}
    network = Network(recurrence, OUTPUTS, readout)
    assert network.recurrence is recurrence
    after = recurrence.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_readout_has_the_initialisation_of_pytorch() -> None:
    recurrence = ElmanRNN(INPUTS, UNITS)
    torch.manual_seed(3)
    network = Network(recurrence, OUTPUTS, "last")
    torch.manual_seed(3)
    expected = nn.Linear(UNITS, OUTPUTS)
    assert torch.equal(network.readout.weight, expected.weight)
    assert torch.equal(network.readout.bias, expected.bias)


def test_impossible_settings_are_refused() -> None:
    recurrence = ElmanRNN(INPUTS, UNITS)
    with pytest.raises(ValueError, match="output_size must be at least 1, got 0"):
        Network(recurrence, 0, "last")
    with pytest.raises(ValueError, match="unknown readout 'first': did you mean"):
        Network(recurrence, OUTPUTS, "first")
    with pytest.raises(ValueError, match="carry must be False for a readout at the last step"):
        Network(recurrence, OUTPUTS, "last")(torch.zeros(BATCH, STEPS, INPUTS), carry=True)
    for sizes in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match="size must be at least 1, got 0"):
            Embedding(*sizes)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        OneHot(0)
