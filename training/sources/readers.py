"""Pairs from raw files, one reader a format.

Knows: which format is read how, and which sides belong together. Must not know: normal forms, held-out texts,
where the pairs go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

from training.corpus import Pair
from training.errors import SourceError
from training.sources.catalogues import messages
from training.sources.config import (
    Catalogues,
    Chat,
    Dialogues,
    Dictionary,
    ParallelLines,
    Part,
    Questions,
    TabSeparated,
)
from training.sources.dictionary import entries, is_sentence
from training.sources.markup import reading
from training.sources.normal_form import num_tokens, num_words
from training.sources.raw_text import open_text, read_text
from training.sources.sentences import sentence_pairs

_HALF = re.compile("[\ud800-\udfff]")


def read_part(part: Part, folder: Path) -> Iterator[Pair]:
    """The pairs of a part as they stand: first language, second language. Raises `SourceError`."""
    return _READERS[type(part)](part, folder)


def _tab_separated(part: TabSeparated, folder: Path) -> Iterator[Pair]:
    first, second = part.columns
    for number, line in enumerate(_lines(read_text(part.text, folder)), 1):
        cells = line.split("\t")
        if max(part.columns) >= len(cells):
            wanted = f"column {max(part.columns)} (counted from 0) is asked for"
            raise SourceError(f"{part.text}: line {number} has {len(cells)} columns, {wanted}")
        yield Pair(cells[first], cells[second])


def _parallel_lines(part: ParallelLines, folder: Path) -> Iterator[Pair]:
    both = [_lines(read_text(text, folder)) for text in part.texts]
    pairs = _aligned(both[0], both[1], part.texts)
    return pairs if part.detokenize is None else _detokenized(pairs, part.detokenize)


def _aligned(left: Iterable[str], right: Iterable[str], names: tuple[str, str]) -> Iterator[Pair]:
    for number, (source, target) in enumerate(zip_longest(left, right), 1):
        if source is None or target is None:
            shorter, longer = names if source is None else names[::-1]
            raise SourceError(f"{shorter}: ends after line {number - 1}, {longer} goes on")
        yield Pair(source, target)


def _detokenized(pairs: Iterable[Pair], languages: tuple[str, str]) -> Iterator[Pair]:
    # Slow to import, and few corpora need it.
    from sacremoses import MosesDetokenizer  # type: ignore[import-untyped]

    source, target = (MosesDetokenizer(language) for language in languages)
    for pair in pairs:
        yield Pair(source.detokenize(pair.source.split()), target.detokenize(pair.target.split()))


def _catalogues(part: Catalogues, folder: Path) -> Iterator[Pair]:
    for member in open_text(part.text, folder):
        for message in messages(member):
            read = reading(part.markup, message)
            sides = [] if read is None else [read(side) for side in message.pair]
            texts = [" ".join(side.split()) for side in sides if side is not None]
            if len(texts) == 2:
                yield from _sentences(part, Pair(*texts))


def _sentences(part: Catalogues, pair: Pair) -> Iterator[Pair]:
    parts = sentence_pairs(pair) if part.split else [pair]
    return (one for one in parts if _is_wanted(part, one))


def _is_wanted(part: Catalogues, pair: Pair) -> bool:
    short, long = sorted((len(pair.source), len(pair.target)))
    return (
        num_words(pair.source) >= part.min_words
        and not (part.drop_identical and pair.source == pair.target)
        and (part.max_tokens is None or max(map(num_tokens, pair)) <= part.max_tokens)
        and (part.max_ratio is None or long <= part.max_ratio * short)
    )


def _dialogues(part: Dialogues, folder: Path) -> Iterator[Pair]:
    """What users say; system turns are English in both files, and so are turns that nobody translated."""
    first, second = (_parsed(text, folder) for text in part.texts)
    with _shaped(part.texts[1]):
        for left, right in zip(first, second, strict=True):
            for said, translated in zip(left["dialogue"], right["dialogue"], strict=True):
                if said["transcript"].strip() != translated["transcript"].strip():
                    yield _texts(said["transcript"], translated["transcript"])


def _chat(part: Chat, folder: Path) -> Iterator[Pair]:
    with _shaped(part.text):
        for turns in _parsed(part.text, folder).values():
            for turn in turns:
                pair = _texts(turn["source"], turn["target"])
                yield Pair(pair.target, pair.source) if turn["speaker"] == part.foreign_speaker else pair


def _questions(part: Questions, folder: Path) -> Iterator[Pair]:
    first, second = (_parsed(text, folder) for text in part.texts)
    with _shaped(part.texts[1]):
        for left, right in zip(_paragraphs(first), _paragraphs(second), strict=True):
            yield from sentence_pairs(_texts(left["context"], right["context"]))
            asked = {one["id"]: one["question"] for one in right["qas"]}
            yield from (_texts(one["question"], asked[one["id"]]) for one in left["qas"])


def _paragraphs(data: Any) -> Iterator[Any]:
    return (paragraph for article in data["data"] for paragraph in article["paragraphs"])


def _dictionary(part: Dictionary, folder: Path) -> Iterator[Pair]:
    for entry in entries(_lines(read_text(part.text, folder))):
        if is_sentence(entry) == (part.take == "sentences"):
            yield entry


def _lines(text: str) -> Iterator[str]:
    """Only "\\n" ends a line, or sides would slip; a "\\r" before it is not text."""
    lines = text.split("\n")
    return (line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines))


def _texts(source: Any, target: Any) -> Pair:
    """Of what JSON holds: values of any kind, and halves of characters, which no file can take."""
    for side in (source, target):
        if not isinstance(side, str):
            raise TypeError(f"{side!r:.60} is no text")
        if half := _HALF.search(side):
            raise ValueError(f"U+{ord(half[0]):04X} is half a character: {side[:60]!r}")
    return Pair(source, target)


def _parsed(text: str, folder: Path) -> Any:
    content = read_text(text, folder)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # ValueError: also of a number of thousands of digits
        raise SourceError(f"{text}: not JSON ({error})") from error


@contextmanager
def _shaped(text: str) -> Iterator[None]:
    """In this block a missing field or a list that is too short is a fault of the raw file, not a bug."""
    try:
        yield
    except SourceError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{text}: not in the form that its format has ({error!r})") from error


_READERS: dict[type, Callable[[Any, Path], Iterator[Pair]]] = {
    TabSeparated: _tab_separated,
    ParallelLines: _parallel_lines,
    Catalogues: _catalogues,
    Dialogues: _dialogues,
    Chat: _chat,
    Questions: _questions,
    Dictionary: _dictionary,
}
