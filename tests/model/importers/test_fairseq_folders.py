"""What M2M-100, NLLB, mBART and FSMT folders say of their languages, and which are refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from model.config import ConfigError
from model.importers.fairseq_vocabulary import sentencepiece_dictionary
from model.manifest import BundleError
from model.vocabulary import TokenizerError
from tests.model.importers.random_fairseq import (
    num_pieces,
    write_fsmt,
    write_json,
    write_m2m,
    write_mbart,
    write_nllb,
)
from tests.model.importers.test_fairseq import imported
from tests.model.peers import quiet


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None takes a key away."""
    content = {**(json.loads(path.read_text()) if path.exists() else {}), **changes}
    write_json(path, {key: value for key, value in content.items() if value is not None})


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    change(tensors)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")


def fault(folder: Path, **wanted: Any) -> str:
    with pytest.raises((BundleError, ConfigError)) as caught:
        imported(folder, **wanted)
    assert not (folder.parent / f"{folder.name}-bundle").exists()
    return str(caught.value)


def test_all_languages_go_into_all_others_unless_fewer_are_wanted(tmp_path: Path) -> None:
    write_nllb(tmp_path / "hf")
    every = imported(tmp_path / "hf").info
    assert (len(every.languages), every.languages.is_product) == (202 * 201, True)
    assert len(every.signals.token_ids) == 202
    assert (tmp_path / "hf-bundle" / "config.json").stat().st_size < 15_000
    few = imported(tmp_path / "hf", sources=("eng_Latn",), targets=("deu_Latn", "fra_Latn")).info
    assert sorted(few.languages) == [("eng_Latn", "deu_Latn"), ("eng_Latn", "fra_Latn")]
    assert sorted(few.signals.token_ids) == ["deu_Latn", "eng_Latn", "fra_Latn"]
    assert "the model has no language 'tlh'; it has ace_Arab" in fault_of_wanted(tmp_path, targets=("tlh",))
    nearest_first = fault_of_wanted(tmp_path, sources=("de",))
    assert "the model has no language 'de'; it has deu_Latn, ace_Arab" in nearest_first
    assert nearest_first.endswith(" and 182 more")


def fault_of_wanted(tmp_path: Path, **wanted: Any) -> str:
    with pytest.raises(BundleError) as caught:
        imported(tmp_path / "hf", **wanted)
    return str(caught.value)


def test_a_forced_target_is_the_only_one(tmp_path: Path) -> None:
    write_mbart(tmp_path / "hf")
    english = num_pieces("unigram") + 1 + 3
    write_json(tmp_path / "hf" / "generation_config.json", {"forced_bos_token_id": english, "num_beams": 5})
    info = imported(tmp_path / "hf").info
    assert info.languages.targets == ("en_XX",)
    assert len(info.languages) == 51
    assert info.decoding.beam_size == 5


@pytest.mark.parametrize("write", [write_m2m, write_nllb, write_mbart, write_fsmt])
def test_what_a_target_starts_with_and_never_has_is_kept(tmp_path: Path, write: Callable[..., Any]) -> None:
    write(tmp_path / "hf")
    said = {"decoder_start_token_id": 0, "bad_words_ids": [[7], [8, 9], [2], [1], [0], [7]]}
    edit(tmp_path / "hf" / "generation_config.json", **said, no_repeat_ngram_size=3)
    bundle = imported(tmp_path / "hf")
    assert bundle.config.decoder_start_id == 0
    assert bundle.info.decoding.banned_ids == ((7,), (8, 9))
    assert bundle.info.decoding.no_repeat_ngram_size == 3


def test_an_mbart_that_was_tuned_to_one_target_starts_with_it(tmp_path: Path) -> None:
    write_mbart(tmp_path / "hf", languages=25, start="ro_RO")
    bundle = imported(tmp_path / "hf")
    assert list(bundle.info.languages) == [("en_XX", "ro_RO")]
    assert bundle.info.signals.of("en_XX", "ro_RO").before_target == ()
    assert list(imported(tmp_path / "hf", sources=("de_DE",)).info.languages) == [("de_DE", "ro_RO")]
    assert "decoder_start_token_id says ro_RO" in fault_of_wanted(tmp_path, targets=("en_XX",))
    edit(tmp_path / "hf" / "tokenizer_config.json", src_lang=None)
    assert "src_lang is missing; say the source language with --source" in fault_of_wanted(tmp_path)


