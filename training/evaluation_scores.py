"""How one or two systems did on test sets: the numbers that `verto evaluate` shows, writes and draws.

Knows: sentences, translations, scores. Must not know: models, files, how anything is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from training.length_buckets import LengthBucket, Unit, by_length, length_of
from training.scoring import Score, Scorer
from training.significance import Significance, paired_bootstrap
from training.test_set import TestSet


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A bundle and how it decoded: the options in force, as the bundle would be asked; or the `files` of
    translations that were made before.

    `label` is how it is shown, not as the other one.
    """

    name: str
    version: str
    label: str
    decoding: Mapping[str, Any]
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Translations:
    """What a system made of a test set; times are without loading the model, None where it was not seen."""

    texts: Sequence[str]
    cut_at_length_limit: int | None = None
    seconds: float | None = None
    sentences_per_second: float | None = None
    target_tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class BucketScores:
    bucket: LengthBucket
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SystemScores:
    """One system on one test set; all mappings are by metric."""

    translations: Translations
    scores: Mapping[str, Score]
    by_length: tuple[BucketScores, ...]


@dataclass(frozen=True, slots=True)
class TestScores:
    """One test set; without a baseline there is no significance."""

    test_set: TestSet
    system: SystemScores
    baseline: SystemScores | None = None
    significance: Mapping[str, Significance] = field(default_factory=dict)

    __test__ = False  # pytest takes the name for a test's


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All test sets. `unit` is that of the lengths by which sentences were grouped, `split` as decoded;
    `copying`, whether what must not change was kept from models that have learned to copy; `precision` and
    `device`, in what and where the networks computed. Languages are "" where nobody told them."""

    system: System
    baseline: System | None
    source: str
    target: str
    split: str
    unit: Unit
    tests: tuple[TestScores, ...]
    copying: bool = True
    precision: str = "float32"
    device: str = "cpu"

    @property
    def is_translated(self) -> bool:
        """Whether a bundle has translated anything: else `split` and what follows it mean nothing."""
        return any(one is not None and not one.files for one in (self.system, self.baseline))

    @property
    def segments(self) -> str:
        """What a segment was and how it was computed, in words; the usual is left out."""
        if not self.is_translated:
            return ""
        computed = "" if self.precision == "float32" else f", {self.precision}"
        place = "" if self.device == "cpu" else f" on {self.device}"
        return f"split {self.split}{'' if self.copying else ', nothing copied'}{computed}{place}"


@dataclass(frozen=True, slots=True)
class Measure:
    """How translations are measured: by which metrics, in which groups, with how many resamples."""

    scorer: Scorer
    bounds: tuple[int, ...]
    unit: Unit
    num_samples: int

    def test(self, test_set: TestSet, system: Translations, baseline: Translations | None) -> TestScores:
        """Raises `ValueError` where there are not as many translations as sentences, or none."""
        scores = self._system(test_set, system)
        if baseline is None:
            return TestScores(test_set, scores)
        significance = paired_bootstrap(
            self.scorer,
            system.texts,
            baseline.texts,
            test_set.references,
            self.num_samples,
            *test_set.further,
        )
        return TestScores(test_set, scores, self._system(test_set, baseline), significance)

    def _system(self, test_set: TestSet, translations: Translations) -> SystemScores:
        texts = [translations.texts, *test_set.all_references]
        scores = self.scorer.corpus(*texts)
        buckets = by_length([length_of(text, self.unit) for text in test_set.sources], self.bounds)
        grouped = tuple(self._bucket(bucket, texts) for bucket in buckets)
        return SystemScores(translations, scores, grouped)

    def _bucket(self, bucket: LengthBucket, texts: Sequence[Sequence[str]]) -> BucketScores:
        """`texts` are translations and references."""
        scores = self.scorer.corpus(*([one[index] for index in bucket.indices] for one in texts))
        return BucketScores(bucket, {name: score.value for name, score in scores.items()})
