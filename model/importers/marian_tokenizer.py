"""The tokenizer of a Marian folder, and which languages it speaks.

Knows: `source.spm`, `target.spm`, `vocab.json`, `target_vocab.json`, `tokenizer_config.json`, tags such as
`>>fra<<`. Must not know: weights.

A folder whose dictionary has tags translates into their languages, and each source text begins with one. A
folder without tags has one target language, which `tokenizer_config.json` says, or the user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from model.config import ConfigError
from model.dictionary_vocabulary import Dictionary
from model.directions import Directions
from model.importers.foreign import ForeignFolder
from model.importers.language_groups import is_group
from model.importers.mapping import Wanted
from model.language_signals import LanguageSignals
from model.manifest import BundleError
from model.tokenizer import Tokenizer, TokenizerError
from model.vocabulary import open_processor

SOURCE_SPM, TARGET_SPM = "source.spm", "target.spm"
VOCAB, TARGET_VOCAB = "vocab.json", "target_vocab.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
PAD, EOS, UNK = "<pad>", "</s>", "<unk>"
_TAG = re.compile(r">>([A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*)<<")


def check_tokenizer_class(folder: ForeignFolder) -> None:
    """Raises BundleError for a folder whose ids mean something else."""
    settings = folder.settings(TOKENIZER_CONFIG)
    known = ("MarianTokenizer", "MarianTokenizerFast")
    settings.choice("tokenizer_class", dict.fromkeys(known, None), "MarianTokenizer")


def read_tokenizer(folder: ForeignFolder, pad_id: int, barred_ids: Sequence[int]) -> Tokenizer:
    """`pad_id` is what is padded with, where both sides call that id the same; else it is `</s>`, since
    padding is masked. `barred_ids` are never written; where no text is cut into one, it is none itself.
    Raises BundleError."""
    source = _pieces(folder, VOCAB)
    separate = folder.settings(TOKENIZER_CONFIG).flag("separate_vocabs", False)
    target = _pieces(folder, TARGET_VOCAB) if separate else source
    if pad_id >= len(target):
        raise folder.config.fault("pad_token_id", f"an id of the target's dictionary, 0..{len(target) - 1}")
    tags = [piece for piece in source if _TAG.fullmatch(piece)]
    pad = target[pad_id] if source[pad_id : pad_id + 1] == (target[pad_id],) else EOS
    models = [folder.sentencepiece(name) for name in (SOURCE_SPM, TARGET_SPM)]
    barred = {target[i] for i in barred_ids if i < len(target)}
    control = {EOS, UNK, PAD, *tags, *barred.difference(*map(_texts, models))}
    dictionary = Dictionary(
        source=source,
        target=target,
        special={"pad": pad, "unk": UNK, "bos": None, "eos": EOS},
        control=frozenset(control),
    )
    try:
        return Tokenizer.with_dictionary(dictionary, *(models[:1] if models[0] == models[1] else models))
    except TokenizerError as error:
        raise BundleError(folder.path, str(error)) from error


def read_languages(
    folder: ForeignFolder, tokenizer: Tokenizer, wanted: Wanted
) -> tuple[Directions, LanguageSignals]:
    """Raises BundleError for a language that nobody says, and for one that has no tag."""
    token_ids = _tags(tokenizer)
    exported = folder.config.part("verto").values.get("directions")
    if exported is not None and not (wanted.sources or wanted.targets):
        return _as_exported(Directions.from_json(exported), token_ids)
    _check_sides(folder, wanted, exported, has_tags=bool(token_ids))
    sources = wanted.sources or (_said(folder, "source_lang", "--source"),)
    if not token_ids:
        targets = wanted.targets or (_said(folder, "target_lang", "--target"),)
        if len(targets) > 1:
            fault = (
                f"has no tags such as >>{targets[1]}<<, so it has one target; {', '.join(targets)} were named"
            )
            raise BundleError(folder.path / VOCAB, fault)
        return _directions(sources, targets), LanguageSignals()
    for target in wanted.targets:
        if target not in token_ids:
            raise BundleError(folder.path / VOCAB, f"has no tag >>{target}<<, only {_listed(token_ids)}")
    chosen = {code: token_ids[code] for code in wanted.targets or token_ids}
    return _directions(sources, tuple(chosen)), LanguageSignals(target="source_tag", token_ids=chosen)


def _check_sides(folder: ForeignFolder, wanted: Wanted, exported: Any, *, has_tags: bool) -> None:
    """Raises BundleError where the user says the reverse of what the folder says."""
    if exported is not None:
        said = Directions.from_json(exported)
        return wanted.check_sides(folder.config.path, "verto.directions", said.sources, said.targets)
    settings = folder.settings(TOKENIZER_CONFIG)
    source, target = settings.text("source_lang", ""), settings.text("target_lang", "")
    if source and target and not has_tags:  # with tags they name groups, which may share languages
        wanted.check_sides(settings.path, "source_lang, target_lang", [source], [target])


def _as_exported(directions: Directions, token_ids: Mapping[str, int]) -> tuple[Directions, LanguageSignals]:
    """What the bundle translated that was exported: of many tags perhaps a few, from several sources."""
    chosen = {code: token_ids[code] for code in directions.targets if code in token_ids}
    signals = LanguageSignals(target="source_tag", token_ids=chosen) if chosen else LanguageSignals()
    return directions, signals


def _tags(tokenizer: Tokenizer) -> dict[str, int]:
    """Language code -> id of its tag, in the order of the dictionary."""
    pieces = tokenizer.source_pieces(range(tokenizer.source_vocab_size))
    found = ((_TAG.fullmatch(piece), token_id) for token_id, piece in enumerate(pieces))
    return {match[1]: token_id for match, token_id in found if match}


def _directions(sources: Sequence[str], targets: Sequence[str]) -> Directions:
    if len(sources) == 1:
        return Directions([(sources[0], target) for target in targets if target != sources[0]])
    return Directions.product(sources, targets)


def _said(folder: ForeignFolder, key: str, option: str) -> str:
    """The folder's own word; a group of languages ("mul", "ROMANCE") is none that a text can be in."""
    settings = folder.settings(TOKENIZER_CONFIG)
    code = settings.text(key, "")
    try:
        Directions([(code, "x")])
    except ConfigError:
        fault = f"{key} names no language ({code!r}); say which with {option}"
        raise BundleError(settings.path, fault) from None
    if is_group(code):
        raise BundleError(
            settings.path, f"{key} names a group of languages ({code!r}); say which with {option}"
        )
    return code


