"""Whole texts in drawn pieces: the text of the plain split, and without chance its very ids."""

import functools
import itertools
import random
from collections.abc import Iterator

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import (  # type: ignore[attr-defined]  # generated, untyped
    ModelProto,
    TrainerSpec,
)

from tests.builders import tiny_sentences
from training.drawn_splits import DrawnSplits
from training.tokenizer_training import TokenizerKind, train_tokenizer

ALWAYS = itertools.repeat(0.5)
SYMBOLS = ["\ue000", "\ue001", "<BT>"]
texts = st.lists(
    st.sampled_from([*tiny_sentences(40), *SYMBOLS])
    | st.sampled_from(
        ["ba", "de", "tö", " ", "  ", "\u00a0", "\u2581", "a\u0308", "ξψ", "🙂", "<B", "</s>", ">>de<<"]
    )
    | st.text(max_size=8)
).map("".join)


@functools.cache
def model_of(kind: TokenizerKind, byte_fallback: bool = True) -> bytes:
    vocab_size = (480 if byte_fallback else 224) + len(SYMBOLS)
    return train_tokenizer(
        tiny_sentences(),
        vocab_size=vocab_size,
        kind=kind,
        byte_fallback=byte_fallback,
        placeholders=2,
        tags=["<BT>"],
        control_symbols=[">>de<<"],
    )


@functools.cache
def processor_of(model: bytes) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=model)


@functools.cache
def splits_of(model: bytes, alpha: float) -> DrawnSplits:
    return DrawnSplits(model, alpha)


def drawn(model: bytes, text: str, alpha: float, uniform: Iterator[float]) -> list[int]:
    plain = processor_of(model).encode(text)
    return splits_of(model, alpha).draw(text.encode(), plain, uniform)


def numbers(seed: int = 1) -> Iterator[float]:
    return iter(random.Random(seed).random, None)


@pytest.mark.parametrize("byte_fallback", [True, False])
@given(text=texts)
def test_byte_pairs_with_nothing_left_out_are_those_of_sentencepiece(byte_fallback: bool, text: str) -> None:
    model = model_of("bpe", byte_fallback)
    # Not through `draw`, which would hand out the plain ids where its own spell another text.
    splits = splits_of(model, 0.0)
    normalised = processor_of(model).normalize(text)
    assert splits.ids_of(normalised, ALWAYS) == processor_of(model).encode(text)


@pytest.mark.parametrize("byte_fallback", [True, False])
@given(text=texts)
def test_the_best_unigram_split_is_as_good_as_that_of_sentencepiece(byte_fallback: bool, text: str) -> None:
    """Of splits that are equally good it may be another one."""
    model = model_of("unigram", byte_fallback)
    processor = processor_of(model)
    found, plain = splits_of(model, 1e4).ids_of(processor.normalize(text), ALWAYS), processor.encode(text)
    assert processor.decode(found) == processor.decode(plain)
    assert sum(processor.get_score(found)) == pytest.approx(sum(processor.get_score(plain)), abs=1e-3)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("byte_fallback", [True, False])
@given(text=texts, alpha=st.sampled_from([0.1, 0.5, 1.0]), seed=st.integers(0, 99))
def test_every_split_spells_the_text(
    kind: TokenizerKind, byte_fallback: bool, text: str, alpha: float, seed: int
) -> None:
    model = model_of(kind, byte_fallback)
    processor = processor_of(model)
    found = splits_of(model, alpha).ids_of(processor.normalize(text), numbers(seed))
    assert processor.decode(found) == processor.decode(processor.encode(text))
    assert drawn(model, text, alpha, numbers(seed)) == found


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_nothing_cuts_a_symbol(kind: TokenizerKind) -> None:
    model, text = model_of(kind), "Bade\ue000ka <BT>\ue001 <BT>"
    symbols = [processor_of(model).piece_to_id(symbol) for symbol in SYMBOLS]
    for seed in range(20):
        found = drawn(model, text, 0.9, numbers(seed))
        assert [i for i in found if i in symbols] == [symbols[0], symbols[2], symbols[1], symbols[2]]


def changed(model: bytes, old: str, new: str) -> bytes:
    """The same with another spelling of a piece."""
    read = ModelProto.FromString(model)
    next(piece for piece in read.pieces if piece.piece == old).piece = new
    serialized: bytes = read.SerializeToString()
    return serialized


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_character_that_longer_pieces_alone_have_keeps_the_plain_split(kind: TokenizerKind) -> None:
    model = changed(model_of(kind, byte_fallback=False), "k", "⁑")
    plain = processor_of(model).encode("ka")
    assert 1 not in plain, "the piece is found"
    found = [drawn(model, "ka", 0.01 if kind == "unigram" else 0.99, numbers(seed)) for seed in range(20)]
    assert all(1 not in ids for ids in found)
    assert plain in found


@given(text=texts)
def test_words_are_one_where_pieces_go_beyond_them(text: str) -> None:
    model = changed(changed(model_of("bpe"), "~", "a\u2581"), "|", "a\u2581de")
    processor = processor_of(model)
    splits = splits_of(model, 0.0)
    assert splits.ids_of(processor.normalize(text), ALWAYS) == processor.encode(text)
    assert processor.decode(drawn(model, text, 0.5, numbers())) == processor.decode(processor.encode(text))


def test_such_a_piece_is_found() -> None:
    model = changed(changed(model_of("bpe"), "~", "a\u2581"), "|", "xx")
    assert "a\u2581" in [processor_of(model).id_to_piece(i) for i in drawn(model, "xa x", 0.0, ALWAYS)]


def test_a_model_of_another_kind_is_refused() -> None:
    read = ModelProto.FromString(model_of("bpe"))
    read.trainer_spec.model_type = TrainerSpec.CHAR
    with pytest.raises(ValueError, match="of the kind char"):
        DrawnSplits(read.SerializeToString(), 0.1)
