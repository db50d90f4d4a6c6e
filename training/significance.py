"""Whether two systems differ by more than chance: paired bootstrap resampling, sacreBLEU's own.

Knows: strings, a scorer's metrics. Must not know: models, files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sacrebleu.significance import PairedTest, Result

from training.scoring import Scorer

LEVEL = 0.05  # below it a difference counts as real, by convention
BYTES_PER_DRAW = 80  # chrF counts 18 numbers of 4 bytes, and a place takes 8
MOST_DRAWS = 100_000_000  # 8 GB
SEED_VARIABLE = "SACREBLEU_SEED"  # sacreBLEU's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Significance:
    """Of one metric. `interval` is half the width of the 95 % confidence interval around the mean of the
    resampled scores, `difference` the system's score less the baseline's, and `p_value` how often chance
    alone makes one as large. `signature` names resamples and seed."""

    difference: float
    p_value: float
    interval: float
    baseline_interval: float
    signature: str

    @property
    def is_significant(self) -> bool:
        return self.p_value < LEVEL


def check_seed() -> None:
    """Raises `ValueError` for a SEED_VARIABLE that sacreBLEU, asking at the end, cannot take: it is tried."""
    try:
        paired_bootstrap(Scorer(["bleu"]), ["a"], ["b"], ["a"], num_samples=1)
    except ValueError as error:
        raise ValueError(f"must be a whole number from 0, or none: {error}") from None


def paired_bootstrap(
    scorer: Scorer,
    hypotheses: Sequence[str],
    baseline: Sequence[str],
    references: Sequence[str],
    num_samples: int,
    *further: Sequence[str],
) -> dict[str, Significance]:
    """By metric: the test of Koehn 2004, "Statistical significance tests for machine translation evaluation".

    Every resample draws as many sentences as there are, with replacement, the same for both systems. The seed
    is sacreBLEU's, 12345 unless its own variable SACREBLEU_SEED says otherwise. Takes BYTES_PER_DRAW for each
    sentence and resample. `further` where a sentence has several references. Raises `ValueError` for no
    or unequal counts.
    """
    if not hypotheses or not len(hypotheses) == len(baseline) == len(references):
        counts = f"{len(hypotheses)} hypotheses, {len(baseline)} of the baseline"
        raise ValueError(f"{counts} for {len(references)} references")
    systems: list[tuple[str, Sequence[str]]] = [("baseline", list(baseline)), ("system", list(hypotheses))]
    test = PairedTest(
        systems, scorer.metrics, [list(one) for one in (references, *further)], "bs", num_samples
    )
    signatures, results = test()
    # sacreBLEU answers under names of its own (chrF2), in the order of the metrics.
    named = zip(scorer.metrics, signatures, strict=True)
    return {name: _significance(results[own], str(signatures[own])) for name, own in named}


def _significance(results: Sequence[str | Result], signature: str) -> Significance:
    """`results` are those of the baseline and of the system."""
    baseline, system = cast("Sequence[Result]", results)
    difference = system.score - baseline.score
    return Significance(
        difference=difference,
        # Of two equal scores sacreBLEU counts no resample as so far apart, and says the least p there is.
        p_value=cast(float, system.p_value) if difference else 1.0,
        interval=float(cast(float, system.ci)),
        baseline_interval=float(cast(float, baseline.ci)),
        signature=signature,
    )
