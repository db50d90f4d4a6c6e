"""A text to be measured on: sentences and their references. Knows: strings. Must not know: files, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TestSet:
    """`references[i]` translates `sources[i]`, and so does each `further[k][i]`; there is at least one.
    `names` say where they came from, `label` says it in short, differently from every other set of an
    evaluation. Where nobody knows the sentences, the references stand for them."""

    names: tuple[str, ...]
    sources: Sequence[str]
    references: Sequence[str]
    label: str
    further: Sequence[Sequence[str]] = ()
    has_sources: bool = True

    __test__ = False  # pytest takes the name for a test's

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def all_references(self) -> list[Sequence[str]]:
        """One list for each reference, as sacreBLEU takes them."""
        return [self.references, *self.further]