def test_an_fsmt_pair_may_be_called_otherwise(tmp_path: Path) -> None:
    write_fsmt(tmp_path / "hf", langs=("ru", "en"))
    assert list(imported(tmp_path / "hf").info.languages) == [("ru", "en")]
    renamed = imported(tmp_path / "hf", sources=("rus",), targets=("en-GB",))
    assert list(renamed.info.languages) == [("rus", "en-GB")]
    assert json.loads(renamed.tokenizer.files()["moses.json"])["source_language"] == "ru"
    assert "--target must be one language" in fault_of_wanted(tmp_path, targets=("en", "de"))
    reverse = fault_of_wanted(tmp_path, sources=("en",), targets=("ru",))
    assert "config.json: --source must be ru (langs), and not of the other side, got 'en'" in reverse


@pytest.mark.parametrize("write", [write_m2m, write_nllb, write_mbart, write_fsmt])
def test_a_truncated_or_half_folder_is_refused_by_name(tmp_path: Path, write: Callable[..., Any]) -> None:
    write(tmp_path / "hf")
    weights = tmp_path / "hf" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "model.safetensors: not a whole safetensors file" in fault(tmp_path / "hf")
    weights.write_bytes(whole)
    edit_tensors(tmp_path / "hf", lambda tensors: tensors.pop("model.decoder.layers.1.fc2.bias"))
    assert "tensor model.decoder.layers.1.fc2.bias is missing" in fault(tmp_path / "hf")
    weights.write_bytes(whole)
    edit_tensors(tmp_path / "hf", lambda tensors: tensors.update(extra=torch.zeros(3)))
    assert "tensor extra does not belong to this architecture" in fault(tmp_path / "hf")
    weights.write_bytes(whole)
    edit(tmp_path / "hf" / "config.json", encoder_ffn_dim=128)
    assert "tensor model.encoder.layers.0.fc1.weight" in fault(tmp_path / "hf")


@pytest.mark.parametrize("write", [write_m2m, write_nllb, write_mbart])
def test_a_cut_sentencepiece_model_is_named_as_the_folder_names_it(
    tmp_path: Path, write: Callable[..., Any]
) -> None:
    write(tmp_path / "hf")
    model = tmp_path / "hf" / "sentencepiece.bpe.model"
    model.write_bytes(model.read_bytes()[:300])
    assert "hf: sentencepiece.bpe.model: not a SentencePiece model" in fault(tmp_path / "hf")


