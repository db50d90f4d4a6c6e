"""Scoring on native kernels gives what the module gives, and goes on without them where there are none."""

from pathlib import Path

import pytest
import torch

from model.decoding.options import DecodingOptions
from model.native.binding import Library
from model.native.library import BuildSettings
from model.transformer import Transformer
from tests.builders import tiny_config, tiny_sentences, tiny_tokenizer
from tests.model.native.kernels import CACHE
from training.kernels import on_kernels, open_kernels
from training.networks import translate


@pytest.fixture(scope="module")
def kernels() -> Library:
    said: list[str] = []
    library = open_kernels(BuildSettings(cache_dir=CACHE), said.append)
    if library is None:
        pytest.skip(said[0])
    return library


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(3)
    return Transformer(tiny_config(**_sizes())).train()


def _sizes() -> dict[str, int]:
    tokenizer = tiny_tokenizer()
    return {
        "source_vocab_size": tokenizer.source_vocab_size, "target_vocab_size": tokenizer.target_vocab_size,
        "pad_id": tokenizer.pad_id, "eos_id": tokenizer.eos_id, "decoder_start_id": tokenizer.bos_id,
    }  # fmt: skip


def test_translations_on_kernels_are_those_of_the_module(model: Transformer, kernels: Library) -> None:
    options = DecodingOptions(strategy="beam", beam_size=3, max_length=12)
    sources = list(tiny_sentences(20))
    without = translate(model, tiny_tokenizer(), sources, options)
    assert translate(model, tiny_tokenizer(), sources, options, kernels=kernels) == without
    assert model.training


def test_a_transformer_on_a_cpu_is_run_on_kernels(model: Transformer, kernels: Library) -> None:
    network = on_kernels(model, kernels)
    assert network is not None
    assert (network.path, network.precision) == ("native", "float32")


def test_what_kernels_cannot_run_stays_a_module(kernels: Library) -> None:
    assert on_kernels(torch.nn.Linear(2, 2), kernels) is None


def test_a_library_that_cannot_be_built_is_said_and_done_without(tmp_path: Path) -> None:
    said: list[str] = []
    settings = BuildSettings(cache_dir=tmp_path, compiler="no-such-compiler")
    assert open_kernels(settings, said.append) is None
    assert "without native kernels" in said[0]
    assert "no-such-compiler" in said[0]


def test_none_wanted_is_none_and_nothing_said() -> None:
    said: list[str] = []
    assert open_kernels(None, said.append) is None
    assert not said
