"""Moses' words in byte pairs: held against the tokenizer of `transformers`, and what a stream may rely on."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sacremoses  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.byte_pair_merges import BytePairMerges
from model.moses_text import MosesText, word_spans
from model.moses_vocabulary import MosesVocabulary
from model.vocabulary import TokenizerError
from tests.model.byte_pairs import SPECIAL, learn

TEXTS = [
    "It's 5 o'clock - \"well-known\" words, e.g. in Mr. Smith's house (at 3.5 %).",
    "Die „schöne“ Straße: 1,000 Bäume; C'est l'été à Paris ?",
    "Привет, мир! Как дела?",
    "a @-@ b &amp; c < d > [x] | y",
    "日本語のテキスト。 ２０２０年",
    "😀 emoji 👩\u200d👩\u200d👧 end",
    "tab\there\u200b zero\u00a0nbsp  double",
    "the Jones' house' 'quoted' ``x''",
    "don't can't 'tis rock'n'roll",
    "«guillemets» – dash — long… dots... ..",
    "EU:n EU:ssa http://a.b/c?d=e&f user@x.org #tag",
    "x- -x a-b-c a--b x-",
    "' ' word's",
    "\x00\x1f control \u202e characters\r\n",
    "",
    "\n",
]
LANGUAGES = [("en", "de"), ("de", "en"), ("fr", "it"), ("ru", "fr"), ("en", "ja"), ("en", "fi")]


@cache
def learned() -> tuple[list[tuple[str, str]], list[str]]:
    words = [
        word
        for language in ("en", "de", "fr")
        for text in TEXTS
        for word in sacremoses.MosesTokenizer(language).tokenize(
            text, aggressive_dash_splits=True, return_str=False, escape=True
        )
    ]
    return learn(words, 80)


@cache
def vocabulary(language: str, lowercase: bool = False) -> MosesVocabulary:
    merges, pieces = learned()
    return MosesVocabulary(pieces, MosesText(language, lowercase=lowercase), BytePairMerges(merges))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    merges, pieces = learned()
    made = tmp_path_factory.mktemp("fsmt")
    for side in ("src", "tgt"):
        numbered = {piece: token_id for token_id, piece in enumerate(pieces)}
        (made / f"vocab-{side}.json").write_text(json.dumps(numbered))
    (made / "merges.txt").write_text("".join(f"{left} {right} 1\n" for left, right in merges))
    return made


def theirs(folder: Path, source: str, target: str, **options: Any) -> Any:
    from transformers import FSMTTokenizer

    files = {
        "src_vocab_file": "vocab-src.json",
        "tgt_vocab_file": "vocab-tgt.json",
        "merges_file": "merges.txt",
    }
    paths = {name: str(folder / file) for name, file in files.items()}
    return FSMTTokenizer(langs=[source, target], **paths, **options)


def mixtures(count: int) -> list[str]:
    """The texts and pieces of two of them put together, always the same."""
    mixed = list(TEXTS)
    for number in range(count):
        left, right = TEXTS[number % len(TEXTS)], TEXTS[(7 * number + 3) % len(TEXTS)]
        mixed.append(left[: (5 * number) % (len(left) + 1)] + right[(3 * number) % (len(right) + 1) :])
    return mixed


@pytest.mark.parametrize(("source", "target"), LANGUAGES)
def test_ids_and_texts_are_those_of_transformers(folder: Path, source: str, target: str) -> None:
    other = theirs(folder, source, target)
    for text in mixtures(80):
        assert vocabulary(source).encode([text.encode()])[0] == other(text).input_ids, text
        ids = vocabulary(target).encode([text.encode()])[0][:-1]
        spelled = [one for one in ids if one not in vocabulary(target).control_ids]
        assert vocabulary(target).decode(spelled) == other.decode(ids, skip_special_tokens=True), text


def test_lower_case_is_kept_where_the_model_wants_it(folder: Path) -> None:
    other = theirs(folder, "en", "de", do_lower_case=True)
    for text in TEXTS:
        assert vocabulary("en", lowercase=True).encode([text.encode()])[0] == other(text).input_ids


@settings(max_examples=150)
@given(st.data(), st.sampled_from([target for _, target in LANGUAGES]))
def test_what_is_settled_begins_whatever_follows(data: st.DataObject, language: str) -> None:
    side = vocabulary(language)
    texts = data.draw(st.lists(st.sampled_from(TEXTS), max_size=2))
    ids = [i for text in texts for i in side.encode([text.encode()])[0] if i not in side.control_ids]
    ids += data.draw(st.lists(st.integers(len(SPECIAL), side.size - 1), max_size=8))
    whole = side.decode(ids)
    for count in range(len(ids) + 1):
        settled = side.num_settled(ids[:count])
        assert settled <= count
        assert whole.startswith(side.decode(ids[:settled]))


WORDS = st.sampled_from(
    [
        "a",
        "b",
        "s",
        "&apos;",
        "&quot;",
        "@-@",
        "d&apos;",
        "&apos;s",
        "-",
        ".",
        "(",
        "$",
        "5",
        "EU:",
        "n",
        "\u65e5",
    ]
)


@settings(max_examples=400)
@given(st.lists(WORDS, max_size=8), st.sampled_from(["de", "en", "fr", "fi", "ja", "cs"]))
@example(["a", "&quot;", "b", "&quot;", "@-@", "c", "d"], "de")
def test_words_are_settled_where_no_neighbour_changes_them(words: list[str], language: str) -> None:
    side = MosesText(language)
    whole = side.text(words)
    for count in range(1, len(words) + 1):
        assert whole.startswith(side.text(words[: side.num_settled(words[:count])]))


@settings(max_examples=100)
@given(st.lists(st.sampled_from(TEXTS), max_size=2), st.sampled_from(["en", "fr"]))
def test_spans_of_a_decoded_text_show_what_its_pieces_spell(texts: list[str], language: str) -> None:
    side = vocabulary(language)
    ids = [i for text in texts for i in side.encode([text.encode()])[0] if i not in side.control_ids]
    text, spans = side.decode(ids), side.decoded_spans(ids)
    assert len(spans) == len(ids)
    assert spans == sorted(spans)
    for (start, end), piece in zip(spans, side.pieces(ids), strict=True):
        stem = piece.removesuffix("</w>")
        if stem.isalnum() and "&" not in text and "#" not in text:
            assert text[start:end] in (stem, ""), (piece, text[start:end])


def test_most_words_of_a_source_are_found_where_they_stand() -> None:
    text = "It's 5 o'clock - \"well-known\" (at 3.5 %)."
    words = vocabulary("en").text.words(text)
    shown = [text[start:end] for start, end in word_spans(text, words)]
    assert shown == [
        "It",
        "'s",
        "5",
        "o",
        "'clock",
        "-",
        '"',
        "well",
        "-",
        "known",
        '"',
        "(",
        "at",
        "3.5",
        "%",
        ")",
        ".",
    ]
    spans = vocabulary("en").spans(text)
    assert len(spans) == len(vocabulary("en").encode([text.encode()])[0]) - 1
    for changed in ("„So“ – gut…", "２０２０年。", "\u200ba\u200bb", ""):
        found = vocabulary("de").spans(changed)
        assert all(0 <= start <= end <= len(changed) for start, end in found)


def test_a_vocabulary_without_a_special_piece_or_with_a_piece_twice_is_refused() -> None:
    merges = BytePairMerges([])
    with pytest.raises(TokenizerError, match="no eos piece '</s>'"):
        MosesVocabulary(["<s>", "<pad>", "<unk>", "a"], MosesText("en"), merges)
    with pytest.raises(TokenizerError, match="two ids"):
        MosesVocabulary([*SPECIAL, "a", "a"], MosesText("en"), merges)


def test_merges_are_applied_in_the_order_of_their_learning() -> None:
    merges = BytePairMerges([("a", "b"), ("b", "c</w>"), ("ab", "ab"), ("x", "x")])
    assert merges.split("abc") == ("ab", "c</w>")
    assert merges.split("ababz") == ("abab", "z</w>")
    assert merges.split("xxxy") == ("xx", "x", "y</w>")
    assert merges.split("q") == ("q</w>",)
