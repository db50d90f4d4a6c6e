"""The Trainer's network is Verto's in its sizes."""

from loadtests.training_speed.task import SHAPES, SHARED
from loadtests.training_speed.trainer_side import network_settings
from model.config import ModelConfig
from model.transformer import Transformer


def test_the_network_of_the_trainer_has_as_many_numbers_as_verto_s() -> None:
    from transformers import M2M100ForConditionalGeneration

    config = ModelConfig(source_vocab_size=100, target_vocab_size=100, **SHARED, **SHAPES["tiny"])
    peer = M2M100ForConditionalGeneration(network_settings(config.to_dict()))
    assert peer.num_parameters() == Transformer(config).num_parameters()
