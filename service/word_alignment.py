"""Which words of a segment's translation come from which words of its source, as spans of both texts.

Knows texts, spans of tokens and attention; must not know the engine, other segments or HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.tokenizer import Tokenizer
from model.word_links import link_words
from service.jobs import AttentionMap, WordPair
from service.segmentation import Span
from service.token_spans import tokens_within

FloatArray = NDArray[np.float32]

DIGITS = 4  # of an attention value
# Letters and digits with apostrophes, hyphens, points and commas within; any other mark is its own word.
_WORD = re.compile(r"\w+(?:['’.,\-\u00ad\u2010\u2011]\w+)*|[^\w\s]")


def words_of(text: str) -> list[Span]:
    """Where the words and marks of the text stand, in order."""
    return [match.span() for match in _WORD.finditer(text)]


def word_pairs(
    tokenizer: Tokenizer, source: str, target_ids: Sequence[int], attention: FloatArray, layer: int
) -> tuple[WordPair, ...]:
    """For each word of the translation the word of `source` that it attended to most.

    `attention` is `FinishedEvent.attention`; decoder layer `layer` is read, averaged over its heads. Spans
    are those of `source` and of the ids' text without white space at its edges.
    """
    text = tokenizer.decode_target(target_ids)
    source_words, target_words = words_of(source), words_of(text)
    source_tokens = tokens_within(tokenizer.source_spans(source), source_words)
    target_tokens = tokens_within(tokenizer.target_spans(target_ids), target_words)
    trimmed = len(text) - len(text.lstrip())
    pairs = []
    for link in link_words(attention[layer].mean(axis=0), target_tokens, source_tokens):
        start, end = target_words[link.target_word]
        place = source_words[link.source_word]
        pairs.append(WordPair(place, (start - trimmed, end - trimmed), round(link.weight, DIGITS)))
    return tuple(pairs)


def attention_map(
    tokenizer: Tokenizer, source_ids: Sequence[int], target_ids: Sequence[int], attention: FloatArray
) -> AttentionMap:
    """The whole attention with the tokens of both its sides, the end marks among them."""
    source = tokenizer.source_pieces(source_ids)
    ended = [tokenizer.eos_id] * (attention.shape[2] - len(target_ids))
    target = tokenizer.target_pieces([*target_ids, *ended])
    # In float64, so that a rounded number is written with as many digits as it has.
    values = np.round(attention.astype(np.float64), DIGITS).tolist()
    return AttentionMap(tuple(source), tuple(target), values)
