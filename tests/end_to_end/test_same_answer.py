"""The shipped model answers a text alike in every company, bit for bit, and as the slow reference does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from loadtests.kernels import served, serving_library
from loadtests.same_answer import OF_REFERENCE, questions
from loadtests.subject import SHIPPED, Subject, subject
from loadtests.ways import Asked, alone, among_random_neighbours, by_reference, in_full_batches
from loadtests.workload import made_up
from model.decoding import Hypothesis
from model.native.library import NativeUnavailable
from model.network import EagerNetwork, Network

NUM_SENTENCES, NUM_REFERENCE = 200, 40
LONGEST_FOR_REFERENCE = 12  # source tokens: its time grows with the square

Expected = tuple[list[Asked], list[Hypothesis]]


@pytest.fixture(scope="module")
def shipped() -> Iterator[Subject]:
    """With one thread: test_linear.py looks at several."""
    before = torch.get_num_threads()
    yield subject(SHIPPED, made_up(NUM_SENTENCES, seed=11), 1)
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=["eager", "native"])
def network(request: pytest.FixtureRequest, shipped: Subject) -> Network:
    """The two ways to run it on a processor."""
    if request.param == "eager":
        return EagerNetwork(shipped.bundle.model)
    try:
        return served(shipped.bundle.model, "float32", 1, serving_library())
    except NativeUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def expected(shipped: Subject, network: Network) -> Expected:
    """Every sentence in every kind of decoding that it is asked in, and its answer alone."""
    asked = questions(shipped.source_ids)
    return asked, alone(network, asked, _ignore)


@pytest.fixture(scope="module")
def of_reference(shipped: Subject) -> dict[tuple[int, str], Hypothesis]:
    """What the slow definition finds for some short sentences: by sentence and kind, whoever is asked."""
    short = [one for one in questions(shipped.source_ids) if len(one.source_ids) <= LONGEST_FOR_REFERENCE]
    some = [
        one
        for kind in OF_REFERENCE
        for one in [one for one in short if one.kind == kind][: NUM_REFERENCE // 2]
    ]
    answers = by_reference(shipped.bundle.model, some, _ignore)
    return {(one.sentence, one.kind): answer for one, answer in zip(some, answers, strict=True)}


@pytest.mark.slow
def test_full_batches_change_no_bit_of_an_answer(network: Network, expected: Expected) -> None:
    asked, answers = expected
    together = in_full_batches(network, asked, 1, _ignore)
    assert differing(asked, answers, together) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_random_arrivals_cancellations_and_mixed_strategies_change_no_bit(
    network: Network, expected: Expected, seed: int
) -> None:
    asked, answers = expected
    among = among_random_neighbours(network, asked, 1, _ignore, seed)
    assert differing(asked, answers, among) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["beam 4", "greedy"])
def test_answers_are_those_of_the_reference(
    expected: Expected, of_reference: dict[tuple[int, str], Hypothesis], kind: str
) -> None:
    found = {(one.sentence, one.kind): answer.token_ids for one, answer in zip(*expected, strict=True)}
    wanted = {key: answer.token_ids for key, answer in of_reference.items() if key[1] == kind}
    assert len(wanted) == NUM_REFERENCE // 2
    assert {key: found[key] for key in wanted} == wanted


def differing(
    asked: Sequence[Asked], answers: Sequence[Hypothesis], others: Sequence[Hypothesis]
) -> list[tuple[Any, ...]]:
    """What differs in tokens, scores or reasons."""
    triples = zip(asked, answers, others, strict=True)
    return [(one.sentence, one.kind, a, b) for one, a, b in triples if a != b]


def _ignore(count: int = 1) -> None: ...
