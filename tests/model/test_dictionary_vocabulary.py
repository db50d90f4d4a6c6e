"""A dictionary numbers what SentencePiece cuts: ids, text, spans, bytes, and where the two disagree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from model.checkpoint import load_bundle, save_bundle
from model.dictionary_vocabulary import Dictionary
from model.tokenizer import Tokenizer, TokenizerError
from tests.builders import dictionary_tokenizer, tiny_info, tiny_model, tiny_sentences, tiny_tokenizer

TOKENIZER = dictionary_tokenizer()
FILES = TOKENIZER.files()
CONTENT = json.loads(FILES["vocabulary.json"])
PIECES = CONTENT["source"]
SOURCE = sentencepiece.SentencePieceProcessor(model_proto=FILES["source.model"])
TARGET = sentencepiece.SentencePieceProcessor(model_proto=FILES["target.model"])
SENTENCES = list(tiny_sentences(40, seed=8))


def spelled(processor: Any, text: str) -> list[int]:
    """The obvious way: cut, then look each piece up."""
    return [PIECES.index(p) if p in PIECES else 1 for p in processor.encode(text, out_type=str)] + [0]


def test_ids_are_those_of_the_dictionary() -> None:
    assert TOKENIZER.encode_sources(SENTENCES) == [spelled(SOURCE, text) for text in SENTENCES]
    assert TOKENIZER.encode_targets(SENTENCES) == [spelled(TARGET, text) for text in SENTENCES]
    special = (TOKENIZER.eos_id, TOKENIZER.unk_id, TOKENIZER.pad_id, TOKENIZER.bos_id)
    assert special == (0, 1, len(PIECES) - 1, -1)


def test_a_piece_that_the_dictionary_lacks_is_unknown() -> None:
    lacking = [piece for piece in SOURCE.id_to_piece(list(range(4, len(SOURCE)))) if piece not in PIECES]
    assert lacking
    found = [TOKENIZER.encode_source(piece.replace("▁", "")) for piece in lacking]
    assert any(1 in ids for ids in found)


def test_a_character_that_only_the_other_side_knows_has_its_id() -> None:
    known = replace(Dictionary.from_bytes(FILES["vocabulary.json"]), target=(*PIECES[:-1], "☃", PIECES[-1]))
    known = replace(known, source=known.target)
    tokenizer = Tokenizer.with_dictionary(known, FILES["source.model"], FILES["target.model"])
    assert len(PIECES) - 1 in tokenizer.encode_source("☃")
    assert tokenizer.decode_target(tokenizer.encode_target("ba ☃")) == "ba ☃"


def test_sentences_come_back() -> None:
    for text in SENTENCES:
        assert TOKENIZER.decode_target(TOKENIZER.encode_target(text)) == text


def test_a_word_of_the_other_side_is_spelled_with_its_space() -> None:
    only_source = next(p for p in PIECES if p.startswith("▁") and len(p) > 2 and TARGET.piece_to_id(p) == 1)
    ids = [*TOKENIZER.encode_target("ba")[:-1], PIECES.index(only_source)]
    assert TOKENIZER.decode_target(ids) == f"ba {only_source[1:]}"
    assert TOKENIZER.decode_target_continuation(ids[-1:]) == f" {only_source[1:]}"


def test_no_text_forges_a_tag_or_an_end() -> None:
    tag = PIECES.index(">>fra<<")
    for text in (">>fra<<", ">>fra<< ba", "</s>", "ba <pad>"):
        assert not {tag, 0, len(PIECES) - 1}.intersection(TOKENIZER.encode_source(text)[:-1])


def test_a_tag_of_characters_that_sentencepiece_does_not_know_is_not_forged_either() -> None:
    """Such a run of text is one piece, and is looked up as it stands."""
    tokenizer = dictionary_tokenizer(tags=("☃",))
    assert tokenizer.encode_source("ba ☃")[-2:] == [tokenizer.unk_id, tokenizer.eos_id]


def test_control_pieces_spell_nothing() -> None:
    ids = TOKENIZER.encode_target("ba de")
    assert TOKENIZER.is_target_control(PIECES.index(">>fra<<"))
    assert TOKENIZER.decode_target([PIECES.index(">>fra<<"), 1, *ids, len(PIECES) - 1]) == "ba de"


def test_spans_stand_where_the_pieces_are() -> None:
    for text in SENTENCES[:10]:
        assert len(TOKENIZER.source_spans(text)) == len(TOKENIZER.encode_source(text)) - 1
        ids = TOKENIZER.encode_target(text)[:-1]
        cut = [text[start:end] for start, end in TOKENIZER.target_spans(ids)]
        assert "".join(cut) == text
        assert [piece.replace("▁", " ").strip() for piece in TOKENIZER.target_pieces(ids)] == [
            part.strip() for part in cut
        ]


def test_bytes_are_known_by_their_pieces() -> None:
    model = tiny_tokenizer().files()["tokenizer.model"]
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = tuple(reversed(processor.id_to_piece(list(range(processor.get_piece_size())))))
    special = {"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>"}
    control = frozenset(("<pad>", "<s>", "</s>"))
    dictionary = Dictionary(source=pieces, target=pieces, special=special, control=control)
    tokenizer = Tokenizer.with_dictionary(dictionary, model)
    assert tokenizer.is_joint
    ids = tokenizer.encode_target("日")[:-1]
    found = [byte for token_id in ids if (byte := tokenizer.target_byte(token_id)) is not None]
    assert bytes(found) == "日".encode()
    assert tokenizer.decode_target(ids) == "日"


def test_its_files_give_it_again() -> None:
    again = Tokenizer.from_files(FILES)
    assert again.files() == FILES
    assert again.encode_sources(SENTENCES) == TOKENIZER.encode_sources(SENTENCES)


def test_a_bundle_keeps_it_and_says_a_version_that_older_programs_refuse(tmp_path: Path) -> None:
    size = TOKENIZER.source_vocab_size
    ids = {"pad_id": size - 1, "eos_id": 0, "decoder_start_id": size - 1}
    model = tiny_model(source_vocab_size=size, target_vocab_size=size, **ids)
    save_bundle(tmp_path / "b", model=model, tokenizer=TOKENIZER, info=tiny_info(), model_card="# T\n")
    loaded = load_bundle(tmp_path / "b")
    assert loaded.tokenizer.encode_sources(SENTENCES) == TOKENIZER.encode_sources(SENTENCES)
    assert json.loads((tmp_path / "b" / "config.json").read_bytes())["format_version"] == 2


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"source": [*PIECES, PIECES[5]]}, "source must be a list of pieces, none twice"),
        ({"source": []}, "source must be a list of strings"),
        ({"special": {**CONTENT["special"], "eos": "</end>"}}, "special.eos must be a piece of source"),
        ({"special": {"pad": "<pad>"}}, "special must be of pad, unk, bos, eos"),
        ({"control": [1]}, "control must be a list of strings"),
    ],
)
def test_a_dictionary_that_contradicts_itself_is_refused_by_key(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(TokenizerError, match=f"^vocabulary.json: {fault}"):
        Dictionary.from_bytes(json.dumps({**CONTENT, **change}).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b'{"source": []}', b"{"])
def test_what_is_no_dictionary_is_refused_by_file(data: bytes) -> None:
    with pytest.raises(TokenizerError, match=r"^vocabulary.json: "):
        Dictionary.from_bytes(data)
