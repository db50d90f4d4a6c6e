"""The oracle itself: hand-made networks, a search through everything, and the definitions in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import pytest
import torch

from model.decoding.options import DecodingOptions
from model.decoding.strategy import Hypothesis
from model.reference import beam, greedy
from model.transformer import Transformer
from tests.builders import tiny_config, tiny_model

PAD, UNK, START, END, A, B, C = range(7)
NAMES = {"start": START, "end": END, "a": A, "b": B, "c": C}
SOURCE = [A, END]


def chain(table: Mapping[str, Mapping[str, float]], decoder_start_id: int = START) -> Transformer:
    """A real network whose next token depends on the last one alone, with the probabilities of `table`.

    Its embeddings are the unit vectors, its layers add nothing, so its output matrix holds the logarithms.
    What a row of the table does not name, padding and the start token among it, has probability 1e-9.
    """
    config = tiny_config(
        source_vocab_size=7,
        target_vocab_size=7,
        d_model=8,
        norm="pre",
        positions="learned",
        scale_embeddings=False,
        decoder_start_id=decoder_start_id,
    )
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.target_embedding.tokens.weight.copy_(torch.eye(7, 8))
        model.output.weight.fill_(math.log(1e-9))
        for last, row in table.items():
            for token, probability in row.items():
                model.output.weight[NAMES[token], NAMES[last]] = math.log(probability)
    return model


# The likeliest first token leads into uncertainty: greedy search says "a c", the best translation is "b".
GARDEN_PATH = {
    "start": {"a": 0.6, "b": 0.4},
    "a": {"c": 0.4, "b": 0.3, "end": 0.3},
    "b": {"end": 0.9, "a": 0.1},
    "c": {"end": 0.5, "c": 0.3, "a": 0.2},
}
# Greedy search never ends by itself.
LOOP = {"start": {"a": 1.0}, "a": {"b": 0.6, "end": 0.4}, "b": {"a": 0.6, "end": 0.4}}


def plain(**options: object) -> DecodingOptions:
    """Beam search by the plain sum of log-probabilities unless said otherwise."""
    return DecodingOptions.from_dict({"length_penalty": 0.0, **options})


class TestGreedy:
    def test_the_likeliest_token_is_taken_until_the_end(self) -> None:
        assert greedy(chain(GARDEN_PATH), SOURCE, 10) == [A, C]

    def test_it_stops_at_the_length_limit(self) -> None:
        assert greedy(chain(LOOP), SOURCE, 5) == [A, B, A, B, A]
        assert greedy(chain(LOOP), SOURCE, 0) == []

    def test_the_end_is_not_taken_before_the_least_length(self) -> None:
        assert greedy(chain(GARDEN_PATH), SOURCE, 10, min_length=4) == [A, C, C, C]

    def test_of_equally_likely_tokens_the_lowest_id_is_taken(self) -> None:
        even = {"start": {"c": 0.3, "a": 0.3, "b": 0.3}, "a": {"b": 0.5, "end": 0.5}}
        assert greedy(chain(even), SOURCE, 10) == [A]

    def test_padding_and_the_start_token_are_never_generated(self) -> None:
        model = chain(GARDEN_PATH)
        with torch.no_grad():
            model.output.weight[[PAD, START]] = 5.0
        assert greedy(model, SOURCE, 10) == [A, C]
        ids = {
            token for answer in beam(model, SOURCE, plain(num_hypotheses=4), 6) for token in answer.token_ids
        }
        assert not ids & {PAD, START}

    def test_a_start_token_that_is_the_end_token_still_ends(self) -> None:
        model = chain({"end": {"a": 1.0}, "a": {"end": 0.9, "b": 0.1}}, decoder_start_id=END)
        assert greedy(model, SOURCE, 10) == [A]
        assert beam(model, SOURCE, plain(), 10)[0].token_ids == (A,)


class TestBeam:
    def test_two_beams_find_what_greedy_search_misses(self) -> None:
        best = beam(chain(GARDEN_PATH), SOURCE, plain(beam_size=2), 10)[0]

        assert best.token_ids == (B,)
        assert best.finish_reason == "stop"
        assert best.score == pytest.approx(math.log(0.4 * 0.9), abs=1e-6)
        assert best.token_log_probs == pytest.approx([math.log(0.4)], abs=1e-6)

    def test_hypotheses_come_best_first_with_their_own_scores(self) -> None:
        answers = beam(chain(GARDEN_PATH), SOURCE, plain(beam_size=4, num_hypotheses=3), 10)

        assert [answer.token_ids for answer in answers] == [(B,), (A,), (A, B)]
        products = [0.4 * 0.9, 0.6 * 0.3, 0.6 * 0.3 * 0.9]
        assert [answer.score for answer in answers] == pytest.approx(
            [math.log(p) for p in products], abs=1e-6
        )

    def test_the_length_penalty_divides_by_its_formula_with_the_end_counted(self) -> None:
        best = beam(chain(GARDEN_PATH), SOURCE, DecodingOptions(beam_size=2, length_penalty=0.6), 10)[0]
        assert best.token_ids == (B,)
        assert best.score == pytest.approx(math.log(0.36) / ((5 + 2) / 6) ** 0.6, abs=1e-6)

    def test_a_high_length_penalty_prefers_the_longer(self) -> None:
        table = {"start": {"end": 0.5, "a": 0.5}, "a": {"a": 0.9, "end": 0.1}}
        short, long = (
            beam(chain(table), SOURCE, plain(length_penalty=x, patience=4.0), 6)[0] for x in (0.0, 5.0)
        )
        assert short.token_ids == ()
        assert long.token_ids == (A,) * 6

    def test_at_the_length_limit_the_live_ones_are_answered_as_they_are(self) -> None:
        best = beam(chain(LOOP), SOURCE, plain(beam_size=2, min_length=3), 3)[0]

        assert (best.token_ids, best.finish_reason) == ((A, B, A), "length")
        assert best.score == pytest.approx(math.log(0.6 * 0.6), abs=1e-6)
        assert len(best.token_log_probs) == 3

    def test_a_hypothesis_that_ends_does_not_take_a_live_ones_place(self) -> None:
        table = {
            "start": {"end": 0.4, "a": 0.35, "b": 0.25},
            "a": {"a": 0.3, "b": 0.3, "c": 0.3, "end": 0.1},
            "b": {"end": 1.0},
        }
        answers = beam(chain(table), SOURCE, plain(beam_size=2, num_hypotheses=2), 6)
        assert [answer.token_ids for answer in answers] == [(), (B,)]

    def test_patience_finishes_more_before_it_stops(self) -> None:
        """The best ends late: an impatient search is content with the one that ends at once."""
        table = {
            "start": {"a": 0.5, "end": 0.3, "b": 0.2},
            "a": {"b": 0.98, "end": 0.02},
            "b": {"c": 0.95, "end": 0.05},
            "c": {"end": 1.0},
        }
        impatient, patient = (
            beam(chain(table), SOURCE, plain(beam_size=2, patience=x), 8) for x in (0.5, 2.0)
        )
        assert impatient[0].token_ids == ()
        assert patient[0].token_ids == (A, B, C)

    def test_the_least_length_holds_for_every_hypothesis(self) -> None:
        answers = beam(chain(GARDEN_PATH), SOURCE, plain(min_length=2, num_hypotheses=4), 6)
        assert all(len(answer.token_ids) >= 2 for answer in answers)


def lively(seed: int, **overrides: object) -> Transformer:
    return tiny_model(seed, d_model=16, num_encoder_layers=1, num_decoder_layers=1, **overrides)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("min_length", [0, 3])
def test_a_beam_of_one_is_greedy_search(seed: int, min_length: int) -> None:
    model, source = lively(seed), [4 + seed, 9, 17, END]
    [answer] = beam(model, source, DecodingOptions(beam_size=1, min_length=min_length), 9)
    assert list(answer.token_ids) == greedy(model, source, 9, min_length)


def everything(model: Transformer, source: Sequence[int], max_length: int, alpha: float) -> list[Hypothesis]:
    """Every sequence that ends, and every unended one of `max_length` tokens, each scored in one pass."""
    config, answers = model.config, []
    tokens = [token for token in range(config.target_vocab_size) if token not in (PAD, START, END)]
    source_ids, mask = torch.tensor([list(source)]), torch.ones(1, len(source), dtype=torch.bool)
    for length in range(max_length + 1):
        ending = (END,) if length < max_length else ()
        for words in itertools.product(tokens, repeat=length):
            target = [START, *words, *ending]
            logits = model(source_ids, mask, torch.tensor([target[:-1]]))[0]
            chosen = logits.log_softmax(-1).gather(1, torch.tensor(target[1:])[:, None])[:, 0].tolist()
            score = math.fsum(chosen) / ((5 + len(chosen)) / 6) ** alpha
            answers.append(Hypothesis(words, tuple(chosen[:length]), score, "stop" if ending else "length"))
    return sorted(answers, key=lambda answer: -answer.score)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_a_beam_as_wide_as_the_space_finds_the_best_of_everything(seed: int, alpha: float) -> None:
    model, source = lively(seed, source_vocab_size=7, target_vocab_size=7, eos_scale=1.0), [4, 6, 5, END]
    best = everything(model, source, 3, alpha)[:5]
    options = DecodingOptions(beam_size=32, patience=4.0, num_hypotheses=5, length_penalty=alpha)
    found = beam(model, source, options, 3)

    assert [answer.token_ids for answer in found] == [answer.token_ids for answer in best]
    assert [answer.finish_reason for answer in found] == [answer.finish_reason for answer in best]
    for ours, theirs in zip(found, best, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-5)
        assert ours.token_log_probs == pytest.approx(theirs.token_log_probs, abs=1e-5)


def test_the_answer_depends_on_the_source() -> None:
    model = tiny_model()
    answers = {tuple(greedy(model, [first, 9, END], 12)) for first in range(4, 20)}
    assert len(answers) > 4
