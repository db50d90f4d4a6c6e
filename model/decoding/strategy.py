"""What every decoding strategy takes and answers: the seam between searching and running a network.

Knows: log-probabilities, rows, keys. Must not know: the network, caches, requests, text.

The caller owns the loop. One object per kind of strategy holds all live segments of that kind. At every step
it takes scores of every row's next token and answers, for each row, which row it continues and with
which token; a vectorised call per kind, never one per request. Shapes: R rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from model.decoding.demands import check_room
from model.decoding.options import DecodingOptions

if TYPE_CHECKING:  # annotations only: who reads answers need not have torch
    from torch import Tensor

    from model.step_scores import StepScores

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One finished target. `</s>` is not in `token_ids`, but its log-probability and place count in `score`.

    `token_log_probs` has one value per token of `token_ids`. `score` is length-normalised (see scoring.py).
    `finish_reason` is "stop" when the model ended it with `</s>`, "length" when the length limit did.
    """

    token_ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    score: float
    finish_reason: FinishReason

    def __reduce__(self) -> tuple[type[Hypothesis], tuple[object, ...]]:
        """Answers cross processes; a dataclass's own way takes three times as long."""
        return Hypothesis, (self.token_ids, self.token_log_probs, self.score, self.finish_reason)


@dataclass(frozen=True, slots=True)
class Selection:
    """The answer of one step, for all R rows that stood before it; its tensors are on the host.

    The segments in `finished` and `failed` are gone from the strategy already; their rows still have entries
    in `parents` and `token_ids`, which the caller drops together with the rows themselves.
    """

    parents: Tensor | None  # [R]: row r continues row parents[r]; None: every row continues itself
    token_ids: Tensor  # [R]: the token that each row is extended with
    finished: Mapping[int, tuple[Hypothesis, ...]]  # by key, best first
    stable: Mapping[int, tuple[int, ...]]  # by key of a streamed segment: tokens that are newly certain
    failed: tuple[int, ...] = ()  # keys of segments whose log-probabilities were not numbers
    # By key of a segment streamed in drafts, still live: all tokens of the hypothesis that leads now.
    drafts: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be searched for one segment: at most `max_length` tokens, `</s>` counted.

    `stream` asks for `stable` tokens, `draft` for `drafts` in their place; where every chosen token is
    certain at once, as in greedy search, both are answered by `stable`. `source_length` counts the source
    tokens over which a coverage penalty is summed.
    """

    key: int
    options: DecodingOptions
    max_length: int
    stream: bool = False
    draft: bool = False
    source_length: int = 0


class Strategy(Protocol):
    """All live segments of one kind. Rows stand in the order in which their segments were added.

    `stable` of a streamed segment never takes back what it gave: over all steps, the last one included, it
    adds up to exactly the token ids of the best hypothesis.
    """

    @property
    def keys(self) -> Sequence[int]:
        """Live segments in row order."""

    def add(self, task: Task) -> int:
        """Begin a segment; answers how many rows it takes.

        Raises `ValueError` when its key is live already or its `max_length` is below 1, `OptionError` when
        that leaves no room for what its options demand.
        """

    def remove(self, keys: Sequence[int]) -> None:
        """Forget segments (cancelled, failed elsewhere); unknown keys are ignored."""

    @property
    def wants_attention(self) -> bool:
        """Whether some live segment needs `select` to be told what was attended to."""

    def select(self, scores: StepScores) -> Selection:
        """Choose the next token of every row.

        `scores.attention` is needed when `wants_attention` is true, with a column for every source token of
        every live segment.
        """


def check_new(task: Task, live: Sequence[int] | Mapping[int, object]) -> None:
    """Raises `ValueError` and `OptionError` as `Strategy.add` promises."""
    if task.key in live:
        raise ValueError(f"segment {task.key} is live already")
    if task.max_length < 1:
        raise ValueError(f"max_length must be at least 1, got {task.max_length}")
    check_room(task.options, task.max_length)
