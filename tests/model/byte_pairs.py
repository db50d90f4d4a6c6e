"""Learns byte-pair merges as Sennrich et al. 2016 do, slowly: for tests that need a vocabulary of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

from model.byte_pair_merges import END_OF_WORD
from model.moses_file import MosesModel

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]  # in fairseq's order


def learn(words: Iterable[str], num_merges: int) -> tuple[list[tuple[str, str]], list[str]]:
    """Merges in order, and every piece that they can leave, fairseq's special ones first."""
    counts = Counter(words)
    spelled = {word: [*word[:-1], word[-1] + END_OF_WORD] for word in counts}
    pieces = {form for word in counts for char in word for form in (char, char + END_OF_WORD)}
    merges = list[tuple[str, str]]()
    for _ in range(num_merges):
        pairs = Counter[tuple[str, str]]()
        for word, parts in spelled.items():
            for pair in itertools.pairwise(parts):
                pairs[pair] += counts[word]
        if not pairs:
            break
        merges.append(max(pairs, key=lambda pair: (pairs[pair], pair)))
        spelled = {word: _merge(parts, merges[-1]) for word, parts in spelled.items()}
    pieces |= {"".join(pair) for pair in merges}
    return merges, [*SPECIAL, *sorted(pieces)]


def _merge(parts: list[str], pair: tuple[str, str]) -> list[str]:
    for index in range(len(parts) - 1):
        if (parts[index], parts[index + 1]) == pair:
            return [*parts[:index], "".join(pair), *_merge(parts[index + 2 :], pair)]
    return parts


def moses_model(
    words: Iterable[str], source: str = "en", target: str = "de", num_merges: int = 80
) -> MosesModel:
    """One dictionary for both sides, learned from these words."""
    merges, pieces = learn(words, num_merges)
    return MosesModel(
        source_language=source,
        target_language=target,
        lowercase=False,
        source=tuple(pieces),
        target=tuple(pieces),
        merges=tuple(merges),
    )
