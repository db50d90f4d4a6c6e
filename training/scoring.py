"""Scores of translations against references: sacreBLEU's BLEU, chrF and TER, each with its signature.

Knows: strings, sacreBLEU. Must not know: models, files, where the strings came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sacrebleu

# As people write them, in the order in which they are shown.
METRICS = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}
LOWER_IS_BETTER = frozenset({"ter"})
# Those of sacreBLEU's tokenisers that need neither a download nor another package.
BLEU_TOKENIZERS = ("13a", "intl", "zh", "char", "none")
# So many lines of a text that end in " ." are no chance, as sacreBLEU has it.
FEWEST_TOKENIZED = 100


@dataclass(frozen=True, slots=True)
class Score:
    """In 0..100, TER also above; two values compare only when their signatures are equal."""

    value: float
    signature: str


class Scorer:
    """Some of `METRICS`: BLEU (Papineni et al. 2002), chrF2 (Popović 2015), TER (Snover et al. 2006), as
    sacreBLEU (Post 2018) computes them by default, BLEU with one of `BLEU_TOKENIZERS`.

    Remembers what it found of each sentence where that is slow: a sentence counts in its text, in the group
    of its length and in a paired test.
    """

    def __init__(self, metrics: Sequence[str] = tuple(METRICS), bleu_tokenizer: str = "13a") -> None:
        # By itself it warns of a tokenised text anew with every group and resample: see `looks_tokenized`.
        bleu = sacrebleu.BLEU(tokenize=bleu_tokenizer, force=True)
        made = {"bleu": bleu, "chrf": sacrebleu.CHRF(), "ter": _TER()}
        self.metrics = {name: made[name] for name in METRICS if name in metrics}

    def corpus(
        self, hypotheses: Sequence[str], references: Sequence[str], *further: Sequence[str]
    ) -> dict[str, Score]:
        """Of a whole text, by metric; `further` where a sentence has several references.

        Raises `ValueError` for no or unequal counts.
        """
        for one in (references, *further):
            if not hypotheses or len(hypotheses) != len(one):
                raise ValueError(f"{len(hypotheses)} hypotheses for {len(one)} references")
        found = {}
        for name, metric in self.metrics.items():
            value = metric.corpus_score(hypotheses, [list(one) for one in (references, *further)]).score
            found[name] = Score(value, str(metric.get_signature()))
        return found


def looks_tokenized(texts: Sequence[str]) -> bool:
    """Whether full stops stand apart, as sacreBLEU tells: scores are meant for texts as people write them."""
    return sum(text.endswith(" .") for text in texts) >= FEWEST_TOKENIZED


def sentence_chrf(
    hypotheses: Sequence[str], references: Sequence[str], *further: Sequence[str]
) -> list[float]:
    """chrF2 of each sentence, 0..100: of the three metrics the one that tells single sentences apart.

    Of several references the nearest counts.
    """
    metric = sacrebleu.CHRF()
    lines = zip(hypotheses, references, *further, strict=True)
    return [metric.sentence_score(hypothesis, wanted).score for hypothesis, *wanted in lines]


class _TER(sacrebleu.TER):
    """Its search for shifted words takes some 20 ms for a sentence of 25 words, so each is searched once."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[tuple[str, str], list[float]] = {}

    def _compute_segment_statistics(self, hypothesis: str, ref_kwargs: dict[str, Any]) -> list[float]:
        key = hypothesis, repr(ref_kwargs)
        if key not in self._found:
            self._found[key] = super()._compute_segment_statistics(hypothesis, ref_kwargs)
        return self._found[key]
