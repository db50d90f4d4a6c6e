"""The Transformer less a part: exactly that part is missing, and its weights are those of the whole."""

import pytest
import torch
from torch import Tensor

from model.config import ModelConfig
from model.transformer import Transformer
from training.baselines.config import Part
from training.baselines.reduced import ReducedTransformerNetwork

SIZES = {
    "source_vocab_size": 30,
    "target_vocab_size": 30,
    "d_model": 16,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "num_encoder_heads": 4,
    "num_decoder_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_source_length": 8,
    "max_target_length": 8,
}
IDS = torch.tensor([[5, 6, 7, 8, 9]])
MASK = torch.ones_like(IDS, dtype=torch.bool)


def reduced(*without: Part, **changes: object) -> ReducedTransformerNetwork:
    torch.manual_seed(0)
    return ReducedTransformerNetwork(ModelConfig.from_dict({**SIZES, **changes}), without).eval()


def encoded(model: Transformer, ids: Tensor = IDS) -> Tensor:
    return model.encode(ids, MASK)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_without_positions_an_encoder_sees_a_set_of_tokens(positions: str) -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    whole, blind = reduced(positions=positions), reduced("positions", positions=positions)
    torch.testing.assert_close(encoded(blind, IDS[:, order]), encoded(blind)[:, order])
    assert not torch.allclose(encoded(whole, IDS[:, order]), encoded(whole)[:, order], atol=1e-3)


def test_without_the_scale_attention_is_that_of_larger_products() -> None:
    whole, unscaled = reduced(), reduced("attention-scale")
    with torch.no_grad():  # heads of width 4 in the encoder, 8 in the decoder
        for layer, factor in [(one, 2.0) for one in whole.encoder] + [(one, 8**0.5) for one in whole.decoder]:
            blocks = [layer.self_attention, *([layer.cross_attention] if factor > 2 else [])]
            for block in blocks:
                block.query.weight.mul_(factor)
                block.query.bias.mul_(factor)
    torch.testing.assert_close(unscaled(IDS, MASK, IDS), whole(IDS, MASK, IDS))


def test_the_weights_have_the_names_of_the_whole_network() -> None:
    whole = Transformer(ModelConfig.from_dict(SIZES))
    part = reduced("positions", "attention-scale")
    assert part.state_dict().keys() == whole.state_dict().keys()


def test_learned_positions_that_are_taken_away_are_not_trained() -> None:
    names = {name for name, _ in reduced("positions", positions="learned").named_parameters()}
    assert not any("positions" in name for name in names)