def _texts(model: bytes) -> set[str]:
    """The pieces that SentencePiece cuts texts into."""
    processor = open_processor(model, SOURCE_SPM)
    numbers = range(processor.get_piece_size())
    return {processor.id_to_piece(n) for n in numbers if not processor.is_control(n)}


def _pieces(folder: ForeignFolder, name: str) -> tuple[str, ...]:
    """The pieces of a dictionary by id, which must be 0..N-1."""
    path, ids = folder.path / name, folder.json(name)
    try:
        by_id: dict[Any, str] = {token_id: piece for piece, token_id in ids.items()}
    except TypeError as error:
        raise BundleError(path, f"must give every piece a number ({error})") from error
    if len(by_id) != len(ids) or set(map(type, by_id)) != {int} or set(by_id) != set(range(len(ids))):
        raise BundleError(path, f"must give {len(ids)} pieces the ids 0..{len(ids) - 1}, each once")
    for piece in (EOS, UNK):
        if piece not in ids:
            raise BundleError(path, f"has no piece {piece}")
    return tuple(by_id[token_id] for token_id in range(len(ids)))


def _listed(token_ids: dict[str, int]) -> str:
    more = f" and {len(token_ids) - 20} more" if len(token_ids) > 20 else ""
    return ", ".join(f">>{code}<<" for code in list(token_ids)[:20]) + more
