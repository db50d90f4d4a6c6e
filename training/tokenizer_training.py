"""Learns a SentencePiece vocabulary from sentences.

Knows: SentencePiece's trainer and how text is normalised before it is cut into pieces.
Must not know: where sentences come from, how a vocabulary is used, or anything of the network.

Normalisation is baked into the vocabulary file, so that everything that reads it sees the same text. The
ready-made choices lose what readers need: NFKC turns "10²" into "102" and "1½" into "11⁄2"; identity takes a
no-break space or a decomposed "ä" for rare characters. Ours changes how text is stored, not what it says:

- canonical composition (Unicode NFC), so that an "ä" typed in two ways is one "ä";
- every kind of space, tab and line end becomes one plain space, and runs of them one space;
- soft hyphen, zero-width space, byte order mark and control characters vanish (joiners stay, since emoji and
  Persian need them);
- "▁", SentencePiece's own word mark, becomes "_", since it would come back as a space.
"""

from __future__ import annotations

import functools
import io
import random
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]  # generated, untyped

from model.placeholders import MAX_PLACEHOLDERS, placeholder_symbols
from training.invisible import CONTROLS, INVISIBLE

TokenizerKind = Literal["unigram", "bpe"]

PRINTABLE_ASCII = "".join(chr(code_point) for code_point in range(0x21, 0x7F))

_LINE_BREAKS = "\t\n\v\f\r\x85\u2028\u2029"
_WORD_MARK = "\u2581"
_FIRST_PLANE_WITHOUT_RULES = 0x30000  # no space, no control and nothing decomposable from here on
_SPECIAL_IDS = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}
_MAX_SENTENCE_BYTES = 16_384


class TokenizerTrainingError(ValueError):
    """A vocabulary cannot be learned as asked. `field` is the setting; the message has bound and value."""

    def __init__(self, field: str, fault: str) -> None:
        self.field = field
        super().__init__(f"{field}: {fault}")


def train_tokenizer(
    sentences: Iterable[str],
    *,
    vocab_size: int,
    kind: TokenizerKind = "unigram",
    character_coverage: float = 0.9995,
    split_digits: bool = True,
    byte_fallback: bool = True,
    required_characters: str = PRINTABLE_ASCII,
    letters: Iterable[str] = (),
    control_symbols: Sequence[str] = (),
    placeholders: int = 0,
    tags: Sequence[str] = (),
    max_sentences: int = 1_000_000,
    seed: int = 0,
    num_threads: int = 1,
) -> bytes:
    """A serialised SentencePiece model of exactly `vocab_size` pieces; pad=0, unk=1, bos=2, eos=3.

    The same sentences and options give the same bytes. With `split_digits` every digit is a piece of its own,
    so a number is copied, not recalled. `byte_fallback` spells characters outside the vocabulary in UTF-8
    bytes, so nothing is unknown. `required_characters` are pieces however rare they are: a digit that the
    text hardly has would otherwise be spelled in bytes. So are those of `letters` that the text has at all.
    `control_symbols` (language tags) get ids but are never found in text, so a text cannot forge them. The
    last `placeholders` pieces are those symbols, each always a piece of its own (see model/placeholders.py);
    before them stand the `tags`, words in angle brackets that nothing cuts (Caswell et al. 2019, "Tagged
    Back-Translation"). Of more than `max_sentences` a uniform sample is used, drawn with `seed`. Sentences
    above 16 KiB are left out.

    Raises TokenizerTrainingError naming the setting, its bound and its value.
    """
    _check_options(vocab_size, kind, character_coverage, max_sentences, num_threads)
    _check_placeholders(placeholders, vocab_size - len(tags))
    symbols = (*tags, *placeholder_symbols(placeholders))
    sample = _sample(
        _checked_sentences(_without(sentences, symbols)),
        max_sentences,
        random.Random(seed),
    )
    if not sample:
        fault = f"needs at least 1 with text in it and at most {_MAX_SENTENCE_BYTES} bytes, got 0"
        raise TokenizerTrainingError("sentences", fault)
    options = {
        "vocab_size": vocab_size - len(symbols),
        "model_type": kind,
        "character_coverage": character_coverage,
        "split_digits": split_digits,
        "byte_fallback": byte_fallback,
        "required_chars": required_characters + _met(letters, sample),
        "control_symbols": list(control_symbols),
        "num_threads": num_threads,
    }
    try:
        return with_symbols(_without_rule_path(_learn(sample, options)), symbols)
    except RuntimeError as error:
        raise _explained(error, vocab_size, len(symbols)) from error


def _met(letters: Iterable[str], sample: Sequence[bytes]) -> str:
    """Those of them that stand in the text, in order."""
    return "".join(sorted(one for one in letters if any(one.encode() in line for line in sample)))


def with_symbols(serialized: bytes, symbols: Sequence[str], control_symbols: Sequence[str] = ()) -> bytes:
    """A SentencePiece model that has these symbols as pieces: those it lacks are put at its end.

    Text has `symbols`; `control_symbols` are never found in it. The ids of all other pieces stay. Raises
    TokenizerTrainingError for a control symbol that is a piece of text already.
    """
    model, kinds = ModelProto.FromString(serialized), ModelProto.SentencePiece
    known = {piece.piece: piece.type for piece in model.pieces}
    wanted = [(symbol, kinds.USER_DEFINED) for symbol in symbols]
    for symbol in control_symbols:
        if known.get(symbol, kinds.CONTROL) != kinds.CONTROL:
            raise TokenizerTrainingError("control_symbols", f"must be no piece of text, got {symbol}")
        wanted.append((symbol, kinds.CONTROL))
    for symbol, kind in wanted:
        if symbol not in known:
            model.pieces.add(piece=symbol, score=0.0, type=kind)
    model.trainer_spec.vocab_size = len(model.pieces)
    extended: bytes = model.SerializeToString(deterministic=True)
    return extended


