"""A recipe's corpora, from raw files to the folder that training reads; what is there already stays.

    raw files -> held-out texts of all corpora -> their keys -> training texts without them -> origin.json

Knows: the order of the stages, and when a corpus has to be made again. Must not know: HTTP, formats.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.cleaning_report import CleaningReport
from training.corpus import Pair, read_pairs
from training.data_config import ParallelText
from training.errors import SourceError
from training.files import held, write_atomically
from training.sources.config import TRAIN, Corpus, Sources, file_of, texts_of
from training.sources.corpus_files import (
    held_out_keys,
    held_out_pairs,
    training_pairs,
    without_held_out,
    write_pairs,
)
from training.sources.raw_files import Listener, Places, bring

ORIGIN = "origin.json"
# Raised whenever the same raw files would give other pairs: corpora are then made again.
_VERSION = 1


@dataclass
class _Work:
    """One corpus in the making."""

    name: str
    corpus: Corpus
    folder: Path
    key: str  # of everything that its files depend on
    pairs: list[Pair] | None = None  # those of `train`, once they have been read
    counts: dict[str, CleaningReport] = field(default_factory=dict)


def prepare_sources(
    sources: Sources,
    places: Places,
    listener: Listener,
    *,
    only: Iterable[str] = (),
    offline: bool = False,
    rebuild: bool = False,
) -> list[Path]:
    """Make the corpora that are missing or no longer what the recipe says; the folders of all of them.

    A corpus whose files lie there without a note of where they come from was put there by hand and is left
    alone, unless `rebuild`. Raises `SourceError`.
    """
    wanted = _wanted(sources, only)
    due = {name: one for name, one in wanted.items() if rebuild or not _by_hand(one, places.data / name)}
    for name in wanted.keys() - due.keys():
        listener.say(f"{name}: put there by hand, left as it is")
    if due:  # or nothing is written, and the folder may be one that only others may write
        with held(places.data):
            sums = bring(_raw_names(due.values()), sources.files, places, listener, offline=offline)
            works = [_work(name, one, places, sums) for name, one in due.items()]
            _make(works, sources, places, listener, rebuild=rebuild)
    return [places.data / name for name in wanted]


def _raw_names(corpora: Iterable[Corpus]) -> list[str]:
    texts = (text for corpus in corpora for part in corpus.parts() for text in texts_of(part))
    return sorted({file_of(text) for text in texts})


def _wanted(sources: Sources, only: Iterable[str]) -> dict[str, Corpus]:
    for name in (names := set(only)):
        if name not in sources.corpora:
            known = ", ".join(sources.corpora)
            raise SourceError(f"the recipe has no corpus {name!r}; it has {known}")
    return {name: one for name, one in sources.corpora.items() if not names or name in names}


def _by_hand(corpus: Corpus, folder: Path) -> bool:
    return not (folder / ORIGIN).exists() and _is_complete(corpus, folder)


def _is_complete(corpus: Corpus, folder: Path) -> bool:
    return all((folder / corpus.file(name)).exists() for name in corpus.file_names())


def _work(name: str, corpus: Corpus, places: Places, sums: Mapping[str, str]) -> _Work:
    facts = [_VERSION, corpus.model_dump(mode="json"), [[raw, sums[raw]] for raw in _raw_names([corpus])]]
    return _Work(name, corpus, places.data / name, _sum(facts))


def _sum(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _noted(work: _Work) -> dict[str, Any]:
    """What is known of the files that lie there; nothing, if they are not complete or not of this recipe."""
    path = work.folder / ORIGIN
    try:
        note = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError:
        return {}
    if not isinstance(note, dict) or note.get("key") != work.key:
        return {}
    return note if _is_complete(work.corpus, work.folder) else {}


def _make(works: list[_Work], sources: Sources, places: Places, listener: Listener, *, rebuild: bool) -> None:
    """All held-out texts first: what stands in any of them is left out of every training text."""
    notes = {work.name: {} if rebuild else _noted(work) for work in works}
    for work in (work for work in works if not notes[work.name]):
        _make_held_out(work, places.raw, listener)
    keys = _keys(sources, places.data)
    mark = _sum(sorted(keys))
    for work in works:
        note = notes[work.name]
        if not note or (work.corpus.train and note["held_out"] != mark):
            _make_train(work, keys, places.raw, listener)
            _note(work, mark, note.get("pairs", {}))


def _pairs(work: _Work, raw_folder: Path) -> list[Pair]:
    if work.pairs is None:
        work.counts[TRAIN] = CleaningReport()
        work.pairs = training_pairs(work.corpus, raw_folder, work.counts[TRAIN])
    return work.pairs


def _make_held_out(work: _Work, raw_folder: Path, listener: Listener) -> None:
    for name, wanted in work.corpus.held_out.items():
        candidates = _pairs(work, raw_folder) if wanted.choose is not None else []
        counts = work.counts[name] = CleaningReport()
        pairs = held_out_pairs(wanted, candidates, raw_folder, counts)
        _check_number(f"{work.name}/{name}", len(pairs), wanted.choose or 1, counts)
        _write(work, name, pairs)
        _tell(work, name, listener)


def _make_train(work: _Work, keys: set[str], raw_folder: Path, listener: Listener) -> None:
    if work.corpus.train:
        pairs = _pairs(work, raw_folder)
        _check_number(f"{work.name}/{TRAIN}", len(pairs), 1, work.counts[TRAIN])
        _write(work, TRAIN, without_held_out(pairs, keys, work.counts[TRAIN]))
        work.pairs = None  # one corpus at a time is enough in memory
        _tell(work, TRAIN, listener)


def _check_number(name: str, found: int, wanted: int, counts: CleaningReport) -> None:
    """An empty download is a fault, not an empty corpus."""
    if found < wanted:
        raise SourceError(
            f"{name}: must have at least {wanted:,} pairs, got {found:,} ({counts.describe()}); look at the "
            "raw files, or change what the recipe takes of them"
        )


def _write(work: _Work, name: str, pairs: list[Pair]) -> None:
    """One file of a corpus that is unfinished until `_note`.

    Without that mark it would count as put there by hand, or as what it was before, if the rest never comes.
    """
    write_atomically(work.folder / ORIGIN, (json.dumps({"unfinished": True}) + "\n").encode())
    write_pairs(work.folder / work.corpus.file(name), pairs)


def _keys(sources: Sources, data_folder: Path) -> set[str]:
    """Of every held-out text of the recipe that is there, whoever put it there."""
    keys = set[str]()
    for name, corpus in sources.corpora.items():
        for path in (data_folder / name / corpus.file(one) for one in corpus.held_out):
            if path.exists():
                keys |= held_out_keys(read_pairs(ParallelText(tsv=path.name), path.parent))
    return keys


def _tell(work: _Work, name: str, listener: Listener) -> None:
    counts = work.counts[name]
    listener.say(f"{work.name}/{name}: {counts.describe()}")
    expected = work.corpus.expected_pairs.get(name, counts.kept)
    if expected != counts.kept:
        listener.say(f"{work.name}/{name}: {expected:,} pairs were expected, {counts.kept:,} are there")


def _note(work: _Work, mark: str, earlier: Mapping[str, str]) -> None:
    """Last of all, so that a corpus that is half made is made again. `earlier`: counts of files that stay."""
    counts = {**earlier, **{name: one.describe() for name, one in work.counts.items()}}
    corpus = work.corpus
    lines = [
        f"# {work.name}",
        f"Columns: {', '.join(corpus.languages)}. Made by `verto data prepare`.",
        f"Licence: {corpus.licence}",
        f"Attribution: {corpus.attribution}",
        *(f"- {name}: {count}" for name, count in counts.items()),
    ]
    write_atomically(work.folder / "ORIGIN.md", ("\n\n".join(lines) + "\n").encode())
    note = {"key": work.key, "held_out": mark, "pairs": counts}
    write_atomically(work.folder / ORIGIN, (json.dumps(note, indent=1) + "\n").encode())
