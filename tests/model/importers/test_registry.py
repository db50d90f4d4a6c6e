"""A folder becomes a bundle whole or not at all; what does not belong is named; an export comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from model.checkpoint import load_bundle, save_bundle
from model.config import ConfigError
from model.decoding.options import DecodingOptions
from model.decoding.search import decode_batch
from model.exporters.marian_hf import export_marian_hf
from model.importers.foreign import ForeignFolder
from model.importers.mapping import Wanted
from model.importers.registry import import_folder
from model.manifest import BundleError
from tests.builders import dictionary_tokenizer, tiny_info, tiny_model, tiny_sentences, tiny_tokenizer
from tests.model.importers.random_marian import write_marian

PRE = {"norm": "pre", "final_norm": True}
ROUND_TRIPS: dict[str, dict[str, Any]] = {
    "as-shipped": {**PRE, "tie_output": True},
    "pre-norm-learned": {**PRE, "positions": "learned"},
    "post-norm": {"tie_output": True},
    "post-norm-untied": {"share_embeddings": False, "output_bias": True},
    "fairseq-sinusoids": {"sinusoid_layout": "fairseq", "position_offset": 2},
}


def bring(folder: Path, name: str = "there", **wanted: Any) -> Path:
    destination = folder.parent / f"{folder.name}-bundle"
    import_folder(ForeignFolder.open(folder), destination, Wanted(**{"name": name, **wanted}))
    return destination


@pytest.mark.parametrize("variant", ROUND_TRIPS)
def test_what_is_exported_and_imported_answers_the_same(tmp_path: Path, variant: str) -> None:
    tokenizer = tiny_tokenizer()
    size = tokenizer.source_vocab_size
    own = {"source_vocab_size": size, "target_vocab_size": size, "alignment_layer": 0}
    model = tiny_model(2, **{**own, **ROUND_TRIPS[variant]})
    decoding = DecodingOptions(beam_size=3, length_penalty=0.7, max_length_ratio=3.0)
    info = tiny_info(directions=(("en", "de"), ("fr", "de")), decoding=decoding)
    export_marian_hf(tmp_path / "hf", model=model, tokenizer=tokenizer, info=info, model_card="# Tiny\n")
    again = load_bundle(bring(tmp_path / "hf"))
    texts = list(tiny_sentences(30, seed=4))
    sources = tokenizer.encode_sources(texts)
    assert again.tokenizer.encode_sources(texts) == sources
    expected = decode_batch(model, sources, info.decoding)
    found = decode_batch(again.model, sources, again.info.decoding)
    assert [f[0].token_ids for f in found] == [e[0].token_ids for e in expected]
    for (best,) in expected:
        if tokenizer.unk_id not in best.token_ids:  # which transformers, and so an import, leaves out
            assert again.tokenizer.decode_target(best.token_ids) == tokenizer.decode_target(best.token_ids)
    assert list(again.info.directions) == list(info.directions)
    assert replace(again.info.decoding, banned_ids=()) == decoding
    assert again.config.alignment_layer == 0
    kept = ["positions", "norm", "share_embeddings", "tie_output"]
    kept += ["sinusoid_layout", "position_offset"] if model.config.positions == "sinusoidal" else []
    assert [getattr(again.config, name) for name in kept] == [getattr(model.config, name) for name in kept]


@pytest.mark.parametrize(
    "wanted",
    [{}, {"targets": ("oci",)}, {"sources": ("en", "sv")}],
    ids=["every", "one-target", "two-sources"],
)
def test_what_is_told_by_tags_keeps_its_languages_too(tmp_path: Path, wanted: dict[str, Any]) -> None:
    write_marian(tmp_path / "first", tokenizer=dictionary_tokenizer())
    bundle = load_bundle(bring(tmp_path / "first", **wanted))
    export_marian_hf(
        tmp_path / "hf",
        model=bundle.model,
        tokenizer=bundle.tokenizer,
        info=bundle.info,
        model_card="# Tags\n",
    )
    again = load_bundle(bring(tmp_path / "hf")).info
    assert list(again.languages) == list(bundle.info.languages)
    assert again.signals == bundle.info.signals
    assert list(load_bundle(bring(tmp_path / "hf", sources=("nl",))).info.languages.sources) == ["nl"]
    with pytest.raises(
        BundleError, match=r"--source must be en.* \(verto.directions\), and not of the other"
    ):
        bring(tmp_path / "hf", sources=("oci",))


def test_the_card_says_origin_licence_and_how(tmp_path: Path) -> None:
    write_marian(tmp_path / "opus-mt-xx")
    card = "---\nlicense: cc-by-4.0\nlanguage:\n- en\n---\n# Fine model\n\nText.\n"
    (tmp_path / "opus-mt-xx" / "README.md").write_text(card)
    written = (bring(tmp_path / "opus-mt-xx") / "MODEL_CARD.md").read_text()
    assert written.startswith("# there\n")
    assert "`opus-mt-xx`" in written
    assert "- Licence: cc-by-4.0\n" in written
    assert "- Languages: en → de\n" in written
    assert "### Fine model" in written
    assert str(tmp_path) not in written


@pytest.mark.parametrize(
    ("matter", "licence"),
    [
        ("license:\n- mit\n- apache-2.0\nlanguage:\n- en\n", "mit, apache-2.0"),
        ("language:\n  - en\nlicense:\n  - mit\n", "mit"),
        ("license: [mit, 'gpl-3.0']\n", "mit, gpl-3.0"),
        ("license: mit\r\ntags:\r\n- x\r\n", "mit"),
        ("license: mit  # of the weights\n", "mit"),
        ("license: other\nlicense_name: A Licence, 2.0\n", "A Licence, 2.0"),
    ],
)
def test_a_licence_is_read_however_yaml_writes_it(tmp_path: Path, matter: str, licence: str) -> None:
    write_marian(tmp_path / "hf")
    card = f"---\n{matter}---\n# M\n".encode()
    for content in (card, b"\xef\xbb\xbf" + card, card.replace(b"---\n", b"---\r\n")):
        (tmp_path / "hf" / "README.md").write_bytes(content)
        written = (bring(tmp_path / "hf") / "MODEL_CARD.md").read_bytes()
        assert f"- Licence: {licence}\n".encode() in written


@pytest.mark.parametrize("matter", ["", "---\nlanguage: en\n---\n", "---\nlicense:\n---\n", "license: mit\n"])
def test_a_licence_that_nobody_states_is_said_to_be_unstated(tmp_path: Path, matter: str) -> None:
    write_marian(tmp_path / "hf")
    (tmp_path / "hf" / "README.md").write_text(f"{matter}# M\n")
    assert "Licence: not stated" in (bring(tmp_path / "hf") / "MODEL_CARD.md").read_text()


def test_weights_keep_their_type(tmp_path: Path) -> None:
    write_marian(tmp_path / "hf")
    path = tmp_path / "hf" / "model.safetensors"
    halves = {name: t.half() for name, t in safetensors.torch.load_file(path).items()}
    safetensors.torch.save_file(halves, path)
    stored = safetensors.torch.load_file(bring(tmp_path / "hf") / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}


@pytest.mark.parametrize(
    ("theirs", "ours", "change"),
    [
        (torch.float32, None, "unchanged"),
        (torch.float32, torch.float16, "rounded to float16"),
        (torch.float16, torch.float32, "unchanged"),
        (torch.float16, torch.bfloat16, "rounded to bfloat16"),
        (torch.float64, None, "rounded to float32"),
    ],
)
def test_the_card_says_what_became_of_the_weights(
    tmp_path: Path, theirs: torch.dtype, ours: torch.dtype | None, change: str
) -> None:
    write_marian(tmp_path / "hf")
    path = tmp_path / "hf" / "model.safetensors"
    tensors = {name: tensor.to(theirs) for name, tensor in safetensors.torch.load_file(path).items()}
    safetensors.torch.save_file(tensors, path)
    import_folder(ForeignFolder.open(tmp_path / "hf"), tmp_path / "out", Wanted(name="x"), ours)
    assert (
        f"from the Hugging Face model `hf`; weights {change}.\n"
        in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    )


@pytest.mark.parametrize("model_type", ["bert", "t5", None, 3])
def test_a_foreign_architecture_is_refused_by_name(tmp_path: Path, model_type: object) -> None:
    write_marian(tmp_path / "hf")
    change(tmp_path / "hf", model_type=model_type)
    with pytest.raises(
        BundleError, match=r"config\.json: model_type (must be|is missing; it must be) one of marian"
    ):
        bring(tmp_path / "hf")
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def change(folder: Path, **settings: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def change_tensors(folder: Path, **tensors: torch.Tensor | None) -> None:
    path = folder / "model.safetensors"
    every = {**safetensors.torch.load_file(path), **tensors}
    safetensors.torch.save_file({name: t for name, t in every.items() if t is not None}, path)


@pytest.mark.parametrize(
    ("name", "tensor", "fault"),
    [
        ("model.encoder.layers.0.fc1.weight", None, "is missing"),
        (
            "model.encoder.layers.0.fc1.weight",
            torch.zeros(3, 3),
            r"has shape \[3, 3\]; config.json says \[64, 32\]",
        ),
        ("model.encoder.layers.7.fc1.weight", torch.zeros(3), "does not belong to this architecture"),
        ("final_logits_bias", torch.zeros(1, 3), r"for output.bias has shape \[3\]|has shape"),
    ],
)
def test_a_tensor_that_is_missing_left_over_or_misshapen_is_named(
    tmp_path: Path, name: str, tensor: torch.Tensor | None, fault: str
) -> None:
    write_marian(tmp_path / "hf")
    if name == "final_logits_bias" and tensor is not None:
        tensor = tensor + 1
    change_tensors(tmp_path / "hf", **{name: tensor})
    with pytest.raises(BundleError, match=rf"model\.safetensors: tensor .*{fault}"):
        bring(tmp_path / "hf")
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


@pytest.mark.parametrize("content", ["", "{", "[]", '"marian"'])
def test_a_config_that_is_no_object_is_refused_by_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(BundleError, match=r"config\.json: (not valid JSON|must be a JSON object)"):
        ForeignFolder.open(tmp_path)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        ForeignFolder.open(tmp_path / "nothing")
    with pytest.raises(BundleError, match=r"config\.json: missing"):
        ForeignFolder.open(tmp_path)


def test_what_stands_at_the_destination_stays_when_the_import_fails(tmp_path: Path) -> None:
    tokenizer = dictionary_tokenizer(tags=())
    size = tokenizer.source_vocab_size
    ids = {"pad_id": size - 1, "eos_id": 0, "decoder_start_id": size - 1}
    model = tiny_model(source_vocab_size=size, target_vocab_size=size, **ids)
    save_bundle(
        tmp_path / "hf-bundle", model=model, tokenizer=tokenizer, info=tiny_info(), model_card="# Old\n"
    )
    write_marian(tmp_path / "hf")
    change(tmp_path / "hf", encoder_layers=3)
    with pytest.raises(BundleError, match="is missing"):
        bring(tmp_path / "hf")
    assert load_bundle(tmp_path / "hf-bundle").info.name == "tiny"


def test_an_unusable_name_is_refused(tmp_path: Path) -> None:
    write_marian(tmp_path / "hf")
    with pytest.raises(ConfigError, match="name must be"):
        bring(tmp_path / "hf", name="a name with blanks")


def test_the_folder_itself_is_no_destination(tmp_path: Path) -> None:
    write_marian(tmp_path / "hf")
    with pytest.raises(BundleError, match="name another"):
        import_folder(ForeignFolder.open(tmp_path / "hf"), tmp_path / "hf", Wanted(name="x"))
