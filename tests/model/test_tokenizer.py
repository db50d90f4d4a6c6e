"""Text becomes ids and comes back; what is not text or not an id is refused by name."""

from __future__ import annotations

import itertools
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.tokenizer import InvalidTextError, Tokenizer, TokenizerError
from tests.builders import TOKENIZER_VOCABULARY, tiny_sentences, tiny_tokenizer
from training.tokenizer_training import train_tokenizer

UNIGRAM, BPE = tiny_tokenizer("unigram"), tiny_tokenizer("bpe")
SEPARATE = tiny_tokenizer("unigram", joint=False)
NO_BYTES = tiny_tokenizer("unigram", byte_fallback=False)
BY_NAME = {"unigram": UNIGRAM, "bpe": BPE, "separate": SEPARATE}

# Text that normalisation leaves as it is: no white space but single spaces within, no controls, composed.
PLAIN_TEXT = st.text(
    st.characters(categories=["L", "N", "P", "S"], exclude_characters="▁"), min_size=0, max_size=20
)


@pytest.mark.parametrize("name", BY_NAME)
def test_sentences_come_back(name: str) -> None:
    tokenizer = BY_NAME[name]
    for sentence in tiny_sentences(20, seed=9):
        assert tokenizer.decode_target(tokenizer.encode_target(sentence)) == sentence


@pytest.mark.parametrize("name", BY_NAME)
@given(text=PLAIN_TEXT)
@settings(max_examples=60)
def test_any_characters_come_back_composed_by_way_of_bytes(name: str, text: str) -> None:
    tokenizer = BY_NAME[name]
    token_ids = tokenizer.encode_target(text)
    assert tokenizer.unk_id not in token_ids
    once = tokenizer.decode_target(token_ids)
    assert _composed(once) == _composed(text)
    assert tokenizer.decode_target(tokenizer.encode_target(once)) == once


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("tokenizer", BY_NAME.values(), ids=BY_NAME)
def test_ids_end_with_eos_and_have_it_nowhere_else(tokenizer: Tokenizer) -> None:
    for text in ["", " ", "Ba de.", "</s>", "<s> <pad> <unk>", "<0x41>"]:
        for token_ids in (tokenizer.encode_source(text), tokenizer.encode_target(text)):
            special = {tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id}
            assert token_ids[-1] == tokenizer.eos_id
            assert not special.intersection(token_ids[:-1])


@pytest.mark.parametrize("tokenizer", BY_NAME.values(), ids=BY_NAME)
def test_the_names_of_special_pieces_are_ordinary_text(tokenizer: Tokenizer) -> None:
    for text in ["</s>", "a<s>b", "<unk>", "<0x41>", "<pad>"]:
        assert tokenizer.decode_target(tokenizer.encode_target(text)) == text


def test_empty_text_is_only_its_end() -> None:
    assert UNIGRAM.encode_source("") == [UNIGRAM.eos_id]
    assert UNIGRAM.encode_source(" \t\n") == [UNIGRAM.eos_id]
    assert UNIGRAM.decode_target([]) == ""


@pytest.mark.parametrize("tokenizer", BY_NAME.values(), ids=BY_NAME)
def test_many_texts_at_once_are_each_text_alone(tokenizer: Tokenizer) -> None:
    texts = ["", *tiny_sentences(10, seed=3), "日本 😀"]
    assert tokenizer.encode_sources(texts) == [tokenizer.encode_source(text) for text in texts]
    assert tokenizer.encode_targets(texts) == [tokenizer.encode_target(text) for text in texts]
    assert tokenizer.encode_sources([]) == []


def test_separate_sides_have_their_own_pieces() -> None:
    text = next(tiny_sentences(1, seed=5))
    assert not SEPARATE.is_joint
    assert SEPARATE.encode_source(text) != SEPARATE.encode_target(text)
    assert SEPARATE.encode_source(text) == UNIGRAM.encode_source(text)


def test_special_ids_are_those_of_the_model_file() -> None:
    assert (UNIGRAM.pad_id, UNIGRAM.unk_id, UNIGRAM.bos_id, UNIGRAM.eos_id) == (0, 1, 2, 3)
    assert UNIGRAM.source_vocab_size == UNIGRAM.target_vocab_size == TOKENIZER_VOCABULARY


@pytest.mark.parametrize("tokenizer", BY_NAME.values(), ids=BY_NAME)
def test_control_pieces_are_skipped_wherever_they_stand(tokenizer: Tokenizer) -> None:
    token_ids = tokenizer.encode_target("Ba 日 de.")[:-1]
    control = [tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id]
    mixed = [*control, *(mixed_id for token_id in token_ids for mixed_id in (token_id, *control))]
    assert tokenizer.decode_target(mixed) == "Ba 日 de."


def test_a_continuation_is_what_is_added_to_a_text() -> None:
    for tokenizer in (UNIGRAM, BPE, NO_BYTES):
        token_ids = tokenizer.encode_target("Ba de fi.")
        first, rest = token_ids[:1], token_ids[1:]
        begun = tokenizer.decode_target(first)
        assert begun + tokenizer.decode_target_continuation(rest) == tokenizer.decode_target(token_ids)
        assert tokenizer.decode_target_continuation(tokenizer.encode_target("ba")) == " ba"
        assert tokenizer.decode_target_continuation([]) == ""


def test_without_byte_fallback_what_is_not_known_shows_as_a_mark() -> None:
    token_ids = NO_BYTES.encode_target("ba 日")
    assert NO_BYTES.unk_id in token_ids
    assert "⁇" in NO_BYTES.decode_target(token_ids)
    assert all(NO_BYTES.target_byte(token_id) is None for token_id in range(NO_BYTES.target_vocab_size))


