"""An exported folder gives transformers and CTranslate2 the same network, the same ids, the same answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from model.config import ConfigError
from model.decoding.options import DecodingOptions
from model.decoding.search import decode_batch
from model.exporters.marian_hf import export_marian_hf, remarks
from model.language_signals import LanguageSignals
from model.manifest import BundleError
from model.masks import pad_batch
from model.tokenizer import Tokenizer
from model.transformer import Transformer, next_log_probs
from tests.builders import dictionary_tokenizer, tiny_info, tiny_model, tiny_sentences, tiny_tokenizer
from tests.model.byte_pairs import moses_model
from tests.model.closeness import distance
from tests.model.peers import ct2_translator, hf_generate, hf_model, hf_tokenizer

PRE = {"norm": "pre", "final_norm": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "as-shipped": {**PRE, "tie_output": True},
    "pre-norm-deep-shallow": {**PRE, "num_encoder_layers": 3, "num_decoder_layers": 1, "activation": "gelu"},
    "pre-norm-learned": {**PRE, "positions": "learned", "position_offset": 2, "scale_embeddings": False},
    "post-norm": {"tie_output": True},
    "marian": {"sinusoid_layout": "halves", "activation": "silu", "tie_output": True, "output_bias": True},
    "fairseq-sinusoids": {"sinusoid_layout": "fairseq", "position_offset": 2, "encoder_ffn_dim": 40},
    "two-tables": {"share_embeddings": False},
}
GREEDY = DecodingOptions(strategy="greedy", max_length=40)


def build(variant: str, **more: Any) -> Transformer:
    """A random network that has the tiny tokenizer's vocabulary, with a bias that is not zero."""
    size = tiny_tokenizer().source_vocab_size
    sizes = {"source_vocab_size": size, "target_vocab_size": size}
    model = tiny_model(3, **{**sizes, **VARIANTS[variant], **more})
    if model.output.bias is not None:
        torch.nn.init.normal_(model.output.bias, std=0.1, generator=torch.Generator().manual_seed(0))
    return model


def export(folder: Path, model: Transformer, tokenizer: Tokenizer | None = None) -> Path:
    export_marian_hf(
        folder / "hf",
        model=model,
        tokenizer=tokenizer or tiny_tokenizer(),
        info=tiny_info(),
        model_card="# Tiny\n",
    )
    return folder / "hf"


def barred_pieces(folder: Path) -> list[list[str]]:
    """`bad_words_ids` in pieces, for CTranslate2."""
    pieces = {i: piece for piece, i in json.loads((folder / "vocab.json").read_text()).items()}
    barred = json.loads((folder / "generation_config.json").read_text())["bad_words_ids"]
    return [[pieces[i]] for (i,) in barred if not (pieces[i] == "<pad>" and i == len(pieces) - 1)]


