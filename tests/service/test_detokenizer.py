"""What a stream shows, joined, is the whole decode; and nothing shown has to be taken back."""

from __future__ import annotations

import functools
import itertools
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.tokenizer import Tokenizer, TokenizerError
from service.detokenizer import IncrementalDetokenizer, SettledDetokenizer, detokenizer_of
from tests.builders import tiny_tokenizer
from tests.model.byte_pairs import SPECIAL, moses_model
from tests.model.test_moses_vocabulary import TEXTS, learned

TOKENIZERS = {
    "unigram": tiny_tokenizer("unigram"),
    "bpe": tiny_tokenizer("bpe"),
    "unigram-no-bytes": tiny_tokenizer("unigram", byte_fallback=False),
    "bpe-no-bytes-separate": tiny_tokenizer("bpe", byte_fallback=False, joint=False),
}
WITH_BYTES = [TOKENIZERS["unigram"], TOKENIZERS["bpe"]]


@functools.cache
def byte_ids(tokenizer: Tokenizer) -> dict[int, int]:
    """Byte value to token id; empty without byte fallback."""
    ids = {tokenizer.target_byte(token_id): token_id for token_id in range(tokenizer.target_vocab_size)}
    return {value: token_id for value, token_id in ids.items() if value is not None}


@functools.cache
def mark_id(tokenizer: Tokenizer) -> int:
    pieces = tokenizer.target_pieces(range(tokenizer.target_vocab_size))
    return pieces.index("▁")


def stream(tokenizer: Tokenizer, pushes: list[list[int]]) -> list[str]:
    """The answer of every push, and that of finish."""
    detokenizer = IncrementalDetokenizer(tokenizer)
    return [*(detokenizer.push(token_ids) for token_ids in pushes), detokenizer.finish()]


def one_by_one(token_ids: list[int]) -> list[list[int]]:
    return [[token_id] for token_id in token_ids]


