"""Which sentence pairs are worth learning from, and how many fell to each rule.

Knows: the rules in their order, cheap ones first, and repetitions across files. Must not know: files, tokens,
batches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from training.cleaning_report import CleaningReport
from training.corpus import Pair, tidy
from training.data_config import DataConfig
from training.invisible import CONTROLS, INVISIBLE
from training.language_check import Identifier, LanguageCheck, load_identifier
from training.pair_text import in_chunks
from training.script_check import Script, share_of_letters
from training.seen_keys import Keys, SeenKeys

# Two short sides may differ by any factor ("OK" and "Einverstanden"); a longer one needs its counterpart.
RATIO_EXEMPT_CHARACTERS = 20
IDENTICAL_EXEMPT_WORDS = 3
_BLANK = " " + CONTROLS + INVISIBLE  # no side is made of these alone

Rule = Callable[[Pair], bool]


class Cleaner:
    """Tidies pairs and drops those not worth training on. One object a direction of a run: it sees
    repetitions across files.

    Memory does not grow with the pairs: what was seen is remembered in `folder`, 8 bytes a pair.
    """

    def __init__(
        self,
        config: DataConfig,
        languages: tuple[str, str],
        folder: Path,
        load: Callable[[], Identifier] = load_identifier,
        report: CleaningReport | None = None,
    ) -> None:
        """`languages` of source and target; `report` is counted in, where several share one.

        Raises `RecipeError` for a language that cannot be identified.
        """
        self.report = CleaningReport() if report is None else report
        self._rules = _cheap_rules(config, languages)
        self._seen = SeenKeys(folder) if config.drop_duplicates else None
        self._costly_rules: dict[str, Rule] = {}
        if config.min_language_probability is not None:
            self._costly_rules["language"] = _foreign(languages, load(), config.min_language_probability)

    def clean(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The pairs that are kept, in order; `report` counts the others by reason."""
        for chunk in in_chunks(pairs):  # repetitions are found with one search for all of a chunk
            self.report.read += len(chunk)
            tidied = (Pair(tidy(pair.source), tidy(pair.target)) for pair in chunk)
            kept = self._passing(self._rules, tidied)
            kept = self._passing(self._costly_rules, self._new(kept))
            self.report.kept += len(kept)
            yield from kept

    def _passing(self, rules: dict[str, Rule], pairs: Iterable[Pair]) -> list[Pair]:
        """Those that no rule drops; of several reasons the first is counted."""
        kept = list[Pair]()
        for pair in pairs:
            reason = next((reason for reason, drops in rules.items() if drops(pair)), None)
            if reason is None:
                kept.append(pair)
            else:
                self.report.dropped[reason] += 1
        return kept

    def _new(self, pairs: list[Pair]) -> list[Pair]:
        """Those that did not come before."""
        if self._seen is None or not pairs:
            return pairs
        is_new = self._seen.add(pair_keys(pairs))
        if repeated := int(len(pairs) - is_new.sum()):
            self.report.dropped["duplicate"] += repeated
        return [pair for pair, new in zip(pairs, is_new, strict=True) if new]


def pair_keys(pairs: Iterable[Pair]) -> Keys:
    """64 bits of a digest of each pair; the same in every process, as `hash` is not.

    Of 100 million different pairs one is taken for another's repetition with a probability of 0.03 %.
    """
    digests = (hashlib.blake2b("\t".join(pair).encode(), digest_size=8).digest() for pair in pairs)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _cheap_rules(config: DataConfig, languages: tuple[str, str]) -> dict[str, Rule]:
    rules: dict[str, Rule] = {
        "empty": lambda pair: not (pair.source.strip(_BLANK) and pair.target.strip(_BLANK)),
        "too long": lambda pair: max(map(len, pair)) > config.max_characters,
        "length ratio": lambda pair: _is_unequal(pair, config.max_length_ratio),
    }
    if config.drop_identical:
        rules["identical sides"] = lambda pair: (
            pair.source == pair.target and len(pair.source.split()) > IDENTICAL_EXEMPT_WORDS
        )
    if config.scripts is not None:
        scripts, least = _of_each_side(config.scripts, languages), config.min_script_share
        rules["script"] = lambda pair: any(
            share_of_letters(text, script) < least for text, script in zip(pair, scripts, strict=True)
        )
    return rules


def _of_each_side(
    scripts: tuple[Script, Script] | dict[str, Script], languages: tuple[str, str]
) -> tuple[Script, Script]:
    if isinstance(scripts, tuple):
        return scripts
    source, target = languages
    return scripts[source], scripts[target]


def _is_unequal(pair: Pair, max_ratio: float) -> bool:
    short, long = sorted(map(len, pair))
    return long >= RATIO_EXEMPT_CHARACTERS and long > max_ratio * short


def _foreign(languages: tuple[str, str], identifier: Identifier, min_probability: float) -> Rule:
    source, target = (LanguageCheck(identifier, language, min_probability) for language in languages)
    return lambda pair: source.is_foreign(pair.source) or target.is_foreign(pair.target)
