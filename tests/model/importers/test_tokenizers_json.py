"""A folder with nothing but `tokenizer.json`: turned back into SentencePiece, it cuts texts as that did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from model.importers.foreign import ForeignFolder
from model.importers.sentencepiece_proto import Kind, Piece, model_bytes
from model.importers.tokenizers_json import read_tokenizers_json
from model.manifest import BundleError
from tests.model.importers.random_fairseq import (
    TEXTS,
    sentencepiece_model,
    write_json,
    write_mbart,
    write_nllb,
)
from tests.model.importers.test_fairseq import imported, their_tokenizer
from tests.model.peers import quiet

KINDS: dict[str, tuple[Callable[..., Any], str, str, str]] = {
    "nllb": (write_nllb, "NllbTokenizer", "eng_Latn", "bpe"),
    "mbart-50": (write_mbart, "MBart50Tokenizer", "en_XX", "unigram"),
}


def resave(folder: Path, kind: str, source: str) -> Any:
    """The tokenizer as transformers 5 keeps it, without SentencePiece's own file."""
    tokenizer = their_tokenizer(kind, folder, source)
    (folder / "sentencepiece.bpe.model").unlink()
    with quiet():
        tokenizer.save_pretrained(folder)
    return tokenizer


@pytest.mark.parametrize("name", KINDS)
def test_texts_are_cut_and_numbered_as_before(tmp_path: Path, name: str) -> None:
    write, kind, source, trained = KINDS[name]
    write(tmp_path / "hf")
    theirs = resave(tmp_path / "hf", kind, source)
    ours = imported(tmp_path / "hf")
    assert not (tmp_path / "hf" / "sentencepiece.bpe.model").exists()
    original = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(trained))
    signal = ours.info.signals.of(source, ours.info.languages.targets_of(source)[0])
    for text in TEXTS:
        ids = ours.tokenizer.encode_source(text)
        cut = ["<unk>" if original.is_unknown(n) else original.id_to_piece(n) for n in original.encode(text)]
        assert ours.tokenizer.source_pieces(ids[:-1]) == cut, text
        if text != "  two  spaces ":  # where theirs keeps the last
            assert [*signal.before_source, *ids] == theirs(text).input_ids
        assert (
            ours.tokenizer.decode_target(ids).strip() == theirs.decode(ids, skip_special_tokens=True).strip()
        )


def test_it_says_the_ids_where_sentencepiece_is_there_too(tmp_path: Path) -> None:
    write_nllb(tmp_path / "hf")
    model = (tmp_path / "hf" / "sentencepiece.bpe.model").read_bytes()
    theirs = resave(tmp_path / "hf", "NllbTokenizer", "eng_Latn")
    (tmp_path / "hf" / "sentencepiece.bpe.model").write_bytes(model)
    ours = imported(tmp_path / "hf")
    # transformers numbers languages otherwise here than the published models do; what it wrote counts.
    codes = ["eng_Latn", "zul_Latn"]
    assert [ours.info.signals.token_ids[code] for code in codes] == theirs.convert_tokens_to_ids(codes)
    assert ours.tokenizer.files()["tokenizer.model"] == model


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": None}, "model must be an object"),
        ({"added_tokens": [{"content": "x"}]}, "added_tokens must have content and id"),
        ({"model.vocab": ["a"]}, "model.vocab must be pieces with scores, or pieces with ids"),
        ({"model.type": "WordPiece"}, "model.type must be Unigram or BPE, got 'WordPiece'"),
        ({"model.byte_fallback": True}, "model.byte_fallback must be false"),
        ({"model.merges": [["a"]]}, "model.merges must be pairs of pieces"),
        ({"model.merges": None}, "model.merges must be a list"),
        ({"model.merges": [[1, 2]]}, "model.merges must be pairs of pieces"),
        ({"normalizer": "x"}, "normalizer must be an object"),
        ({"normalizer": {"normalizers": None}}, "normalizer.normalizers must be a list of objects"),
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": 5}}, "precompiled_charsmap"),
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}, "tokenizer.json: "),
        ({"added_tokens": [{"content": ["x"], "id": 1}]}, "added_tokens must have content and id"),
        ({"model.vocab": [["a", 10**400]]}, "model.vocab must be pieces with scores"),
        ({"model.vocab": {"a": 0, "b": 0}}, "must have an id of its own"),
        ({"model.vocab": {}, "added_tokens": []}, "no piece is a language such as ace_Arab"),
        (
            {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "%"}},
            "normalizer.precompiled_charsmap",
        ),
    ],
)
def test_what_is_not_understood_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    write_nllb(tmp_path / "hf")
    resave(tmp_path / "hf", "NllbTokenizer", "eng_Latn")
    path = tmp_path / "hf" / "tokenizer.json"
    content = json.loads(path.read_text())
    for key, value in change.items():
        place, _, leaf = key.rpartition(".")
        (content[place] if place else content)[leaf] = value
    write_json(path, content)
    with pytest.raises(BundleError, match=r"tokenizer\.json") as caught:
        imported(tmp_path / "hf")
    assert named in str(caught.value)


def test_a_written_model_is_one_that_sentencepiece_reads() -> None:
    pieces = [Piece("▁", -1.0), Piece("a", -2.5), Piece("▁a", -1.25), Piece("é", -3.0)]
    for kind in Kind:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model_bytes(kind, pieces, b""))
        assert processor.get_piece_size() == 7
        assert [processor.unk_id(), processor.bos_id(), processor.eos_id(), processor.pad_id()] == [
            0,
            1,
            2,
            -1,
        ]
        assert processor.encode("a  aé ", out_type=str) == ["▁a", "▁a", "é"]
        assert [round(processor.get_score(number), 3) for number in range(3, 7)] == [-1.0, -2.5, -1.25, -3.0]


def test_the_reader_knows_scored_and_numbered_pieces(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {})
    scored = {"model": {"type": "Unigram", "vocab": [["<unk>", 0], ["a", -1.5]]}}
    write_json(tmp_path / "tokenizer.json", scored)
    assert read_tokenizers_json(ForeignFolder.open(tmp_path)).ids == {"<unk>": 0, "a": 1}
    wrong = {"model": {"type": "Unigram", "vocab": {"a": 0}}}
    write_json(tmp_path / "tokenizer.json", wrong)
    with pytest.raises(BundleError, match="pieces with scores, as Unigram"):
        read_tokenizers_json(ForeignFolder.open(tmp_path)).sentencepiece_model(())
