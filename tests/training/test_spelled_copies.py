"""Rare words that translations copy are spelled by smaller pieces; all other words keep theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.tokenizer import Tokenizer
from tests.builders import dictionary_tokenizer, tiny_bundle, tiny_sentences
from tests.training.runs import ListeningMonitor, config
from training.config import TrainingConfig, check_recipe
from training.corpus import Pair
from training.drawn_splits import DrawnSplits
from training.errors import RecipeError
from training.pair_text import PairText, PairTextWriter
from training.preparation import prepare
from training.run_tokenizer import _spelling_copies
from training.spelled_copies import copy_counts, rare_copies, without_pieces
from training.tokenizer_training import TokenizerKind, train_tokenizer

KINDS: list[TokenizerKind] = ["unigram", "bpe"]
OFTEN, RARELY = 60, 16


def corpus() -> list[Pair]:
    """`Boston` is often copied, `Linux` rarely; `window` and `Fenster` are rare, and of one side each."""
    words = [("Boston", "Boston")] * OFTEN + [("Linux", "Linux"), ("window", "Fenster")] * RARELY
    sentences = zip(tiny_sentences(seed=1), tiny_sentences(seed=2), words, strict=False)
    return [Pair(f"{one} {word}", f"{translation} {other}") for one, other, (word, translation) in sentences]


def model(kind: TokenizerKind) -> bytes:
    return train_tokenizer([side for pair in corpus() for side in pair], vocab_size=420, kind=kind)


def pieces(serialized: bytes, text: str) -> list[str]:
    tokenizer = Tokenizer.from_bytes(serialized)
    return tokenizer.source_pieces(tokenizer.encode_source(text)[:-1])


def rare(serialized: bytes, below: int) -> list[str]:
    return list(rare_copies(serialized, copy_counts(Tokenizer.from_bytes(serialized), [corpus()]), below))


def written(folder: Path) -> PairText:
    with PairTextWriter(folder, "all") as writer:
        writer.append(corpus())
    return PairText.mapped(folder, "all")


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_both_sides_have_and_rarely_is_found(kind: TokenizerKind) -> None:
    before = model(kind)
    named = {"▁Linux", "▁Boston", "▁window", "▁Fenster"}
    assert named & set(rare(before, OFTEN)) == {"▁Linux"}
    assert named & set(rare(before, OFTEN + 1)) == {"▁Linux", "▁Boston"}
    assert not named & set(rare(before, RARELY))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_spelled_by_smaller_pieces_and_nothing_else_changes(kind: TokenizerKind) -> None:
    before = model(kind)
    after = without_pieces(before, ["▁Linux"])
    assert len(pieces(after, "Linux")) > 1
    assert "".join(pieces(after, "Linux")) == "▁Linux"
    for text in ("Boston", "window", "Fenster", corpus()[0].source):
        assert pieces(after, text) == pieces(before, text)
    tokenizer = Tokenizer.from_bytes(after)
    assert tokenizer.decode_target(tokenizer.encode_target("ba Linux de.")) == "ba Linux de."


def test_its_old_id_still_says_it() -> None:
    """A model that learned to write it before may do so."""
    before = model("unigram")
    linux = Tokenizer.from_bytes(before).encode_target("Linux")
    assert Tokenizer.from_bytes(without_pieces(before, ["▁Linux"])).decode_target(linux) == "Linux"


def test_what_both_sides_of_a_pair_have_is_copied() -> None:
    tokenizer = Tokenizer.from_bytes(model("bpe"))
    halves = [
        [Pair("Linux window", "Linux"), Pair("window Linux", "Boston Linux Linux")],
        [Pair("ba", "Linux")],
    ]
    copied, every = copy_counts(tokenizer, halves)
    linux, window = (tokenizer.encode_source(word)[0] for word in ("Linux", "window"))
    assert (copied[linux], every[linux]) == (2, 4)
    assert (copied[window], every[window]) == (0, 2)


def test_a_model_of_both_directions_tells_copies_from_words_as_one_of_one_does() -> None:
    serialized, both = model("bpe"), corpus() + [Pair(pair.target, pair.source) for pair in corpus()]
    counts = copy_counts(Tokenizer.from_bytes(serialized), [both])
    found = set(rare_copies(serialized, counts, 2 * OFTEN))
    assert {"▁Linux", "▁window", "▁Fenster", "▁Boston"} & found == {"▁Linux"}


@pytest.mark.parametrize("kind", KINDS)
def test_no_drawn_split_has_it(kind: TokenizerKind) -> None:
    after = without_pieces(model(kind), ["▁Linux"])
    tokenizer = Tokenizer.from_bytes(after)
    plain, splits = tokenizer.encode_source("ba Linux de")[:-1], DrawnSplits(after, 0.1)
    for number in (0.01, 0.3, 0.6, 0.99):
        drawn = splits.draw(b"ba Linux de", plain, iter([number] * 100))
        assert "▁Linux" not in tokenizer.source_pieces(drawn)
        assert tokenizer.decode_target(drawn) == "ba Linux de"


def test_a_new_vocabulary_heeds_the_setting(tmp_path: Path) -> None:
    lines = [f"{pair.source}\t{pair.target}\n" for pair in corpus()]
    for name, text in (("train.tsv", lines), ("dev.tsv", lines[-2:])):
        (tmp_path / name).write_text("".join(text), encoding="utf-8")
    settings = config(tokenizer={"kind": "unigram", "vocab_size": 420, "spell_copies_below": 30})
    monitor = ListeningMonitor()
    found = prepare(settings, tmp_path, tmp_path / "run", monitor).tokenizer
    assert found.source_pieces(found.encode_source("Boston")) == ["▁Boston", "</s>"]
    assert len(found.encode_source("Linux")) > 2
    assert "rare words that both sides copy are spelled by smaller pieces" in "\n".join(monitor.lines)


def starting_from(bundle: Path) -> TrainingConfig:
    settings = config().model_dump(exclude={"tokenizer"})
    given = {"start_from": str(bundle), "tokenizer": {"spell_copies_below": 50}}
    return TrainingConfig.model_validate({**settings, **given})


def test_the_vocabulary_of_a_bundle_heeds_the_setting(tmp_path: Path) -> None:
    kept = tiny_bundle(tmp_path / "one").tokenizer
    pieces_of_text = kept.source_pieces(range(kept.source_vocab_size))
    words = [piece for piece in pieces_of_text if piece[0] == "▁" and piece[1:].isalpha()]
    copied = max(words, key=len)
    one, other = tiny_sentences(seed=1), tiny_sentences(seed=2)
    pairs = [Pair(f"{a} {copied[1:]}", f"{copied[1:]} {b}") for a, b in zip(one, other, strict=True)][:20]
    lines = [f"{pair.source}\t{pair.target}\n" for pair in pairs]
    for name, text in (("train.tsv", lines), ("dev.tsv", lines[-2:])):
        (tmp_path / name).write_text("".join(text), encoding="utf-8")
    found = prepare(starting_from(tmp_path / "one"), tmp_path, tmp_path / "run", ListeningMonitor()).tokenizer
    assert kept.source_pieces(kept.encode_source(copied[1:])) == [copied, "</s>"]
    assert len(found.encode_source(copied[1:])) > 2
    assert found.source_vocab_size == kept.source_vocab_size


def test_start_from_keeps_the_bundles_vocabulary_with_it(tmp_path: Path) -> None:
    of_bundle = starting_from(tmp_path / "one")
    assert not of_bundle.learns_vocabulary
    assert of_bundle.to_dict()["tokenizer"] == {"placeholders": 0, "spell_copies_below": 50}
    assert check_recipe(of_bundle.to_dict()) == of_bundle


def test_two_vocabularies_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"spell_copies_below must be 0 with joint: false, got 5"):
        config(tokenizer={"joint": False, "spell_copies_below": 5})
    fault = r"spell_copies_below must be 0 with start_from, whose vocabulary \(.*\) is not one .*got 5"
    with pytest.raises(RecipeError, match=fault):
        _spelling_copies(dictionary_tokenizer(), written(tmp_path), 5, ListeningMonitor())
