"""JSON says everything that was measured, and of one test set without a list."""

import json

from tests.training.report.evaluations import BAD, GOOD, REFERENCES, evaluation
from training.report.as_json import as_json
from training.scoring import Scorer


def test_one_test_set_stands_at_the_top_too() -> None:
    said = json.loads(as_json(evaluation()))
    scores = Scorer().corpus(GOOD, REFERENCES)
    for content in (said, said["tests"][0]):
        assert content["bleu"] == scores["bleu"].value
        assert content["ter_signature"] == scores["ter"].signature
        assert (content["sentences"], content["cut_at_length_limit"]) == (3, 1)
        assert content["test"] == ["data/news.tsv"]
        assert [(one["from"], one["to"], one["sentences"]) for one in content["by_length"]] == [
            (0, 3, 1),
            (4, 5, 1),
            (6, None, 1),
        ]
    assert (said["model"], said["version"], said["split"]) == ("en-de", "2", "lines")
    assert "baseline" not in said


def test_of_several_only_the_list_has_scores() -> None:
    said = json.loads(as_json(evaluation("news", "talks")))
    assert [one["label"] for one in said["tests"]] == ["news", "talks"]
    assert not {"bleu", "sentences", "test", "seconds"} & set(said)


def test_a_comparison_has_both_systems_and_what_the_difference_is_worth() -> None:
    found = evaluation(with_baseline=True)
    said = json.loads(as_json(found))
    (test,) = said["tests"]
    assert said["baseline"] == {"model": "en-de", "version": "1", "decoding": said["decoding"]}
    assert test["baseline"]["chrf"] == Scorer().corpus(BAD, REFERENCES)["chrf"].value
    assert test["comparison"]["ter"]["p_value"] == found.tests[0].significance["ter"].p_value
    assert test["comparison"]["bleu"]["difference"] == test["bleu"] - test["baseline"]["bleu"]
