"""`ModelConfig`: the paper's sizes, every bound, and errors that say what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model.config import ConfigError, ModelConfig
from tests.builders import tiny_config


def test_base_and_big_have_the_sizes_of_table_3() -> None:
    base, big = ModelConfig.base(37_000), ModelConfig.big(37_000)

    def sizes(config: ModelConfig) -> tuple[float, ...]:
        return (
            config.num_encoder_layers,
            config.num_decoder_layers,
            config.d_model,
            config.encoder_ffn_dim,
            config.decoder_ffn_dim,
            config.num_encoder_heads,
            config.num_decoder_heads,
            config.dropout,
        )

    assert sizes(base) == (6, 6, 512, 2048, 2048, 8, 8, 0.1)
    assert sizes(big) == (6, 6, 1024, 4096, 4096, 16, 16, 0.3)


@pytest.mark.parametrize("config", [ModelConfig.base(100), ModelConfig.big(100)], ids=["base", "big"])
def test_the_papers_models_are_post_norm_relu_sinusoidal_tied_and_scaled(config: ModelConfig) -> None:
    assert (config.norm, config.activation, config.positions) == ("post", "relu", "sinusoidal")
    assert config.share_embeddings
    assert config.tie_output
    assert config.scale_embeddings
    assert not config.output_bias
    assert not config.final_norm
    assert not config.embedding_norm


def test_named_sizes_can_be_overridden() -> None:
    assert ModelConfig.big(100, d_model=512, dropout=0.0).d_model == 512
    assert ModelConfig.base(100, norm="pre").norm == "pre"


AT_LEAST_ONE = [
    "source_vocab_size",
    "target_vocab_size",
    "d_model",
    "num_encoder_layers",
    "num_decoder_layers",
    "num_encoder_heads",
    "num_decoder_heads",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "max_source_length",
    "max_target_length",
]
WRONG = [
    *[(name, value, "at least 1") for name in AT_LEAST_ONE for value in (0, -3)],
    *[(name, 1.0, "an integer") for name in AT_LEAST_ONE],
    *[
        (name, 65_537, "at most 65536")
        for name in ("max_source_length", "max_target_length", "position_offset")
    ],
    ("num_encoder_layers", True, "an integer"),
    ("num_decoder_heads", "4", "an integer"),
    ("pad_id", None, "an integer"),
    ("final_norm", 1, "true or false"),
    ("tie_output", "yes", "true or false"),
    *[(name, -0.1, "at least 0 and below 1") for name in ("dropout", "attention_dropout")],
    *[(name, 1.0, "at least 0 and below 1") for name in ("dropout", "activation_dropout")],
    ("dropout", float("nan"), "at least 0 and below 1"),
    ("dropout", True, "a number"),
    ("activation_dropout", "0.1", "a number"),
    ("norm", "middle", "one of post, pre"),
    ("activation", "tanh", "one of relu, gelu, silu"),
    ("positions", None, "one of sinusoidal, learned"),
    ("sinusoid_layout", "mixed", "one of interleaved, halves, fairseq"),
    ("position_offset", -1, "at least 0"),
    ("num_encoder_heads", 5, "a divisor of d_model 32"),
    ("num_decoder_heads", 64, "a divisor of d_model 32"),
    ("target_vocab_size", 25, "equal to source_vocab_size 24 with share_embeddings"),
    ("pad_id", 24, "in 0..23"),
    ("eos_id", -1, "in 0..23"),
    ("decoder_start_id", 99, "in 0..23"),
]


@pytest.mark.parametrize(("field", "value", "bound"), WRONG, ids=[f"{w[0]}={w[1]}" for w in WRONG])
def test_a_value_out_of_bounds_is_refused_with_field_bound_and_value(
    field: str, value: object, bound: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        tiny_config(**{field: value})

    assert (caught.value.field, caught.value.bound) == (field, bound)
    assert caught.value.value is value
    assert str(caught.value) == f"{field} must be {bound}, got {value!r}"


def test_config_errors_are_value_errors() -> None:
    with pytest.raises(ValueError, match=r"d_model must be at least 1, got 0"):
        tiny_config(d_model=0)


def test_sinusoids_need_an_even_width_and_learned_positions_do_not() -> None:
    odd = {"d_model": 33, "num_encoder_heads": 3, "num_decoder_heads": 3}
    with pytest.raises(ConfigError, match="d_model must be even with sinusoidal positions, got 33"):
        tiny_config(**odd)

    assert tiny_config(**odd, positions="learned").d_model == 33


def test_padding_must_be_a_token_of_both_vocabularies() -> None:
    sizes = {"source_vocab_size": 10, "target_vocab_size": 20, "share_embeddings": False}
    with pytest.raises(ConfigError, match=r"pad_id must be in 0..9, got 10"):
        tiny_config(**sizes, pad_id=10)

    assert tiny_config(**sizes, pad_id=9, eos_id=19, decoder_start_id=19).pad_id == 9


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        tiny_config().d_model = 8  # type: ignore[misc]


VARIED: dict[str, Any] = {
    "source_vocab_size": 11,
    "target_vocab_size": 13,
    "share_embeddings": False,
    "norm": "pre",
    "activation": "silu",
    "positions": "learned",
    "position_offset": 2,
    "dropout": 0.25,
    "pad_id": 1,
}


@pytest.mark.parametrize("config", [tiny_config(), tiny_config(**VARIED)], ids=["plain", "varied"])
def test_a_config_survives_json(config: ModelConfig) -> None:
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_left_out_fields_take_their_defaults() -> None:
    data = {"source_vocab_size": 40, "target_vocab_size": 40}
    assert ModelConfig.from_dict(data) == ModelConfig.base(40)


def test_an_unknown_field_is_refused_with_the_nearest_known_one() -> None:
    data = {**tiny_config().to_dict(), "num_encoder_layer": 3}
    with pytest.raises(ConfigError, match=r"num_encoder_layer must .*did you mean num_encoder_layers\?"):
        ModelConfig.from_dict(data)


def test_an_unknown_field_that_resembles_none_is_refused_with_all_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"colour must be one of the known fields \(activation, .*tie_output"
    ):
        ModelConfig.from_dict({**tiny_config().to_dict(), "colour": "red"})


@pytest.mark.parametrize("field", ["source_vocab_size", "target_vocab_size"])
def test_a_missing_vocabulary_size_is_refused_by_name(field: str) -> None:
    data = tiny_config().to_dict()
    del data[field]
    with pytest.raises(ConfigError, match=f"{field} must be given"):
        ModelConfig.from_dict(data)


def test_a_bad_value_read_from_a_file_is_refused_like_any_other() -> None:
    with pytest.raises(ConfigError, match="d_model must be an integer, got '512'"):
        ModelConfig.from_dict({**tiny_config().to_dict(), "d_model": "512"})
