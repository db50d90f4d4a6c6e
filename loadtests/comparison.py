"""Where two answers to the same question differ, and by how little the network preferred one.

Knows: hypotheses, the network in float64. Must not know: how the answers came about.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from loadtests.ways import Asked
from model.decoding import Hypothesis
from model.decoding.scoring import normalised_score
from model.transformer import Transformer, next_log_probs


@dataclass(frozen=True, slots=True)
class Difference:
    """`position` is the first token that differs; margins are of the network in float64.

    `token_margin`: between the two tokens there, after the same prefix. `score_margin`: between the scores of
    both whole answers.
    """

    sentence: int
    kind: str
    way: str
    position: int
    token_margin: float
    score_margin: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one way's answers compare with those of each segment alone."""

    way: str
    kind: str
    count: int
    differences: tuple[Difference, ...]
    same_bits: int  # answers whose log-probabilities are the same numbers, to the last bit
    # Of a token's log-probability, among answers with the same tokens; None where a way tells none.
    largest_deviation: float | None


class Judge:
    """Measures margins with the weights in float64, where rounding plays no part."""

    def __init__(self, model: Transformer) -> None:
        self._model = copy.deepcopy(model).double()

    @torch.inference_mode()
    def log_probs(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> list[float]:
        """Of each target token and of `</s>` behind them."""
        config = self._model.config
        source = torch.tensor([list(source_ids)])
        mask = torch.ones_like(source, dtype=torch.bool)
        ids = torch.tensor([[config.decoder_start_id, *target_ids]])
        logits = self._model.decode(ids, self._model.encode(source, mask), mask)[0]
        wanted = torch.tensor([*target_ids, config.eos_id])
        found: list[float] = next_log_probs(logits)[torch.arange(len(wanted)), wanted].tolist()
        return found

    def difference(self, way: str, one: Asked, expected: Hypothesis, got: Hypothesis) -> Difference | None:
        if expected.token_ids == got.token_ids:
            return None
        both = [self.log_probs(one.source_ids, answer.token_ids) for answer in (expected, got)]
        ends = [(*answer.token_ids, self._model.config.eos_id) for answer in (expected, got)]
        position = next(i for i, (a, b) in enumerate(zip(*ends, strict=False)) if a != b)
        alpha = one.options.length_penalty
        scores = [normalised_score(sum(values), len(values), alpha) for values in both]
        return Difference(
            sentence=one.sentence,
            kind=one.kind,
            way=way,
            position=position,
            token_margin=abs(both[0][position] - both[1][position]),
            score_margin=abs(scores[0] - scores[1]),
        )


def compare(
    judge: Judge, way: str, asked: Sequence[Asked], expected: Sequence[Hypothesis], got: Sequence[Hypothesis]
) -> list[Agreement]:
    """One agreement per kind, in the order in which kinds first come."""
    triples = list(zip(asked, expected, got, strict=True))
    kinds = dict.fromkeys(one.kind for one in asked)
    return [_agreement(judge, way, kind, [t for t in triples if t[0].kind == kind]) for kind in kinds]


def _agreement(
    judge: Judge, way: str, kind: str, triples: Sequence[tuple[Asked, Hypothesis, Hypothesis]]
) -> Agreement:
    found = [judge.difference(way, one, expected, got) for one, expected, got in triples]
    deviations = [_deviation(expected, got) for _, expected, got in triples]
    known = [deviation for deviation in deviations if deviation is not None]
    return Agreement(
        way=way,
        kind=kind,
        count=len(triples),
        differences=tuple(difference for difference in found if difference is not None),
        same_bits=sum(deviation == 0 for deviation in known),
        largest_deviation=max(known, default=None),
    )


def _deviation(expected: Hypothesis, got: Hypothesis) -> float | None:
    """None where tokens differ or where a way tells no log-probabilities."""
    if expected.token_ids != got.token_ids or len(got.token_log_probs) != len(expected.token_log_probs):
        return None
    pairs = zip(expected.token_log_probs, got.token_log_probs, strict=True)
    return max((abs(a - b) for a, b in pairs), default=0.0)
