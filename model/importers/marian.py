"""Marian and OPUS-MT folders (`MarianMTModel`), and the pre-norm ones that `verto export` calls Pegasus.

Knows: what `transformers` makes of their `config.json` and tensors. Must not know: files of weights, bundles.

Post-norm, sinusoids in halves, one table for source, target and output (or two, or three), a bias on the
logits. `<pad>` is the last id, starts every target, and is never generated. Position tables are computed, but
where a checkpoint has them `transformers` takes them from there, so we do too. `forced_eos_token_id` is not
followed: where it would cut a target with `</s>` at the length limit, ours ends there with "length".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.bart_names import bart_names
from model.config import Activation, ModelConfig
from model.decoding.options import DecodingOptions
from model.importers.foreign import ForeignConfig, ForeignFolder
from model.importers.foreign_weights import ForeignWeights
from model.importers.generation import (
    banned_phrases,
    barred_phrases,
    decoder_start,
    read_decoding,
    refuse_forced_start,
)
from model.importers.mapping import ForeignModel, Source, Wanted
from model.importers.marian_tokenizer import (
    TOKENIZER_CONFIG,
    VOCAB,
    check_tokenizer_class,
    read_languages,
    read_tokenizer,
)
from model.importers.position_tables import Sinusoids, first_row, recognise, tolerance
from model.manifest import BundleError
from model.tokenizer import Tokenizer

ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "gelu": "gelu", "swish": "silu", "silu": "silu"}
OWN_SETTINGS = "verto"  # what `verto export` adds to config.json
MAX_LAYERS = 1000
_SHARED = "model.shared.weight"
_TABLES = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")
_POSITIONS = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")
_POST_NORM = "MarianMTModel of transformers is post-norm, with nothing behind its stacks or embeddings"


def read_marian(folder: ForeignFolder, weights: ForeignWeights, wanted: Wanted) -> ForeignModel:
    """Raises BundleError naming file, key or tensor."""
    for key in ("normalize_before", "add_final_layer_norm", "normalize_embedding"):
        folder.config.require(key, False, _POST_NORM)
    return _read(folder, weights, wanted, pre_norm=False)


def read_pegasus(folder: ForeignFolder, weights: ForeignWeights, wanted: Wanted) -> ForeignModel:
    """A pre-norm network with Marian's tokenizer. Raises BundleError as `read_marian` does."""
    folder.config.require("normalize_before", True, "PegasusForConditionalGeneration is pre-norm")
    return _read(folder, weights, wanted, pre_norm=True)


