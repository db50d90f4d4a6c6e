"""Every strategy with any options, alone and with others, answers what the slow definition answers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import reference
from model.decoding.options import DecodingOptions
from model.decoding.strategy import Hypothesis
from model.decoding.strategy_set import StrategySet
from tests.model.decoding.any_options import LONGEST, NUM_TOKENS, RANDOM_VOCABULARY, any_options
from tests.model.decoding.tables import CPU, Game, TableSentence, random_attention, random_table


def game_of(seed: int) -> Game:
    table = random_table(seed, NUM_TOKENS, sharpness=1.5)
    return Game(StrategySet(RANDOM_VOCABULARY, CPU), table, random_attention(seed))


def by_definition(
    game: Game, key: int, options: DecodingOptions, max_length: int = LONGEST
) -> list[Hypothesis]:
    sentence = TableSentence(key, game.table, game.attention, RANDOM_VOCABULARY)
    return reference.search(sentence, options, max_length)


def assert_same(found: tuple[Hypothesis, ...], expected: list[Hypothesis]) -> None:
    assert [h.token_ids for h in found] == [h.token_ids for h in expected]
    assert [h.finish_reason for h in found] == [h.finish_reason for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected])
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.token_log_probs == pytest.approx(theirs.token_log_probs)


@settings(max_examples=300)
@given(st.integers(0, 10**6), any_options())
def test_any_options_alone_answer_as_the_definition_says(seed: int, options: DecodingOptions) -> None:
    game = game_of(seed)
    game.add(0, options, LONGEST)
    (played,) = game.run().values()
    assert_same(played.hypotheses, by_definition(game, 0, options))
    assert played.streamed == played.hypotheses[0].token_ids  # never taken back, and the whole of the best


@settings(max_examples=80)
@given(
    st.integers(0, 10**6),
    st.lists(st.tuples(any_options(), st.integers(0, 3), st.booleans()), min_size=2, max_size=5),
    st.data(),
)
def test_any_options_together_answer_as_the_definition_says(
    seed: int, segments: list[tuple[DecodingOptions, int, bool]], data: st.DataObject
) -> None:
    game = game_of(seed)
    removed = set()
    for key, (options, num_steps, is_removed) in enumerate(segments):
        game.add(key, options, LONGEST)
        for _ in range(num_steps):
            if game.strategy.keys:
                game.step()
        if is_removed and game.strategy.keys:
            gone = data.draw(st.sampled_from(list(game.strategy.keys)))
            game.remove([gone])
            removed.add(gone)
    together = game.run()
    for key, (options, _, _) in enumerate(segments):
        if key not in removed:
            assert_same(together[key].hypotheses, by_definition(game, key, options))
            assert together[key].streamed == together[key].hypotheses[0].token_ids
