"""A vocabulary is learned as asked, always the same, and keeps what the text says."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model.placeholders import placeholder_symbols
from model.tokenizer import Tokenizer
from tests.builders import tiny_sentences, tiny_tokenizer
from tests.training.runs import ListeningMonitor, config
from training.preparation import prepare
from training.tokenizer_training import TokenizerKind, TokenizerTrainingError, _sample, train_tokenizer

KINDS: list[TokenizerKind] = ["unigram", "bpe"]


def trained(**options: Any) -> Tokenizer:
    return Tokenizer.from_bytes(train_tokenizer(tiny_sentences(), **{"vocab_size": 480, **options}))


def normalised(text: str) -> str:
    """As the tokenizer sees it; byte fallback spells everything that is left."""
    tokenizer = tiny_tokenizer()
    return tokenizer.decode_target(tokenizer.encode_target(text))


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_has_the_asked_size_and_the_agreed_special_ids(kind: TokenizerKind) -> None:
    tokenizer = trained(kind=kind, vocab_size=500)
    assert tokenizer.target_vocab_size == 500
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_sentences_give_the_same_bytes(kind: TokenizerKind) -> None:
    first, second = (train_tokenizer(tiny_sentences(), vocab_size=480, kind=kind) for _ in range(2))
    assert first == second


def test_threads_do_not_change_the_vocabulary_from_run_to_run() -> None:
    first, second = (train_tokenizer(tiny_sentences(), vocab_size=480, num_threads=2) for _ in range(2))
    assert first == second


def test_no_path_of_this_machine_is_in_the_vocabulary_file() -> None:
    model = train_tokenizer(tiny_sentences(), vocab_size=480)
    assert tempfile.gettempdir().encode() not in model
    assert b"normalisation.tsv" not in model


def test_training_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    train_tokenizer(tiny_sentences(), vocab_size=480)
    with pytest.raises(TokenizerTrainingError):
        train_tokenizer(tiny_sentences(), vocab_size=10**6)
    assert capfd.readouterr() == ("", "")


def test_no_temporary_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    train_tokenizer(tiny_sentences(), vocab_size=480)
    with pytest.raises(TokenizerTrainingError):
        train_tokenizer(tiny_sentences(), vocab_size=10**6)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "10² m³ ½ 1½ ™ … № ﬁ Ａ ①",  # compatibility forms: NFKC would change what they say
        "Straße GROẞ İstanbul ſ",
        "„Zitat“ ‚so‘ – oder — so… 5 €",
        "👩\u200d💻 👍🏽 می\u200cخواهم",  # joiners
        "日本語 한국어 नमस्ते ภาษาไทย",
        "a_b __init__ ~`^|\\ <tag> &amp;",
        "𝔘𝔫𝔦 𐍈 😀",
    ],
)
def test_text_keeps_what_it_says(text: str) -> None:
    assert normalised(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\u0308 o\u0308 U\u0308", "ä ö Ü"),
        ("e\u0302\u0301 \u00ea\u0301", "ế ế"),  # wholly and half decomposed
        ("\u1112\u1161\u11ab \ud558\u11ab", "한 한"),
        ("\u212b \u2126", "Å Ω"),  # signs that Unicode says are letters
        ("a\u00a0b\u202fc\u2009d\u3000e", "a b c d e"),
        ("a\tb\r\nc\u2028d\x0be", "a b c d e"),
        ("  a   b  ", "a b"),
        ("Sil\u00adbe a\u200bb \ufeffc \x07d\x7f", "Silbe ab c d"),
        ("▁▁ 50%▁", "__ 50%_"),
    ],
)
def test_text_is_seen_in_one_spelling(text: str, seen: str) -> None:
    assert normalised(text) == seen


@pytest.mark.parametrize("kind", KINDS)
def test_digits_stay_apart_unless_asked(kind: TokenizerKind) -> None:
    sentences = [*tiny_sentences(), *["In 1984 and 1985."] * 200]
    apart = Tokenizer.from_bytes(train_tokenizer(sentences, vocab_size=480, kind=kind))
    together = Tokenizer.from_bytes(train_tokenizer(sentences, vocab_size=480, kind=kind, split_digits=False))
    assert apart.target_pieces(apart.encode_target("1984"))[-5:-1] == list("1984")
    assert len(together.encode_target("1984")) < len(apart.encode_target("1984"))


def test_required_characters_are_pieces_however_rare() -> None:
    asked = trained(required_characters="ß€", vocab_size=480)
    pieces = asked.target_pieces(range(480))
    assert {"ß", "€"} <= set(pieces)
    assert "€" not in tiny_tokenizer().target_pieces(range(480))
    assert set("0123456789AZaz,;?!'\"()-") <= set(tiny_tokenizer().target_pieces(range(480)))


def test_without_byte_fallback_there_are_no_byte_pieces() -> None:
    tokenizer = trained(byte_fallback=False, vocab_size=200)
    assert all(tokenizer.target_byte(token_id) is None for token_id in range(200))


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_too_large_for_the_text_is_refused_with_the_bound(kind: TokenizerKind) -> None:
    with pytest.raises(
        TokenizerTrainingError, match=r"vocab_size: must be at most (\d+) for this text, got 99999"
    ) as caught:
        trained(kind=kind, vocab_size=99_999)
    assert caught.value.field == "vocab_size"
    bound = int(str(caught.value).split("at most ")[1].split()[0])
    assert trained(kind=kind, vocab_size=bound).target_vocab_size == bound


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_too_small_for_the_byte_pieces_is_refused_with_the_bound(kind: TokenizerKind) -> None:
    with pytest.raises(
        TokenizerTrainingError, match=r"vocab_size: must be at least (\d+) \(.*\), got 100"
    ) as caught:
        trained(kind=kind, vocab_size=100)
    bound = int(str(caught.value).split("at least ")[1].split()[0])
    assert bound > 256
    assert trained(kind=kind, vocab_size=bound).target_vocab_size == bound


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 4}, "vocab_size: must be above 4, got 4"),
        ({"vocab_size": -1}, "vocab_size: must be above 4, got -1"),
        ({"kind": "word"}, "kind: must be unigram or bpe, got 'word'"),
        ({"character_coverage": 0.0}, "character_coverage: must be above 0 and at most 1, got 0.0"),
        ({"character_coverage": 1.5}, "character_coverage: must be above 0 and at most 1, got 1.5"),
        ({"max_sentences": 0}, "max_sentences: must be at least 1, got 0"),
        ({"num_threads": 3}, "num_threads: must be 1 or 2, got 3"),
    ],
)
def test_an_option_out_of_bounds_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TokenizerTrainingError) as caught:
        trained(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize("sentences", [[], ["", "  "], ["a" * 20_000]], ids=["none", "blank", "too-long"])
def test_no_usable_sentence_is_refused(sentences: list[str]) -> None:
    with pytest.raises(TokenizerTrainingError, match="sentences: needs at least 1 with text"):
        train_tokenizer(sentences, vocab_size=480)


def test_a_lone_surrogate_is_refused_with_its_place() -> None:
    with pytest.raises(
        TokenizerTrainingError, match=r"number 1 has a lone surrogate \(U\+D800\) at character 2"
    ):
        train_tokenizer(["fine", "ab\ud800"], vocab_size=480)


def test_an_error_of_the_source_of_sentences_comes_through() -> None:
    def broken() -> Iterator[str]:
        yield "fine"
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        train_tokenizer(broken(), vocab_size=480)


def test_a_sample_is_taken_of_too_many_sentences() -> None:
    few = train_tokenizer(tiny_sentences(400), vocab_size=400, max_sentences=200)
    assert few == train_tokenizer(tiny_sentences(400), vocab_size=400, max_sentences=200)
    assert few != train_tokenizer(tiny_sentences(400), vocab_size=400, max_sentences=200, seed=1)
    assert few != train_tokenizer(tiny_sentences(400), vocab_size=400)


def test_every_sentence_is_as_likely_to_be_sampled() -> None:
    counts = [0] * 10
    for seed in range(2000):
        for sentence in _sample((bytes([index]) for index in range(10)), 3, random.Random(seed)):
            counts[sentence[0]] += 1
    # 600 of 2000 expected each, with a standard deviation of about 20
    assert all(500 < count < 700 for count in counts)


@pytest.mark.parametrize("kind", KINDS)
def test_placeholders_are_the_last_pieces_and_one_each(kind: TokenizerKind) -> None:
    tokenizer = trained(kind=kind, placeholders=4)
    symbols = placeholder_symbols(4)
    assert tokenizer.placeholders == symbols
    assert [tokenizer.placeholder_id(symbol) for symbol in symbols] == [476, 477, 478, 479]
    text = f"a{symbols[2]}b {symbols[0]}, {symbols[3]}{symbols[1]}."
    ids = tokenizer.encode_target(text)
    assert [i for i in ids if i >= 476] == [478, 476, 479, 477]
    assert tokenizer.decode_target(ids) == text


def test_a_placeholder_in_the_text_is_no_part_of_a_learned_piece() -> None:
    symbols = placeholder_symbols(2)
    sentences = [f"{symbols[0]} {text} {symbols[1]}" for text in tiny_sentences()]
    plain = train_tokenizer(tiny_sentences(), vocab_size=480, placeholders=2)
    assert train_tokenizer(sentences, vocab_size=480, placeholders=2) == plain


def test_a_vocabulary_without_placeholders_has_none() -> None:
    assert trained().placeholders == ()


@pytest.mark.parametrize("count", [-1, 65])
def test_a_number_of_placeholders_outside_its_bounds_is_refused(count: int) -> None:
    with pytest.raises(TokenizerTrainingError, match=rf"placeholders: must be 0 to 64, .*got {count}"):
        trained(placeholders=count)


def test_the_largest_vocabulary_counts_the_placeholders() -> None:
    with pytest.raises(TokenizerTrainingError) as plain:
        trained(vocab_size=10**5)
    with pytest.raises(TokenizerTrainingError) as extended:
        trained(vocab_size=10**5, placeholders=8)
    sizes = [int(str(fault.value).split()[5]) for fault in (plain, extended)]
    assert sizes[1] == sizes[0] + 8


def test_tags_are_pieces_that_nothing_cuts() -> None:
    sentences = [f"<BT> {text}" for text in tiny_sentences(200)]
    model = train_tokenizer(sentences, vocab_size=400, kind="bpe", tags=("<BT>",), placeholders=2)
    tokenizer = Tokenizer.from_bytes(model)
    ids = tokenizer.encode_source("<BT> Ba de.")
    assert tokenizer.source_vocab_size == 400
    pieces = tokenizer.source_pieces(ids)
    assert pieces[pieces.index("<BT>") :] == [
        "<BT>",
        *tokenizer.source_pieces(tokenizer.encode_source("Ba de.")),
    ]
    assert len(tokenizer.placeholders) == 2


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_control_symbol_is_a_piece_that_no_text_has(kind: TokenizerKind) -> None:
    text = [f"{line} >>de<< >>fr<<" for line in tiny_sentences(80)]
    serialized = train_tokenizer(text, vocab_size=420, kind=kind, control_symbols=[">>de<<", ">>fr<<"])
    tokenizer = Tokenizer.from_bytes(serialized)
    pieces = tokenizer.source_pieces(range(420))
    assert [pieces.count(tag) for tag in (">>de<<", ">>fr<<")] == [1, 1]
    tags = {pieces.index(">>de<<"), pieces.index(">>fr<<")}
    for forged in (">>de<<", "ba >>fr<< de", ">>de<<>>fr<<"):
        assert not tags & set(tokenizer.encode_source(forged))
        assert tokenizer.decode_target(tokenizer.encode_target(forged)) == forged
    assert tokenizer.decode_target([*tags, *tokenizer.encode_target("ba de")]) == "ba de"


@pytest.mark.parametrize("kind", KINDS)
def test_letters_that_the_text_has_are_pieces_however_rare_they_are(kind: TokenizerKind) -> None:
    sentences = [*tiny_sentences(400), "Ba œuf de."]
    without = Tokenizer.from_bytes(train_tokenizer(sentences, vocab_size=480, kind=kind))
    with_them = Tokenizer.from_bytes(train_tokenizer(sentences, vocab_size=480, kind=kind, letters="œŒæ"))
    assert not without.knows_source("œ")
    assert with_them.knows_source("œ")
    assert not any(map(with_them.knows_source, "Œæ"))
    assert with_them.source_vocab_size == without.source_vocab_size


@pytest.mark.parametrize(("directions", "is_piece"), [([["en", "fr"]], True), ([["en", "de"]], False)])
def test_a_run_s_vocabulary_has_the_letters_of_its_languages(
    directions: list[list[str]], is_piece: bool, tmp_path: Path
) -> None:
    lines = [f"{a}\t{b}\n" for a, b in zip(tiny_sentences(seed=1), tiny_sentences(seed=2), strict=True)]
    lines.append("Ba de.\tBa œuf de.\n")
    for name, text in (("train.tsv", lines), ("dev.tsv", lines[-2:])):
        (tmp_path / name).write_text("".join(text), encoding="utf-8")
    settings = config(tokenizer={"vocab_size": 480}, directions=directions)
    found = prepare(settings, tmp_path, tmp_path / "run", ListeningMonitor()).tokenizer
    assert found.knows_source("œ") is is_piece
