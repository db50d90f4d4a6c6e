"""The pieces that tell a model of several target languages which one is wanted: `>>fr<<` before the source.

Knows: directions, how a tag is written, its id in a vocabulary. Must not know: how a vocabulary comes to have
it, texts, networks.

One artificial token at the beginning of the source says what to translate into (Johnson et al. 2017,
"Google's Multilingual Neural Machine Translation System", section 3); it is written as OPUS-MT does. A model
of one target language needs none.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.directions import Pair
from model.language_signals import LanguageSignals
from model.tokenizer import Tokenizer


def language_tags(directions: Sequence[Pair]) -> dict[str, str]:
    """The piece of each target language; none where there is but one."""
    targets = dict.fromkeys(target for _, target in directions)
    return {code: f">>{code}<<" for code in targets} if len(targets) > 1 else {}


def language_signals(directions: Sequence[Pair], tokenizer: Tokenizer) -> LanguageSignals:
    """How the model is told its target, in ids of a vocabulary that has every tag.

    Raises `ValueError` for a vocabulary that lacks one.
    """
    tags = language_tags(directions)
    if not tags:
        return LanguageSignals()
    pieces = tokenizer.source_pieces(range(tokenizer.source_vocab_size))
    token_ids = {code: pieces.index(tag) for code, tag in tags.items()}
    return LanguageSignals(target="source_tag", token_ids=token_ids)
