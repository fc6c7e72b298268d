"""State carried from batch to batch: scores are those of the uninterrupted sequence, and instances stay apart."""

import functools
import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from rnnbench.datamodules.language import Shakespeare, WikiText2
from rnnbench.datamodules.token_streams import StreamLoader, TokenSource
from rnnbench.lit_models import lit_sequence_model
from rnnbench.lit_models.carried_state import CarriedStates
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from tests.datamodules.small_texts import write_texts
from tests.lit_models.small_runs import fit, trainer

SMALL_LSTM = functools.partial(LSTM, hidden_size=6)
STACKED = functools.partial(StackedRNN, layer=functools.partial(GRU, hidden_size=4), num_layers=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write_texts(tmp_path_factory.mktemp("texts")))


def text(folder, cls=Shakespeare, **settings):
    given = {"vocabulary_size": 12, "bptt": 7, "eval_streams": 3, "batch_size": 4, "eval_batch_size": 30}
    data = cls(data_dir=folder, **{**given, **settings})
    data.setup()
    return data


@pytest.mark.parametrize("recurrence", [SMALL_LSTM, STACKED], ids=["LSTM", "StackedRNN"])
@pytest.mark.parametrize("large", [False, True], ids=["scores at once", "scores in parts"])
def test_scores_are_those_of_the_uninterrupted_sequence(folder, recurrence, large, monkeypatch):
    monkeypatch.setattr(lit_sequence_model, "LARGE_VOCABULARY", 2 if large else 10**6)
    data = text(folder, eval_streams=1, eval_batch_size=5)
    model = LitSequenceModel(recurrence, data.task, instances=(0, 1))
    trainer(0, 1).validate(model, datamodule=data, verbose=False)
    for split in ("val", "test"):
        tokens = data._sources[split].tokens
        for index in range(2):
            outputs = model.ensemble.instance(index)(tokens[None, :-1])[0]
            expected = F.cross_entropy(outputs, tokens[1:]).item()
            assert model.curve[0][split]["cross_entropy"][index] == pytest.approx(expected, rel=1e-5)
            bits = model.curve[0][split]["bits_per_character"][index]
            assert bits == pytest.approx(expected / math.log(2), rel=1e-5)


