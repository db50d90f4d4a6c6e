"""The paired bootstrap is sacreBLEU's: what it says of two systems, of one system twice, and of too few."""

import pytest
from sacrebleu.significance import PairedTest

from training.scoring import Scorer
from training.significance import paired_bootstrap

REFERENCES = [f"the {n} small cats sat on the {n} mat today" for n in range(40)]
GOOD = [text.replace("today", "now") for text in REFERENCES]
BAD = [text.replace("small cats", "dogs") if n % 3 else text for n, text in enumerate(REFERENCES)]
BAD = [text.replace("sat on", "slept") for text in BAD]


def test_a_plain_difference_is_significant_for_every_metric() -> None:
    found = paired_bootstrap(Scorer(), GOOD, BAD, REFERENCES, 200)
    assert list(found) == ["bleu", "chrf", "ter"]
    assert all(one.is_significant for one in found.values())
    assert found["bleu"].difference > 0 > found["ter"].difference


def test_numbers_and_signature_are_those_of_sacrebleu() -> None:
    scorer = Scorer(["bleu", "ter"])
    found = paired_bootstrap(scorer, GOOD, BAD, REFERENCES, 150)
    systems = [("baseline", BAD), ("system", GOOD)]
    signatures, results = PairedTest(systems, Scorer(["bleu", "ter"]).metrics, [REFERENCES], "bs", 150)()
    baseline, system = results["BLEU"]
    assert (found["bleu"].difference, found["bleu"].p_value) == (
        system.score - baseline.score,
        system.p_value,
    )
    assert (found["bleu"].interval, found["bleu"].baseline_interval) == (system.ci, baseline.ci)
    assert system.ci != baseline.ci
    assert found["ter"].signature == str(signatures["TER"])
    assert "|bs:150|seed:12345|" in found["ter"].signature


def test_a_system_does_not_differ_from_itself() -> None:
    found = paired_bootstrap(Scorer(["chrf"]), GOOD, GOOD, REFERENCES, 100)["chrf"]
    assert (found.difference, found.interval) == (0, found.baseline_interval)
    assert (found.p_value, found.is_significant) == (1.0, False)


def test_one_better_word_in_forty_sentences_is_no_proof() -> None:
    found = paired_bootstrap(Scorer(["bleu"]), [REFERENCES[0], *BAD[1:]], BAD, REFERENCES, 200)["bleu"]
    assert found.difference > 0
    assert not found.is_significant


@pytest.mark.parametrize(("hypotheses", "baseline"), [([], []), (["a"], ["a", "b"]), (["a", "b"], ["a"])])
def test_counts_that_differ_or_are_none_are_refused(hypotheses: list[str], baseline: list[str]) -> None:
    with pytest.raises(ValueError, match="of the baseline for 1 references"):
        paired_bootstrap(Scorer(), hypotheses, baseline, ["a"], 100)
