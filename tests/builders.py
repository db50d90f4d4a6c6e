"""Tiny models, tokenizers and bundles with defaults, for tests of every part.

Knows: the public constructors. Must not know: what a test wants to find out.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch

from model.checkpoint import Bundle, BundleInfo, load_bundle, save_bundle
from model.config import ModelConfig
from model.decoding.options import DecodingOptions
from model.dictionary_vocabulary import Dictionary
from model.tokenizer import Tokenizer
from model.transformer import Transformer
from training.tokenizer_training import TokenizerKind, train_tokenizer

TINY_VOCABULARY = 24
TOKENIZER_VOCABULARY = 480
_SYLLABLES = ["ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "sä", "tö", "wü"]


def tiny_config(**overrides: Any) -> ModelConfig:
    """Two layers each side, width 32, 24 tokens, lengths up to 64; any field may be overridden."""
    defaults: dict[str, Any] = {
        "source_vocab_size": TINY_VOCABULARY,
        "target_vocab_size": TINY_VOCABULARY,
        "d_model": 32,
        "num_encoder_layers": 2,
        "num_decoder_layers": 2,
        "num_encoder_heads": 4,
        "num_decoder_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_source_length": 64,
        "max_target_length": 64,
        "tie_output": False,
    }
    return ModelConfig(**{**defaults, **overrides})


def tiny_model(seed: int = 0, *, eos_scale: float = 2.0, **overrides: Any) -> Transformer:
    """A random model in eval mode whose searches vary with the source and with the position, and mostly end.

    Fresh weights repeat one token for ever, whatever the source. The factors here were found by searching for
    many different answers of many lengths: sharp attention, and little that carries a token on to itself.
    `eos_scale` makes `</s>` rarer (1) or more frequent (4).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Transformer(tiny_config(**overrides)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.mul_(_liveliness(name))
        model.output.weight[model.config.eos_id].mul_(eos_scale)
    return model


def _liveliness(name: str) -> float:
    if "tokens" in name:
        return 0.5
    if "query" in name or "key" in name:
        return 4.0
    return 0.3 if "self_attention" in name else 1.0


def tiny_sentences(count: int = 400, seed: int = 0) -> Iterator[str]:
    """Made-up sentences of made-up words, digits and punctuation among them; the same for the same seed."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(120)] + list("0123456789")
    for _ in range(count):
        yield " ".join(rng.choices(words, k=rng.randint(2, 10))).capitalize() + rng.choice(".!?")


@functools.cache
def tiny_tokenizer(
    kind: TokenizerKind = "unigram", *, byte_fallback: bool = True, joint: bool = True, placeholders: int = 0
) -> Tokenizer:
    """Trained once per process in about half a second; 480 pieces each side, 224 without the byte pieces, and
    the placeholders on top of that."""
    vocab_size = (TOKENIZER_VOCABULARY if byte_fallback else TOKENIZER_VOCABULARY - 256) + placeholders

    def train(seed: int) -> bytes:
        return train_tokenizer(
            tiny_sentences(seed=seed),
            vocab_size=vocab_size,
            kind=kind,
            byte_fallback=byte_fallback,
            placeholders=placeholders,
        )

    return Tokenizer.from_bytes(train(0), None if joint else train(1))


def tiny_info(**overrides: Any) -> BundleInfo:
    """English to German, beam search with its defaults; any field may be overridden."""
    defaults: dict[str, Any] = {
        "name": "tiny",
        "version": "1",
        "directions": (("en", "de"),),
        "decoding": DecodingOptions(),
    }
    return BundleInfo(**{**defaults, **overrides})


def tiny_bundle(
    folder: Path,
    *,
    seed: int = 0,
    info: BundleInfo | None = None,
    joint: bool = True,
    placeholders: int = 0,
    **overrides: Any,
) -> Bundle:
    """Save a random model with a tiny tokenizer to `folder`, in float32, and load it.

    `joint` and `placeholders` are of the tokenizer, whose vocabulary the model has; `overrides` are fields of
    its configuration.
    """
    tokenizer = tiny_tokenizer(joint=joint, placeholders=placeholders)
    sizes = {
        "source_vocab_size": tokenizer.source_vocab_size,
        "target_vocab_size": tokenizer.target_vocab_size,
    }
    save_bundle(
        folder,
        model=tiny_model(seed, **{**sizes, **overrides}),
        tokenizer=tokenizer,
        info=info or tiny_info(),
        model_card="# Tiny\n\nRandom weights, for tests.\n",
        dtype=torch.float32,
    )
    return load_bundle(folder)


def dictionary_tokenizer(*, tags: Sequence[str] = (">>fra<<", ">>oci<<"), seed: int = 0) -> Tokenizer:
    """Two SentencePiece models without byte pieces behind one shuffled dictionary, as Marian's: `</s>` 0,
    `<unk>` 1, `<pad>` last; tags in between. It lacks five words of the source's model."""
    models = [
        tiny_tokenizer(byte_fallback=False, joint=False).files()[f"{s}.model"] for s in ("source", "target")
    ]
    source, target = (sentencepiece.SentencePieceProcessor(model_proto=model) for model in models)
    words, others = (model.id_to_piece(list(range(4, model.get_piece_size()))) for model in (source, target))
    lacking = [word for word in words if len(word) > 2 and word not in others][:5]
    pieces = [piece for piece in [*words, *others] if piece not in lacking]
    shuffled = [*dict.fromkeys(pieces), *tags]
    random.Random(seed).shuffle(shuffled)
    every = ("</s>", "<unk>", *shuffled, "<pad>")
    dictionary = Dictionary(
        source=every,
        target=every,
        special={"pad": "<pad>", "unk": "<unk>", "bos": None, "eos": "</s>"},
        control=frozenset(("</s>", "<unk>", "<pad>", *tags)),
    )
    return Tokenizer.with_dictionary(dictionary, *models)
