"""The static peer decodes what everything else decodes, waits for a batch, and answers a batch at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from loadtests.peers import static_batching
from loadtests.peers.static_batching import Batching, StaticBatcher, decode_static
from model.decoding import DecodingOptions, Hypothesis
from model.decoding.search import decode_batch
from tests.builders import tiny_model

MODEL = tiny_model(1)
SOURCES = [[5, 6, 7, 3], [9, 3], [4, 8, 12, 16, 20, 11, 3], [7, 7, 3], [13, 6, 3]]
OPTIONS = [DecodingOptions(beam_size=3, max_length=20), DecodingOptions(strategy="greedy", max_length=20)]


@pytest.mark.parametrize("shrinks", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: options.strategy)
def test_a_static_batch_has_the_answers_of_any_other(options: DecodingOptions, shrinks: bool) -> None:
    expected = [hypotheses[0] for hypotheses in decode_batch(MODEL, SOURCES, options)]
    assert decode_static(MODEL, SOURCES, options, shrinks) == expected


def test_batches_are_as_large_as_rows_allow_and_options_are_never_mixed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[tuple[str, int]] = []

    def decode(
        model: object, sources: Sequence[Sequence[int]], options: DecodingOptions, shrinks: bool
    ) -> list[Hypothesis]:
        batches.append((options.strategy, len(sources)))
        return [Hypothesis(tuple(source), (), 0.0, "stop") for source in sources]

    async def scenario() -> list[Hypothesis]:
        batcher = StaticBatcher(MODEL, Batching(6, 0.05), 1)
        beam, greedy = OPTIONS
        asked = [batcher.translate([i], options) for i in range(5) for options in (beam, greedy)]
        answers = await asyncio.gather(*asked)
        await batcher.close()
        return list(answers)

    monkeypatch.setattr(static_batching, "decode_static", decode)
    answers = asyncio.run(scenario())
    assert [answer.token_ids for answer in answers] == [(i,) for i in range(5) for _ in range(2)]
    assert sorted(batches) == [("beam", 1), ("beam", 2), ("beam", 2), ("greedy", 5)]
