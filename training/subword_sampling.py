"""Another split of each text into pieces every time that it is seen, so that a model knows a word in many.

Knows: SentencePiece's sampling, mapped text, which split is drawn when. Must not know: batches, networks.

`unigram` draws from all splits of a text by their probability to the power `alpha` (Kudo 2018, "Subword
Regularization", section 3.2). `bpe` leaves out each merge with the probability `alpha` (Provilkov et al.
2020, "BPE-Dropout", section 3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from model.tokenizer import Tokenizer
from training.data_config import SubwordSamplingConfig
from training.errors import RecipeError
from training.ragged import Ragged

Side = Literal["source", "target"]


class SubwordSampler:
    """Draws splits of chosen texts; the same for the same seed, epoch and choice within one process.

    SentencePiece 0.2.3 salts its generator in each process, so that no seed of ours makes two draw alike.
    """

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
        self._processors = _processors(tokenizer)
        self._num_tags: dict[Side, int] = {"source": num_tags, "target": 0}
        self._alpha, self._texts, self._max_tokens, self._seed = config.alpha, texts, max_tokens, seed

    def draws(self, side: Side) -> bool:
        return side in self._texts

    def draw(self, side: Side, plain: Ragged, indices: NDArray[np.integer[Any]], epoch: int) -> Ragged:
        """Ids of the chosen texts in a new split, each ending with `</s>`, tags before them as in `plain`.

        One that would be longer than `max_tokens` keeps its `plain` ids.
        """
        texts = [self._texts[side][int(index)].tobytes() for index in indices]
        # SentencePiece takes the seed when a thread first draws; a call for a list has a thread of its own.
        sentencepiece.set_random_generator_seed(self._key(side, indices, epoch))
        drawn = self._processors[side].encode(
            texts,
            out_type=int,
            add_eos=True,
            enable_sampling=True,
            alpha=self._alpha,
            nbest_size=-1,
            num_threads=1,
        )
        fitting = [
            self._fitting(ids, plain[int(index)], self._num_tags[side])
            for ids, index in zip(drawn, indices, strict=True)
        ]
        return Ragged.from_lists(fitting)

    def _fitting(self, drawn: list[int], plain: NDArray[Any], num_tags: int) -> list[int]:
        if num_tags + len(drawn) > self._max_tokens:
            return list(plain.tolist())
        return [*plain[:num_tags].tolist(), *drawn]

    def _key(self, side: Side, indices: NDArray[np.integer[Any]], epoch: int) -> int:
        """32 bits of everything that decides a draw."""
        content = f"{self._seed} {epoch} {side} {' '.join(map(str, indices.tolist()))}"
        return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=4).digest(), "little")


def sampled_sides(config: SubwordSamplingConfig) -> tuple[Side, ...]:
    """Whose texts are drawn anew; none without `alpha`."""
    if config.alpha is None:
        return ()
    return ("source", "target") if config.sides == "both" else (config.sides,)


def _processors(tokenizer: Tokenizer) -> dict[Side, sentencepiece.SentencePieceProcessor]:
    files = tokenizer.files()
    if not all(name.endswith(".model") for name in files):
        bound = f"left out with start_from, whose vocabulary ({', '.join(files)}) cannot be sampled"
        raise RecipeError(f"data.subword_sampling.alpha must be {bound}")
    models = [sentencepiece.SentencePieceProcessor(model_proto=model) for model in files.values()]
    return {"source": models[0], "target": models[-1]}