def _read(folder: ForeignFolder, weights: ForeignWeights, wanted: Wanted, *, pre_norm: bool) -> ForeignModel:
    check_tokenizer_class(folder)
    tables = _tables(folder.config, weights)
    refuse_forced_start(folder)
    barred = _barred_ids(folder)
    tokenizer = read_tokenizer(folder, _padding(folder, barred), barred)
    config = _config(folder, tables, tokenizer, pre_norm=pre_norm)
    weights.check_room(config)
    config = replace(config, output_bias=bool(_bias(config, weights).any()))
    config, start = _with_positions(config, weights)
    own = folder.config.part(OWN_SETTINGS)
    config = replace(config, alignment_layer=own.integer("alignment_layer", -1, at_least=-MAX_LAYERS))
    directions, signals = read_languages(folder, tokenizer, wanted)
    return ForeignModel(
        config=config,
        tokenizer=tokenizer,
        directions=directions,
        signals=signals,
        decoding=_decoding(folder, own, config),
        tensors=_tensors(config, tables, start),
        copies=tables.copies,
        ignored=(
            "final_logits_bias",
            *tables.unread,
            *(_POSITIONS if config.positions == "sinusoidal" else ()),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """Where the token tables are: source, target and output; what repeats one of them; what nobody reads."""

    source: str
    target: str
    output: str | None  # None: the target's
    copies: dict[str, str]
    unread: tuple[str, ...] = ()


def _tables(config: ForeignConfig, weights: ForeignWeights) -> _Tables:
    shared = config.flag("share_encoder_decoder_embeddings", True)
    tied = config.flag("tie_word_embeddings", True)
    encoder, decoder, output = _TABLES
    if not tied:
        return _untied_tables(shared, weights)
    if not shared:
        return _Tables(source=encoder, target=decoder, output=None, copies={output: decoder})
    return _Tables(source=_SHARED, target=_SHARED, output=None, copies=dict.fromkeys(_TABLES, _SHARED))


def _untied_tables(shared: bool, weights: ForeignWeights) -> _Tables:
    """transformers ties all tables or none: untied, each side has its own, and a shared one is not read."""
    encoder, decoder, output = _TABLES
    if not shared:
        return _Tables(source=encoder, target=decoder, output=output, copies={})
    if encoder not in weights or decoder not in weights:
        return _Tables(source=_SHARED, target=_SHARED, output=output, copies={})
    copies, target = {}, decoder
    if torch.equal(weights.get(encoder), weights.get(decoder)):
        copies, target = {decoder: encoder}, encoder
    return _Tables(source=encoder, target=target, output=output, copies=copies, unread=(_SHARED,))


def _config(folder: ForeignFolder, tables: _Tables, tokenizer: Tokenizer, *, pre_norm: bool) -> ModelConfig:
    config = folder.config
    limit = config.integer("max_position_embeddings", at_least=1)
    share = tables.source == tables.target
    vocab_size = config.integer("vocab_size", at_least=1)
    target_size = vocab_size if share else config.integer("decoder_vocab_size", vocab_size, at_least=1)
    if vocab_size != tokenizer.source_vocab_size:
        raise config.fault("vocab_size", f"{tokenizer.source_vocab_size}, the number of pieces in {VOCAB}")
    if target_size != tokenizer.target_vocab_size:
        bound = f"{tokenizer.target_vocab_size}, the number of the target's pieces"
        raise config.fault("decoder_vocab_size", bound)
    return ModelConfig(
        source_vocab_size=vocab_size,
        target_vocab_size=target_size,
        d_model=config.integer("d_model", at_least=1),
        num_encoder_layers=config.integer("encoder_layers", at_least=1),
        num_decoder_layers=config.integer("decoder_layers", at_least=1),
        num_encoder_heads=config.integer("encoder_attention_heads", at_least=1),
        num_decoder_heads=config.integer("decoder_attention_heads", at_least=1),
        encoder_ffn_dim=config.integer("encoder_ffn_dim", at_least=1),
        decoder_ffn_dim=config.integer("decoder_ffn_dim", at_least=1),
        norm="pre" if pre_norm else "post",
        final_norm=pre_norm,
        activation=config.choice("activation_function", ACTIVATIONS, "gelu"),
        sinusoid_layout="halves",
        max_source_length=min(limit, folder.settings(TOKENIZER_CONFIG).integer("model_max_length", limit)),
        max_target_length=limit,
        share_embeddings=share,
        tie_output=tables.output is None,
        scale_embeddings=config.flag("scale_embedding", False),
        dropout=config.number("dropout", 0.1),
        attention_dropout=config.number("attention_dropout", 0.0),
        activation_dropout=config.number("activation_dropout", 0.0),
        pad_id=tokenizer.pad_id,
        eos_id=config.integer("eos_token_id"),
        decoder_start_id=decoder_start(folder),
    )


def _padding(folder: ForeignFolder, barred: tuple[int, ...]) -> int:
    """What ours is to pad with, and never to generate, beside the start token. Padding is masked, so any id
    will do: a second barred one, if there is only one, is barred by this at no cost."""
    start_id, pad_id = decoder_start(folder), folder.config.integer("pad_token_id")
    others = [token_id for token_id in barred if token_id != start_id]
    return others[0] if len(others) == 1 and pad_id == start_id else pad_id


def _with_positions(config: ModelConfig, weights: ForeignWeights) -> tuple[ModelConfig, Tensor | None]:
    """The configuration with the positions that the checkpoint holds, if any, and what the decoder's first
    position has beyond them [D]: an export's start token."""
    if not any(name in weights for name in _POSITIONS):
        return config, None
    encoder, decoder = (_positions(name, config, weights) for name in _POSITIONS)
    close = max(tolerance(weights.stored_dtype(name)) for name in _POSITIONS)
    found = [recognise(table, close) for table in (encoder, decoder)]
    if found[0] is None or found[0] != found[1]:
        length = min(len(encoder), config.max_source_length)
        learned = replace(config, positions="learned", max_source_length=length)
        return replace(learned, max_target_length=len(decoder)), None
    sinusoids: Sinusoids = found[0]
    extra = decoder[0] - first_row(sinusoids, config.d_model)
    config = replace(config, sinusoid_layout=sinusoids.layout, position_offset=sinusoids.offset)
    return config, extra if bool((extra.abs() > 1e-6).any()) else None


def _positions(name: str, config: ModelConfig, weights: ForeignWeights) -> Tensor:
    """A stored table [N, D]. Raises BundleError for one of another shape."""
    table = weights.get(name)
    if table.dim() != 2 or table.shape[1] != config.d_model or not len(table):
        shape = f"{list(table.shape)}; config.json says [positions, {config.d_model}]"
        raise BundleError(weights.path, f"tensor {name} has shape {shape}")
    return table


def _tensors(config: ModelConfig, tables: _Tables, start: Tensor | None) -> dict[str, Source]:
    tensors: dict[str, Source] = dict(bart_names(config))
    if config.output_bias:
        tensors["output.bias"] = lambda weights: _bias(config, weights)
    tensors["source_embedding.tokens.weight"] = tables.source
    if not config.share_embeddings:
        tensors["target_embedding.tokens.weight"] = tables.target
    if tables.output is not None:
        tensors["output.weight"] = tables.output
    if start is not None:
        side = "source" if config.share_embeddings else "target"
        tensors[f"{side}_embedding.tokens.weight"] = lambda weights: _with_start(
            config, weights.get(tables.target), start
        )
    if config.positions == "learned":
        for side, name in zip(("source", "target"), _POSITIONS, strict=True):
            length = getattr(config, f"max_{side}_length")
            tensors[f"{side}_embedding.positions.table"] = _rows(name, length)
    return tensors


def _rows(name: str, count: int) -> Source:
    return lambda weights: weights.get(name)[:count]


def _bias(config: ModelConfig, weights: ForeignWeights) -> Tensor:
    if "final_logits_bias" not in weights:
        return torch.zeros(config.target_vocab_size)
    return weights.get("final_logits_bias").flatten()


def _with_start(config: ModelConfig, table: Tensor, start: Tensor) -> Tensor:
    scale = math.sqrt(config.d_model) if config.scale_embeddings else 1.0
    table = table.clone()
    table[config.decoder_start_id] += start / scale
    return table


def _barred_ids(folder: ForeignFolder) -> tuple[int, ...]:
    """Single tokens that `generate` never writes. Raises BundleError."""
    size = folder.config.integer("vocab_size", at_least=1)
    size = folder.config.integer("decoder_vocab_size", size, at_least=1)
    return tuple(phrase[0] for phrase in barred_phrases(folder, size) if len(phrase) == 1)


def _decoding(folder: ForeignFolder, own: ForeignConfig, config: ModelConfig) -> DecodingOptions:
    """What an export said of it, or else what the folder says as others do."""
    if "decoding" not in own:
        return read_decoding(folder, config)
    options = DecodingOptions.from_dict(own.part("decoding").values)
    banned = dict.fromkeys((*options.banned_ids, *banned_phrases(folder, config)))
    return replace(options, banned_ids=tuple(banned))
