"""The comparison with both peers finds equal answers equal, and says why others are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from loadtests import ctranslate2_agreement as agreement
from loadtests.ctranslate2_agreement import COMPARISONS, Comparison
from loadtests.subject import subject
from loadtests.workload import workload
from model.decoding import DecodingOptions
from model.masks import pad_batch
from model.transformer import next_log_probs
from tests.builders import tiny_bundle

PLAIN = Comparison(title="t", peer="CTranslate2", ours=DecodingOptions(), theirs={})
PENALISED = Comparison(
    title="t", peer="CTranslate2", ours=DecodingOptions(), theirs={}, alpha=1.0, exponent=1.0
)


@pytest.mark.parametrize(
    ("comparison", "sums", "lengths", "words"),
    [
        (PLAIN, (-5.0, -5.0004), (4, 4), "a tie"),
        (PLAIN, (-5.0, -4.5), (4, 5), "the peer went on"),
        (PLAIN, (-4.0, -4.5), (4, 5), "ours went on"),
        (PENALISED, (-4.0, -5.0), (4, 6), "each is the better one by its own formula"),
    ],
)
def test_a_difference_has_its_reason(
    comparison: Comparison, sums: tuple[float, float], lengths: tuple[int, int], words: str
) -> None:
    assert agreement._reason(comparison, sums, lengths).startswith(words)


@pytest.mark.slow
def test_both_peers_answer_as_we_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "RESULTS", tmp_path)
    tiny_bundle(tmp_path / "b", seed=3, norm="pre", final_norm=True, tie_output=True, max_target_length=24)
    # CTranslate2 is not told what is never text, and this network says "start" as readily as anything.
    agreement.main(limit=8, sentences=None, bundle=tmp_path / "b", results=tmp_path)
    lines = json.loads((tmp_path / "ctranslate2-agreement.json").read_text())["lines"]
    assert len(lines) == len(COMPARISONS)
    for line in lines:
        assert line["equal"] + len(line["cases"]) == line["sentences"] > 4
        if line["peer"] == "transformers":
            assert line["cases"] == []
    told = f"| transformers | greedy | {lines[0]['sentences']} of {lines[0]['sentences']} | 100.0 % | - |"
    assert told in (tmp_path / "ctranslate2-agreement.md").read_text()


def test_sums_are_those_of_the_network(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    what = subject(tmp_path / "b", workload(None, 2), 1)
    ids, mask = pad_batch([what.source_ids[1]], bundle.config.pad_id)
    target, _ = pad_batch([[bundle.config.decoder_start_id, 7, 9]], bundle.config.pad_id)
    with torch.no_grad():
        log_probs = next_log_probs(bundle.model(ids, mask, target))[0]
    expected = float(log_probs[0, 7] + log_probs[1, 9] + log_probs[2, bundle.config.eos_id])
    assert agreement.log_prob(what, 1, [7, 9]) == pytest.approx(expected, abs=1e-4)
