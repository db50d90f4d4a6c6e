"""Another split of each text into pieces every time that it is seen, so that a model knows a word in many.

Knows: mapped text, which split is drawn when. Must not know: batches, networks, how a split is drawn
(drawn_splits.py).

`unigram` draws from all splits of a text by their probability to the power `alpha` (Kudo 2018, "Subword
Regularization", section 3.2). `bpe` leaves out each merge with the probability `alpha` (Provilkov et al.
2020, "BPE-Dropout", section 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.tokenizer import Tokenizer
from training.data_config import SubwordSamplingConfig
from training.drawn_splits import DrawnSplits
from training.errors import RecipeError
from training.ragged import Ragged

Side = Literal["source", "target"]

# Not those of a batch, whose randomness comes from seed, epoch and its number (stream.py).
_STREAMS: Mapping[Side, int] = {"source": 1 << 20, "target": 1 << 21}
_DRAWN_AT_ONCE = 64


class SubwordSampler:
    """Draws splits of chosen texts. Seed, epoch, side and place in the corpus decide a text's split, in
    whatever process and beside whatever others it is drawn; and where an epoch may hold a text several times
    the place in the epoch too."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: SubwordSamplingConfig,
        texts: Mapping[Side, Ragged],
        max_tokens: int,
        seed: int,
        num_tags: int = 0,
    ) -> None:
        """`texts` are those of `sampled_sides(config)`; before each source stand `num_tags` ids that are no
        text. Raises `RecipeError` for another vocabulary."""
        self._splits = _splits(tokenizer, config.alpha or 0.0)
        self._num_tags: dict[Side, int] = {"source": num_tags, "target": 0}
        self._texts, self._max_tokens, self._seed = texts, max_tokens, seed

    def draws(self, side: Side) -> bool:
        return side in self._texts

    def draw(
        self,
        side: Side,
        plain: Ragged,
        indices: NDArray[np.integer[Any]],
        epoch: int,
        batch: int | None = None,
    ) -> Ragged:
        """Ids of the chosen texts in a new split, each ending with `</s>`, tags before them as in `plain`.

        `batch`, its number in the epoch, is given where an epoch may hold a text several times. A split that
        would be longer than `max_tokens` keeps its `plain` ids.
        """
        return Ragged.from_lists(
            [
                self._drawn(side, plain[index].tolist(), index, epoch, () if batch is None else (batch, row))
                for row, index in enumerate(indices.tolist())
            ]
        )

    def _drawn(
        self, side: Side, plain: list[int], index: int, epoch: int, place: tuple[int, ...]
    ) -> list[int]:
        tags, ids, end = _parts(plain, self._num_tags[side])
        uniform = _uniform(self._seed, epoch, _STREAMS[side], index, *place)
        drawn = [*tags, *self._splits[side].draw(self._texts[side][index].tobytes(), ids, uniform), *end]
        return drawn if len(drawn) <= self._max_tokens else plain


def _parts(ids: list[int], num_tags: int) -> tuple[list[int], list[int], list[int]]:
    """Tags, text and `</s>`."""
    return ids[:num_tags], ids[num_tags:-1], ids[-1:]


def _uniform(*key: int) -> Iterator[float]:
    """Numbers from 0 to below 1 without end, the same for the same key."""
    random = np.random.default_rng(key)
    while True:
        yield from random.random(_DRAWN_AT_ONCE).tolist()


def sampled_sides(config: SubwordSamplingConfig) -> tuple[Side, ...]:
    """Whose texts are drawn anew; none without `alpha`."""
    if config.alpha is None:
        return ()
    return ("source", "target") if config.sides == "both" else (config.sides,)


def _splits(tokenizer: Tokenizer, alpha: float) -> dict[Side, DrawnSplits]:
    files = tokenizer.files()
    if not all(name.endswith(".model") for name in files):
        raise _unfit(", ".join(files))
    try:
        splits = [DrawnSplits(model, alpha) for model in files.values()]
    except ValueError as error:
        raise _unfit(str(error)) from error
    return {"source": splits[0], "target": splits[-1]}


def _unfit(vocabulary: str) -> RecipeError:
    bound = f"left out with start_from, whose vocabulary ({vocabulary}) cannot be sampled"
    return RecipeError(f"data.subword_sampling.alpha must be {bound}")
