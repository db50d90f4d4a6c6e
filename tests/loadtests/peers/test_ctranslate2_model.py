"""CTranslate2 with our weights finds our tokens, whatever the family's variant."""

from __future__ import annotations

import ctranslate2  # type: ignore[import-untyped]
import pytest

from loadtests.peers.ctranslate2_model import NotConvertible, converted, specification, token_names
from model.decoding import DecodingOptions
from model.decoding.search import decode_batch
from tests.builders import tiny_model

SOURCES = [(5, 6, 7, 3), (9, 3), (4, 8, 15, 16, 23, 11, 3), (7, 7, 7, 3)]


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"norm": "pre", "final_norm": True, "activation": "silu"},
        {"embedding_norm": True, "positions": "learned", "position_offset": 2, "activation": "gelu"},
        {"tie_output": True, "sinusoid_layout": "halves", "output_bias": True, "scale_embeddings": False},
        {"share_embeddings": False, "target_vocab_size": 31, "num_decoder_layers": 1},
    ],
    ids=["plain", "pre-norm", "learned positions", "tied", "two vocabularies"],
)
def test_greedy_search_finds_the_same_tokens(variant: dict[str, object]) -> None:
    model = tiny_model(**variant)
    names = token_names(model.config)
    options = DecodingOptions(strategy="greedy", max_length=20)
    ours = [list(found[0].token_ids) for found in decode_batch(model, SOURCES, options)]
    with converted(model, names) as folder:
        peer = ctranslate2.Translator(str(folder), device="cpu")
    asked = [[names[number] for number in source] for source in SOURCES]
    never = [[names[number]] for number in {model.config.pad_id, model.config.decoder_start_id}]  # as ours
    answers = peer.translate_batch(
        asked, beam_size=1, min_decoding_length=0, max_decoding_length=20, suppress_sequences=never
    )
    theirs = [[int(name[1:]) for name in answer.hypotheses[0]] for answer in answers]
    assert theirs == ours
    assert len({tuple(one) for one in ours}) > 1


@pytest.mark.parametrize(
    ("variant", "lack"),
    [
        ({"num_encoder_heads": 2}, "as many heads"),
        ({"norm": "post", "final_norm": True}, "no last layer norm"),
    ],
)
def test_a_network_that_the_peer_lacks_is_refused(variant: dict[str, object], lack: str) -> None:
    model = tiny_model(**variant)
    with pytest.raises(NotConvertible, match=lack):
        specification(model, token_names(model.config))
