"""The native choice is that of the tensors, to the last bit: ties, barred tokens, chosen rows, no numbers."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.beam_step import NEVER, BeamStep
from model.native.binding import PANEL, Library
from model.native.scores import NativeScores
from model.step_scores import DenseScores

EOS = 0
SIZES = st.sampled_from((1, 2, 5, 15, 16, 17, 63, 64, 65, 130, 700, 1100))  # of vocabularies, at the edges
SAME_FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def tied_logits(rng: random.Random, num_rows: int, num_tokens: int) -> Tensor:
    """Half of them from a few levels; now and then a token that cannot be, or a row without numbers."""
    levels = [rng.gauss(0, 2) for _ in range(4)]
    share = rng.random()
    rows = []
    for _ in range(num_rows):
        row = [rng.choice(levels) if rng.random() < share else rng.gauss(0, 2) for _ in range(num_tokens)]
        row[rng.randrange(num_tokens)] = NEVER if num_tokens > 1 and rng.random() < 0.3 else row[0]
        if rng.random() < 0.05:
            row[rng.randrange(num_tokens)] = rng.choice((math.nan, math.inf))
        rows.append(row)
    return torch.tensor(rows)


def native(library: Library, logits: Tensor) -> NativeScores:
    panels = torch.nn.functional.pad(logits, (0, -logits.shape[1] % PANEL), value=NEVER)
    largest = panels.unflatten(1, (-1, PANEL)).nan_to_num(NEVER, math.inf, NEVER).amax(dim=2)
    return NativeScores(library, logits.clone(), torch.logsumexp(logits, 1), largest.contiguous())


def dense(scores: NativeScores) -> DenseScores:
    """The same by tensors. Where a log-sum is not finite, nothing is a number."""
    log_probs = scores.logits - scores.log_sums[:, None]
    log_probs[~scores.log_sums.isfinite()] = math.nan
    return DenseScores(log_probs)


def barred_pairs(rng: random.Random, num_rows: int, num_tokens: int) -> Tensor | None:
    """Never all tokens of a row: where none is left, nobody could tell whether they were numbers."""
    most = min(3, num_tokens - 1)
    tokens = [rng.sample(range(num_tokens), rng.randint(0, most)) for _ in range(num_rows)]
    every = [(row, token_id) for row, barred in enumerate(tokens) for token_id in barred]
    return torch.tensor(every, dtype=torch.long).view(-1, 2).T.contiguous() if every else None


def same_numbers(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first.nan_to_num(7.0), second.nan_to_num(7.0))


@SAME_FIXTURE
@given(st.integers(1, 5), SIZES, st.integers(1, 12), st.booleans(), st.integers(0, 10**6))
def test_the_likeliest_tokens_are_those_of_the_tensors(
    library: Library, num_rows: int, num_tokens: int, count: int, some: bool, seed: int
) -> None:
    rng = random.Random(seed)
    scores = native(library, tied_logits(rng, num_rows, num_tokens))
    expected_scores = dense(scores)
    if some:
        rows = torch.tensor(rng.sample(range(num_rows), rng.randint(1, num_rows)))
        scores, expected_scores = scores.of_rows(rows), expected_scores.of_rows(rows)
        num_rows = len(rows)
    before = (scores.logits.clone(), scores.block_max.clone())
    barred = barred_pairs(rng, num_rows, num_tokens)
    values, token_ids = scores.top(count, barred)
    expected, expected_ids = expected_scores.top(count, barred)
    numbers = ~expected_scores.dense.isnan().any(dim=1)
    assert same_numbers(values[numbers], expected[numbers])
    possible = numbers[:, None] & (expected > NEVER)
    assert torch.equal(token_ids[possible], expected_ids[possible])
    assert values[~numbers].isnan().all()
    assert same_numbers(scores.logits, before[0])
    assert same_numbers(scores.block_max, before[1])


@SAME_FIXTURE
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), SIZES, st.integers(0, 10**6))
def test_a_step_of_beams_is_that_of_the_tensors(
    library: Library, widths: list[int], num_tokens: int, seed: int
) -> None:
    rng = random.Random(seed)
    num_rows = sum(widths)
    scores = native(library, tied_logits(rng, num_rows, num_tokens))
    totals = [NEVER if rng.random() < 0.3 else -float(rng.randint(0, 3)) for _ in range(num_rows)]
    barred = barred_pairs(rng, num_rows, num_tokens)
    found = scores.extend_beams(widths, totals, EOS, barred)
    expected = dense(scores).extend_beams(widths, totals, EOS, barred)
    assert [math.isfinite(one) for one in found.highest] == [math.isfinite(one) for one in expected.highest]
    first_row = 0
    for beam, width in enumerate(widths):
        if math.isfinite(expected.highest[beam]):  # of another beam nothing is asked
            assert part(found, beam, first_row, width) == part(expected, beam, first_row, width)
        first_row += width
    moves = list(range(num_rows)) if found.moves is None else found.moves.tolist()
    assert (moves, found.tokens.tolist()) == (found.parents, found.token_ids)


def part(step: BeamStep, beam: int, first_row: int, width: int) -> tuple[object, ...]:
    """What is said of one beam; the log-probability of a dead row means nothing."""
    rows = slice(first_row, first_row + width)
    alive = [total > NEVER for total in step.totals[rows]]
    log_probs = [value for value, lives in zip(step.log_probs[rows], alive, strict=True) if lives]
    lists = (list(step.parents[rows]), list(step.token_ids[rows]), list(step.totals[rows]), log_probs)
    ends = [end for end in step.ends if end.beam == beam]
    return *lists, ends, step.best_live[beam], step.highest[beam]


def test_log_probs_of_chosen_rows_leave_the_others_alone(best: Library) -> None:
    scores = native(best, torch.tensor([[1.0, 2.0], [3.0, 3.0], [0.0, 5.0]]))
    expected = torch.log_softmax(scores.logits, 1)
    chosen = scores.of_rows(torch.tensor([2, 0])).of_rows(torch.tensor([1]))
    torch.testing.assert_close(chosen.log_probs(), expected[:1])
    assert scores.logits[0].tolist() == [1.0, 2.0]
    torch.testing.assert_close(scores.log_probs(), expected)


def test_what_rows_attended_to_goes_with_them(best: Library) -> None:
    logits = torch.zeros(2, 3)
    scores = NativeScores(best, logits, logits[:, 0], torch.zeros(2, 1), torch.tensor([[0.1], [0.9]]))
    chosen = scores.of_rows(torch.tensor([1])).attention
    assert chosen is not None
    assert chosen.tolist() == [[pytest.approx(0.9)]]
