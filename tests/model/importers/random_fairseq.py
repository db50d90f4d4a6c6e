"""M2M-100, NLLB, mBART and FSMT folders as `transformers` writes them: random weights, tiny vocabularies.

Must not know: how we import them.
"""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece
import torch

from tests.builders import tiny_sentences
from tests.model.byte_pairs import learn
from tests.model.peers import quiet

SCRIPTS = [
    "Привет, как дела сегодня?",
    "日本語のテキストです。",
    "مرحبا بالعالم",
    "İstanbul'da çok güzel",
    "नमस्ते दुनिया",
]
TEXTS = [
    *tiny_sentences(24, seed=5),
    *SCRIPTS,
    "",
    "  two  spaces ",
    "ÄÖÜ ☃ ß 12,5",
    "tab\there\nand line",
    "“Ba” – de… ﬁ ½ １２",
    "😀 👩\u200d👩\u200d👧",
    "x" * 30,
    "a\u00a0b\u2009c\u3000d",
]
NUM_FSMT_MERGES = 60


@cache
def sentencepiece_model(kind: str) -> bytes:
    """A small SentencePiece model, `<unk> <s> </s>` first, as fairseq's are."""
    model = io.BytesIO()
    sentences = [*tiny_sentences(300, seed=4), *SCRIPTS * 4]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=220,
        model_type=kind,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        num_threads=1,
    )
    return model.getvalue()


def num_pieces(kind: str) -> int:
    return int(sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(kind)).get_piece_size())


def write_m2m(folder: Path, **config: Any) -> Any:
    """M2M-100: 100 languages, 8 tokens of filling."""
    folder.mkdir(parents=True, exist_ok=True)
    processor = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model("bpe"))
    pieces = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces += [processor.id_to_piece(number) for number in range(3, processor.get_piece_size())]
    model = _m2m_model(len(pieces) + 100 + 8, **config)
    _save(model, folder)
    (folder / "sentencepiece.bpe.model").write_bytes(sentencepiece_model("bpe"))
    write_json(folder / "vocab.json", {piece: token_id for token_id, piece in enumerate(pieces)})
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "M2M100Tokenizer"})
    return model


def write_nllb(folder: Path, *, legacy: bool = False, **config: Any) -> Any:
    """NLLB: 202 languages, 2 tokens of filling."""
    folder.mkdir(parents=True, exist_ok=True)
    model = _m2m_model(num_pieces("bpe") + 1 + 202 + 1 + 2, **config)
    _save(model, folder)
    (folder / "sentencepiece.bpe.model").write_bytes(sentencepiece_model("bpe"))
    write_json(
        folder / "tokenizer_config.json", {"tokenizer_class": "NllbTokenizer", "legacy_behaviour": legacy}
    )
    return model


def write_mbart(folder: Path, *, languages: int = 50, start: str | None = None, **config: Any) -> Any:
    """mBART-50 (52 languages), or mBART (25) whose decoder starts with the language `start`."""
    from model.importers.fairseq_languages import MBART25

    folder.mkdir(parents=True, exist_ok=True)
    own = num_pieces("unigram")
    if start is not None:
        config["decoder_start_token_id"] = own + 1 + MBART25.index(start)
    model = _mbart_model(own + 1 + (52 if languages == 50 else 25) + 1, **config)
    _save(model, folder)
    (folder / "sentencepiece.bpe.model").write_bytes(sentencepiece_model("unigram"))
    kind = "MBart50Tokenizer" if languages == 50 else "MBartTokenizer"
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": kind, "src_lang": "en_XX"})
    return model


def write_fsmt(
    folder: Path, *, separate: bool = False, langs: tuple[str, str] = ("en", "de"), **config: Any
) -> Any:
    """FSMT; with `separate`, the target's dictionary is longer."""
    folder.mkdir(parents=True, exist_ok=True)
    merges, pieces = fsmt_pieces()
    target = [*pieces, "more", "more</w>"] if separate else pieces
    model = _fsmt_model(len(pieces), len(target), langs=list(langs), **config)
    _save(model, folder)
    for name, side in (("vocab-src.json", pieces), ("vocab-tgt.json", target)):
        write_json(folder / name, {piece: token_id for token_id, piece in enumerate(side)})
    (folder / "merges.txt").write_text("".join(f"{left} {right} 1\n" for left, right in merges))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "FSMTTokenizer", "langs": list(langs)})
    return model


@cache
def fsmt_pieces() -> tuple[list[tuple[str, str]], list[str]]:
    words = " ".join([*tiny_sentences(80, seed=4), *SCRIPTS]).replace(".", " .").replace(",", " ,").split()
    return learn(words, NUM_FSMT_MERGES)


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _m2m_model(size: int, **config: Any) -> Any:
    with quiet():
        from transformers import M2M100Config, M2M100ForConditionalGeneration

        return _random(M2M100ForConditionalGeneration, M2M100Config, {"vocab_size": size, **config})


def _mbart_model(size: int, **config: Any) -> Any:
    with quiet():
        from transformers import MBartConfig, MBartForConditionalGeneration

        usual = {"decoder_start_token_id": 2, "activation_function": "gelu", "forced_eos_token_id": None}
        model = _random(MBartForConditionalGeneration, MBartConfig, {"vocab_size": size, **usual, **config})
        with torch.no_grad():
            # By a seed of its own: a bias of chance is one day that of two tokens as likely as each other.
            drawn = torch.Generator().manual_seed(5)
            torch.nn.init.normal_(model.final_logits_bias, std=0.2, generator=drawn)
        return model


def _fsmt_model(source: int, target: int, **config: Any) -> Any:
    with quiet():
        from transformers import FSMTConfig, FSMTForConditionalGeneration

        usual = {"src_vocab_size": source, "tgt_vocab_size": target, "forced_eos_token_id": None}
        return _random(FSMTForConditionalGeneration, FSMTConfig, {**usual, **config})


def _random(model_class: Any, config_class: Any, config: dict[str, Any]) -> Any:
    """In eval mode. `end_factor` makes `</s>` likelier.

    Weights as transformers draws them, some scaled: as they are, every answer repeats one token for ever.
    """
    usual = {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 64,
        "scale_embedding": True,
        "init_std": 0.2,
    }
    end_factor = config.pop("end_factor", 4.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.pop("seed", 4))
        model = model_class(config_class(**{**usual, **config})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(_liveliness(name))
            if name.endswith(("bias", "layer_norm.weight")):
                parameter.add_(0.1 * torch.sin(torch.arange(len(parameter), dtype=torch.float32)))
        output = getattr(model.model.decoder, "output_projection", None) or model.get_output_embeddings()
        output.weight[2].mul_(end_factor)
    return model


def _liveliness(name: str) -> float:
    if "positions" in name:
        return 1.0
    if "shared" in name or "embed_tokens" in name or "lm_head" in name or "output_projection" in name:
        return 0.5
    if "q_proj" in name or "k_proj" in name:
        return 4.0
    return 0.3 if "self_attn" in name and "weight" in name else 1.0


def _save(model: Any, folder: Path) -> None:
    with quiet():
        model.save_pretrained(folder)
