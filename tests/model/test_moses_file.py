"""`moses.json`: written, read again, refused by name; and a bundle that has it in place of SentencePiece."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint import load_bundle, load_bundle_head, save_bundle
from model.moses_file import MOSES_FILE, MosesModel
from model.tokenizer import Tokenizer, TokenizerError
from tests.builders import tiny_info, tiny_model, tiny_sentences
from tests.model.bundle_faults import fault_of, refresh_manifest
from tests.model.byte_pairs import moses_model

MODEL = moses_model(" ".join(tiny_sentences(60)).replace(".", " .").split())


def save(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_moses(MODEL)
    sizes = {
        "source_vocab_size": tokenizer.source_vocab_size,
        "target_vocab_size": tokenizer.target_vocab_size,
    }
    model = tiny_model(**sizes, pad_id=1, eos_id=2, decoder_start_id=2)
    save_bundle(
        folder, model=model, tokenizer=tokenizer, info=tiny_info(), model_card="x", dtype=torch.float32
    )
    return tokenizer


def test_a_bundle_keeps_it_in_one_file(tmp_path: Path) -> None:
    tokenizer = save(tmp_path / "bundle")
    for loaded in (
        load_bundle(tmp_path / "bundle").tokenizer,
        load_bundle_head(tmp_path / "bundle").tokenizer,
    ):
        assert loaded.files() == tokenizer.files() == {MOSES_FILE: MODEL.to_bytes()}
        assert loaded.encode_source("Ba de fi.") == tokenizer.encode_source("Ba de fi.")
    assert Tokenizer.load(tmp_path / "bundle").files() == tokenizer.files()
    assert (tokenizer.pad_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.bos_id) == (1, 2, 3, 0)


def test_each_side_has_its_own_language_and_dictionary() -> None:
    pieces = (*MODEL.source, "extra</w>")
    content = MosesModel(
        source_language="en",
        target_language="fr",
        lowercase=True,
        source=MODEL.source,
        target=pieces,
        merges=MODEL.merges,
    )
    assert MosesModel.from_bytes(content.to_bytes()) == content
    tokenizer = Tokenizer.from_moses(content)
    assert tokenizer.target_vocab_size == tokenizer.source_vocab_size + 1
    assert tokenizer.encode_source("de'fi")[:-1] != tokenizer.encode_target("de'fi")[:-1]


def test_a_continuation_begins_with_the_space_before_its_word() -> None:
    tokenizer = Tokenizer.from_moses(MODEL)
    ids = tokenizer.encode_target("de fi.")[:-1]
    assert tokenizer.decode_target_continuation(ids) == " de fi."
    assert tokenizer.decode_target(ids) == "de fi."
    assert tokenizer.is_contextual


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"merges": ["a"]}, "merges must be two pieces each, got 'a'"),
        ({"merges": ["a b c"]}, "merges must be two pieces each"),
        ({"merges": "ab"}, "merges must be a list of strings"),
        ({"source": ["<s>", 5]}, "source must be a list of strings"),
        ({"source": ["<s>", "<pad>", "<unk>", "a</w>"]}, "no eos piece"),
        (
            {"source": ["<s>", "<pad>", "</s>", "<unk>", "."]},
            "no piece of the vocabulary is a word of letters",
        ),
        ({"lowercase": 1}, "lowercase must be true or false"),
        ({"target_language": ""}, "target_language must be a language code"),
        ({"colour": "red"}, "must be an object with"),
    ],
)
def test_bad_content_is_refused_by_name(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    save(tmp_path / "bundle")
    path = tmp_path / "bundle" / MOSES_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    refresh_manifest(tmp_path / "bundle")
    assert named in fault_of(tmp_path / "bundle", MOSES_FILE)


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(TokenizerError, match=r"moses\.json"):
        MosesModel.from_bytes(content)


def test_another_tokenizer_beside_it_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "bundle")
    (tmp_path / "bundle" / "tokenizer.model").write_bytes(b"x")
    refresh_manifest(tmp_path / "bundle")
    assert "stands beside tokenizer.model" in fault_of(tmp_path / "bundle", MOSES_FILE)
