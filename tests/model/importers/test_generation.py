"""What a Marian folder says of decoding is followed as `generate` follows it, or refused by its key."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.manifest import BundleError
from tests.model.importers.random_marian import SENTENCES, write_marian
from tests.model.importers.test_marian import THEIR_BEAM, answers, imported
from tests.model.peers import hf_generate, hf_model


def test_the_beam_size_and_what_is_never_generated_are_kept(tmp_path: Path) -> None:
    write_marian(tmp_path / "hf")
    (tmp_path / "hf" / "generation_config.json").write_text(
        json.dumps({"num_beams": 6, "bad_words_ids": [[7]]})
    )
    decoding = imported(tmp_path / "hf").info.decoding
    assert (decoding.beam_size, decoding.banned_ids) == (6, ())
    assert imported(tmp_path / "hf").config.pad_id == 7  # never text either; padding itself is masked
    (tmp_path / "hf" / "generation_config.json").write_text(json.dumps({"bad_words_ids": [[7], [9], [3, 4]]}))
    assert imported(tmp_path / "hf").info.decoding.banned_ids == ((7,), (9,), (3, 4))


def test_what_generation_config_says_is_followed_as_generate_follows_it(tmp_path: Path) -> None:
    """Another start than config.json has, barred tokens and phrases, no n-gram twice."""
    model = write_marian(tmp_path / "hf")
    path = tmp_path / "hf" / "generation_config.json"
    pad_id, start = model.config.pad_token_id, 9
    barred = [[pad_id], [start], [176], [28, 5]]
    said = {"decoder_start_token_id": start, "bad_words_ids": barred, "no_repeat_ngram_size": 2}
    path.write_text(json.dumps({**json.loads(path.read_text()), **said}))
    ours, theirs = imported(tmp_path / "hf"), hf_model(tmp_path / "hf")
    assert (ours.config.decoder_start_id, ours.info.decoding.no_repeat_ngram_size) == (start, 2)
    sources = ours.tokenizer.encode_sources(SENTENCES[:60])
    beam = replace(ours.info.decoding, length_penalty=0.0, max_length=24)
    assert answers(ours, sources, beam) == hf_generate(theirs, sources, pad_id, **THEIR_BEAM)
    greedy = replace(beam, strategy="greedy", beam_size=4, length_penalty=1.0)
    expected = hf_generate(theirs, sources, pad_id, num_beams=1, max_new_tokens=24)
    assert answers(ours, sources, greedy) == expected


def test_barred_phrases_that_no_target_can_hold_say_nothing(tmp_path: Path) -> None:
    model = write_marian(tmp_path / "hf")
    pad_id, end = model.config.pad_token_id, model.config.eos_token_id
    phrases = [[pad_id], [end], [5, pad_id], [5, end, 6], [end, 6], [3, 4]]
    (tmp_path / "hf" / "generation_config.json").write_text(json.dumps({"bad_words_ids": phrases}))
    assert imported(tmp_path / "hf").info.decoding.banned_ids == ((3, 4),)


@pytest.mark.parametrize("phrase", [[5, 0], [-1, 5]])
def test_phrases_that_rule_where_a_target_begins_or_ends_are_refused(
    tmp_path: Path, phrase: list[int]
) -> None:
    model = write_marian(tmp_path / "hf")
    phrase = [model.config.pad_token_id if token_id < 0 else token_id for token_id in phrase]
    (tmp_path / "hf" / "generation_config.json").write_text(json.dumps({"bad_words_ids": [phrase]}))
    with pytest.raises(
        BundleError, match=r"generation_config\.json: bad_words_ids must be without start and"
    ):
        imported(tmp_path / "hf")


@pytest.mark.parametrize("phrases", [[[3, number] for number in range(1, 200)] * 6, [[3] * 65]])
def test_too_many_phrases_or_too_long_ones_are_told_by_the_key(tmp_path: Path, phrases: Any) -> None:
    write_marian(tmp_path / "hf")
    phrases = [[*phrase, number % 7 + 1] for number, phrase in enumerate(phrases)] + phrases[:1]
    (tmp_path / "hf" / "generation_config.json").write_text(json.dumps({"bad_words_ids": phrases}))
    with pytest.raises(
        BundleError, match=r"generation_config\.json: bad_words_ids must be at most 1024 phrases"
    ):
        imported(tmp_path / "hf")


def test_a_barred_piece_is_read_in_a_source_as_ever(tmp_path: Path) -> None:
    write_marian(tmp_path / "hf")
    texts = SENTENCES[:60]
    expected = imported(tmp_path / "hf").tokenizer.encode_sources(texts)
    piece = expected[0][0]
    (tmp_path / "hf" / "generation_config.json").write_text(json.dumps({"bad_words_ids": [[7], [piece]]}))
    bundle = imported(tmp_path / "hf")
    assert bundle.tokenizer.encode_sources(texts) == expected
    assert (piece,) in bundle.info.decoding.banned_ids


def test_config_json_says_nothing_of_decoding_where_the_other_file_is_there(tmp_path: Path) -> None:
    """So it is for `generate`, but for the start token, without which no model runs."""
    write_marian(tmp_path / "hf")
    path = tmp_path / "hf" / "config.json"
    stale = {"forced_bos_token_id": 5, "bad_words_ids": [[3, 4]], "num_beams": 2}
    path.write_text(json.dumps({**json.loads(path.read_text()), **stale}))
    (tmp_path / "hf" / "generation_config.json").write_text("{}")
    decoding = imported(tmp_path / "hf").info.decoding
    assert (decoding.beam_size, decoding.banned_ids) == (4, ())


@pytest.mark.parametrize("said", [5, [0, 5], "x"])
def test_another_end_than_the_networks_is_refused(tmp_path: Path, said: object) -> None:
    write_marian(tmp_path / "hf")
    (tmp_path / "hf" / "generation_config.json").write_text(json.dumps({"eos_token_id": said}))
    with pytest.raises(BundleError, match=r"generation_config\.json: eos_token_id must be 0, as in config"):
        imported(tmp_path / "hf")


@pytest.mark.parametrize("barred", [[[99_999]], [[-1]], [[3, 99_999]], [[True]], [3], "x"])
def test_what_is_never_generated_must_be_tokens(tmp_path: Path, barred: object) -> None:
    write_marian(tmp_path / "hf")
    (tmp_path / "hf" / "generation_config.json").write_text(json.dumps({"bad_words_ids": barred}))
    fault = r"generation_config\.json: bad_words_ids must be a list of lists of token ids in 0\.\.\d+, got"
    with pytest.raises(BundleError, match=fault):
        imported(tmp_path / "hf")
