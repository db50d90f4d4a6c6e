"""Small evaluations to show: one or two systems on one or two test sets."""

from training.evaluation_scores import Evaluation, Measure, System, Translations
from training.scoring import Scorer
from training.test_set import TestSet

SOURCES = ["Good morning, Tom.", "Where is the nearest station, please?", "It <rained> & it rained."]
REFERENCES = ["Guten Morgen, Tom.", "Wo ist bitte der nächste Bahnhof?", "Es <regnete> & es regnete."]
GOOD = ["Guten Morgen, Tom.", "Wo ist bitte der nächste Bahnhof?", "Es regnete & es regnete."]
BAD = ["Gute Nacht, Tom.", "Wo ist die Post?", "Es <b>schneite</b>."]


def texts(label: str) -> TestSet:
    return TestSet((f"data/{label}.tsv",), SOURCES, REFERENCES, label)


def system(name: str, version: str = "1") -> System:
    decoding = {"strategy": "beam", "beam_size": 4, "max_length": None}
    return System(name=name, version=version, label=f"{name} {version}", decoding=decoding)


def translations(made: list[str], cut: int = 0) -> Translations:
    return Translations(
        texts=made,
        cut_at_length_limit=cut,
        seconds=1.5,
        sentences_per_second=2.0,
        target_tokens_per_second=1234.0,
    )


def evaluation(*labels: str, with_baseline: bool = False) -> Evaluation:
    """Of the good system, beside the bad one."""
    measure = Measure(Scorer(), (3, 5), "words", 100)
    other = translations(BAD) if with_baseline else None
    return Evaluation(
        system=system("en-de", "2"),
        baseline=system("en-de", "1") if with_baseline else None,
        source="en",
        target="de",
        split="lines",
        unit="words",
        tests=tuple(
            measure.test(texts(label), translations(GOOD, cut=1), other) for label in labels or ("news",)
        ),
    )
