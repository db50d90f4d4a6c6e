"""An imported Marian model computes, writes and spells what transformers makes of the same folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from model.checkpoint import Bundle, load_bundle
from model.decoding.options import DecodingOptions
from model.decoding.search import decode_batch
from model.importers.foreign import ForeignFolder
from model.importers.mapping import Wanted
from model.importers.registry import import_folder
from model.manifest import BundleError
from model.masks import pad_batch
from model.tokenizer import Tokenizer
from tests.builders import dictionary_tokenizer
from tests.model.closeness import distance
from tests.model.importers.decided import WIDE_ENOUGH, narrowest_choice
from tests.model.importers.random_marian import SENTENCES, TEXTS, random_model, write_marian, write_tokenizer
from tests.model.peers import hf_generate, hf_tokenizer, quiet

SHAPES: dict[str, dict[str, Any]] = {
    "opus": {},
    "untied": {"tie_word_embeddings": False, "end_factor": 1.0, "seed": 6},
    "two-tables": {"share_encoder_decoder_embeddings": False},
    "odd-heads-deep-shallow": {
        "d_model": 48,
        "encoder_layers": 3,
        "decoder_layers": 1,
        "encoder_attention_heads": 3,
        "decoder_attention_heads": 6,
        "activation_function": "relu",
        "end_factor": 0.7,
    },
    "pre-norm": {
        "normalize_before": True,
        "tie_word_embeddings": False,
        "encoder_layers": 3,
        "encoder_attention_heads": 1,
        "end_factor": 1.0,
        "seed": 5,
    },
    "unscaled-gelu": {"scale_embedding": False, "activation_function": "gelu", "end_factor": 8.0},
}
GREEDY = DecodingOptions(strategy="greedy", max_length=24)
# The definitions of transformers and ours are one for plain sums, stopped when as many as beams have ended.
BEAM = DecodingOptions(beam_size=4, length_penalty=0.0, max_length=24)
THEIR_BEAM = {"num_beams": 4, "length_penalty": 0.0, "early_stopping": True, "max_new_tokens": 24}


def imported(folder: Path, **wanted: Any) -> Bundle:
    bundle = folder.parent / f"{folder.name}-bundle"
    import_folder(ForeignFolder.open(folder), bundle, Wanted(**{"name": "marian", **wanted}))
    return load_bundle(bundle)


def answers(bundle: Bundle, sources: Sequence[Sequence[int]], options: DecodingOptions) -> list[list[int]]:
    return [list(best.token_ids) for (best,) in decode_batch(bundle.model, sources, options)]


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_greedy_and_beam_are_those_of_transformers(tmp_path: Path, shape: str) -> None:
    theirs = write_marian(tmp_path / "hf", **SHAPES[shape])
    ours = imported(tmp_path / "hf")
    sources = ours.tokenizer.encode_sources(SENTENCES)
    ids, mask = pad_batch(sources[:16], ours.config.pad_id)
    targets = torch.randint(2, 50, (16, 7), generator=torch.Generator().manual_seed(1))
    targets[:, 0] = ours.config.decoder_start_id
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask.long(), decoder_input_ids=targets).logits
        assert distance(ours.model(ids, mask, targets), expected) < 1e-4
    found = {"greedy": answers(ours, sources, GREEDY), "beam": answers(ours, sources, BEAM)}
    assert len(set(map(tuple, found["beam"]))) > 100
    pad_id = theirs.config.pad_token_id
    narrowest = narrowest_choice(ours.model, sources, found["greedy"], 24, [pad_id])
    assert narrowest > WIDE_ENOUGH, "a tie: take another seed"
    assert hf_generate(theirs, sources, pad_id, num_beams=1, max_new_tokens=24) == found["greedy"]
    assert hf_generate(theirs, sources, pad_id, **THEIR_BEAM) == found["beam"]


def test_a_folder_as_the_hub_has_it_is_understood(tmp_path: Path) -> None:
    """Keys that say what is so anyhow, tables that are computed, tied tensors stored again, two languages."""
    model = write_marian(tmp_path / "hf", settings={"model_max_length": 10**30})
    path = tmp_path / "hf" / "config.json"
    usual = {
        "normalize_before": False,
        "normalize_embedding": False,
        "add_final_layer_norm": False,
        "add_bias_logits": False,
        "static_position_embeddings": True,
        "num_beams": 6,
        "bad_words_ids": [[model.config.pad_token_id]],
        "forced_eos_token_id": 0,
        "id2label": {"0": "LABEL_0"},
    }
    path.write_text(json.dumps({**json.loads(path.read_text()), **usual}))
    (tmp_path / "hf" / "generation_config.json").unlink()
    (tmp_path / "hf" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "hf" / "pytorch_model.bin")
    assert {"lm_head.weight", "model.encoder.embed_positions.weight"} <= set(model.state_dict())
    ours = imported(tmp_path / "hf")
    assert (ours.config.positions, ours.config.sinusoid_layout) == ("sinusoidal", "halves")
    assert (ours.config.max_source_length, ours.info.decoding.beam_size) == (80, 6)
    assert ours.info.decoding.banned_ids == ()
    sources = ours.tokenizer.encode_sources(SENTENCES[:20])
    expected = hf_generate(model, sources, model.config.pad_token_id, **THEIR_BEAM)
    assert answers(ours, sources, BEAM) == expected


def test_texts_have_the_ids_and_the_spelling_of_mariantokenizer(tmp_path: Path) -> None:
    write_marian(tmp_path / "hf")
    ours, theirs = imported(tmp_path / "hf").tokenizer, hf_tokenizer(tmp_path / "hf")
    assert theirs(TEXTS).input_ids == ours.encode_sources(TEXTS)
    assert theirs(text_target=TEXTS).input_ids == ours.encode_targets(TEXTS)
    for ids in ours.encode_targets(TEXTS):
        assert theirs.decode(ids, skip_special_tokens=True) == ours.decode_target(ids).strip()


def test_separate_vocabularies_have_a_dictionary_each(tmp_path: Path) -> None:
    tokenizer = two_dictionaries()
    theirs = write_marian(
        tmp_path / "hf", tokenizer=tokenizer, share_encoder_decoder_embeddings=False, end_factor=2.0
    )
    ours = imported(tmp_path / "hf")
    hf = hf_tokenizer(tmp_path / "hf")
    assert hf(TEXTS).input_ids == ours.tokenizer.encode_sources(TEXTS)
    assert hf(text_target=TEXTS).input_ids == ours.tokenizer.encode_targets(TEXTS)
    sources = ours.tokenizer.encode_sources(SENTENCES[:40])
    expected = hf_generate(theirs, sources, tokenizer.source_vocab_size - 1, **THEIR_BEAM)
    assert answers(ours, sources, BEAM) == expected


def two_dictionaries() -> Tokenizer:
    """The source's has two more pieces than the target's, which counts from the other end."""
    joint = dictionary_tokenizer(tags=())
    content = json.loads(joint.files()["vocabulary.json"])
    pieces = content["source"][2:-1]
    sides = {
        "source": ["</s>", "<unk>", *pieces, "only", "here", "<pad>"],
        "target": ["</s>", "<unk>", *reversed(pieces), "<pad>"],
    }
    special = {**content["special"], "pad": "</s>"}
    dictionary = json.dumps({**content, **sides, "special": special}).encode()
    return Tokenizer.from_files({**joint.files(), "vocabulary.json": dictionary})


def test_a_model_of_many_targets_is_told_by_a_tag_before_the_source(tmp_path: Path) -> None:
    theirs = write_marian(
        tmp_path / "hf", tokenizer=dictionary_tokenizer(), settings={"target_lang": "roa"}, end_factor=2.0
    )
    ours = imported(tmp_path / "hf")
    assert sorted(ours.info.directions) == [("en", "fra"), ("en", "oci")]
    hf = hf_tokenizer(tmp_path / "hf")
    for target in ("fra", "oci"):
        tag = ours.info.signals.of("en", target).before_source
        sources = [[*tag, *ids] for ids in ours.tokenizer.encode_sources(SENTENCES[:40])]
        texts = [f">>{target}<< {text}" for text in SENTENCES[:40]]
        assert hf(texts).input_ids == sources
        expected = hf_generate(theirs, sources, theirs.config.pad_token_id, **THEIR_BEAM)
        assert answers(ours, sources, BEAM) == expected


def test_the_user_may_take_some_of_the_targets(tmp_path: Path) -> None:
    write_marian(tmp_path / "hf", tokenizer=dictionary_tokenizer())
    assert list(imported(tmp_path / "hf", targets=("oci",)).info.directions) == [("en", "oci")]
    with pytest.raises(BundleError, match=r"vocab\.json: has no tag >>deu<<, only >>\w+<<, >>\w+<<"):
        imported(tmp_path / "hf", targets=("deu",))


def test_a_folder_that_names_no_language_needs_the_user(tmp_path: Path) -> None:
    write_marian(tmp_path / "hf", settings={"source_lang": None, "target_lang": "de"})
    with pytest.raises(BundleError, match=r"source_lang names no language \(''\); say which with --source"):
        imported(tmp_path / "hf")
    directions = imported(tmp_path / "hf", sources=("en", "fr")).info.directions
    assert list(directions) == [("en", "de"), ("fr", "de")]
    with pytest.raises(BundleError, match="so it has one target; de, nl were named"):
        imported(tmp_path / "hf", sources=("en",), targets=("de", "nl"))


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        (
            {"sources": ("de",), "targets": ("en",)},
            r"--source must be en \(source_lang, target_lang\), and .*, got 'de'",
        ),
        ({"targets": ("en-GB",)}, "--target must be de .*, and not of the other side, got 'en-GB'"),
    ],
    ids=["both", "one"],
)
def test_the_reverse_of_what_the_folder_says_is_refused(
    tmp_path: Path, wanted: dict[str, Any], fault: str
) -> None:
    write_marian(tmp_path / "hf")
    with pytest.raises(BundleError, match=rf"tokenizer_config\.json: {fault}"):
        imported(tmp_path / "hf", **wanted)
    assert list(imported(tmp_path / "hf", sources=("eng", "sv"), targets=("de",)).info.directions)


@pytest.mark.parametrize("shape", [(80, 16), (80,), ()])
def test_positions_of_another_shape_are_refused_by_name(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_marian(tmp_path / "hf")
    path = tmp_path / "hf" / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    for side in ("encoder", "decoder"):
        tensors[f"model.{side}.embed_positions.weight"] = torch.zeros(shape)
    safetensors.torch.save_file(tensors, path, {"format": "pt"})
    with pytest.raises(BundleError, match=r"tensor model\.encoder\.embed_positions\.weight has shape"):
        imported(tmp_path / "hf")


def test_a_length_that_means_no_limit_may_be_written_with_an_exponent(tmp_path: Path) -> None:
    write_marian(tmp_path / "hf", settings={"model_max_length": 1e30})
    assert imported(tmp_path / "hf").config.max_source_length == 80


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"normalize_before": True}, "normalize_before must be false: MarianMTModel"),
        ({"add_final_layer_norm": True}, "add_final_layer_norm must be false"),
        (
            {"activation_function": "tanh"},
            'activation_function must be one of relu, gelu, swish, silu, got "tanh"',
        ),
        ({"d_model": None}, "d_model is missing; it must be an integer of at least 1"),
        ({"d_model": 33}, "num_encoder_heads must be a divisor of d_model 33, got 4"),
        ({"encoder_layers": "six"}, 'encoder_layers must be an integer of at least 1, got "six"'),
        ({"dropout": 10**400}, "dropout must be a number, got 1000"),
        ({"scale_embedding": 1}, "scale_embedding must be true or false, got 1"),
        ({"vocab_size": 99}, r"vocab_size must be \d+, the number of pieces in vocab.json, got 99"),
        (
            {"pad_token_id": 5000},
            r"pad_token_id must be an id of the target's dictionary, 0\.\.\d+, got 5000",
        ),
        ({"encoder_ffn_dim": 10**12}, r"describes at least [\d,]+ weights; the files have [\d,]+ bytes"),
        ({"d_model": 4 * 10**11}, "describes at least"),
        ({"encoder_layers": 10**9}, "describes at least"),
        ({"max_position_embeddings": 10**12}, "max_source_length must be at most 65536, got 1000000000000"),
        ({"forced_bos_token_id": 5}, "forced_bos_token_id must be left out: models of this family"),
        ({"decoder_start_token_id": 5000}, r"decoder_start_id must be in 0\.\.\d+, got 5000"),
    ],
)
def test_a_setting_that_cannot_be_followed_is_refused_by_key(
    tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    write_marian(tmp_path / "hf")
    (tmp_path / "hf" / "generation_config.json").unlink()  # which says some of it again
    path = tmp_path / "hf" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BundleError, match=f"config.json: {fault}"):
        imported(tmp_path / "hf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hf"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('{"</s>": 0, "<unk>": 0}', "must give 2 pieces the ids 0..1, each once"),
        ('{"</s>": 0, "<unk>": 2}', "must give 2 pieces the ids 0..1, each once"),
        ('{"</s>": 0, "a": 1}', "has no piece <unk>"),
        ("[]", "must be a JSON object"),
        ("{", "not valid JSON"),
    ],
)
def test_a_broken_dictionary_is_refused_by_file(tmp_path: Path, content: str, fault: str) -> None:
    write_marian(tmp_path / "hf")
    (tmp_path / "hf" / "vocab.json").write_text(content)
    with pytest.raises(BundleError, match=rf"vocab\.json: {fault}"):
        imported(tmp_path / "hf")


@pytest.mark.parametrize("name", ["source.spm", "target.spm", "vocab.json"])
def test_a_missing_tokenizer_file_is_named(tmp_path: Path, name: str) -> None:
    write_marian(tmp_path / "hf")
    (tmp_path / "hf" / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: missing"):
        imported(tmp_path / "hf")


@pytest.mark.parametrize("name", ["source.spm", "target.spm"])
def test_a_cut_tokenizer_file_is_named_as_the_folder_names_it(tmp_path: Path, name: str) -> None:
    write_marian(tmp_path / "hf")
    whole = (tmp_path / "hf" / name).read_bytes()
    (tmp_path / "hf" / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match=rf"hf: {name}: not a SentencePiece model"):
        imported(tmp_path / "hf")


@pytest.mark.parametrize("group", ["mul", "roa", "ROMANCE", "NORTH_EU"])
@pytest.mark.parametrize("key", ["source_lang", "target_lang"])
def test_a_group_of_languages_is_not_taken_for_one(tmp_path: Path, key: str, group: str) -> None:
    """opus-mt-mul-en: as a language, `mul` would be one that no request ever names."""
    write_marian(tmp_path / "hf", settings={key: group})
    option = key.replace("_lang", "")
    fault = (
        rf"tokenizer_config\.json: {key} names a group of languages \('{group}'\); say which with --{option}"
    )
    with pytest.raises(BundleError, match=fault):
        imported(tmp_path / "hf")
    said = {f"{option}s": ("fr",)}
    assert "fr" in [code for pair in imported(tmp_path / "hf", **said).info.languages for code in pair]
    settings = tmp_path / "hf" / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), key: "ZH_HANS"}))
    assert "ZH_HANS" in [code for pair in imported(tmp_path / "hf").info.languages for code in pair]


@pytest.mark.parametrize("name", ["source.spm", "target.spm"])
def test_a_piece_that_is_no_text_is_told_by_the_file(tmp_path: Path, name: str) -> None:
    """One byte is another, and SentencePiece opens the model nevertheless."""
    write_marian(tmp_path / "hf")
    whole = (tmp_path / "hf" / name).read_bytes()
    assert "▁".encode() in whole
    (tmp_path / "hf" / name).write_bytes(whole.replace("▁".encode(), b"\xe2\x96\xff", 1))
    with pytest.raises(BundleError, match=rf"hf: {name}: a piece of the model is not UTF-8"):
        imported(tmp_path / "hf")


def test_another_tokenizer_is_refused_by_its_class(tmp_path: Path) -> None:
    write_marian(tmp_path / "hf", settings={"tokenizer_class": "PegasusTokenizer"})
    with pytest.raises(BundleError, match="tokenizer_class must be one of MarianTokenizer"):
        imported(tmp_path / "hf")


def test_a_tied_table_that_differs_is_refused_by_name(tmp_path: Path) -> None:
    model = write_marian(tmp_path / "hf")
    with quiet():
        tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors["lm_head.weight"] += 1
    (tmp_path / "hf" / "model.safetensors").unlink()
    torch.save(tensors, tmp_path / "hf" / "pytorch_model.bin")
    with pytest.raises(BundleError, match=r"lm_head\.weight differs from model\.shared\.weight"):
        imported(tmp_path / "hf")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sinusoids_that_are_stored_in_half_precision_are_known_for_what_they_are(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    model = write_marian(tmp_path / "hf").to(dtype)
    (tmp_path / "hf" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "hf" / "pytorch_model.bin")
    config = imported(tmp_path / "hf").config
    assert (config.positions, config.sinusoid_layout, config.position_offset) == ("sinusoidal", "halves", 0)


def test_learned_positions_in_the_checkpoint_are_taken_from_it(tmp_path: Path) -> None:
    tokenizer = dictionary_tokenizer(tags=())
    theirs = random_model(tokenizer.source_vocab_size, tokenizer.target_vocab_size)
    for side in (theirs.model.encoder, theirs.model.decoder):
        torch.nn.init.normal_(side.embed_positions.weight)
    (tmp_path / "hf").mkdir()
    theirs.config.to_json_file(tmp_path / "hf" / "config.json")
    torch.save(theirs.state_dict(), tmp_path / "hf" / "pytorch_model.bin")
    write_tokenizer(tmp_path / "hf", tokenizer)
    ours = imported(tmp_path / "hf")
    assert ours.config.positions == "learned"
    sources = ours.tokenizer.encode_sources(SENTENCES[:20])
    expected = hf_generate(theirs, sources, theirs.config.pad_token_id, **THEIR_BEAM)
    assert answers(ours, sources, BEAM) == expected
