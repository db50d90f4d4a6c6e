"""Variations of a pair, so that a model also learns text that corpora hardly have: each copy draws its own.

Knows: a pair of texts, shares, a random number generator. Must not know: files, tokens, batches.

What is varied: a text without capitals, one all in capitals, one without its final stop, other numbers, other
names, words that stand literally on both sides (names, numbers, addresses) behind placeholder symbols, and
longer texts, which `joined_pairs.py` makes. From names that nobody has, a model learns to copy letters; from
symbols, to copy one of them to its place, whatever it stands for: a server puts a URL behind a symbol and
finds it in the translation. That idea is of Luong et al. 2015, "Addressing the Rare Word Problem in Neural
Machine Translation", section 3.1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from training.corpus import Pair
from training.data_config import MAX_REPLACED_WORDS, AugmentationConfig
from training.joined_pairs import FINAL_STOPS, Joiner
from training.made_up_names import made_up_name

# The share of pairs with symbols that also get one behind the end of both sides, where an emoji would stand.
SHARE_WITH_SYMBOL_AT_END = 0.15

_EDGES = re.compile(r"^[\"'„“”‚‘’«»(\[¿¡]*(.*?)[\"'“”‘’«»)\],;:.!?…]*$", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.,])[1-9]\d{1,5}(?![\w]|[.,]\d)")
# Spelled alike in two of our languages, but not the same word: nothing that a translation may copy.
# fmt: off
_FALSE_FRIENDS = frozenset((
    "Was", "Die", "Also", "Man", "Will", "War", "Hat", "Bad", "Rat", "Gift", "Art", "Fast", "Hand",
    "All", "Not", "Mit", "Des", "Wer", "Hell", "Brief", "Chef", "Rock", "Tag", "Wand", "Arm", "Kind",
    "Mist", "Fund", "Stern", "Bald", "Tier", "Most", "Angel", "Boot", "Pain", "Coin", "Chat", "Pour",
    "Sale", "Tape", "Main", "Port", "Son", "Car", "Plus", "Lit", "Dire", "Four", "Court", "Fin", "Pays",
    "Sort", "Comment",
))
# fmt: on

Random = np.random.Generator
_STREAM = 2  # of random numbers: others of a run's seed decide weights and order


class Augmenter:
    """Draws one variation of each pair; the same seed gives the same variations."""

    def __init__(self, config: AugmentationConfig, symbols: Sequence[str], seed: int) -> None:
        """`symbols` are the tokenizer's placeholders; `config.placeholders` is 0 where there are none."""
        self._config, self._symbols = config, tuple(symbols)
        self._random = np.random.default_rng((seed, _STREAM))
        self.counts: Counter[str] = Counter()

    def variations(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """One of each pair of a corpus, in order. Joined first: a longer text is varied as one text."""
        if self._config.joined:  # without it, the draws are those of a Verto that knew none
            joiner = Joiner(self._config.joined, self._random)
            for pair in joiner.joined(pairs):
                yield self.vary(pair)
            self.counts["joined"] += joiner.count
        else:
            yield from map(self.vary, pairs)

    def vary(self, pair: Pair) -> Pair:
        """The pair, or a variation of it; `counts` says how many of each kind were made."""
        pair = self._maybe("numbers", pair, other_numbers)
        if self._config.names:  # without them, the draws are those of a Verto that knew none
            pair = self._maybe("names", pair, other_name)
        pair = self._maybe("placeholders", pair, self._with_symbols)
        pair = self._maybe("no_final_stop", pair, lambda one, random: without_final_stop(one))
        if self._random.random() < 0.5:  # no text is both
            return self._maybe(
                "lower_case", pair, lambda one, random: one._replace(source=one.source.lower())
            )
        return self._maybe("upper_case", pair, lambda one, random: in_capitals(one))

    def describe(self) -> str:
        """What was varied, in words; nothing where nothing was."""
        kinds = ", ".join(
            f"{kind.replace('_', ' ')} {count:,}" for kind, count in sorted(self.counts.items())
        )
        return f"; varied: {kinds}" if kinds else ""

    def _maybe(self, kind: str, pair: Pair, change: Callable[[Pair, Random], Pair]) -> Pair:
        share = getattr(self._config, kind) * (2 if kind in ("lower_case", "upper_case") else 1)
        if self._random.random() >= share:
            return pair
        changed = change(pair, self._random)
        self.counts[kind] += changed != pair
        return changed

    def _with_symbols(self, pair: Pair, random: Random) -> Pair:
        chosen = random.choice(len(self._symbols), MAX_REPLACED_WORDS + 1, replace=False)
        *symbols, last = (self._symbols[i] for i in chosen)
        changed = behind_symbols(pair, symbols, random)
        if changed != pair and random.random() >= SHARE_WITH_SYMBOL_AT_END:
            return changed
        if changed == pair and random.random() >= SHARE_WITH_SYMBOL_AT_END:
            return pair
        return Pair(f"{changed.source} {last}", f"{changed.target} {last}")


def literal_words(pair: Pair) -> list[str]:
    """Words that stand once, and alike, on both sides and may be copied: names, numbers, addresses."""
    source, target = (Counter(_cores(text)) for text in pair)
    return [word for word, count in source.items() if count == 1 == target[word] and _is_literal(word)]


def _cores(text: str) -> list[str]:
    """The words of a text without quotes and punctuation around them."""
    return [found[1] for word in text.split() if (found := _EDGES.match(word)) and found[1]]


def _is_literal(word: str) -> bool:
    if word in _FALSE_FRIENDS:
        return False
    if word.isalpha():
        return len(word) >= 3 and word[0].isupper()
    return len(word) >= 2 and (any(map(str.isdigit, word)) or not any(mark in word for mark in "'’-"))


def behind_symbols(pair: Pair, symbols: Sequence[str], random: Random) -> Pair:
    """Up to `len(symbols)` of the literal words, each as one symbol on both sides."""
    words = literal_words(pair)
    random.shuffle(words)
    source, target = pair
    for word, symbol in zip(words, symbols, strict=False):
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        if len(whole.findall(source)) == 1 == len(whole.findall(target)):
            source, target = (whole.sub(symbol, text) for text in (source, target))
    return Pair(source, target)


def other_numbers(pair: Pair, random: Random) -> Pair:
    """Each number of 2 to 6 digits that both sides have once becomes another with as many digits."""
    source, target = pair
    for number in _NUMBER.findall(pair.source):
        whole = re.compile(rf"(?<![\w.,]){number}(?![\w]|[.,]\d)")
        if len(whole.findall(source)) == 1 == len(whole.findall(target)):
            other = str(random.integers(10 ** (len(number) - 1), 10 ** len(number)))
            source, target = (whole.sub(other, text) for text in (source, target))
    return Pair(source, target)


def other_name(pair: Pair, random: Random) -> Pair:
    """One of the words in capitals that stand literally on both sides becomes a name that nobody has."""
    names = [word for word in literal_words(pair) if word.isalpha()]
    if not names:
        return pair
    whole = re.compile(rf"(?<!\w){names[random.integers(len(names))]}(?!\w)")
    if any(len(whole.findall(text)) != 1 for text in pair):
        return pair
    name = made_up_name(random)
    return Pair(*(whole.sub(name, text) for text in pair))


def without_final_stop(pair: Pair) -> Pair:
    """Both sides without the stop that both end with; as it is where only one has any."""
    if all(text[-1:] in FINAL_STOPS and len(text) > 1 for text in pair):
        return Pair(*(text.rstrip(FINAL_STOPS).rstrip() or text for text in pair))
    return pair


def in_capitals(pair: Pair) -> Pair:
    """Both sides in capitals ("ß" becomes "SS")."""
    return Pair(pair.source.upper(), pair.target.upper())