def test_perplexity_in_streams_is_that_of_each_stream_uninterrupted(folder):
    scores = []
    for tokens_of_a_batch in (3, 12, 1000):
        data = text(folder, WikiText2, level="word", embedding_size=5, eval_batch_size=tokens_of_a_batch)
        model = LitSequenceModel(SMALL_LSTM, data.task)
        trainer(0, 1).validate(model, datamodule=data, verbose=False)
        scores.append(model.curve[0]["test"]["perplexity"][0])
    tokens = data._sources["test"].tokens
    ends = [(len(tokens) - 1) * i // 3 for i in range(4)]
    network, total = model.ensemble.instance(0), 0.0
    for start, end in itertools.pairwise(ends):
        outputs = network(tokens[None, start:end])[0]
        total += F.cross_entropy(outputs, tokens[start + 1 : end + 1], reduction="sum").item()
    assert scores == pytest.approx([math.exp(total / (len(tokens) - 1))] * 3, rel=1e-5)


def test_training_goes_on_from_the_state_and_cuts_the_gradient(folder):
    data = text(folder)
    model = LitSequenceModel(SMALL_LSTM, data.task, instances=(0, 1), optimizer="sgd", learning_rate=0.5, momentum=0.0)
    networks = [model.ensemble.instance(index) for index in range(2)]
    fit(model, data, 5, 5)
    batches = list(data.train_dataloader())[:5]
    for index, network in enumerate(networks):
        state, losses = None, []
        for batch in batches:
            outputs, state = network(batch.inputs, state=state, carry=True)
            loss = F.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten())
            gradients = torch.autograd.grad(loss, list(network.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                    parameter -= 0.5 * gradient
            state = state.detach()
            losses.append(loss.item())
        assert model.curve[0]["train_loss"][index] == pytest.approx(sum(losses) / 5, rel=1e-5)
        trained = dict(model.ensemble.instance(index).named_parameters())
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(trained[name], parameter, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "stopped_after", [5, 16, 20]
)  # inside the first epoch, before its last batch, inside the second
def test_a_resumed_run_goes_on_with_the_same_state(folder, stopped_after, tmp_path):
    def made():
        data = text(folder)
        assert data.steps_per_epoch() == 17
        return LitSequenceModel(STACKED, data.task, instances=(0, 1), learning_rate=0.02), data

    whole, data = made()
    fit(whole, data, 26, 13)
    first, data = made()
    fit(first, data, stopped_after, 13).save_checkpoint(tmp_path / "stopped.ckpt")
    resumed, data = made()
    used = trainer(26, 13)
    used.fit(resumed, datamodule=data, ckpt_path=tmp_path / "stopped.ckpt", weights_only=True)
    assert resumed.curve == whole.curve
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
    assert torch.equal(resumed._carried.to_save(), whole._carried.to_save())


def test_an_epoch_starts_from_the_initial_state(folder):
    data = text(folder)
    model = LitSequenceModel(SMALL_LSTM, data.task, optimizer="sgd", learning_rate=1e-30)
    steps = data.steps_per_epoch()
    fit(model, data, 2 * steps, steps)
    assert model.curve[0]["train_loss"] == pytest.approx(model.curve[1]["train_loss"], rel=1e-6)


def test_an_instance_that_diverges_touches_no_other_and_keeps_its_state(folder):
    data = text(folder)
    rates = {"optimizer": "sgd", "momentum": 0.0}
    both = LitSequenceModel(SMALL_LSTM, data.task, instances=(0, 1), learning_rate=(0.1, 1e200), **rates)
    alone = LitSequenceModel(SMALL_LSTM, data.task, instances=(0,), learning_rate=0.1, **rates)
    for model in (both, alone):
        fit(model, data, 6, 3)
    assert both.alive.tolist() == [True, False]
    found, expected = (model.curve[-1]["val"]["cross_entropy"][0] for model in (both, alone))
    assert found == pytest.approx(expected, rel=1e-5)
    states = CarriedStates()
    states.after("train", torch.zeros(2, 3, 4), torch.tensor([True, True]))
    states.after("train", torch.full((2, 3, 4), torch.nan), torch.tensor([False, True]))
    kept = states.before("train", 1, torch.zeros(()))
    assert not kept[0].any()
    assert kept[1].isnan().all()


def test_a_large_vocabulary_trains_as_a_small_one(folder, monkeypatch):
    curves = []
    for smallest in (2, 10**6):
        monkeypatch.setattr(lit_sequence_model, "LARGE_VOCABULARY", smallest)
        data = text(folder, WikiText2, level="word", embedding_size=6, tied=True)
        model = LitSequenceModel(SMALL_LSTM, data.task, instances=(0, 1), learning_rate=0.02, gradient_clip_norm=0.5)
        fit(model, data, 8, 4)
        curves.append(model.curve)
    for ours, theirs in zip(*curves, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-5)
        assert ours["test"]["perplexity"] == pytest.approx(theirs["test"]["perplexity"], rel=1e-5)


def test_devices_share_the_streams_and_the_saved_state():
    source = TokenSource(torch.arange(1, 60), 6)
    for whole in (False, True):
        everything = list(StreamLoader(source, 5, 6, whole))
        parts = [list(StreamLoader(source, 5, 6, whole, rank, 2)) for rank in range(2)]
        for batch, *shares in zip(everything, *parts, strict=True):
            assert torch.equal(torch.cat([share.inputs for share in shares]), batch.inputs)
            assert torch.equal(torch.cat([share.targets for share in shares]), batch.targets)
    saved = torch.randn(2, 5, 3)
    shares = []
    for rank in range(2):
        states = CarriedStates()
        states.restore(saved, rank, 2)
        shares.append(states.before("train", 1, saved))
    assert torch.equal(torch.cat(shares, 1), saved)


@pytest.mark.parametrize("streams", [1, 3, 4, 7])
def test_evaluation_scores_every_token_once(streams):
    source = TokenSource(torch.arange(30), 5)
    seen = []
    for batch in StreamLoader(source, streams, 4, whole=True):
        steps = batch.inputs.shape[1]
        lengths = torch.full((streams,), steps) if batch.lengths is None else batch.lengths
        inside = torch.arange(steps) < lengths.unsqueeze(-1)
        seen += batch.targets[inside].tolist()
        assert torch.equal(batch.inputs[inside] + 1, batch.targets[inside])
    assert sorted(seen) == list(range(1, 30))


def test_tied_weights_are_one_in_an_ensemble(folder):
    data = text(folder, embedding_size=6, tied=True)
    model = LitSequenceModel(SMALL_LSTM, data.task, instances=(3, 4), learning_rate=0.02)
    alone = LitSequenceModel(SMALL_LSTM, data.task, instances=(4,), learning_rate=0.02)
    untied = LitSequenceModel(SMALL_LSTM, text(folder, embedding_size=6).task)
    assert untied.parameter_count == model.parameter_count + 12 * 6
    for each in (model, alone):
        fit(each, data, 6, 3)
        network = each.ensemble.network
        assert network.readout.weight is network.encoder.weight
    instance = model.ensemble.instance(1)
    assert instance.readout.weight is instance.encoder.weight
    torch.testing.assert_close(instance.readout.weight, alone.ensemble.instance(0).readout.weight, rtol=1e-4, atol=1e-6)
    expected = alone.curve[-1]["val"]["cross_entropy"][0]
    assert model.curve[-1]["val"]["cross_entropy"][1] == pytest.approx(expected, rel=1e-5)


def test_weights_that_do_not_fit_are_not_tied(folder):
    data = text(folder, embedding_size=5, tied=True)
    with pytest.raises(ValueError, match="tied weights need an embedding of 6 entries"):
        LitSequenceModel(SMALL_LSTM, data.task)


def test_stable_networks_bound_their_embedding(folder):
    data = text(folder, embedding_size=5)
    stable = {"stability_input_bound": 0.05, "learning_rate": 0.1}
    for recurrence in (SMALL_LSTM, functools.partial(ElmanRNN, hidden_size=6)):
        model = LitSequenceModel(recurrence, data.task, instances=(0, 1), **stable)
        fit(model, data, 4, 4)
        assert model.ensemble.network.encoder.weight.abs().max().item() == pytest.approx(0.05)
