"""M2M-100, NLLB, mBART and mBART-50 folders: what `config.json` says, and where each tensor comes from.

Knows: the two classes of `transformers` behind these four families. Must not know: how a tokenizer's files
are read (fairseq_tokenizer.py), how a bundle is written.

    M2M-100, NLLB     pre-norm, a norm after each stack, sinusoids counted from behind the padding's number
    mBART, mBART-50   the same with learned positions, a norm on the embedded input, a bias on the logits
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from model.bart_names import bart_names
from model.config import ModelConfig
from model.importers.fairseq_tokenizer import read_m2m_tokenizer, read_mbart_tokenizer
from model.importers.foreign import ForeignConfig, ForeignFolder
from model.importers.foreign_weights import ForeignWeights
from model.importers.generation import decoder_start, read_decoding
from model.importers.mapping import ForeignModel, Source, Wanted

ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "swish": "silu", "silu": "silu"}
SHARED = "model.shared.weight"
ENCODER_TABLE, DECODER_TABLE = "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"
OUTPUT = "lm_head.weight"
BIAS = "final_logits_bias"
# Computed numbers that older versions stored.
SAYS_NOTHING = tuple(
    f"model.{side}.{name}"
    for side in ("encoder", "decoder")
    for name in ("version", "embed_positions.weights", "embed_positions._float_tensor")
)


def read_m2m(folder: ForeignFolder, weights: ForeignWeights, wanted: Wanted) -> ForeignModel:
    """M2M-100 and NLLB. Raises BundleError naming file, key or tensor."""
    tables = shared_tables(folder.config, weights)
    config = ModelConfig(
        **_vocabulary(folder.config),
        **sizes(folder, activation="relu", scaled=True),
        **sinusoids(folder.config),
        **_pre_norm(),
        **tables.sharing(),
    )
    weights.check_room(config)
    languages = read_m2m_tokenizer(folder, config, wanted)
    return ForeignModel(
        config=config,
        tokenizer=languages.tokenizer,
        directions=languages.directions,
        signals=languages.signals,
        decoding=read_decoding(folder, config),
        tensors=tables.tensors(config),
        copies=tables.copies,
        ignored=(*tables.unread, *SAYS_NOTHING, BIAS),
    )


def read_mbart(folder: ForeignFolder, weights: ForeignWeights, wanted: Wanted) -> ForeignModel:
    """mBART and mBART-50. Raises BundleError naming file, key or tensor."""
    tables = shared_tables(folder.config, weights)
    config = ModelConfig(
        **_vocabulary(folder.config),
        **sizes(folder, activation="gelu", scaled=False),
        **_pre_norm(),
        **tables.sharing(),
        positions="learned",
        position_offset=2,
        embedding_norm=True,
        output_bias=BIAS in weights and bool(weights.get(BIAS).any()),
    )
    weights.check_room(config)
    languages = read_mbart_tokenizer(folder, config, wanted)
    tensors = tables.tensors(config)
    for side, theirs in (("source", "encoder"), ("target", "decoder")):
        tensors[f"{side}_embedding.positions.table"] = f"model.{theirs}.embed_positions.weight"
    if config.output_bias:
        tensors["output.bias"] = _bias
    return ForeignModel(
        config=config,
        tokenizer=languages.tokenizer,
        directions=languages.directions,
        signals=languages.signals,
        decoding=read_decoding(folder, config),
        tensors=tensors,
        copies=tables.copies,
        ignored=(*tables.unread, *SAYS_NOTHING, BIAS),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Where the tables of tokens are; `copies` repeat one of them, `unread` are there and used by nobody."""

    source: str
    target: str
    output: str
    copies: dict[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def sharing(self) -> dict[str, Any]:
        return {"share_embeddings": self.source == self.target, "tie_output": self.output == self.target}

    def tensors(self, config: ModelConfig) -> dict[str, Source]:
        """Of the whole network but its positions."""
        tensors: dict[str, Source] = dict(bart_names(config))
        tensors["source_embedding.tokens.weight"] = self.source
        if not config.share_embeddings:
            tensors["target_embedding.tokens.weight"] = self.target
        if not config.tie_output:
            tensors["output.weight"] = self.output
        return tensors


def shared_tables(config: ForeignConfig, weights: ForeignWeights) -> Tables:
    """All tables are one, or none is another's: then those that are equal nevertheless are kept once."""
    if config.flag("tie_word_embeddings", True):
        every = (SHARED, ENCODER_TABLE, DECODER_TABLE, OUTPUT)
        one = next((name for name in every if name in weights), SHARED)
        copies = {name: one for name in every if name != one}
        return Tables(source=one, target=one, output=one, copies=copies)
    source, target = (name if name in weights else SHARED for name in (ENCODER_TABLE, DECODER_TABLE))
    tables = Tables(source=source, target=target, output=OUTPUT if OUTPUT in weights else target)
    unread = () if SHARED in (source, target) else (SHARED,)
    return replace(merged(tables, weights), unread=unread)


def merged(tables: Tables, weights: ForeignWeights) -> Tables:
    """Tables that are equal, as one."""
    target, output, copies = tables.target, tables.output, dict(tables.copies)
    if _are_equal(weights, tables.source, target):
        copies |= {target: tables.source} if target != tables.source else {}
        target = tables.source
    if _are_equal(weights, target, output):
        copies |= {output: target} if output != target else {}
        output = target
    return replace(tables, target=target, output=output, copies=copies)


def _are_equal(weights: ForeignWeights, one: str, other: str) -> bool:
    return one == other or torch.equal(weights.get(one), weights.get(other))


def sizes(folder: ForeignFolder, *, activation: str, scaled: bool) -> dict[str, Any]:
    """What all families say alike; `activation` and `scaled` are what holds where the folder is silent."""
    config = folder.config
    longest = config.integer("max_position_embeddings", 1024, at_least=1)
    found = {
        "d_model": config.integer("d_model", 1024, at_least=1),
        "max_source_length": longest,
        "max_target_length": longest,
        "activation": config.choice("activation_function", ACTIVATIONS, activation),
        "scale_embeddings": config.flag("scale_embedding", scaled),
        "pad_id": config.integer("pad_token_id", 1),
        "eos_id": config.integer("eos_token_id", 2),
        "decoder_start_id": decoder_start(folder, 2),
    }
    for side in ("encoder", "decoder"):
        found[f"num_{side}_layers"] = config.integer(f"{side}_layers", 12, at_least=1)
        found[f"num_{side}_heads"] = config.integer(f"{side}_attention_heads", 16, at_least=1)
        found[f"{side}_ffn_dim"] = config.integer(f"{side}_ffn_dim", 4096, at_least=1)
    for name, usual in (("dropout", 0.1), ("attention_dropout", 0.0), ("activation_dropout", 0.0)):
        found[name] = config.number(name, usual)
    return found


def sinusoids(config: ForeignConfig) -> dict[str, Any]:
    """fairseq's, counted from behind the padding's number."""
    first = config.integer("pad_token_id", 1) + 1
    return {"positions": "sinusoidal", "sinusoid_layout": "fairseq", "position_offset": first}


def _vocabulary(config: ForeignConfig) -> dict[str, Any]:
    size = config.integer("vocab_size", at_least=1)
    return {"source_vocab_size": size, "target_vocab_size": size}


def _pre_norm() -> dict[str, Any]:
    return {"norm": "pre", "final_norm": True}


def _bias(weights: ForeignWeights) -> Tensor:
    return weights.get(BIAS).flatten()
