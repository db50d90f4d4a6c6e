"""Which words of a segment's translation come from which words of its source, as spans of both texts.

Knows texts, masks, spans of tokens and attention; must not know the engine, other segments or HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.tokenizer import Tokenizer
from model.word_links import WordLink, link_words
from service.jobs import AttentionMap, WordPair
from service.masking import Mask
from service.segmentation import Span
from service.token_spans import tokens_within
from service.unicode_words import with_letters_for_marks
from service.unmasking import Unmasking, shown_pieces

FloatArray = NDArray[np.float32]

DIGITS = 4  # of an attention value
# Letters and digits with apostrophes, hyphens, points and commas within; any other mark is its own word, but
# for what tokenizers drop: it has the tokens of the word behind it, and would be taken for that.
_WORD = re.compile(r"\w+(?:['’.,\-\u00ad\u2010\u2011]\w+)*|[^\w\s\u00ad\u200b\ufeff]")


def words_of(text: str) -> list[Span]:
    """Where the words and marks of the text stand, in order."""
    return [match.span() for match in _WORD.finditer(with_letters_for_marks(text))]


def word_pairs(
    tokenizer: Tokenizer,
    source: str,
    target_ids: Sequence[int],
    attention: FloatArray,
    layer: int,
    mask: Mask | None = None,
) -> tuple[WordPair, ...]:
    """For each word of the translation the word of `source` that it attended to most; for what was masked the
    place that it was copied from.

    `attention` is `FinishedEvent.attention`; decoder layer `layer` is read, averaged over its heads. Spans
    are those of `source` and of the ids' text without white space at its edges, nothing masked in either.
    """
    text, read = tokenizer.decode_target(target_ids), source if mask is None else mask.text
    source_words, target_words = words_of(read), words_of(text)
    source_tokens = tokens_within(tokenizer.source_spans(read), source_words)
    target_tokens = tokens_within(tokenizer.target_spans(target_ids), target_words)
    weights = attention[layer].mean(axis=0)
    links = link_words(weights, target_tokens, source_tokens)
    if mask is not None:
        copied = _copied_from(mask, text, target_words, source_words)
        links = [_relinked(link, copied, weights, target_tokens, source_tokens) for link in links]
    in_source, in_target = _places(mask, text)
    return tuple(
        WordPair(place, target, round(link.weight, DIGITS))
        for link in links
        for place, target in [
            (in_source(source_words[link.source_word]), in_target(target_words[link.target_word]))
        ]
        if target[0] < target[1]
    )


def _copied_from(
    mask: Mask, text: str, target_words: Sequence[Span], source_words: Sequence[Span]
) -> dict[int, int]:
    """The source word of each target word that is a masking character, by their places in the lists."""
    symbols = {copy.symbol for copy in mask.copies}
    at = {mask.text[slice(*span)]: place for place, span in enumerate(source_words)}
    shown = ((place, text[slice(*span)]) for place, span in enumerate(target_words))
    return {place: at[word] for place, word in shown if word in symbols}


def _relinked(
    link: WordLink,
    copied: Mapping[int, int],
    weights: FloatArray,
    target_tokens: Sequence[Sequence[int]],
    source_tokens: Sequence[Sequence[int]],
) -> WordLink:
    source = copied.get(link.target_word)
    if source is None or source == link.source_word:
        return link
    (own,) = link_words(weights, [target_tokens[link.target_word]], [source_tokens[source]])
    return WordLink(link.target_word, source, own.weight)


def _places(mask: Mask | None, text: str) -> tuple[Callable[[Span], Span], Callable[[Span], Span]]:
    """From spans of what the model reads and writes to spans of the source and of the text that is shown."""
    trimmed = len(text) - len(text.lstrip())
    if mask is None:
        return lambda span: span, lambda span: (span[0] - trimmed, span[1] - trimmed)
    unmasking = Unmasking(mask)
    unmasking.push(text[trimmed:])
    in_source, in_target = mask.places(), unmasking.places
    return (
        lambda span: (in_source[span[0]][0], in_source[span[1] - 1][1]),
        lambda span: (in_target[span[0] - trimmed][0], in_target[span[1] - 1 - trimmed][1]),
    )


def attention_map(
    tokenizer: Tokenizer,
    source_ids: Sequence[int],
    target_ids: Sequence[int],
    attention: FloatArray,
    mask: Mask | None = None,
) -> AttentionMap:
    """The whole attention with the tokens of both its sides, the end marks among them."""
    source = shown_pieces(mask, tokenizer.source_pieces(source_ids))
    ended = [tokenizer.eos_id] * (attention.shape[2] - len(target_ids))
    target = shown_pieces(mask, tokenizer.target_pieces([*target_ids, *ended]))
    # In float64, so that a rounded number is written with as many digits as it has.
    values = np.round(attention.astype(np.float64), DIGITS).tolist()
    return AttentionMap(tuple(source), tuple(target), values)
