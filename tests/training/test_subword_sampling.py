"""Texts in new pieces each time: the same text, decided by seed, epoch and choice, never too long."""

import functools
from typing import Any

import numpy as np
import pytest

from model.tokenizer import Tokenizer
from tests.builders import dictionary_tokenizer, tiny_sentences, tiny_tokenizer
from tests.training.runs import pairs
from training.batching import EncodedCorpus, make_batch
from training.data_config import SubwordSamplingConfig
from training.encoding import encode_pairs
from training.errors import RecipeError
from training.ragged import Ragged
from training.subword_sampling import SubwordSampler, sampled_sides
from training.tokenizer_training import TokenizerKind, train_tokenizer

COUNT = 12
ROWS = np.arange(COUNT, dtype=np.uint32)


@functools.cache
def tokenizer_of(kind: TokenizerKind) -> Tokenizer:
    return Tokenizer.from_bytes(train_tokenizer(tiny_sentences(300), vocab_size=420, kind=kind))


def corpus(tokenizer: Tokenizer, max_tokens: int = 64, seed: int = 1, **settings: Any) -> EncodedCorpus:
    config = SubwordSamplingConfig(**{"alpha": 0.3, **settings})
    plain = encode_pairs(tokenizer, pairs(COUNT), max_tokens)
    texts = {
        side: Ragged.from_lists([getattr(pair, side).encode() for pair in pairs(COUNT)], np.uint8)
        for side in sampled_sides(config)
    }
    sampler = SubwordSampler(tokenizer, config, texts, max_tokens, seed)
    return EncodedCorpus(plain.source, plain.target, sampler=sampler)


def drawn(made: EncodedCorpus, rows: Any = ROWS, epoch: int = 0) -> list[list[int]]:
    assert made.sampler is not None
    found = made.sampler.draw("source", made.source, rows, epoch)
    return [found[i].tolist() for i in range(len(found))]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_other_pieces_spell_the_same_text(kind: TokenizerKind) -> None:
    tokenizer = tokenizer_of(kind)
    made = corpus(tokenizer)
    found = drawn(made)
    assert [tokenizer.decode_target(ids) for ids in found] == [pair.source for pair in pairs(COUNT)]
    assert all(ids[-1] == tokenizer.eos_id for ids in found)
    assert found != [made.source[i].tolist() for i in range(COUNT)]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_seed_epoch_and_choice_decide(kind: TokenizerKind) -> None:
    """So a run that is resumed, or shared among processes, sees the same."""
    made = corpus(tokenizer_of(kind))
    first = drawn(made)
    drawn(made, ROWS[:3], epoch=7)  # nothing is left behind by a draw
    assert drawn(made) == first
    assert drawn(corpus(tokenizer_of(kind))) == first
    assert drawn(made, epoch=1) != first
    assert drawn(corpus(tokenizer_of(kind), seed=2)) != first
    assert drawn(made, ROWS[::-1]) != first[::-1]


def test_a_split_that_is_too_long_is_not_taken() -> None:
    tokenizer = tokenizer_of("bpe")
    made = corpus(tokenizer, alpha=1.0)
    limit = max(len(made.source[i]) for i in range(COUNT))
    found = drawn(corpus(tokenizer, limit, alpha=1.0))
    plain = [made.source[i].tolist() for i in range(COUNT)]
    assert all(len(ids) <= limit for ids in found)
    assert any(ids == wanted for ids, wanted in zip(found, plain, strict=True))


@pytest.mark.parametrize(
    ("sides", "sampled"),
    [("source", ("source",)), ("target", ("target",)), ("both", ("source", "target"))],
)
def test_batches_have_new_pieces_on_the_chosen_sides(sides: str, sampled: tuple[str, ...]) -> None:
    made = corpus(tiny_tokenizer(), sides=sides)
    plain = EncodedCorpus(made.source, made.target)
    one, other = (make_batch(which, ROWS, 0, 2, epoch=3) for which in (made, plain))
    assert ("source" in sampled) == (one.source_ids.tolist() != other.source_ids.tolist())
    assert ("target" in sampled) == (one.target_output.tolist() != other.target_output.tolist())
    assert one.num_target_tokens == int(one.target_output.ne(0).sum())
    assert one.source_mask.sum() == one.source_ids.ne(0).sum()


def test_without_alpha_nothing_is_sampled() -> None:
    assert sampled_sides(SubwordSamplingConfig()) == ()


def test_a_dictionary_vocabulary_cannot_be_sampled() -> None:
    with pytest.raises(RecipeError, match=r"data\.subword_sampling\.alpha must be left out"):
        SubwordSampler(dictionary_tokenizer(), SubwordSamplingConfig(alpha=0.1), {}, 64, 1)