FAULTS: dict[str, tuple[Callable[..., Any], str, dict[str, Any], str]] = {
    "foreign": (write_m2m, "config.json", {"model_type": "bert"}, "model_type must be one of"),
    "heads": (
        write_m2m,
        "config.json",
        {"encoder_attention_heads": 5},
        "num_encoder_heads must be a divisor",
    ),
    "activation": (
        write_nllb,
        "config.json",
        {"activation_function": "gelu_new"},
        "activation_function must be",
    ),
    "vocabulary": (write_nllb, "config.json", {"vocab_size": None}, "vocab_size is missing"),
    "small": (
        write_nllb,
        "config.json",
        {"vocab_size": 100},
        "pieces, languages among them, for a network of 100",
    ),
    "beams": (write_nllb, "generation_config.json", {"num_beams": "4"}, "num_beams must be an integer"),
    "legacy": (
        write_nllb,
        "tokenizer_config.json",
        {"legacy_behaviour": "yes"},
        "legacy_behaviour must be true",
    ),
    "codes": (write_m2m, "tokenizer_config.json", {"language_codes": "x"}, "language_codes must be one of"),
    "class": (
        write_mbart,
        "tokenizer_config.json",
        {"tokenizer_class": "T5Tokenizer"},
        "tokenizer_class must be",
    ),
    "start": (
        lambda folder: write_mbart(folder, languages=25),
        "config.json",
        {},
        "decoder_start_token_id must be the token of the target language",
    ),
    "langs": (write_fsmt, "config.json", {"langs": ["en"]}, "langs must be two language codes"),
    "case": (
        write_fsmt,
        "tokenizer_config.json",
        {"do_lower_case": 1},
        "do_lower_case must be true or false",
    ),
    "first-token": (
        write_nllb,
        "generation_config.json",
        {"forced_bos_token_id": 5},
        "generation_config.json: forced_bos_token_id must be the token of a language, got 5",
    ),
    "first-token-of-one-pair": (
        write_fsmt,
        "generation_config.json",
        {"forced_bos_token_id": 5},
        "generation_config.json: forced_bos_token_id must be left out",
    ),
    "huge": (write_m2m, "config.json", {"vocab_size": 10**12}, "config.json: describes at least"),
    "deep": (write_mbart, "config.json", {"decoder_layers": 10**9}, "config.json: describes at least"),
    "wide": (write_fsmt, "config.json", {"decoder_ffn_dim": 10**12}, "config.json: describes at least"),
    "barred": (
        write_m2m,
        "generation_config.json",
        {"bad_words_ids": [[4], [99_999]]},
        "generation_config.json: bad_words_ids must be a list of lists of token ids in 0..",
    ),
    "eos": (
        write_fsmt,
        "config.json",
        {"eos_token_id": 5},
        "generation_config.json: eos_token_id must be 5, as in config.json",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_setting_that_is_not_understood_is_named(tmp_path: Path, name: str) -> None:
    write, file, changes, named = FAULTS[name]
    write(tmp_path / "hf")
    edit(tmp_path / "hf" / file, **changes)
    assert named in fault(tmp_path / "hf")


@pytest.mark.parametrize(
    ("write", "file", "content", "named"),
    [
        (
            write_m2m,
            "sentencepiece.bpe.model",
            b"",
            "the SentencePiece model is empty",
        ),
        (
            write_nllb,
            "sentencepiece.bpe.model",
            b"garbage",
            "sentencepiece.bpe.model: not a SentencePiece model",
        ),
        (write_m2m, "vocab.json", b"{}", "special.pad must be a piece"),
        (
            write_m2m,
            "vocab.json",
            b'{"a": 0, "b": 0}',
            "vocab.json: piece 'b' must have an id of its own in 0..1",
        ),
        (write_m2m, "vocab.json", b'{"a": "0"}', "vocab.json: piece 'a' must have an id of its own"),
        (write_fsmt, "vocab-src.json", b'{"<s>": 0}', "no pad piece"),
        (
            write_fsmt,
            "vocab-tgt.json",
            b'{"<s>": 3}',
            "vocab-tgt.json: piece '<s>' must have an id of its own",
        ),
        (write_fsmt, "merges.txt", b"a b 1\nab\n", "merges.txt: line 2 must be two pieces, got 'ab'"),
        (write_fsmt, "merges.txt", b"a b 1\nt  1\n", "merges.txt: line 2 must be two pieces, got 't  1'"),
        (write_fsmt, "merges.txt", b" b 1\n", "merges.txt: line 1 must be two pieces, got ' b 1'"),
        (write_fsmt, "merges.txt", b"\xff\xfe", "merges.txt: not UTF-8"),
    ],
)
def test_a_broken_tokenizer_file_is_named(
    tmp_path: Path, write: Callable[..., Any], file: str, content: bytes, named: str
) -> None:
    write(tmp_path / "hf")
    (tmp_path / "hf" / file).write_bytes(content)
    assert named in fault(tmp_path / "hf")
    (tmp_path / "hf" / file).unlink()
    assert f"{file}: missing" in fault(tmp_path / "hf")


def test_an_fsmt_with_other_positions_is_refused(tmp_path: Path) -> None:
    write_fsmt(tmp_path / "hf")
    name = "model.encoder.embed_positions.weight"
    edit_tensors(tmp_path / "hf", lambda tensors: tensors.update({name: torch.randn(66, 32)}))
    assert f"tensor {name} does not hold the sinusoids" in fault(tmp_path / "hf")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_fsmt_in_half_precision_may_store_its_sinusoids(tmp_path: Path, dtype: torch.dtype) -> None:
    """As transformers does: every position is rounded."""
    model = write_fsmt(tmp_path / "hf").to(dtype)
    with quiet():
        model.save_pretrained(tmp_path / "hf")
    stored = safetensors.torch.load_file(tmp_path / "hf" / "model.safetensors")
    assert stored["model.encoder.embed_positions.weight"].dtype == dtype
    assert imported(tmp_path / "hf").config.positions == "sinusoidal"


def test_tied_tables_that_differ_are_refused(tmp_path: Path) -> None:
    write_m2m(tmp_path / "hf")
    size = json.loads((tmp_path / "hf" / "config.json").read_text())["vocab_size"]
    other = {"lm_head.weight": torch.zeros(size, 32)}
    edit_tensors(tmp_path / "hf", lambda tensors: tensors.update(other))
    assert "tensor lm_head.weight differs from" in fault(tmp_path / "hf")


def test_a_sentencepiece_model_of_another_kind_is_refused() -> None:
    with pytest.raises(TokenizerError, match="must begin with <unk>, <s>, </s>"):
        sentencepiece_dictionary(["<pad>", "<unk>", "<s>", "</s>"], ["en"], 100)
