"""Marian folders as `transformers` writes them: random weights, real tokenizer files, any shape.

Must not know: how we import them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from model.tokenizer import Tokenizer
from tests.builders import dictionary_tokenizer, tiny_sentences
from tests.model.peers import quiet

SENTENCES = [*tiny_sentences(200, seed=5)]
TEXTS = [*SENTENCES[:40], "", "  two  spaces ", "ÄÖÜ ☃ ß 12,5", "ba\tde\nfi", "x" * 30, "“Ba” – de… ☃☃ 日本"]


def write_marian(
    folder: Path, *, tokenizer: Tokenizer | None = None, settings: Any = None, **config: Any
) -> Any:
    """Save a random MarianMTModel with the tokenizer's files and return it; `config` is what `random_model`
    takes, `settings` go to tokenizer_config.json."""
    tokenizer = tokenizer or dictionary_tokenizer(tags=())
    model = random_model(tokenizer.source_vocab_size, tokenizer.target_vocab_size, **config)
    with quiet():
        model.save_pretrained(folder)
    write_tokenizer(folder, tokenizer, **(settings or {}))
    return model


def write_tokenizer(folder: Path, tokenizer: Tokenizer, **settings: Any) -> None:
    """source.spm, target.spm, vocab.json, tokenizer_config.json (English to German, unless told)."""
    files = tokenizer.files()
    content = json.loads(files["vocabulary.json"])
    (folder / "source.spm").write_bytes(files["source.model"])
    (folder / "target.spm").write_bytes(files["target.model"])
    own = {"tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "de"}
    dictionaries = {"vocab.json": content["source"]}
    if "target" in content:
        own["separate_vocabs"] = True
        dictionaries["target_vocab.json"] = content["target"]
    for name, pieces in dictionaries.items():
        _write(folder / name, {piece: token_id for token_id, piece in enumerate(pieces)})
    _write(folder / "tokenizer_config.json", {**own, **settings})


def random_model(
    source_size: int, target_size: int, *, seed: int = 0, end_factor: float = 3.0, **config: Any
) -> Any:
    """In eval mode. `</s>` 0, `<pad>` the last of the target's, a bias on every logit; `config` is of
    MarianConfig, or of PegasusConfig with `normalize_before`.

    Weights as transformers draws them, some of them scaled: as they are, every answer repeats one token for
    ever, whatever the source. `end_factor` makes `</s>` rarer or more frequent.
    """
    with quiet(), torch.random.fork_rng(devices=[]):
        from transformers import MarianConfig, MarianMTModel, PegasusConfig, PegasusForConditionalGeneration

        pre_norm = config.get("normalize_before", False)
        kinds = (
            (PegasusConfig, PegasusForConditionalGeneration) if pre_norm else (MarianConfig, MarianMTModel)
        )
        torch.manual_seed(seed)
        defaults: dict[str, Any] = {
            "vocab_size": source_size,
            "decoder_vocab_size": target_size,
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "max_position_embeddings": 80,
            "activation_function": "swish",
            "scale_embedding": True,
            "pad_token_id": target_size - 1,
            "decoder_start_token_id": target_size - 1,
            "eos_token_id": 0,
            "forced_eos_token_id": None,
            "init_std": 0.2,
        }
        model = kinds[1](kinds[0](**{**defaults, **config})).eval()
        model.generation_config.bad_words_ids = [[target_size - 1]]
        with torch.no_grad():
            torch.nn.init.normal_(model.final_logits_bias, std=0.3)
            for name, parameter in model.named_parameters():
                parameter.mul_(_liveliness(name))
            model.lm_head.weight[0].mul_(end_factor)
    return model


def _liveliness(name: str) -> float:
    if "shared" in name or "embed_tokens" in name:
        return 0.5
    if "q_proj" in name or "k_proj" in name:
        return 4.0
    return 0.3 if "self_attn" in name and "weight" in name else 1.0


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
