"""Requests by number: the same number and seed give the same request, whoever sends it, in whatever loop.

Knows: kinds, sentences, the fields of the API. Must not know: when they are sent, over what.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.kinds import BATCH, STREAM, Mix
from loadtests.workload import Workload, made_up, whole_file

PATH = "/v1/translate"
NUM_SENTENCES = 20_000
# Most ask for a sentence, some for a paragraph; a stream is watched by somebody who gave it a longer text.
_SENTENCES_OF_A_TEXT = ((1, 70), (2, 20), (3, 10))
_SENTENCES_OF_A_STREAM = ((1, 20), (2, 30), (3, 25), (5, 15), (8, 10))
_TEXTS_OF_A_BATCH = ((4, 40), (8, 35), (16, 20), (32, 5))


@dataclass(frozen=True, slots=True)
class Direction:
    """Languages of every request."""

    source: str
    target: str

    @property
    def is_from_english(self) -> bool:
        return self.source.lower().replace("-", "_").split("_")[0] in ("en", "eng")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, ready to be sent to `PATH`."""

    kind: str
    body: bytes
    num_texts: int
    characters: int


class Traffic:
    """Numbered requests. `strategy` None leaves the search to the server."""

    def __init__(
        self, mix: Mix, sentences: Workload, direction: Direction, strategy: str | None = None, seed: int = 0
    ) -> None:
        # Each once: identical ones in flight would share a computation.
        self._sentences: Sequence[str] = list(dict.fromkeys(sentences.sentences))
        self._kinds, self._weights = mix.kinds, [mix.shares[kind] for kind in mix.kinds]
        self._fields: dict[str, Any] = {"source": direction.source, "target": direction.target}
        if strategy is not None:
            self._fields["strategy"] = strategy
        self._seed = seed

    def request(self, number: int) -> Asked:
        rng = random.Random(f"{self._seed}/{number}")
        (kind,) = rng.choices(self._kinds, self._weights)
        if kind == BATCH:
            texts = [self._text(rng, _SENTENCES_OF_A_TEXT) for _ in range(_drawn(rng, _TEXTS_OF_A_BATCH))]
            return self._asked(kind, texts, {"text": texts})
        text = self._text(rng, _SENTENCES_OF_A_STREAM if kind == STREAM else _SENTENCES_OF_A_TEXT)
        return self._asked(kind, [text], {"text": text} | ({"stream": True} if kind == STREAM else {}))

    def _text(self, rng: random.Random, lengths: Sequence[tuple[int, int]]) -> str:
        return " ".join(rng.choices(self._sentences, k=_drawn(rng, lengths)))

    def _asked(self, kind: str, texts: Sequence[str], content: dict[str, Any]) -> Asked:
        body = json.dumps(content | self._fields).encode()
        return Asked(kind, body, len(texts), sum(map(len, texts)))


def _drawn(rng: random.Random, weighted: Sequence[tuple[int, int]]) -> int:
    values, weights = zip(*weighted, strict=True)
    drawn: int = rng.choices(values, weights)[0]
    return drawn


def english_or_given(path: Path | None, direction: Direction, seed: int) -> Workload:
    """All sentences of the file, or made-up ones, which are English. Raises WorkloadError, LoadTestError."""
    if path is not None:
        return whole_file(path)
    if not direction.is_from_english:
        raise LoadTestError(
            f"made-up sentences are English, the language here is {direction.source}; give --sentences FILE"
        )
    return made_up(NUM_SENTENCES, seed)
