"""A bundle as the folder that `transformers` and CTranslate2's own converter read.

Knows: what those two make of such a folder. Must not know: how a bundle is stored, command lines.

    config.json             architecture; `model_type` "marian", or "pegasus" where the network is pre-norm;
                            under "verto", what only an import reads: directions, decoding, alignment layer
    model.safetensors       the weights in float32, position tables among them
    source.spm, target.spm  the SentencePiece models, byte for byte
    vocab.json              piece -> id (and target_vocab.json, where the two sides differ)
    tokenizer_config.json   says "MarianTokenizer", whatever the model type
    generation_config.json  what is never generated; beam size and longest target
    README.md               the bundle's model card

The Marian class knows post-norm networks only; Pegasus is the same network, pre-norm, with a norm after
each stack. Both, and CTranslate2, take position tables from the checkpoint where they are there: so every
layout of sinusoids, and learned positions too, are written out.

CTranslate2 begins a Marian target with a zero vector in place of the start token, and drops the last token
of the vocabulary. So the start token is a last token `<pad>` with a zero row; where our network has no such
token one is added, and what our start token holds is added to the decoder's first position, where nothing
else ever stands. A Pegasus target begins with the token called `<pad>`: it is our start token, renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor

from model.bart_names import bart_names
from model.bundle_config import BundleInfo
from model.bundle_head import WEIGHTS_FILE
from model.config import ConfigError, ModelConfig
from model.embeddings import sinusoidal_positions
from model.exporters.marian_vocabulary import ExportedVocabulary, exported_vocabulary
from model.folder_swap import replaced_folder
from model.manifest import BundleError, describe, dump_json, write_bytes
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from model.weights import named_tensors, write_tensors

IMPOSSIBLE = -10_000.0  # a logit whose exponential is 0 in float32, and which float16 can hold
_ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "silu": "swish"}


def export_marian_hf(
    destination: Path, *, model: Transformer, tokenizer: Tokenizer, info: BundleInfo, model_card: str
) -> None:
    """Write the folder, whole or not at all; `destination` must not be there, or be empty.

    Raises ConfigError, naming field and bound, for a network that neither class can be, and BundleError where
    the destination is taken or the disk fails.
    """
    config = model.config
    check_expressible(config)
    _check_signals(info)
    _check_free(destination)
    vocabulary = _vocabulary(model, tokenizer)
    tensors = exported_tensors(model, vocabulary)
    texts = {
        "config.json": {**_config(config, vocabulary), "verto": _own_settings(config, info)},
        "generation_config.json": _generation_config(config, info, vocabulary),
        **vocabulary.json_files(config.max_source_length, info.directions),
    }
    files = {name: dump_json(content) for name, content in texts.items()}
    files |= {"README.md": model_card.encode(), **vocabulary.sentencepiece_files}
    _write(destination, tensors, files)


def remarks(model: Transformer, tokenizer: Tokenizer) -> list[str]:
    """What CTranslate2's converter, other than transformers, would misread in such a folder."""
    config, found = model.config, []
    if config.num_encoder_heads != config.num_decoder_heads:
        found.append("takes the encoder's number of heads for the decoder too")
    if not _vocabulary(model, tokenizer).is_joint:
        found.append("knows one vocabulary for both sides")
    return [f"CTranslate2's converter {fault}; transformers reads this folder as it is" for fault in found]


def _vocabulary(model: Transformer, tokenizer: Tokenizer) -> ExportedVocabulary:
    start = model.target_embedding.tokens.weight[model.config.decoder_start_id]
    return exported_vocabulary(model.config, tokenizer, start_is_zero=not bool(start.any()))


def check_expressible(config: ModelConfig) -> None:
    """Raises ConfigError for what makes a network neither a Marian nor a Pegasus one."""
    pre_norm = config.norm == "pre"
    if pre_norm != config.final_norm:
        kind = "pre-norm" if pre_norm else "post-norm"
        raise ConfigError("final_norm", f"{pre_norm} in a {kind} network for format marian-hf", not pre_norm)
    if config.embedding_norm:
        raise ConfigError("embedding_norm", "False for format marian-hf", True)
    if pre_norm and not config.share_embeddings:
        raise ConfigError("share_embeddings", "True in a pre-norm network for format marian-hf", False)
    if pre_norm and config.decoder_start_id == config.eos_id:
        bound = "another token than </s> in a pre-norm network for format marian-hf"
        raise ConfigError("decoder_start_id", bound, config.decoder_start_id)
    if config.positions == "learned" and config.max_source_length != config.max_target_length:
        bound = f"{config.max_source_length}, as max_source_length, with learned positions in marian-hf"
        raise ConfigError("max_target_length", bound, config.max_target_length)


def _check_signals(info: BundleInfo) -> None:
    """Raises ConfigError for a model that is told its languages otherwise than Marian's are."""
    if info.signals.target == "forced_token":
        raise ConfigError("target_signal", "none or source_tag for format marian-hf", info.signals.target)
    if info.signals.source != "none":
        raise ConfigError("source_signal", "none for format marian-hf", info.signals.source)


