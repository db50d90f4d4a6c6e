"""An evaluation as one JSON object, numbers unrounded. Must not know how anything was measured.

    system     model version source target decoding split copying precision device length_unit
    baseline   {model version decoding}                      only with a baseline
               either is {translations: [file]} where they were made before; of how anything was translated
               nothing is said then, unless the other one is a bundle
    tests      [{label test sentences, of the system, baseline: {of the baseline}, comparison}]
    of one     cut_at_length_limit bleu bleu_signature … seconds …_per_second by_length

With a single test set its fields stand beside `tests` as well: so a script reads one score without a list.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from training.evaluation_scores import BucketScores, Evaluation, System, SystemScores, TestScores


def as_json(evaluation: Evaluation) -> str:
    tests = [_test(one) for one in evaluation.tests]
    content = {
        **_system(evaluation.system),
        "source": evaluation.source or None,
        "target": evaluation.target or None,
        **(_translating(evaluation) if evaluation.is_translated else {}),
        "length_unit": evaluation.unit,
        **(tests[0] if len(tests) == 1 else {}),
    }
    if evaluation.baseline is not None:
        content["baseline"] = _system(evaluation.baseline)
    return json.dumps({**content, "tests": tests}, indent=2, ensure_ascii=False)


def _translating(evaluation: Evaluation) -> dict[str, Any]:
    names = ("split", "copying", "precision", "device")
    return {name: getattr(evaluation, name) for name in names}


def _system(system: System) -> dict[str, Any]:
    if system.files:
        return {"translations": list(system.files)}
    return {"model": system.name, "version": system.version, "decoding": dict(system.decoding)}


def _test(test: TestScores) -> dict[str, Any]:
    names = {"label": test.test_set.label, "test": list(test.test_set.names)}
    content = {**names, "sentences": len(test.test_set), **_scores(test.system)}
    if test.baseline is not None:
        content["baseline"] = _scores(test.baseline)
        content["comparison"] = {name: asdict(found) for name, found in test.significance.items()}
    return content


def _scores(system: SystemScores) -> dict[str, Any]:
    made, scores = system.translations, dict[str, Any]()
    for name, score in system.scores.items():
        scores |= {name: score.value, f"{name}_signature": score.signature}
    by_length = [_bucket(one) for one in system.by_length]
    if made.seconds is None:
        return {**scores, "by_length": by_length}
    return {
        "cut_at_length_limit": made.cut_at_length_limit,
        **scores,
        "seconds": made.seconds,
        "sentences_per_second": made.sentences_per_second,
        "target_tokens_per_second": made.target_tokens_per_second,
        "by_length": by_length,
    }


def _bucket(one: BucketScores) -> dict[str, Any]:
    bucket = one.bucket
    return {"from": bucket.low, "to": bucket.high, "sentences": len(bucket.indices), **one.scores}