def sources(count: int = 24) -> list[list[int]]:
    return tiny_tokenizer().encode_sources(list(tiny_sentences(count, seed=5)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_transformers_computes_the_same_logits_and_the_same_greedy_tokens(
    tmp_path: Path, variant: str
) -> None:
    model = build(variant)
    folder = export(tmp_path, model)
    theirs = hf_model(folder)
    ids, mask = pad_batch(sources()[:6], model.config.pad_id)
    targets = torch.tensor([[5, 9, 11, 7]] * 6)
    ours_in = torch.cat([torch.full((6, 1), model.config.decoder_start_id), targets], dim=1)
    theirs_in = torch.cat([torch.full((6, 1), theirs.config.decoder_start_token_id), targets], dim=1)
    with torch.no_grad():
        logits = theirs(input_ids=ids, attention_mask=mask.long(), decoder_input_ids=theirs_in).logits
        expected = model(ids, mask, ours_in)
    assert distance(logits[..., : expected.shape[-1]], expected) < 1e-4
    # With an added start token, too: it takes nothing from the others.
    log_probs = next_log_probs(logits)[..., : expected.shape[-1]]
    assert distance(log_probs, next_log_probs(expected)) < 1e-4
    answers = [list(found[0].token_ids) for found in decode_batch(model, sources(), GREEDY)]
    assert len(set(map(tuple, answers))) > 12
    options = {"num_beams": 1, "max_new_tokens": 40}
    assert hf_generate(theirs, sources(), theirs.config.pad_token_id, **options) == answers


@pytest.mark.parametrize("variant", ["as-shipped", "marian", "fairseq-sinusoids"])
def test_ctranslate2s_own_converter_reads_it_and_answers_the_same(tmp_path: Path, variant: str) -> None:
    model, tokenizer = build(variant), tiny_tokenizer()
    translator = ct2_translator(export(tmp_path, model), tmp_path / "ct2")
    results = translator.translate_batch(
        [tokenizer.source_pieces(ids) for ids in sources()],
        beam_size=1,
        max_decoding_length=40,
        suppress_sequences=barred_pieces(tmp_path / "hf"),  # it does not read generation_config.json
    )
    answers = [
        tokenizer.target_pieces(found[0].token_ids) for found in decode_batch(model, sources(), GREEDY)
    ]
    assert [result.hypotheses[0] for result in results] == answers


def test_the_exported_tokenizer_gives_the_same_ids_and_the_same_text(tmp_path: Path) -> None:
    texts = [*tiny_sentences(50, seed=9), "", "naïve ☃ 12,5", "  two  spaces ", "ÄÖÜ\tß"]
    tokenizer = hf_tokenizer(export(tmp_path, build("as-shipped")))
    ours = tiny_tokenizer()
    assert tokenizer(texts).input_ids == ours.encode_sources(texts)
    for ids in ours.encode_targets(texts):
        assert tokenizer.decode(ids, skip_special_tokens=True) == ours.decode_target(ids).strip()


def test_a_dictionary_is_written_as_it_is_and_the_start_token_stays_the_last(tmp_path: Path) -> None:
    ours = dictionary_tokenizer()
    size = ours.source_vocab_size
    sizes = {"source_vocab_size": size, "target_vocab_size": size}
    model = build("marian", **sizes, pad_id=size - 1, eos_id=0, decoder_start_id=size - 1)
    with torch.no_grad():
        model.target_embedding.tokens.weight[-1] = 0
    folder = export(tmp_path, model, ours)
    tokenizer = hf_tokenizer(folder)
    texts = list(tiny_sentences(30, seed=9))
    assert tokenizer(texts).input_ids == ours.encode_sources(texts)
    assert tokenizer(text_target=texts).input_ids == ours.encode_targets(texts)
    config = json.loads((folder / "config.json").read_text())
    assert (config["vocab_size"], config["pad_token_id"], config["eos_token_id"]) == (size, size - 1, 0)
    assert remarks(model, ours) == []


def test_separate_vocabularies_have_a_dictionary_each(tmp_path: Path) -> None:
    ours = tiny_tokenizer(joint=False)
    folder = export(tmp_path, build("two-tables"), ours)
    tokenizer = hf_tokenizer(folder)
    text = "Badefi gohu!"
    assert tokenizer(text).input_ids == ours.encode_source(text)
    assert tokenizer(text_target=text).input_ids == ours.encode_target(text)
    assert any("one vocabulary" in remark for remark in remarks(build("two-tables"), ours))


def test_whoever_may_read_the_folder_may_read_all_of_it(tmp_path: Path) -> None:
    modes = {path.stat().st_mode for path in export(tmp_path, build("as-shipped")).iterdir()}
    assert len(modes) == 1


def test_what_is_never_text_is_never_generated(tmp_path: Path) -> None:
    model = build("post-norm")
    barred = json.loads((export(tmp_path, model) / "generation_config.json").read_text())["bad_words_ids"]
    assert barred == [[0], [2], [480]]


def test_what_the_decoding_bans_is_told_to_transformers_too(tmp_path: Path) -> None:
    decoding = DecodingOptions(banned_ids=((7,), (8, 9)), no_repeat_ngram_size=3)
    info = tiny_info(decoding=decoding)
    export_marian_hf(
        tmp_path / "hf", model=build("post-norm"), tokenizer=tiny_tokenizer(), info=info, model_card=""
    )
    said = json.loads((tmp_path / "hf" / "generation_config.json").read_text())
    assert (said["bad_words_ids"][-2:], said["no_repeat_ngram_size"]) == ([[7], [8, 9]], 3)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"final_norm": False}, "final_norm"),
        ({"embedding_norm": True}, "embedding_norm"),
        ({"share_embeddings": False, "tie_output": False}, "share_embeddings"),
        ({"decoder_start_id": 3}, "decoder_start_id"),
        ({"positions": "learned", "max_source_length": 32}, "max_target_length"),
    ],
)
def test_a_network_that_neither_class_can_be_is_refused_by_field_and_nothing_is_written(
    tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^{field} must be .*marian-hf"):
        export(tmp_path, build("as-shipped", **change))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "mine.txt").write_text("mine")
    with pytest.raises(BundleError, match="not empty"):
        export(tmp_path, build("as-shipped"))
    assert [path.name for path in tmp_path.rglob("*")] == ["hf", "mine.txt"]


def test_other_heads_on_either_side_are_remarked() -> None:
    model = build("post-norm", num_decoder_heads=8)
    assert any("number of heads" in remark for remark in remarks(model, tiny_tokenizer()))
    assert remarks(build("post-norm"), tiny_tokenizer()) == []


@pytest.mark.parametrize(
    ("signals", "field"),
    [({"target": "forced_token"}, "target_signal"), ({"source": "prefix"}, "source_signal")],
)
def test_a_model_that_is_told_its_languages_otherwise_is_refused(
    tmp_path: Path, signals: dict[str, Any], field: str
) -> None:
    told = LanguageSignals(token_ids={"en": 5, "de": 6}, **signals)
    tokenizer = tiny_tokenizer()
    size = tokenizer.source_vocab_size
    model = tiny_model(source_vocab_size=size, target_vocab_size=size)
    with pytest.raises(ConfigError, match=rf"^{field} must be .*marian-hf"):
        export_marian_hf(
            tmp_path / "hf", model=model, tokenizer=tokenizer, info=tiny_info(signals=told), model_card="x"
        )


def test_moses_words_are_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_moses(moses_model(["ba", "de", "fi", "go"]))
    size = tokenizer.source_vocab_size
    ids = {"pad_id": 1, "eos_id": 2, "decoder_start_id": 2}
    model = tiny_model(source_vocab_size=size, target_vocab_size=size, **ids)
    with pytest.raises(ConfigError, match="tokenizer must be SentencePiece's for format marian-hf"):
        export_marian_hf(tmp_path / "hf", model=model, tokenizer=tokenizer, info=tiny_info(), model_card="x")
