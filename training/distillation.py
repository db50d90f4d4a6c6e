"""What a student learns from a teacher's translations of the training text.

Knows: sentence BLEU. Must not know: models, files, how the translations came to be.
"""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU

# For single sentences: n-gram orders that a short sentence has, smoothed (Chen and Cherry 2014, method 2 as
# sacreBLEU's "exp").
_SENTENCE_BLEU = BLEU(effective_order=True)


def closest(hypotheses: Sequence[str], reference: str) -> str:
    """The hypothesis that is most like the reference, the first of equally good ones.

    Sequence-level interpolation (Kim and Rush 2016, section 3.3): of the teacher's beam the translation with
    the highest sentence BLEU, which is both likely for the teacher and near to what a person wrote.
    """
    return max(
        hypotheses, key=lambda hypothesis: _SENTENCE_BLEU.sentence_score(hypothesis, [reference]).score
    )