@functools.cache
def any_ids(tokenizer: Tokenizer) -> st.SearchStrategy[list[int]]:
    """Runs of ordinary pieces and of all that is special: control, unknown, marks, all kinds of bytes."""
    special = [tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id, mark_id(tokenizer)]
    runs = [
        st.lists(st.integers(0, tokenizer.target_vocab_size - 1), max_size=6),
        st.lists(st.sampled_from(special), max_size=4),
    ]
    if table := byte_ids(tokenizer):
        edges = [
            table[value] for value in b"\x20\x7f\x80\xbf\xc0\xc2\xdf\xe0\xe2\xed\xef\xf0\xf4\xf5\xff\xbd"
        ]
        runs.append(st.lists(st.sampled_from(edges), max_size=8))
        runs.append(st.binary(max_size=6).map(lambda data: [table[value] for value in data]))
        runs.append(st.text(max_size=4).map(lambda text: [table[value] for value in text.encode()]))
    joined = st.lists(st.one_of(runs), max_size=6).map(itertools.chain.from_iterable)
    return joined.map(list)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_joined_deltas_are_the_whole_decode_for_any_ids_in_any_portions(
    name: str, data: st.DataObject
) -> None:
    tokenizer = TOKENIZERS[name]
    token_ids = data.draw(any_ids(tokenizer))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(token_ids)), max_size=5)))
    portions = [token_ids[a:b] for a, b in itertools.pairwise([0, *cuts, len(token_ids)])]
    whole = tokenizer.decode_target(token_ids)
    assert "".join(stream(tokenizer, portions)) == whole
    assert "".join(stream(tokenizer, one_by_one(token_ids))) == whole


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_what_is_shown_is_a_prefix_of_every_continuation(name: str, data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[name]
    token_ids, more = data.draw(any_ids(tokenizer)), data.draw(any_ids(tokenizer))
    shown = "".join(stream(tokenizer, one_by_one(token_ids))[:-1])
    assert tokenizer.decode_target([*token_ids, *more]).startswith(shown)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_no_delta_ends_in_white_space_before_the_end(name: str, data: st.DataObject) -> None:
    token_ids = data.draw(any_ids(TOKENIZERS[name]))
    deltas = stream(TOKENIZERS[name], one_by_one(token_ids))
    assert all(delta == delta.rstrip() for delta in deltas[:-1])


@pytest.mark.parametrize("tokenizer", WITH_BYTES, ids=["unigram", "bpe"])
@pytest.mark.parametrize(
    "text", ["é", "€", "日本語", "👩\u200d💻", "x😀y", "a\u0301\u0323", "q\u0307\u0323", "नमस्ते"]
)
def test_a_character_spelled_in_bytes_is_shown_whole_and_at_its_last_byte(
    tokenizer: Tokenizer, text: str
) -> None:
    table = byte_ids(tokenizer)
    token_ids = [table[value] for value in text.encode()]
    deltas = stream(tokenizer, one_by_one(token_ids))
    assert [delta for delta in deltas if delta] == list(text)
    assert deltas[-1] == ""


@pytest.mark.parametrize("tokenizer", WITH_BYTES, ids=["unigram", "bpe"])
def test_a_replacement_character_is_shown_only_when_the_text_has_it(tokenizer: Tokenizer) -> None:
    table = byte_ids(tokenizer)
    unfinished = [table[0xE2], table[0x82]]
    assert stream(tokenizer, one_by_one([*unfinished, table[0xAC]])) == ["", "", "€", ""]
    assert stream(tokenizer, one_by_one([*unfinished, table[0x41]])) == ["", "", "\ufffd\ufffdA", ""]
    assert stream(tokenizer, one_by_one(unfinished)) == ["", "", "\ufffd\ufffd"]


@pytest.mark.parametrize("tokenizer", WITH_BYTES, ids=["unigram", "bpe"])
def test_a_control_piece_within_a_character_does_not_break_it(tokenizer: Tokenizer) -> None:
    table = byte_ids(tokenizer)
    token_ids = [table[0xC3], tokenizer.pad_id, tokenizer.eos_id, tokenizer.bos_id, table[0xA4]]
    assert "".join(stream(tokenizer, one_by_one(token_ids))) == tokenizer.decode_target(token_ids) == "ä"


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
def test_a_lone_word_mark_is_held_until_a_word_follows(tokenizer: Tokenizer) -> None:
    word, mark = tokenizer.encode_target("ba")[:-1], mark_id(tokenizer)
    deltas = stream(tokenizer, [word, [mark], word])
    assert deltas == ["ba", "", tokenizer.decode_target([*word, mark, *word])[2:], ""]
    assert stream(tokenizer, [word, [mark]]) == ["ba", "", " "]


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
def test_marks_at_the_start_show_nothing(tokenizer: Tokenizer) -> None:
    mark, word = mark_id(tokenizer), tokenizer.encode_target("ba")[:-1]
    token_ids = [mark, mark, mark, *word]
    assert "".join(stream(tokenizer, one_by_one(token_ids))) == tokenizer.decode_target(token_ids)
    assert stream(tokenizer, [[mark], [mark]]) == ["", "", tokenizer.decode_target([mark, mark])]


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
def test_every_piece_of_normal_text_is_shown_as_it_comes(tokenizer: Tokenizer) -> None:
    text = "Bade kale 12 fino, huka gosä!"
    token_ids = tokenizer.encode_target(text)
    detokenizer, shown = IncrementalDetokenizer(tokenizer), ""
    for count, token_id in enumerate(token_ids, start=1):
        shown += detokenizer.push([token_id])
        assert shown == tokenizer.decode_target(token_ids[:count]).rstrip()
    assert shown + detokenizer.finish() == text


def test_combining_characters_that_come_later_are_not_composed_with_what_is_shown() -> None:
    tokenizer, table = WITH_BYTES[0], byte_ids(WITH_BYTES[0])
    token_ids = [*tokenizer.encode_target("ba")[:-1], *(table[value] for value in "\u0308".encode())]
    assert "".join(stream(tokenizer, one_by_one(token_ids))) == "ba\u0308"
    assert unicodedata.is_normalized("NFD", "ba\u0308")


def test_nothing_in_is_nothing_out() -> None:
    tokenizer = WITH_BYTES[0]
    assert stream(tokenizer, []) == [""]
    assert stream(tokenizer, [[], [tokenizer.eos_id], []]) == ["", "", "", ""]


def test_the_work_for_a_long_text_grows_with_its_length_only(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, table = WITH_BYTES[0], byte_ids(WITH_BYTES[0])
    decoded = 0
    whole_decode = Tokenizer._decode

    def counting(self: Tokenizer, token_ids: list[int]) -> str:
        nonlocal decoded
        decoded += len(token_ids)
        return whole_decode(self, token_ids)

    monkeypatch.setattr(Tokenizer, "_decode", counting)
    token_ids = [*tokenizer.encode_target("ba " * 500)[:-1], *[table[0x80]] * 500, *[table[0xE2]] * 500]
    stream(tokenizer, one_by_one(token_ids))
    assert decoded <= 5 * len(token_ids)


def test_an_id_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(TokenizerError, match="token id 480 is outside the vocabulary"):
        IncrementalDetokenizer(WITH_BYTES[0]).push([480])


def test_a_finished_text_takes_no_more() -> None:
    detokenizer = IncrementalDetokenizer(WITH_BYTES[0])
    detokenizer.finish()
    with pytest.raises(RuntimeError, match="finished"):
        detokenizer.push([5])


@functools.cache
def moses(language: str) -> Tokenizer:
    merges, pieces = learned()
    model = moses_model([], target=language)
    return Tokenizer.from_moses(
        replace(model, source=tuple(pieces), target=tuple(pieces), merges=tuple(merges))
    )


@settings(max_examples=120)
@given(st.data(), st.sampled_from(["de", "en", "fr", "ja", "fi"]))
def test_moses_words_stream_as_they_read_in_the_end(data: st.DataObject, language: str) -> None:
    tokenizer = moses(language)
    assert isinstance(detokenizer_of(tokenizer), SettledDetokenizer)
    texts = data.draw(st.lists(st.sampled_from(TEXTS), max_size=2))
    ids = [token_id for text in texts for token_id in tokenizer.encode_target(text)]
    ids += data.draw(st.lists(st.integers(0, tokenizer.target_vocab_size - 1), max_size=6))
    for pushes in ([ids], one_by_one(ids), [ids[:3], [], ids[3:]]):
        detokenizer = detokenizer_of(tokenizer)
        shown = [*(detokenizer.push(push) for push in pushes), detokenizer.finish()]
        assert "".join(shown) == tokenizer.decode_target(ids)


def test_moses_words_are_shown_while_they_come() -> None:
    tokenizer = moses("en")
    detokenizer, shown = detokenizer_of(tokenizer), list[str]()
    for token_id in tokenizer.encode_target("the house is well-known , in Paris .")[:-1]:
        shown.append(detokenizer.push([token_id]))
    assert sum(map(bool, shown)) >= 5
    detokenizer.finish()
    with pytest.raises(RuntimeError, match="finished"):
        detokenizer.push([len(SPECIAL)])
