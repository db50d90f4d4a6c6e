"""Scores are sacreBLEU's own, also those that are remembered."""

import pytest
import sacrebleu

from tests.training.test_evaluation import HYPOTHESES, REFERENCES
from training.scoring import BLEU_TOKENIZERS, METRICS, Scorer, sentence_chrf

PEERS = {"bleu": sacrebleu.BLEU, "chrf": sacrebleu.CHRF, "ter": sacrebleu.TER}


def test_every_metric_is_that_of_sacrebleu_with_its_signature() -> None:
    found = Scorer().corpus(HYPOTHESES, REFERENCES)
    assert list(found) == list(METRICS) == list(PEERS)
    for name, score in found.items():
        peer = PEERS[name]()
        assert score.value == peer.corpus_score(HYPOTHESES, [REFERENCES]).score
        assert score.signature == str(peer.get_signature())


def test_asked_again_of_the_whole_or_of_a_part_a_scorer_says_the_same() -> None:
    scorer = Scorer()
    first, part = scorer.corpus(HYPOTHESES, REFERENCES), scorer.corpus(HYPOTHESES[1:], REFERENCES[1:])
    assert scorer.corpus(HYPOTHESES, REFERENCES) == first
    assert part == Scorer().corpus(HYPOTHESES[1:], REFERENCES[1:]) != first


def test_the_same_translation_of_another_reference_is_another_sentence() -> None:
    scorer = Scorer(["ter"])
    assert scorer.corpus(["a b c"], ["a b c"])["ter"].value == 0
    assert scorer.corpus(["a b c"], ["a x c"])["ter"].value == pytest.approx(100 / 3)


def test_only_what_is_wanted_is_computed_in_one_order() -> None:
    assert list(Scorer(["ter", "bleu"]).corpus(HYPOTHESES, REFERENCES)) == ["bleu", "ter"]


@pytest.mark.parametrize("tokenizer", BLEU_TOKENIZERS)
def test_the_signature_names_the_tokenizer(tokenizer: str) -> None:
    found = Scorer(["bleu"], tokenizer).corpus(["我喜欢猫。"], ["我爱猫。"])["bleu"]
    assert f"|tok:{tokenizer}|" in found.signature
    assert (
        found.value == sacrebleu.BLEU(tokenize=tokenizer).corpus_score(["我喜欢猫。"], [["我爱猫。"]]).score
    )


@pytest.mark.parametrize(("hypotheses", "references"), [([], []), (["a"], ["a", "b"])])
def test_counts_that_differ_or_are_none_are_refused(hypotheses: list[str], references: list[str]) -> None:
    with pytest.raises(ValueError, match=f"{len(hypotheses)} hypotheses for {len(references)} references"):
        Scorer().corpus(hypotheses, references)


def test_single_sentences_are_told_apart_by_chrf() -> None:
    found = sentence_chrf([*HYPOTHESES, REFERENCES[0]], [*REFERENCES, REFERENCES[0]])
    assert found[0] == sacrebleu.sentence_chrf(HYPOTHESES[0], [REFERENCES[0]]).score
    assert found[0] > found[1] > 0
    assert found[3] == pytest.approx(100)
