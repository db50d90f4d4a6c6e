"""The GRU baseline: its recurrence is torch's own, padding is nothing, step by step is teacher forcing."""

import pytest
import torch
from torch import Tensor, nn

from model.config import ModelConfig
from training.baselines.config import GruBaseline
from training.baselines.recurrent import Memory, RecurrentDecoder, RecurrentNetwork

SOURCE = [[5, 6, 7, 8, 9, 3], [10, 11, 3]]
TARGET = [[2, 5, 6, 7], [2, 8, 9, 10]]


def network(**changes: object) -> RecurrentNetwork:
    torch.manual_seed(0)
    sizes = ModelConfig.from_dict(
        {"source_vocab_size": 30, "target_vocab_size": 30, "dropout": 0.0, **changes}
    )
    return RecurrentNetwork(sizes, GruBaseline(kind="gru", embedding_size=12, hidden_size=10))


def batch() -> tuple[Tensor, Tensor, Tensor]:
    longest = max(map(len, SOURCE))
    ids = torch.tensor([[*one, *[0] * (longest - len(one))] for one in SOURCE])
    return ids, ids != 0, torch.tensor(TARGET)


def test_a_batch_gives_each_sentence_the_logits_that_it_has_alone() -> None:
    model = network().eval()
    ids, mask, target = batch()
    together = model(ids, mask, target)
    for row, source in enumerate(SOURCE):
        one = torch.tensor([source])
        alone = model(one, torch.ones_like(one, dtype=torch.bool), target[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone)


def test_what_stands_in_the_padding_changes_nothing() -> None:
    model = network().eval()
    ids, mask, target = batch()
    assert torch.equal(model(ids, mask, target), model(ids.masked_fill(~mask, 29), mask, target))


def test_a_later_target_token_changes_no_earlier_logits() -> None:
    model = network().eval()
    ids, mask, target = batch()
    changed = target.clone()
    changed[:, -1] = 20
    before, after = model(ids, mask, target), model(ids, mask, changed)
    assert torch.equal(before[:, :-1], after[:, :-1])
    assert not torch.equal(before[:, -1], after[:, -1])


def test_step_by_step_equals_teacher_forcing() -> None:
    model = network().eval()
    ids, mask, target = batch()
    memory = model.encode(ids, mask)
    expected, expected_weights = model.decode(target, memory)
    state = memory.first
    for position in range(target.shape[1]):
        logits, state, weights = model.decode_step(target[:, position], state, memory)
        torch.testing.assert_close(logits, expected[:, position])
        torch.testing.assert_close(weights, expected_weights[:, position])


def test_the_decoders_recurrence_is_that_of_torchs_cell() -> None:
    torch.manual_seed(1)
    decoder, cell = RecurrentDecoder(4, 5, 0.0), nn.GRUCell(4 + 10, 5)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.cat((decoder.from_token.weight, decoder.from_context.weight), 1))
        cell.bias_ih.copy_(decoder.from_token.bias)
        cell.weight_hh.copy_(decoder.from_state.weight)
        cell.bias_hh.copy_(decoder.from_state.bias)
    vectors, state, states = torch.randn(3, 4), torch.randn(3, 5), torch.randn(3, 7, 10)
    memory = Memory(states, decoder.attention.key(states), torch.ones(3, 7, dtype=torch.bool), state)
    new, context, _ = decoder.advance(decoder.from_token(vectors), state, memory)
    torch.testing.assert_close(new, cell(torch.cat((vectors, context), 1), state))


def test_attention_weights_are_those_of_the_equation() -> None:
    torch.manual_seed(2)
    attention = RecurrentDecoder(4, 5, 0.0).attention
    state, states = torch.randn(1, 5), torch.randn(1, 3, 10)
    memory = Memory(states, attention.key(states), torch.tensor([[True, True, False]]), state)
    context, weights = attention(state, memory)
    query = attention.query.weight @ state[0]
    energy = [
        attention.score.weight[0] @ torch.tanh(query + attention.key.weight @ h + attention.key.bias)
        for h in states[0, :2]
    ]
    expected = torch.softmax(torch.stack(energy), 0)
    torch.testing.assert_close(weights[0, :2], expected)
    assert weights[0, 2] == 0
    torch.testing.assert_close(context[0], expected @ states[0, :2])


@pytest.mark.parametrize(("shared", "tied"), [(True, True), (False, True), (False, False)])
def test_tables_are_shared_as_the_recipe_says(shared: bool, tied: bool) -> None:
    model = network(share_embeddings=shared, tie_output=tied)
    assert (model.source_tokens is model.target_tokens) is shared
    assert (model.output.weight is model.target_tokens.weight) is tied


def test_every_parameter_has_a_gradient() -> None:
    model = network(share_embeddings=False, tie_output=False)
    torch.autograd.backward(model(*batch()).square().sum())
    assert [
        name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()
    ] == []


def test_dropout_acts_in_training_only() -> None:
    model = network(dropout=0.5)
    assert not torch.equal(model(*batch()), model(*batch()))
    model.eval()
    assert torch.equal(model(*batch()), model(*batch()))
