"""What no hypothesis may contain, must begin with, or pays for: the rules that all strategies share.

Knows: token ids, log-probabilities [R, V], what each row's options ask. Must not know: searches, segments.

A forbidden token gets log-probability -inf, a repeated one is multiplied by its penalty. In this order:
1. Padding and the start token are never text.
2. Tokens that the row holds are penalised (`repetition_penalty`).
3. What would complete a repeated n-gram (`no_repeat_ngram_size`) or a banned sequence (`banned_ids`) is
   barred, and so is `</s>` before `min_length` tokens.
4. A row that the bans of 3 leave nothing at all may end: `</s>` has its own log-probability again.
5. Inside its prefix (`prefix_ids`) a row has one choice, the next token of the prefix, whatever else is said;
   that token keeps the model's own log-probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.config import ModelConfig
from model.decoding.history import History
from model.decoding.options import DecodingOptions
from model.decoding.phrases import BannedPhrases
from model.decoding.repetition import forbid_repeated_ngrams, penalise_repetition
from model.decoding.scoring import NEVER
from model.transfers import to_device


@dataclass(frozen=True, slots=True)
class TargetVocabulary:
    """The token ids with a meaning: `eos_id` ends a hypothesis, `never_ids` are not generated at all."""

    eos_id: int
    never_ids: tuple[int, ...]

    @classmethod
    def of(cls, config: ModelConfig) -> TargetVocabulary:
        """Padding and start token are never text; where a model starts with `</s>`, that stays allowed."""
        never = {config.pad_id, config.decoder_start_id} - {config.eos_id}
        return cls(config.eos_id, tuple(sorted(never)))

    def forbid_never(self, log_probs: Tensor) -> None:
        """Bar, in place, the tokens that are never text."""
        for token_id in self.never_ids:
            log_probs[:, token_id] = NEVER

    def forbid_end(self, log_probs: Tensor, too_short: Sequence[bool]) -> None:
        """Bar, in place, `</s>` on the rows that are `too_short` [R]."""
        if any(too_short):
            rows = to_device(torch.tensor(too_short), log_probs.device)
            log_probs[:, self.eos_id].masked_fill_(rows, NEVER)


@dataclass(frozen=True, slots=True)
class Scores:
    """What one step says of every token: `own` [R, V] as the model has it, `counted` [R, V] as the rules do.

    Searches compare and add up `counted`; `own` is told. They are one tensor where no rule is in force.
    """

    own: Tensor
    counted: Tensor

    @property
    def differ(self) -> bool:
        return self.own is not self.counted


class Constraints:
    """The rules of a batch of rows, derived anew when rows come or go."""

    def __init__(self, vocabulary: TargetVocabulary, asked: Sequence[DecodingOptions]) -> None:
        """`asked` [R]: the options of each row."""
        self._vocabulary, self._asked = vocabulary, asked
        penalties = [options.repetition_penalty for options in asked]
        self._penalises = any(penalty != 1.0 for penalty in penalties)
        self._penalties = torch.tensor(penalties, dtype=torch.float64)
        sizes = [options.no_repeat_ngram_size for options in asked]
        self._ngrams = {
            size: torch.tensor([size == other for other in sizes]) for size in sorted({*sizes} - {0})
        }
        self._num_banned = [len(options.banned_ids) for options in asked]
        self._banned = BannedPhrases([options.banned_ids for options in asked])
        self._has_bans = bool(self._ngrams) or any(self._num_banned)
        self._has_prefix = any(options.prefix_ids for options in asked)

    def apply(self, log_probs: Tensor, num_held: Sequence[int], history: Callable[[], History]) -> Scores:
        """The rules on `log_probs` [R, V], which may be overwritten, of rows that hold `num_held` [R] tokens.

        `history` is asked only when some rule looks back, so that nobody pays for what nobody uses.
        """
        self._vocabulary.forbid_never(log_probs)
        asked = zip(self._asked, num_held, strict=True)
        too_short = [held < options.min_length for options, held in asked]
        looks_back = self._has_bans or self._penalises
        if not looks_back and not self._has_prefix:
            self._vocabulary.forbid_end(log_probs, too_short)
            return Scores(log_probs, log_probs)
        scores = Scores(log_probs, log_probs.clone())
        if looks_back:
            self._look_back(scores.counted, history())
        self._vocabulary.forbid_end(scores.counted, too_short)
        self._let_end(scores, num_held)
        self._force_prefix(scores, num_held)
        return scores

    def _look_back(self, counted: Tensor, history: History) -> None:
        if self._penalises:
            penalise_repetition(counted, history, self._penalties)
        for size, asks in self._ngrams.items():
            forbid_repeated_ngrams(counted, history, asks, size)
        if any(self._num_banned):
            self._banned.forbid(counted, history)

    def _let_end(self, scores: Scores, num_held: Sequence[int]) -> None:
        """Rule 4. Looked for only where bans may be so many: each past token and phrase bars at most one."""
        always = len(self._vocabulary.never_ids) + 1
        pairs = zip(self._asked, self._num_banned, num_held, strict=True)
        most = [banned + held * (o.no_repeat_ngram_size > 0) for o, banned, held in pairs]
        rows = [row for row, barred in enumerate(most) if barred + always >= scores.own.shape[1] and barred]
        if rows:
            places = to_device(torch.tensor(rows), scores.own.device)
            eos_id = self._vocabulary.eos_id
            counted, own = scores.counted[places], scores.own[places, eos_id]
            is_stuck = (counted == NEVER).all(dim=1)
            scores.counted[places, eos_id] = torch.where(is_stuck, own, counted[:, eos_id])

    def _force_prefix(self, scores: Scores, num_held: Sequence[int]) -> None:
        if not self._has_prefix:
            return
        asked = enumerate(zip(self._asked, num_held, strict=True))
        forced = [(row, o.prefix_ids[held]) for row, (o, held) in asked if held < len(o.prefix_ids)]
        if forced:
            rows, token_ids = to_device(torch.tensor(forced).T, scores.own.device)
            scores.counted[rows] = NEVER
            scores.counted[rows, token_ids] = scores.own[rows, token_ids]