def exported_tensors(model: Transformer, vocabulary: ExportedVocabulary) -> dict[str, Tensor]:
    """The weights by their names there, in float32 on the CPU."""
    config, own = model.config, named_tensors(model)
    names = bart_names(config)
    tensors = {theirs: own[ours].detach().float().cpu() for ours, theirs in names.items()}
    if config.share_embeddings and not config.tie_output:  # they tie all tables, or none
        for side in ("encoder", "decoder"):
            tensors[f"model.{side}.embed_tokens.weight"] = tensors["model.shared.weight"]
    for side, embedding in (("encoder", model.source_embedding), ("decoder", model.target_embedding)):
        tensors[f"model.{side}.embed_positions.weight"] = _position_table(config, embedding.positions.table)
    if "final_logits_bias" in tensors:
        tensors["final_logits_bias"] = tensors["final_logits_bias"][None]
    if vocabulary.adds_start:
        _add_start(config, tensors)
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}


def _position_table(config: ModelConfig, table: Tensor) -> Tensor:
    """The vectors of positions 0..N-1, N that of the longer side: [N, D]."""
    if config.positions == "learned":
        return table.detach().float().cpu()[config.position_offset :]
    count = max(config.max_source_length, config.max_target_length)
    return sinusoidal_positions(config.position_offset, count, config.d_model, config.sinusoid_layout)


def _add_start(config: ModelConfig, tensors: dict[str, Tensor]) -> None:
    """A last token with a zero row, never likely; what the start token held goes to position 0."""
    table = "model.shared.weight" if config.share_embeddings else "model.decoder.embed_tokens.weight"
    held = tensors[table][config.decoder_start_id]
    scale = config.d_model**0.5 if config.scale_embeddings else 1.0
    positions = tensors["model.decoder.embed_positions.weight"].clone()
    positions[0] += scale * held
    tensors["model.decoder.embed_positions.weight"] = positions
    for name in ("model.shared", "model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head"):
        if f"{name}.weight" in tensors:
            tensors[f"{name}.weight"] = F.pad(tensors[f"{name}.weight"], (0, 0, 0, 1))
    bias = tensors.get("final_logits_bias", torch.zeros(1, config.target_vocab_size))
    tensors["final_logits_bias"] = F.pad(bias, (0, 1), value=IMPOSSIBLE)


def _config(config: ModelConfig, vocabulary: ExportedVocabulary) -> dict[str, Any]:
    pre_norm = config.norm == "pre"
    own = {
        "architectures": ["PegasusForConditionalGeneration" if pre_norm else "MarianMTModel"],
        "model_type": "pegasus" if pre_norm else "marian",
        "dtype": "float32",
        "d_model": config.d_model,
        "vocab_size": len(vocabulary.source_pieces),
        "activation_function": _ACTIVATIONS[config.activation],
        "scale_embedding": config.scale_embeddings,
        "normalize_before": pre_norm,
        "normalize_embedding": False,
        "static_position_embeddings": config.positions == "sinusoidal",
        "max_position_embeddings": max(config.max_source_length, config.max_target_length),
        "tie_word_embeddings": config.tie_output,
        "is_encoder_decoder": True,
        "dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "activation_dropout": config.activation_dropout,
        "pad_token_id": vocabulary.pad_id,
        "eos_token_id": config.eos_id,
        "forced_eos_token_id": None,
        "decoder_start_token_id": vocabulary.start_id,
    }
    if not pre_norm:
        own["decoder_vocab_size"] = len(vocabulary.target_pieces)
        own["share_encoder_decoder_embeddings"] = config.share_embeddings
    for side in ("encoder", "decoder"):
        own[f"{side}_layers"] = getattr(config, f"num_{side}_layers")
        own[f"{side}_attention_heads"] = getattr(config, f"num_{side}_heads")
        own[f"{side}_ffn_dim"] = getattr(config, f"{side}_ffn_dim")
    return own


def _own_settings(config: ModelConfig, info: BundleInfo) -> dict[str, Any]:
    return {
        "directions": info.languages.to_json(),
        "decoding": info.decoding.to_dict(),
        "alignment_layer": config.alignment_layer,
    }


def _generation_config(
    config: ModelConfig, info: BundleInfo, vocabulary: ExportedVocabulary
) -> dict[str, Any]:
    """`max_length` there counts the start token too."""
    banned = dict.fromkeys((*((token_id,) for token_id in vocabulary.never_ids), *info.decoding.banned_ids))
    return {
        "bad_words_ids": [list(phrase) for phrase in banned],
        "no_repeat_ngram_size": info.decoding.no_repeat_ngram_size,
        "decoder_start_token_id": vocabulary.start_id,
        "eos_token_id": config.eos_id,
        "pad_token_id": vocabulary.pad_id,
        "max_length": config.max_target_length,
        "num_beams": info.decoding.rows,
    }


def _check_free(destination: Path) -> None:
    if destination.exists() and not destination.is_dir():
        raise BundleError(destination, "exists and is not a folder; not replaced")
    if destination.is_dir() and any(destination.iterdir()):
        raise BundleError(destination, "exists and is not empty; not replaced")


def _write(destination: Path, tensors: dict[str, Tensor], files: Mapping[str, bytes]) -> None:
    try:
        with replaced_folder(destination) as partial:
            write_tensors(partial / WEIGHTS_FILE, tensors)
            for name, content in files.items():
                write_bytes(partial / name, content)
    except (OSError, SafetensorError) as error:
        fault = describe(error) if isinstance(error, OSError) else str(error)
        raise BundleError(destination, f"could not be written: {fault}") from error