def _learn(sentences: Sequence[bytes], options: dict[str, Any]) -> bytes:
    model = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="verto-tokenizer-") as folder:
        rules = Path(folder) / "normalisation.tsv"
        rules.write_text(_normalisation_rules(), encoding="ascii")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            normalization_rule_tsv=str(rules),
            max_sentence_length=_MAX_SENTENCE_BYTES,
            minloglevel=2,
            **{**_SPECIAL_IDS, **options},
        )
    return model.getvalue()


def _without_rule_path(serialized: bytes) -> bytes:
    """SentencePiece notes the rule table's path in the model: no use later, and different on every run."""
    model = ModelProto.FromString(serialized)
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    model.normalizer_spec.name = "verto"
    cleaned: bytes = model.SerializeToString(deterministic=True)
    return cleaned


def _check_options(
    vocab_size: int, kind: str, character_coverage: float, max_sentences: int, num_threads: int
) -> None:
    if kind not in ("unigram", "bpe"):
        raise TokenizerTrainingError("kind", f"must be unigram or bpe, got {kind!r}")
    if vocab_size <= len(_SPECIAL_IDS):
        raise TokenizerTrainingError("vocab_size", f"must be above {len(_SPECIAL_IDS)}, got {vocab_size}")
    if not 0.0 < character_coverage <= 1.0:
        fault = f"must be above 0 and at most 1, got {character_coverage}"
        raise TokenizerTrainingError("character_coverage", fault)
    if max_sentences < 1:
        raise TokenizerTrainingError("max_sentences", f"must be at least 1, got {max_sentences}")
    if not 1 <= num_threads <= 2:
        raise TokenizerTrainingError("num_threads", f"must be 1 or 2, got {num_threads}")


def _check_placeholders(count: int, vocab_size: int) -> None:
    if not 0 <= count <= min(MAX_PLACEHOLDERS, vocab_size - len(_SPECIAL_IDS) - 1):
        fault = f"must be 0 to {MAX_PLACEHOLDERS}, and fewer than vocab_size, got {count}"
        raise TokenizerTrainingError("placeholders", fault)


def _without(sentences: Iterable[str], symbols: Sequence[str]) -> Iterator[str]:
    """Their pieces are set, not learned, nor may they be part of other pieces."""
    every = re.compile("|".join(map(re.escape, symbols)))
    return (every.sub("", sentence) for sentence in sentences) if symbols else iter(sentences)


def _checked_sentences(sentences: Iterable[str]) -> Iterator[bytes]:
    for index, sentence in enumerate(sentences):
        try:
            encoded = sentence.strip().encode("utf-8")
        except UnicodeEncodeError as error:
            surrogate = f"U+{ord(error.object[error.start]):04X}"
            fault = f"number {index} has a lone surrogate ({surrogate}) at character {error.start}"
            raise TokenizerTrainingError("sentences", fault) from error
        if encoded and len(encoded) <= _MAX_SENTENCE_BYTES:
            yield encoded


def _sample(sentences: Iterable[bytes], size: int, rng: random.Random) -> list[bytes]:
    """A uniform sample in one pass and bounded memory (reservoir sampling, Vitter 1985, algorithm R)."""
    reservoir: list[bytes] = []
    for index, sentence in enumerate(sentences):
        if index < size:
            reservoir.append(sentence)
        elif (slot := rng.randrange(index + 1)) < size:
            reservoir[slot] = sentence
    return reservoir


@functools.cache
def _normalisation_rules() -> str:
    """SentencePiece's rule table: hexadecimal code points, tab, their replacement. The longest match wins."""
    rules: dict[str, str] = {}
    for code_point in range(1, _FIRST_PLANE_WITHOUT_RULES):  # NUL would end SentencePiece's C string
        if not 0xD800 <= code_point < 0xE000:
            rules.update(_rules_of(chr(code_point)))
    lines = (f"{_hexadecimal(source)}\t{_hexadecimal(target)}\n" for source, target in sorted(rules.items()))
    return "".join(lines)


def _rules_of(character: str) -> dict[str, str]:
    if character in _LINE_BREAKS or (unicodedata.category(character) == "Zs" and character != " "):
        return {character: " "}
    if character in CONTROLS or character in INVISIBLE:
        return {character: ""}
    if character == _WORD_MARK:
        return {character: "_"}
    return _composition_rules(character)


def _composition_rules(character: str) -> dict[str, str]:
    """From every spelling of a character to the composed one, half-composed ("ế" as "ê" and an acute) too."""
    composed = unicodedata.normalize("NFC", character)
    parts = unicodedata.normalize("NFD", character)
    halves = {unicodedata.normalize("NFC", parts[:k]) + parts[k:] for k in range(1, len(parts))}
    return {spelling: composed for spelling in {character, parts, *halves} if spelling != composed}


def _hexadecimal(text: str) -> str:
    return " ".join(f"{ord(character):X}" for character in text)


def _explained(error: RuntimeError, vocab_size: int, num_symbols: int) -> TokenizerTrainingError:
    """SentencePiece's check failures, in the words of our settings."""
    message = str(error)
    if found := re.search(r"Vocabulary size too high \(\d+\).*<= (\d+)", message):
        fault = f"must be at most {int(found[1]) + num_symbols} for this text, got {vocab_size}"
        return TokenizerTrainingError("vocab_size", fault)
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        counted = "special, control and byte pieces, required and covered characters"
        fault = f"must be at least {int(found[1]) + num_symbols} ({counted}), got {vocab_size}"
        return TokenizerTrainingError("vocab_size", fault)
    return TokenizerTrainingError("sentences", f"SentencePiece refuses them: {message}")
