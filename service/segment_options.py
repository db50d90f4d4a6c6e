"""What of a job's decoding holds for which segment: prefix and phrases in token ids, a seed for each.

Refuses what contradicts itself or cannot hold, naming the field. Knows jobs, options and tokenizers; must not
know HTTP, or what an engine does with any of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from model.decoding.options import MAX_PHRASE_TOKENS, DecodingOptions, OptionError
from model.tokenizer import Tokenizer
from service.errors import FieldFault, InvalidRequest
from service.jobs import TranslationJob
from service.masking import has_private
from service.phrases import BannedPhrases, UnwritableError, exact_ids
from service.protection import MaskedSource
from service.registry import Route
from service.token_spans import TokenIds
from service.unmasking import masked_prefix

# Options that the request has in text, by their names among the decoding options.
_IN_TEXT = {"prefix_ids": "prefix", "banned_ids": "banned", "required_ids": "required"}


def check_combinations(job: TranslationJob) -> None:
    """What can be said without a model. Raises InvalidRequest for fields that exclude one another."""
    if job.draft and not job.stream:
        raise _refused("stream_mode", "stable, or stream true", "draft")
    if job.alternatives and job.stream:
        raise _refused("alternatives", "left out with stream", job.alternatives)
    if job.banned and job.required:
        raise _refused("banned", "left out with required", list(job.banned))
    for name in ("prefix", "alternatives"):
        if getattr(job, name) and len(job.texts) != 1:
            raise _refused(name, "left out unless there is one text", getattr(job, name))


def check_segments(job: TranslationJob, text_index: int, num_segments: int) -> None:
    """`num_segments` of the text are translated. Raises InvalidRequest where that is too many or too few."""
    if job.may_stay and not num_segments:
        return
    if job.prefix and not num_segments:
        raise _refused("prefix", "left out for a text in which nothing is translated", job.prefix)
    for name in ("required", "alternatives"):
        if getattr(job, name) and num_segments != 1:
            where = f"{job.field_of(text_index)} has {num_segments}"
            raise _refused(name, f"left out unless each text is one segment ({where})", getattr(job, name))


def target_prefix(job: TranslationJob, route: Route, masked: MaskedSource | None) -> str:
    """The job's prefix as the model writes it, what the first segment copies being `masked` in it. Raises
    InvalidRequest for characters that would be taken for others, there and in required phrases."""
    if route.model.protector is None:
        return job.prefix
    said = {"prefix": job.prefix, **{f"required[{n}]": phrase for n, phrase in enumerate(job.required)}}
    for field, text in said.items():
        if has_private(text):
            raise _refused(field, "free of private characters (U+E000 to U+F8FF)", text)
    return job.prefix if masked is None else masked_prefix(masked.mask, job.prefix)


def checked_options(job: TranslationJob, route: Route, prefix: str) -> DecodingOptions:
    """The job's options over the model's defaults, what is said in text included, as for a text's first
    segment, which begins with `prefix`. Raises InvalidRequest naming field, bound and value."""
    tokenizer = route.model.tokenizer
    given: dict[str, Any] = dict(job.options)
    if prefix:
        given["prefix_ids"] = _exact(tokenizer, "prefix", prefix)
    if job.required:
        given["required_ids"] = _required(tokenizer, job.required)
    try:
        options = _options(tuple(given.items()), tuple(map(type, given.values())), route.model.defaults)
    except OptionError as error:
        name = name_in_request(error.field)
        value = getattr(job, name) if name != error.field else error.value
        raise _refused(name, error.bound, value) from None
    room = options.max_length
    if job.alternatives and room is not None and len(options.prefix_ids) >= room:
        bound = f"of fewer tokens than max_length, {room}, so that alternatives can follow"
        raise _refused("prefix", bound, job.prefix)
    return options


# Most requests ask for what one before them did, and making options checks two dozen fields.
@lru_cache(maxsize=256)
def _options(
    given: tuple[tuple[str, Any], ...], types: tuple[type, ...], defaults: DecodingOptions
) -> DecodingOptions:
    """`types` keeps True, which is no number here, from being taken for 1."""
    return DecodingOptions.with_defaults(dict(given), defaults)


def banned_phrases(job: TranslationJob, route: Route) -> BannedPhrases | None:
    """None where nothing is banned. Raises InvalidRequest for a phrase that cannot be or is in the prefix."""
    for index, phrase in enumerate(job.banned):
        if not phrase.strip():
            raise _refused(f"banned[{index}]", "more than white space", phrase)
        if len(route.model.tokenizer.encode_target(phrase)) > MAX_PHRASE_TOKENS:
            raise _refused(f"banned[{index}]", f"at most {MAX_PHRASE_TOKENS - 1} tokens long", phrase)
    if not job.banned:
        return None
    banned = BannedPhrases(route.model.tokenizer, job.banned)
    if (phrase_in_prefix := banned.phrase_in(job.prefix)) is not None:
        raise _refused("prefix", f"free of the banned {phrase_in_prefix!r}", job.prefix)
    return banned


def name_in_request(option: str) -> str:
    """The field of a request that a decoding option comes from."""
    return _IN_TEXT.get(option, option)


def options_of_segment(options: DecodingOptions, text_index: int, segment_index: int) -> DecodingOptions:
    """`options` as they hold for one segment: the prefix is the first one's, and each draws for itself."""
    changes: dict[str, Any] = {}
    if options.prefix_ids and segment_index:
        changes["prefix_ids"] = ()
    if options.seed is not None:
        changes["seed"] = seed_of_segment(options.seed, text_index, segment_index)
    return replace(options, **changes) if changes else options


def seed_of_segment(seed: int, text_index: int, segment_index: int) -> int:
    """A seed of its own for each segment: the first 63 bits of BLAKE2b of `seed/text/segment` in decimal."""
    digest = blake2b(f"{seed}/{text_index}/{segment_index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _required(tokenizer: Tokenizer, phrases: Sequence[str]) -> tuple[TokenIds, ...]:
    distinct = dict.fromkeys(
        _exact(tokenizer, f"required[{index}]", phrase) for index, phrase in enumerate(phrases)
    )
    return tuple(distinct)


def _exact(tokenizer: Tokenizer, field: str, text: str) -> TokenIds:
    try:
        return exact_ids(tokenizer, text)
    except UnwritableError as error:
        bound = f"text as the model writes it, without white space at its ends: {error.written!r}"
        raise _refused(field, bound, text) from None


def _refused(field: str, bound: str, value: object) -> InvalidRequest:
    return InvalidRequest(f"{field} must be {bound}.", faults=[FieldFault(field, bound, value)])