def test_byte_pieces_are_known_by_their_byte() -> None:
    token_ids = UNIGRAM.encode_target("日")[:-1]
    values = [UNIGRAM.target_byte(token_id) for token_id in token_ids]
    assert bytes(value for value in values if value is not None) == "日".encode()
    assert UNIGRAM.target_byte(UNIGRAM.eos_id) is None


def test_pieces_are_shown_as_the_vocabulary_writes_them() -> None:
    token_ids = UNIGRAM.encode_target("ba 日")
    pieces = UNIGRAM.target_pieces(token_ids)
    assert pieces[0].startswith("▁")
    assert pieces[-4:] == ["<0xE6>", "<0x97>", "<0xA5>", "</s>"]


@pytest.mark.parametrize("token_id", [-1, TOKENIZER_VOCABULARY])
def test_an_id_outside_the_vocabulary_is_refused(token_id: int) -> None:
    match = f"token id {token_id} is outside the vocabulary \\(0 to 479\\)"
    for decode in (UNIGRAM.decode_target, UNIGRAM.decode_target_continuation, UNIGRAM.target_pieces):
        with pytest.raises(TokenizerError, match=match):
            decode([5, token_id])


@pytest.mark.parametrize("text", ["ab\ud800", "ab\udfff c", "ab\udc80\ud800"], ids=ascii)
def test_a_lone_surrogate_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(
        InvalidTextError, match=r"character 2 \(U\+D[8-F][0-9A-F]{2}\) is a lone surrogate"
    ) as caught:
        UNIGRAM.encode_source(text)
    assert (caught.value.position, caught.value.code_point) == (2, ord(text[2]))
    with pytest.raises(InvalidTextError):
        UNIGRAM.encode_targets(["fine", text])


def test_a_null_character_is_text() -> None:
    assert UNIGRAM.decode_target(UNIGRAM.encode_target("a\0b")) == "a\0b"


def test_long_text_is_encoded_whole() -> None:
    text = "ba de fi go " * 20_000
    assert UNIGRAM.decode_target(UNIGRAM.encode_target(text)) == text.strip()


@pytest.mark.parametrize("tokenizer", BY_NAME.values(), ids=BY_NAME)
def test_files_give_the_same_tokenizer_again(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for name, content in tokenizer.files().items():
        (tmp_path / name).write_bytes(content)
    loaded = Tokenizer.load(tmp_path)
    assert loaded.files() == tokenizer.files()
    assert loaded.is_joint == tokenizer.is_joint
    assert loaded.encode_source("Ba de 日.") == tokenizer.encode_source("Ba de 日.")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source.model").write_bytes(b"")
    with pytest.raises(
        TokenizerError, match=r"needs tokenizer\.model, or both source\.model and target\.model"
    ):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04K\x01."])
def test_a_file_that_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.model: "):
        Tokenizer.from_bytes(content)
    with pytest.raises(TokenizerError, match=r"target\.model: "):
        Tokenizer.from_bytes(UNIGRAM.files()["tokenizer.model"], content)


def test_threads_may_share_a_tokenizer() -> None:
    texts = list(tiny_sentences(200, seed=4))
    expected = [UNIGRAM.encode_target(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(UNIGRAM.encode_target, texts)) == expected
        assert list(pool.map(UNIGRAM.decode_target, expected)) == texts


def test_tags_are_control_pieces_that_text_cannot_forge() -> None:
    tagged = Tokenizer.from_bytes(
        train_tokenizer(tiny_sentences(), vocab_size=480, control_symbols=[">>de<<", ">>fr<<"])
    )
    pieces = tagged.target_pieces(range(tagged.target_vocab_size))
    tag = pieces.index(">>de<<")
    assert tagged.is_target_control(tag)
    assert tag not in tagged.encode_source(">>de<< ba")
    assert tagged.decode_target([tag, *tagged.encode_target("ba >>de<<")]) == "ba >>de<<"


@pytest.mark.parametrize("name", BY_NAME)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@settings(max_examples=60, deadline=None)
def test_spans_of_ids_cover_the_text_they_spell_in_order(name: str, text: str) -> None:
    tokenizer = BY_NAME[name]
    ids = tokenizer.encode_source(text)
    spans = tokenizer.source_spans(text)
    assert len(spans) == len(ids) - 1
    decoded = tokenizer.decode_target(target_ids := tokenizer.encode_target(text))
    target_spans = tokenizer.target_spans(target_ids)
    assert "".join(decoded[start:end] for start, end in target_spans) == decoded
    for places, length in ((spans, len(text)), (target_spans, len(decoded))):
        assert all(0 <= start <= end <= length for start, end in places)
        assert all(left[1] <= right[0] for left, right in itertools.pairwise(places))


@given(ids=st.lists(st.integers(0, TOKENIZER_VOCABULARY - 1), max_size=12))
@settings(deadline=None)
def test_spans_of_any_ids_are_pieces_of_their_text_and_a_control_piece_has_none(ids: list[int]) -> None:
    text, spans = UNIGRAM.decode_target(ids), UNIGRAM.target_spans(ids)
    assert len(spans) == len(ids)
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(
        spans[i][0] == spans[i][1] for i, token_id in enumerate(ids) if UNIGRAM.is_target_control(token_id)
    )


def test_source_pieces_are_those_that_the_vocabulary_writes() -> None:
    ids = SEPARATE.encode_source("Ba de.")
    assert "".join(SEPARATE.source_pieces(ids)) == "▁Ba▁de.</s>"
