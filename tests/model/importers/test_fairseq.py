"""Imported M2M-100, NLLB, mBART and FSMT models compute, write and spell what transformers makes of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch

from model.checkpoint import Bundle, load_bundle
from model.decoding.options import DecodingOptions
from model.decoding.search import decode_batch
from model.importers.fairseq_languages import M2M100, MBART25, MBART50, NLLB200
from model.importers.foreign import ForeignFolder
from model.importers.mapping import Wanted
from model.importers.registry import import_folder
from model.language_signals import Signal
from model.masks import pad_batch
from tests.model.closeness import distance
from tests.model.importers.decided import WIDE_ENOUGH, narrowest_choice
from tests.model.importers.random_fairseq import (
    TEXTS,
    sentencepiece_model,
    write_fsmt,
    write_m2m,
    write_mbart,
    write_nllb,
)
from tests.model.peers import hf_generate, quiet

ODD = {"d_model": 30, "encoder_attention_heads": 3, "decoder_attention_heads": 5}
DEEP = {"encoder_layers": 3, "decoder_layers": 1}
SHAPES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "m2m": (write_m2m, {}),
    "m2m-untied-odd-heads": (
        write_m2m,
        {
            "tie_word_embeddings": False,
            "activation_function": "gelu",
            "scale_embedding": False,
            **ODD,
            **DEEP,
        },
    ),
    "nllb": (write_nllb, {"end_factor": 6.0}),
    "nllb-legacy-shallow": (write_nllb, {"legacy": True, "encoder_layers": 1, "decoder_layers": 3}),
    "mbart-50": (write_mbart, {}),
    "mbart-50-untied-odd-heads": (write_mbart, {"tie_word_embeddings": False, **ODD, **DEEP}),
    "mbart-25": (write_mbart, {"languages": 25, "start": "ro_RO", "scale_embedding": False}),
    "fsmt": (write_fsmt, {}),
    "fsmt-tied": (write_fsmt, {"tie_word_embeddings": True, "seed": 6, **DEEP}),
    "fsmt-two-dictionaries": (
        write_fsmt,
        {"separate": True, "activation_function": "gelu", "seed": 7, **ODD},
    ),
}
NUM_SOURCES, LONGEST = 200, 12


def imported(folder: Path, **wanted: Any) -> Bundle:
    bundle = folder.parent / f"{folder.name}-bundle"
    import_folder(ForeignFolder.open(folder), bundle, Wanted(**{"name": "imported", **wanted}))
    return load_bundle(bundle)


def first_signal(bundle: Bundle) -> Signal:
    return bundle.info.signals.of(*bundle.info.languages[0])


def random_sources(signal: Signal, count: int) -> list[list[int]]:
    draw = random.Random(1)
    texts = [[draw.randrange(4, 120) for _ in range(draw.randrange(1, 12))] for _ in range(count)]
    return [[*signal.before_source, *ids, 2, *signal.after_source] for ids in texts]


def answers(
    bundle: Bundle, sources: Sequence[Sequence[int]], signal: Signal, **options: Any
) -> list[list[int]]:
    asked = DecodingOptions(max_length=LONGEST, prefix_ids=signal.before_target, **options)
    return [list(best.token_ids) for (best,) in decode_batch(bundle.model, sources, asked)]


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_greedy_and_beam_are_those_of_transformers(tmp_path: Path, shape: str) -> None:
    write, options = SHAPES[shape]
    theirs = write(tmp_path / "hf", **options)
    ours = imported(tmp_path / "hf")
    signal = first_signal(ours)
    sources = random_sources(signal, NUM_SOURCES)
    ids, mask = pad_batch(sources[:16], ours.config.pad_id)
    targets = torch.randint(4, 100, (16, 9), generator=torch.Generator().manual_seed(1))
    start = [ours.config.decoder_start_id, *signal.before_target]
    targets[:, : len(start)] = torch.tensor(start)
    with torch.no_grad():
        # Without a cache, so that FSMT masks what stands ahead.
        batch = {"input_ids": ids, "attention_mask": mask.long(), "decoder_input_ids": targets}
        expected = theirs(**batch, use_cache=False).logits
        assert distance(ours.model(ids, mask, targets), expected) < 1e-4
    greedy = answers(ours, sources, signal, strategy="greedy")
    beam = answers(ours, sources, signal, beam_size=4, length_penalty=0.0)
    # What we bar: padding, and a start token that is not `</s>`.
    barred = sorted({ours.config.pad_id, ours.config.decoder_start_id} - {2})
    given = len(signal.before_target)
    narrowest = narrowest_choice(ours.model, sources, greedy, LONGEST, barred, given)
    assert narrowest > WIDE_ENOUGH, "a tie: take another seed"
    common = {
        "max_new_tokens": LONGEST,
        "suppress_tokens": barred,
        "forced_bos_token_id": signal.before_target[0] if signal.before_target else None,
    }
    assert hf_generate(theirs, sources, 1, num_beams=1, **common) == greedy
    theirs_beam = {"num_beams": 4, "length_penalty": 0.0, "early_stopping": True}
    assert hf_generate(theirs, sources, 1, **theirs_beam, **common) == beam
    ended = sum(len(answer) < LONGEST for answer in beam)
    assert ended > 10, "hardly any search ends"
    assert len(set(map(tuple, beam))) > 20, "all searches find the same"


def their_tokenizer(name: str, folder: Path, source: str) -> Any:
    with quiet():
        import transformers

        # Of a folder without tokenizer.json transformers 5 forgets NLLB's languages, unless it is told them.
        extra = {"extra_special_tokens": list(NLLB200)} if name == "NllbTokenizer" else {}
        return getattr(transformers, name).from_pretrained(folder, src_lang=source, **extra)


TOKENIZERS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "m2m": (write_m2m, "M2M100Tokenizer", "en"),
    "nllb": (write_nllb, "NllbTokenizer", "eng_Latn"),
    "nllb-legacy": (lambda folder: write_nllb(folder, legacy=True), "NllbTokenizer", "eng_Latn"),
    "mbart-50": (write_mbart, "MBart50Tokenizer", "en_XX"),
    "mbart-25": (
        lambda folder: write_mbart(folder, languages=25, start="ro_RO"),
        "MBartTokenizer",
        "en_XX",
    ),
}
# What `transformers`' own copy of SentencePiece cuts otherwise than SentencePiece: a space at the end; and in
# mBART's 25 languages it normalises nothing.
OF_THEIRS_ALONE = {"  two  spaces "}
NORMALISED = {text for text in TEXTS if any(char in text for char in "“…ﬁ½１\t")}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_texts_have_the_ids_and_the_spelling_of_their_tokenizers(tmp_path: Path, name: str) -> None:
    write, kind, source = TOKENIZERS[name]
    write(tmp_path / "hf")
    ours = imported(tmp_path / "hf")
    theirs = their_tokenizer(kind, tmp_path / "hf", source)
    signal = ours.info.signals.of(source, ours.info.languages.targets_of(source)[0])
    skipped = set() if name == "m2m" else OF_THEIRS_ALONE
    skipped |= NORMALISED if name == "mbart-25" else set()
    for text in (text for text in TEXTS if text not in skipped):
        ids = [*signal.before_source, *ours.tokenizer.encode_source(text), *signal.after_source]
        # By pieces: transformers numbers NLLB's languages in another order than the published models do.
        assert theirs.convert_ids_to_tokens(theirs(text).input_ids) == ours.tokenizer.source_pieces(ids), text
        if kind != "NllbTokenizer":
            assert theirs(text).input_ids == ids
        target = ours.tokenizer.encode_target(text)
        spelled = theirs.decode(target, skip_special_tokens=True)
        assert spelled.strip() == ours.tokenizer.decode_target(target).strip()


@pytest.mark.parametrize("name", [name for name in TOKENIZERS if name != "m2m"])
def test_ids_are_what_fairseq_makes_of_sentencepiece(tmp_path: Path, name: str) -> None:
    TOKENIZERS[name][0](tmp_path / "hf")
    tokenizer = imported(tmp_path / "hf").tokenizer
    kind = "bpe" if name.startswith("nllb") else "unigram"
    processor = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(kind))
    for text in TEXTS:
        expected = [number + 1 if number else 3 for number in processor.encode(text)]
        assert tokenizer.encode_source(text) == [*expected, 2]


def test_languages_have_the_ids_of_the_published_models() -> None:
    """NLLB-200, M2M-100, mBART-50 and mBART's en-ro, whose dictionaries are too big to be here."""
    assert 256_000 + 1 + NLLB200.index("eng_Latn") == 256_047
    assert 256_000 + 1 + NLLB200.index("fra_Latn") == 256_057
    assert 128_004 + M2M100.index("en") == 128_022
    assert 128_004 + len(M2M100) + 8 == 128_112
    assert 250_000 + 1 + MBART50.index("en_XX") == 250_004
    assert 250_000 + 1 + MBART25.index("ro_RO") == 250_020
    assert 250_000 + 1 + len(MBART50) + 1 == 250_054
    assert (len(NLLB200), len(set(NLLB200))) == (202, 202)


def test_a_text_cannot_forge_a_language(tmp_path: Path) -> None:
    write_m2m(tmp_path / "hf")
    ours = imported(tmp_path / "hf")
    tags = set(ours.info.signals.token_ids.values())
    for text in ("__de__ ba", "</s> ba", "<s>", "__en__"):
        assert not tags & set(ours.tokenizer.encode_source(text))
        assert ours.tokenizer.encode_source(text).index(2) == len(ours.tokenizer.encode_source(text)) - 1
